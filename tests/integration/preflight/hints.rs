//! Hints of `check`.

use super::*;

async fn check_with_fault(simulator: &Simulator, path: &str, what: FaultKind) -> String {
    simulator.state().faults = vec![Fault::lasting(path, what)];
    let entry = format!(
        "[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod-eu\"]\n[[projects]]\nid = \"{OTHER}\"\nclusters = [\"warehouse\"]\n"
    );
    let builder = ExporterBuilder::new(simulator).targets(entry).set("poll.timeout", "2s");
    let (code, table, _) = run(&builder, &["check"]).await;
    assert_eq!(code, Some(1), "{table}");
    unwrapped(&table)
}

#[tokio::test]
async fn check_distinguishes_common_causes() {
    let simulator = simulator(mixed()).await;
    let refused = |status, code| FaultKind::error(status, code);
    let of = async |path: &str, what, parts: &[&str]| {
        let table = check_with_fault(&simulator, path, what).await;
        for part in parts {
            assert!(table.contains(part), "{part} is not in\n{table}");
        }
        table
    };
    let address = of(
        "/groups/",
        refused(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"),
        &["address 203.0.113.7 to the API access list of the service account mdb_sa_id_1"],
    )
    .await;
    assert_eq!(address.matches("API access list").count(), 1, "one cause is shown once: {address}");
    of(
        "/oauth/",
        refused(401, "invalid_client"),
        &["service account mdb_sa_id_1 is unknown, or its secret", "create a new secret"],
    )
    .await;
    of(
        "prod-eu/backup/exports",
        refused(403, "USER_UNAUTHORIZED"),
        &["Project Backup Manager", "1 of 2 clusters"],
    )
    .await;
    of(
        "prod-eu/backup/schedule",
        refused(403, "USER_UNAUTHORIZED"),
        &["Project Backup Manager", "1 of 2 clusters"],
    )
    .await;
    of(
        "/clusters$",
        refused(403, "USER_UNAUTHORIZED"),
        &["Project Backup Manager", "2 projects or organizations cannot be read"],
    )
    .await;
    of("/exports", refused(429, "RATE_LIMITED"), &["too many requests"]).await;
    of("/groups/", FaultKind::HANG, &["no response from 127.0.0.1:"]).await;
    of("/groups/", FaultKind::Status(200, "", Vec::new()), &["check `atlas.base_url`"]).await;
    of("/groups/", refused(500, "UNEXPECTED_ERROR"), &["an internal fault"]).await;
    of("/oauth/", refused(403, "ORG_REQUIRES_ACCESS_LIST"), &["API access list of the service"]).await;
    let builder = ExporterBuilder::new(&simulator).base_url("http://127.0.0.1:9").set("poll.timeout", "1s");
    let (code, table, _) = run(&builder, &["check"]).await;
    assert!(
        code == Some(1)
            && unwrapped(&table).contains("cannot connect to 127.0.0.1:9: connection refused; check DNS"),
        "{table}"
    );
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
}

#[tokio::test]
async fn check_hints_follow_the_error_code() {
    let cases = [
        (401, "USER_UNAUTHORIZED", "forbidden", "needs the role Project Backup Manager"),
        (401, "USER_CANNOT_ACCESS_GROUP", "forbidden", "needs the role Project Backup Manager"),
        (403, "ACCESS_FORBIDDEN", "forbidden", "needs the role Project Backup Manager"),
        (
            401,
            "NOT_IN_GROUP",
            "forbidden",
            "is not in this project, or there is no such project: check the id",
        ),
        (403, "ORG_REQUIRES_ACCESS_LIST", "forbidden", "address 203.0.113.7 to the API access list"),
        (403, "RESOURCE_REQUIRES_ACCESS_LIST", "forbidden", "address 203.0.113.7 to the API access list"),
        (403, "", "forbidden", "a proxy, firewall or load balancer"),
        (403, "SOMETHING_NEW", "forbidden", "403 Forbidden SOMETHING_NEW"),
        (403, "FEATURE_UNSUPPORTED", "forbidden", "tier does not support"),
        (404, "CLUSTER_NOT_FOUND", "not_found", "no such cluster; the project has prod"),
        (404, "GROUP_NOT_FOUND", "not_found", "no such project"),
        (404, "RESOURCE_NOT_FOUND", "not_found", "no such project"),
        (404, "BACKUP_CONFIG_NOT_FOUND", "not_found", "cloud backup is off"),
        (400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", "bad_request", "a flex cluster has no exports"),
        (410, "VERSION_GONE", "bad_request", "newer release"),
        (400, "INVALID_VERSION_DATE", "bad_request", "newer release"),
        (402, "ACCOUNT_SUSPENDED", "bad_request", "unpaid invoice"),
        (409, "SOMETHING_NEW", "bad_request", "409 Conflict SOMETHING_NEW"),
        (429, "", "rate_limited", "too many requests"),
        (503, "", "server_error", "a proxy, load balancer or gateway"),
    ];
    // The project lists none of the names: the hint follows the error code.
    let mut state = atlas_state([("prod", cluster())]);
    let names: Vec<_> = (0..cases.len()).map(|index| format!("unlisted-{index:02}")).collect();
    for (name, (status, code, ..)) in names.iter().zip(cases) {
        let answer = FaultKind::error(status, code);
        state.faults.push(Fault::lasting(&format!("/{name}/backup/exports"), answer));
    }
    let simulator = simulator(state).await;
    let entry = format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = {names:?}\n");
    let (code, json, _) =
        run(&ExporterBuilder::new(&simulator).targets(entry), &["check", "--output=json"]).await;
    assert_eq!(code, Some(1), "{json}");
    let json: Value = serde_json::from_str(&json).unwrap();
    for (name, (status, code, reason, hint)) in names.iter().zip(cases) {
        let row = json["rows"].as_array().unwrap().iter().find(|row| row["cluster_name"] == *name).unwrap();
        assert_eq!(row["reason"], reason, "{status} {code}: {row:#}");
        assert!(row["hint"].as_str().unwrap().contains(hint), "{status} {code}: {row:#}");
        let says_no_such_cluster = row["hint"].as_str().unwrap().contains("no such cluster");
        assert_eq!(says_no_such_cluster, code == "CLUSTER_NOT_FOUND", "{status} {code}: {row:#}");
    }
}
