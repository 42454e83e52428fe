use std::path::Path;

use secrecy::ExposeSecret;

use super::*;

const GOOD: &str = r#"
[atlas.service_account]
client_id = "mdb_sa_id_1"
client_secret = "hush"
[[projects]]
id = "32b6e34b3d91647abb20e7b8"
clusters = ["prod"]
"#;

fn from(file: &Path) -> Source {
    Source { file: file.to_owned(), shard_index: None }
}

/// Reads `toml` as `exporter.toml` under `environment`.
fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exporter.toml");
    std::fs::write(&file, toml).unwrap();
    std::fs::write(folder.path().join("secret"), " from-file\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    std::fs::write(folder.path().join("ca.pem"), authorities::made().0.pem()).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::layered(&from(&file), environment)
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

/// `toml` is refused, and the sentence holds each of `parts`.
#[track_caller]
fn refused(toml: &str, environment: &[(&str, &str)], parts: &[&str]) {
    let error = load(toml, environment).expect_err("the configuration should be refused");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(!error.contains("hush"), "a secret is in: {error}");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
}

fn secret_of(config: &Config) -> String {
    let (Credentials::ServiceAccount { client_secret: source, .. }
    | Credentials::ApiKey { private_key: source, .. }) = &config.projects[0].credentials;
    source.read().unwrap().expose_secret().to_owned()
}

#[test]
fn defaults_stand_where_nothing_is_said() {
    let config = load(GOOD, &[]).unwrap();
    assert_eq!(config.base_url.as_str(), "https://cloud.mongodb.com/");
    assert_eq!(config.poll.interval, Duration::from_mins(1));
    assert_eq!(config.poll.stale_after, Duration::from_mins(15));
    assert_eq!(config.discovery_interval, Duration::from_mins(10));
    assert!(config.projects[0].clusters.names.iter().eq(["prod"]));
    assert_eq!(config.projects[0].expected, Expected::default());
    assert_eq!((config.organizations.len(), config.shard), (0, Shard::default()));
}

#[test]
fn the_environment_wins_over_the_file() {
    let toml = format!("{GOOD}\n[poll]\ninterval = \"2m\"\nconcurrency = 3\n");
    let config = load(
        &toml,
        &[
            ("ATLAS_BACKUP_EXPORTER__POLL__INTERVAL", "1m 30s"),
            ("ATLAS_BACKUP_EXPORTER__POLL__CONCURRENCY", "5"),
        ],
    )
    .unwrap();
    assert_eq!(config.poll.interval, Duration::from_secs(90));
    assert_eq!(config.poll.concurrency, 5);
}

#[test]
fn atlas_own_names_give_credentials() {
    let bare = "[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"\nclusters = [\"prod\"]\n";
    let config =
        load(bare, &[("MONGODB_ATLAS_PUBLIC_API_KEY", "abc"), ("MONGODB_ATLAS_PRIVATE_API_KEY", "hush")])
            .unwrap();
    assert!(matches!(config.projects[0].credentials, Credentials::ApiKey { .. }));
    assert_eq!(secret_of(&config), "hush");
    let over = load(GOOD, &[("MONGODB_ATLAS_CLIENT_SECRET", "newer")]).unwrap();
    assert_eq!(secret_of(&over), "newer");
    let own = load(
        GOOD,
        &[
            ("MONGODB_ATLAS_CLIENT_SECRET", "newer"),
            ("ATLAS_BACKUP_EXPORTER__ATLAS__SERVICE_ACCOUNT__CLIENT_SECRET", "own"),
        ],
    )
    .unwrap();
    assert_eq!(secret_of(&own), "own");
    assert_eq!(secret_of(&load(GOOD, &[("MONGODB_ATLAS_CLIENT_SECRET", "")]).unwrap()), "hush");
}

#[test]
fn a_secret_may_be_in_a_file_beside_the_configuration() {
    let toml = GOOD.replace("client_secret = \"hush\"", "client_secret_file = \"secret\"");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exporter.toml");
    std::fs::write(&file, toml).unwrap();
    std::fs::write(folder.path().join("secret"), " from-file\n").unwrap();
    let config = Config::layered(&from(&file), []).unwrap();
    assert_eq!(secret_of(&config), "from-file");
    let over = Config::layered(&from(&file), [("MONGODB_ATLAS_CLIENT_SECRET".to_owned(), "env".to_owned())])
        .unwrap();
    assert_eq!(secret_of(&over), "env");
    // And the other way round: a file of the environment over a secret of the file.
    let variable = "ATLAS_BACKUP_EXPORTER__ATLAS__SERVICE_ACCOUNT__CLIENT_SECRET_FILE".to_owned();
    std::fs::write(&file, GOOD).unwrap();
    let over = Config::layered(&from(&file), [(variable, "secret".to_owned())]).unwrap();
    assert_eq!(secret_of(&over), "from-file");
}

#[test]
fn unknown_keys_are_named_with_their_place() {
    refused(
        &format!("{GOOD}\n[poll]\nintervall = \"1m\"\n"),
        &[],
        &["exporter.toml: poll.intervall", "interval, timeout"],
    );
    refused(
        &GOOD.replace("clusters", "cluster"),
        &[],
        &[
            "exporter.toml: projects[0].cluster is no key",
            "id, clusters, exclude_clusters, expected_interval",
        ],
    );
    refused(
        &GOOD.replace("service_account", "service_acount"),
        &[],
        &["exporter.toml: atlas.service_acount is no key"],
    );
    refused(&format!("{GOOD}region = \"eu\"\n"), &[], &["projects[0].region"]);
    refused(&format!("verbose = true\n{GOOD}"), &[], &["exporter.toml: verbose"]);
    refused(
        GOOD,
        &[("ATLAS_BACKUP_EXPORTER__POLL__INTERVALL", "1m")],
        &["ATLAS_BACKUP_EXPORTER__POLL__INTERVALL: poll.intervall"],
    );
}

#[test]
fn wrong_values_are_named_with_what_would_be_right() {
    for value in
        ["\"5 parsecs\"", "\"1ns\"", "60", "\"60\"", "\"0s\"", "\"-5s\"", "\"1 month\"", "true", "[\"1m\"]"]
    {
        refused(
            &format!("{GOOD}\n[poll]\ntimeout = {value}\n"),
            &[],
            &["exporter.toml: poll.timeout is", "\"1m 30s\""],
        );
    }
    for value in ["0", "-1", "1001", "\"many\"", "1.5"] {
        refused(
            &format!("{GOOD}\n[poll]\nconcurrency = {value}\n"),
            &[],
            &["poll.concurrency is", "1 to 1000"],
        );
    }
    refused(
        GOOD,
        &[("ATLAS_BACKUP_EXPORTER__POLL__TIMEOUT", "soon")],
        &["ATLAS_BACKUP_EXPORTER__POLL__TIMEOUT: poll.timeout is \"soon\""],
    );
    refused(&GOOD.replace("32b6e34b3d91647abb20e7b8", "prod"), &[], &["projects[0].id is \"prod\"", "24"]);
    refused(&GOOD.replace("[\"prod\"]", "\"prod\""), &[], &["projects[0].clusters is \"prod\"", "list"]);
    refused(
        &GOOD.replace("[\"prod\"]", "[]"),
        &[],
        &["projects[0].clusters is []", "leave it out", "exclude_clusters"],
    );
    refused(&GOOD.replace("[\"prod\"]", "[\"a\", \"a\"]"), &[], &["projects[0].clusters", "\"a\" twice"]);
    refused(
        &GOOD.replace("[\"prod\"]", "[\"a-[\"]"),
        &[],
        &["projects[0].clusters has \"a-[\"", "cannot be read"],
    );
    refused(
        &GOOD.replace("[\"prod\"]", "[\"{a,b}\"]"),
        &[],
        &["projects[0].clusters has \"{a,b}\"", "one for each"],
    );
    refused(&GOOD.replace("[\"prod\"]", "[\"a*\", \"a*\"]"), &[], &["projects[0].clusters", "\"a*\" twice"]);
    for value in ["\"soon\"", "7", "\"1 month\""] {
        refused(&format!("{GOOD}expected_interval = {value}\n"), &[], &["projects[0].expected_interval is"]);
    }
    for value in ["\"yes\"", "1", "\"true\""] {
        refused(
            &format!("{GOOD}export_expected = {value}\n"),
            &[],
            &["projects[0].export_expected is", "\"auto\", true or false"],
        );
    }
    refused(
        &format!("{GOOD}\n[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"\nclusters = [\"b\"]\n"),
        &[],
        &["projects[1].id", "second time"],
    );
    refused(&format!("poll = 3\n{GOOD}"), &[], &["poll is 3", "[poll]"]);
    refused(
        &format!("{GOOD}\n[poll]\nstale_after = \"119s\"\n"),
        &[],
        &["poll.stale_after", "at least 120s"],
    );
}

#[test]
fn figures_do_not_go_stale_between_two_polls() {
    let stale_after = |poll: &str| load(&format!("{GOOD}\n[poll]\n{poll}\n"), &[]).unwrap().poll.stale_after;
    assert_eq!(stale_after("interval = \"10m\""), Duration::from_mins(30));
    assert_eq!(stale_after("interval = \"5m\""), Duration::from_mins(15));
    assert_eq!(stale_after("interval = \"5m\"\nstale_after = \"10m\""), Duration::from_mins(10));
}

#[test]
fn names_that_no_cluster_has_are_refused() {
    for name in ["", ".", "..", " prod", "prod\\n", "a\\u0000"] {
        refused(&GOOD.replace("prod", name), &[], &["projects[0].clusters is", "a list of cluster names"]);
    }
}

#[test]
fn the_base_url_must_not_leak_credentials() {
    let with = |url: &str| GOOD.replace("[atlas.s", &format!("[atlas]\nbase_url = \"{url}\"\n[atlas.s"));
    for url in [
        "http://cloud.mongodb.com",
        "ftp://x",
        "cloud.mongodb.com",
        "https://u:p@x",
        "https://x/?a=b",
        "https://cloud.mongodb.com/api/atlas/v2",
        "",
    ] {
        refused(&with(url), &[], &["atlas.base_url is", "an https URL"]);
    }
    for url in
        ["https://cloud.mongodbgov.com", "http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9/prefix"]
    {
        assert!(load(&with(url), &[]).unwrap().base_url.path().ends_with('/'));
    }
}

#[test]
fn credentials_are_of_one_kind_and_whole() {
    let both = format!("{GOOD}\n[atlas.api_key]\npublic_key = \"a\"\nprivate_key = \"hush\"\n");
    refused(&both, &[], &["exporter.toml: atlas.service_account", "atlas.api_key", "remove one"]);
    refused(GOOD, &[("MONGODB_ATLAS_PUBLIC_API_KEY", "a")], &["MONGODB_ATLAS_PUBLIC_API_KEY", "remove one"]);
    refused(
        "[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"\nclusters = [\"prod\"]\n",
        &[],
        &["atlas.service_account", "is missing"],
    );
    refused(
        &GOOD.replace("client_secret = \"hush\"", ""),
        &[],
        &["client_secret is missing", "client_secret_file"],
    );
    refused(
        &GOOD.replace("client_secret = \"hush\"", "client_secret = 5"),
        &[],
        &["atlas.service_account.client_secret"],
    );
    refused(&GOOD.replace("client_id = \"mdb_sa_id_1\"", "client_id = \" \""), &[], &["client_id is \" \""]);
    refused(
        &GOOD.replace("[[p", "client_secret_file = \"secret\"\n[[p"),
        &[],
        &["client_secret and client_secret_file are both set"],
    );
    let file =
        |name: &str| GOOD.replace("client_secret = \"hush\"", &format!("client_secret_file = \"{name}\""));
    refused(
        &file("nowhere"),
        &[],
        &["exporter.toml: atlas.service_account.client_secret_file", "nowhere", "No such file"],
    );
    refused(&file("empty"), &[], &["client_secret_file", "empty is empty"]);
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let error = Config::layered(&from(Path::new("/nowhere/x.toml")), []).unwrap_err().to_string();
    assert!(error.contains("/nowhere/x.toml") && error.contains("--config.file"), "{error}");
    let error = load("[poll\n", &[]).unwrap_err();
    assert!(error.contains("exporter.toml: not TOML at line 1"), "{error}");
}

#[test]
fn the_example_file_is_read_and_shows_the_defaults() {
    let text = include_str!("../../config.example.toml");
    let config = load(&text.replace("/run/secrets/atlas_client_secret", "secret"), &[]).unwrap();
    let default = PollConfig::default();
    assert_eq!(format!("{:?}", config.poll), format!("{default:?}"));
    assert_eq!(config.discovery_interval, DISCOVERY_INTERVAL);
    assert_eq!(config.detail, DetailConfig::default());
    assert_eq!(config.base_url.as_str(), "https://cloud.mongodb.com/");
}

/// Every `# key = value` and `# [table]` of the example, read as if it were not a comment, must be accepted; of two kinds of
/// credentials in a table, the second is left a comment.
#[test]
fn every_key_the_example_shows_in_a_comment_is_read_too() {
    let text = include_str!("../../config.example.toml");
    let uncommented = |line: &str| {
        let rest = line.strip_prefix("# ")?;
        let key = rest.split([' ', ']']).next()?.trim_start_matches('[');
        let is_key =
            rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        (is_key && !key.is_empty()).then(|| rest.to_owned())
    };
    let shown: String =
        text.lines().map(|line| uncommented(line).unwrap_or_else(|| line.to_owned()) + "\n").collect();
    for key in [
        "ca_file",
        "clusters",
        "exclude_clusters",
        "exclude_projects",
        "expires_at",
        "expected_interval",
        "export_expected",
        "[projects.service_account]",
        "[[organizations]]",
        "[shard]",
        "index",
        "total",
    ] {
        assert!(shown.lines().any(|line| line.starts_with(key)), "{key} is not in the example");
    }
    let shown = shown
        .replace("/run/secrets/atlas_client_secret", "secret")
        .replace("/run/secrets/payments_secret", "secret")
        .replace("/etc/ssl/company-ca.pem", "ca.pem");
    let (before, api_key) = shown.split_once("[atlas.api_key]").unwrap();
    let (keys, after) = api_key.split_once("\n[poll]").unwrap();
    load(&format!("{before}\n[poll]{after}"), &[]).unwrap();
    let before = before.split_once("[atlas.service_account]").unwrap().0;
    let config = load(&format!("{before}[atlas.api_key]{keys}\n[poll]{after}"), &[]).unwrap();
    assert!(config.organizations.iter().any(|entry| matches!(entry.credentials, Credentials::ApiKey { .. })));
}

#[test]
fn clusters_are_names_and_patterns_or_all() {
    let selection = |clusters: &str| {
        load(&GOOD.replace("clusters = [\"prod\"]", clusters), &[]).unwrap().projects[0].clusters.clone()
    };
    let all = selection("");
    assert!(all.names.is_empty() && all.matches("anything"));
    let some = selection("clusters = [\"prod\", \"reporting-*\"]");
    assert!(some.names.contains("prod") && some.matches("reporting-eu") && !some.matches("sandbox"));
}

#[test]
fn entries_say_what_they_expect_and_may_bring_their_own_credentials() {
    let toml = format!(
        "{GOOD}expected_interval = \"1d\"\nexport_expected = false\n[projects.api_key]\npublic_key = \"own\"\nprivate_key = \"hush\"\n
        [[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0000\"\nexport_expected = true\n
        [[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0001\"\nexport_expected = \"auto\"\n[organizations.service_account]\nclient_id = \"b\"\nclient_secret_file = \"secret\"\n"
    );
    let config = load(&toml, &[]).unwrap();
    let day = Duration::from_hours(24);
    assert_eq!(config.projects[0].expected, Expected { interval: Some(day), export: Some(false) });
    assert_eq!(config.projects[0].credentials.to_string(), "API key own");
    let [first, second] = &config.organizations[..] else { panic!("two organizations") };
    assert_eq!(first.expected, Expected { interval: None, export: Some(true) });
    assert_eq!(first.credentials.to_string(), "service account mdb_sa_id_1");
    assert_eq!(second.expected, Expected::default());
    assert_eq!(second.credentials.to_string(), "service account b");

    let no_default = toml.replacen(
        "[atlas.service_account]",
        "[[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0002\"\n[organizations.service_account]",
        1,
    );
    refused(&no_default, &[], &["atlas.service_account is missing"]);
    let all_own = no_default
        .replace("[[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0000\"\nexport_expected = true\n", "");
    assert!(load(&all_own, &[]).is_ok(), "every entry has its own");
    let both = toml.replace(
        "[projects.api_key]",
        "[projects.service_account]\nclient_id = \"x\"\nclient_secret = \"hush\"\n[projects.api_key]",
    );
    refused(&both, &[], &["projects[0].service_account", "projects[0].api_key", "remove one"]);
    refused(&toml.replace("7b0001", "7b0000"), &[], &["organizations[1].id", "second time"]);
    refused(
        &toml.replace("5f0e5a3b9c1d4e6f8a7b0000", "acme"),
        &[],
        &["organizations[0].id is \"acme\"", "24"],
    );
    refused(
        &format!("{GOOD}\n[[organizations]]\nclusters = [\"a\"]\n"),
        &[],
        &["organizations[0].clusters is no key"],
    );
    let nothing = "[atlas.service_account]\nclient_id = \"a\"\nclient_secret = \"hush\"\n";
    refused(nothing, &[], &["projects is missing, and so is organizations"]);
}

#[test]
fn a_shard_is_one_of_several() {
    let shard = |toml: &str, environment: &[(&str, &str)]| {
        load(&format!("{GOOD}{toml}"), environment).map(|config| (config.shard.index, config.shard.total))
    };
    assert_eq!(shard("", &[]), Ok((0, 1)));
    assert_eq!(shard("[shard]\ntotal = 1\n", &[]), Ok((0, 1)));
    assert_eq!(shard("[shard]\nindex = 2\ntotal = 3\n", &[]), Ok((2, 3)));
    let auto = "[shard]\nindex = \"auto\"\ntotal = 3\n";
    assert_eq!(shard(auto, &[("HOSTNAME", "exporter-1")]), Ok((1, 3)));
    assert_eq!(
        shard("[shard]\nindex = 0\ntotal = 3\n", &[("ATLAS_BACKUP_EXPORTER__SHARD__INDEX", "1")]),
        Ok((1, 3))
    );
    let wrong = |toml: &str, environment: &[(&str, &str)], parts: &[&str]| {
        refused(&format!("{GOOD}{toml}"), environment, parts);
    };
    wrong("[shard]\nindex = 3\ntotal = 3\n", &[], &["exporter.toml: shard.index is 3", "the last is 2"]);
    wrong(auto, &[("HOSTNAME", "exporter-3")], &["shard.index is 3"]);
    wrong(auto, &[("HOSTNAME", "laptop")], &["shard.index is \"auto\"", "\"laptop\"", "write the number"]);
    wrong("[shard]\nindex = 0\n", &[], &["shard.total is missing"]);
    wrong("[shard]\ntotal = 2\n", &[], &["shard.index is missing", "0 to 1"]);
    wrong("[shard]\nindex = -1\ntotal = 2\n", &[], &["shard.index is -1"]);
    wrong("[shard]\nindex = 0\ntotal = 0\n", &[], &["shard.total is 0", "1 to 1000"]);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exporter.toml");
    std::fs::write(&file, format!("{GOOD}[shard]\nindex = 0\ntotal = 3\n")).unwrap();
    let flagged = |index: &str| {
        let source = Source { shard_index: Some(index.to_owned()), ..from(&file) };
        Config::layered(&source, [("HOSTNAME".to_owned(), "exporter-1".to_owned())])
            .map(|config| config.shard.index)
            .map_err(|error| error.to_string())
    };
    assert_eq!(flagged("2"), Ok(2));
    assert_eq!(flagged("auto"), Ok(1));
    assert!(flagged("9").unwrap_err().contains("--shard.index: shard.index is 9"), "{:?}", flagged("9"));
}

#[test]
fn no_secret_is_in_the_debug_output() {
    let shown = format!("{:?}", load(GOOD, &[]).unwrap());
    assert!(!shown.contains("hush") && shown.contains("REDACTED"), "{shown}");
}

mod authorities;
mod detail;
mod exclusions;
mod prepared;
