//! `[collectors]`, and the expiry of secrets.

use super::*;

#[test]
fn collectors_are_on_unless_disabled() {
    let collectors = |toml: &str, environment: &[(&str, &str)]| {
        load(&format!("{GOOD}\n{toml}"), environment).unwrap().collectors
    };
    let default = collectors("", &[]);
    assert_eq!((default.interval, default.disabled), (Duration::from_mins(10), Vec::new()));
    assert_eq!(collectors("[collectors]\ninterval = \"1h\"", &[]).stale_after(), Duration::from_hours(3));
    let disabled =
        collectors("[collectors]\nsnapshots = false\nevents = true\nbuckets = false", &[]).disabled;
    assert_eq!(disabled, [CollectorKind::Snapshots, CollectorKind::Buckets]);
    let variable = ("ATLAS_BACKUP_EXPORTER__COLLECTORS__EVENTS", "false");
    assert_eq!(collectors("[collectors]\nevents = true", &[variable]).disabled, [CollectorKind::Events]);
}

#[test]
fn expiry_of_a_secret_is_a_time_or_a_day() {
    let read = |value: &str| {
        let toml = GOOD
            .replace("client_secret = \"hush\"", &format!("client_secret = \"hush\"\nexpires_at = {value}"));
        load(&toml, &[])
    };
    for (value, expected) in [
        ("\"2027-01-31\"", "2027-01-31T00:00:00Z"),
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31T12:00:00+01:00", "2027-01-31T11:00:00Z"),
        ("\"2027-01-31T12:00:00Z\"", "2027-01-31T12:00:00Z"),
    ] {
        let config = read(value).unwrap();
        assert_eq!(config.projects[0].credentials.expires_at.unwrap().to_string(), expected, "{value}");
    }
    for wrong in
        ["\"soon\"", "\"31.01.2027\"", "1801353600", "true", "\"2027-02-30\"", "\"2027-01-31T12:00:00\""]
    {
        let error = read(wrong).unwrap_err();
        assert!(
            error.contains(&format!("atlas.service_account.expires_at is {wrong}"))
                && error.contains("2027-01-31T12:00:00Z"),
            "{error}"
        );
    }
    let variable = ("ATLAS_BACKUP_EXPORTER__ATLAS__SERVICE_ACCOUNT__EXPIRES_AT", "2028-01-01");
    let config = load(GOOD, &[variable]).unwrap();
    let expected = [("1".to_owned(), "2028-01-01T00:00:00Z".parse().unwrap())].into();
    assert_eq!(crate::discovery::clients::expiries(&config), expected);
}

#[test]
fn first_expiry_of_accounts_with_equal_short_ids_is_exposed() {
    let account = |id: &str, day: &str| {
        format!(
            "[projects.service_account]\nclient_id = \"{id}\"\nclient_secret = \"hush\"\n\
             expires_at = \"{day}\"\n"
        )
    };
    let toml = format!(
        "[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"\n{}[[projects]]\n\
         id = \"32b6e34b3d91647abb20e7b9\"\n{}[[projects]]\nid = \"32b6e34b3d91647abb20e7ba\"\n{}",
        account("mdb_sa_id_aa000001", "2027-02-01"),
        account("mdb_sa_id_bb000001", "2027-01-01"),
        account("mdb_sa_id_aa000002", "2027-03-01")
    );
    let expiries: Vec<_> = crate::discovery::clients::expiries(&load(&toml, &[]).unwrap())
        .into_iter()
        .map(|(id, at)| format!("{id} {at}"))
        .collect();
    assert_eq!(expiries, ["000001 2027-01-01T00:00:00Z", "000002 2027-03-01T00:00:00Z"]);
}
