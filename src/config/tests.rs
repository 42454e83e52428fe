use std::path::Path;
use std::time::Duration;

use atlas_client::{CredentialKind, ProjectId};
use secrecy::ExposeSecret;

use super::*;
use crate::model::{CollectorKind, ExportExpectation, Shard};

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

/// Loads `toml` as `exporter.toml` with the variables of `environment`.
fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exporter.toml");
    std::fs::write(&file, toml).unwrap();
    std::fs::write(folder.path().join("secret"), " from-file\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    std::fs::write(folder.path().join("ca.pem"), ca_bundle::made().0.pem()).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::layered(&from(&file), environment)
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

/// Asserts that `toml` is invalid, and that the error contains each of `parts`.
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
    config.projects[0].credentials.secret.read().unwrap().expose_secret().to_owned()
}

#[test]
fn missing_keys_have_defaults() {
    let config = load(GOOD, &[]).unwrap();
    assert_eq!(config.base_url.as_str(), "https://cloud.mongodb.com/");
    assert_eq!(config.poll.interval, Duration::from_mins(1));
    assert_eq!(config.poll.stale_after, Duration::from_mins(15));
    assert_eq!(config.discovery_interval, Duration::from_mins(10));
    assert_eq!(config.projects[0].selection.names, ["prod".to_owned()].into());
    assert_eq!(config.projects[0].expected, ExportExpectation::default());
    assert_eq!((config.organizations.len(), config.shard), (0, Shard::default()));
}

#[test]
fn environment_overrides_the_file() {
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
fn atlas_cli_variables_are_credentials() {
    let bare = "[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"\nclusters = [\"prod\"]\n";
    let config =
        load(bare, &[("MONGODB_ATLAS_PUBLIC_API_KEY", "abc"), ("MONGODB_ATLAS_PRIVATE_API_KEY", "hush")])
            .unwrap();
    assert_eq!(config.projects[0].credentials.kind, CredentialKind::ApiKey);
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
fn secret_file_is_relative_to_the_configuration() {
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
    // A secret file of the environment overrides a secret of the configuration file.
    let variable = "ATLAS_BACKUP_EXPORTER__ATLAS__SERVICE_ACCOUNT__CLIENT_SECRET_FILE".to_owned();
    std::fs::write(&file, GOOD).unwrap();
    let over = Config::layered(&from(&file), [(variable, "secret".to_owned())]).unwrap();
    assert_eq!(secret_of(&over), "from-file");
}

#[test]
fn staleness_is_longer_than_the_poll_interval() {
    let stale_after = |poll: &str| load(&format!("{GOOD}\n[poll]\n{poll}\n"), &[]).unwrap().poll.stale_after;
    assert_eq!(stale_after("interval = \"10m\""), Duration::from_mins(30));
    assert_eq!(stale_after("interval = \"5m\""), Duration::from_mins(15));
    assert_eq!(stale_after("interval = \"5m\"\nstale_after = \"10m\""), Duration::from_mins(10));
}

#[test]
fn example_file_has_the_defaults() {
    let text = include_str!("../../config.example.toml");
    let config = load(&text.replace("\"client_secret\"", "\"secret\""), &[]).unwrap();
    let default = PollConfig::default();
    assert_eq!(format!("{:?}", config.poll), format!("{default:?}"));
    assert_eq!(config.discovery_interval, DISCOVERY_INTERVAL);
    assert_eq!(config.collectors, CollectorConfig::default());
    assert_eq!(config.base_url.as_str(), "https://cloud.mongodb.com/");
}

/// Returns the example with its commented keys and tables set.
fn uncommented_example() -> String {
    let uncommented = |line: &str| {
        let rest = line.strip_prefix("# ")?;
        let is_key = rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        (is_key || rest.starts_with('[')).then(|| rest.to_owned())
    };
    let lines = include_str!("../../config.example.toml").lines();
    lines.map(|line| uncommented(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

// A table takes one kind of credentials, so each kind is tested alone.
#[test]
fn commented_keys_of_the_example_are_accepted() {
    let shown = uncommented_example();
    let shown = shown
        .replace("\"client_secret\"", "\"secret\"")
        .replace("payments_secret", "secret")
        .replace("/etc/ssl/company-ca.pem", "ca.pem");
    let (before, api_key) = shown.split_once("[atlas.api_key]").unwrap();
    let (keys, after) = api_key.split_once("\n[poll]").unwrap();
    load(&format!("{before}\n[poll]{after}"), &[]).unwrap();
    let before = before.split_once("[atlas.service_account]").unwrap().0;
    let config = load(&format!("{before}[atlas.api_key]{keys}\n[poll]{after}"), &[]).unwrap();
    assert!(config.organizations.iter().any(|entry| entry.credentials.kind == CredentialKind::ApiKey));
}

#[test]
fn base_url_is_https_or_loopback() {
    for url in
        ["https://cloud.mongodbgov.com", "http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9/prefix"]
    {
        let config = load(&format!("[atlas]\nbase_url = \"{url}\"\n{GOOD}"), &[]).unwrap();
        assert!(config.base_url.path().ends_with('/'));
    }
}

#[test]
fn entries_have_expectations_and_credentials_of_their_own() {
    let toml = format!(
        "{GOOD}expected_interval = \"1d\"\nexport_expected = false\n[projects.api_key]\n\
         public_key = \"own\"\nprivate_key = \"hush\"\n
        [[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0000\"\nexport_expected = true\n
        [[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0001\"\nexport_expected = \"auto\"\n\
        [organizations.service_account]\nclient_id = \"b\"\nclient_secret_file = \"secret\"\n"
    );
    let config = load(&toml, &[]).unwrap();
    let day = Duration::from_hours(24);
    assert_eq!(config.projects[0].expected, ExportExpectation { interval: Some(day), export: Some(false) });
    assert_eq!(config.projects[0].credentials.to_string(), "API key own");
    let [first, second] = &config.organizations[..] else { panic!("two organizations") };
    assert_eq!(first.expected, ExportExpectation { interval: None, export: Some(true) });
    assert_eq!(first.credentials.to_string(), "service account mdb_sa_id_1");
    assert_eq!(second.expected, ExportExpectation::default());
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
}

#[test]
fn clusters_are_names_and_patterns_or_all() {
    let selection = |clusters: &str| {
        load(&GOOD.replace("clusters = [\"prod\"]", clusters), &[]).unwrap().projects[0].selection.clone()
    };
    let all = selection("");
    assert!(all.names.is_empty() && all.matches("anything"));
    let some = selection("clusters = [\"prod\", \"test-*\"]\nexclude_clusters = [\"test-old\"]");
    assert!(some.names.contains("prod") && some.matches("test-eu") && !some.matches("sandbox"));
    assert!(some.matches("test-old") && some.excludes("test-old") && !some.excludes("test-new"));
}

#[test]
fn exclusions_are_ids_names_and_patterns() {
    let toml = format!(
        "{GOOD}exclude_clusters = []\n[[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0000\"\n\
         exclude_projects = [\"32b6e34b3d91647abb20e7b9\", \"My Sandbox\", \"test-*\"]\n\
         exclude_clusters = [\"scratch\", \"tmp-?\"]\n"
    );
    let config = load(&toml, &[]).unwrap();
    assert!(!config.projects[0].selection.excludes("prod"), "an empty list excludes nothing");
    let organization = &config.organizations[0];
    let id = |last: char| ProjectId::parse(&format!("32b6e34b3d91647abb20e7b{last}")).unwrap();
    for (last, name, excluded) in [
        ('9', Some("payments"), true),
        ('9', None, true),
        ('a', Some("My Sandbox"), true),
        ('a', Some("test-1"), true),
        ('a', Some("a test-1"), false),
        ('a', Some("32b6e34b3d91647abb20e7b9"), false),
        ('a', None, false),
    ] {
        assert_eq!(organization.excludes(&id(last), name), excluded, "{last} {name:?}");
    }
    let all = load(&toml.replace("\"test-*\"", "\"*\""), &[]).unwrap();
    assert!(all.organizations[0].excludes(&id('a'), Some("x")));
    assert!(!all.organizations[0].excludes(&id('a'), None), "a name that is unknown matches no pattern");
    let names: Vec<_> = organization.exclude_clusters.iter().map(glob::Pattern::as_str).collect();
    assert_eq!(names, ["scratch", "tmp-?"]);
}

#[test]
fn shard_comes_from_file_environment_host_name_or_flag() {
    let shard = |toml: &str, environment: &[(&str, &str)], flag: Option<&str>| {
        let source = Source { file: "exporter.toml".into(), shard_index: flag.map(str::to_owned) };
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::parse(&source, &format!("{GOOD}{toml}"), environment)
            .map(|config| (config.shard.index, config.shard.total))
            .map_err(|error| error.to_string())
    };
    assert_eq!(shard("", &[], None), Ok((0, 1)));
    assert_eq!(shard("[shard]\ntotal = 1\n", &[], None), Ok((0, 1)));
    assert_eq!(shard("[shard]\nindex = 2\ntotal = 3\n", &[], None), Ok((2, 3)));
    let (auto, first) = ("[shard]\nindex = \"auto\"\ntotal = 3\n", "[shard]\nindex = 0\ntotal = 3\n");
    let (host, variable) = (("HOSTNAME", "exporter-1"), ("ATLAS_BACKUP_EXPORTER__SHARD__INDEX", "1"));
    assert_eq!(shard(auto, &[host], None), Ok((1, 3)));
    assert_eq!(shard(first, &[variable], None), Ok((1, 3)));
    assert_eq!(shard(first, &[variable], Some("2")), Ok((2, 3)));
    assert_eq!(shard(first, &[host], Some("auto")), Ok((1, 3)));
    let error = shard(first, &[], Some("9")).unwrap_err();
    assert_eq!(error, "--shard.index: shard.index is 9; expected 0 to 2 for 3 shards");
}

#[test]
fn debug_output_has_no_secret() {
    let shown = format!("{:?}", load(GOOD, &[]).unwrap());
    assert!(!shown.contains("hush") && shown.contains("REDACTED"), "{shown}");
}

mod ca_bundle;
mod collectors;
mod prepared;
mod refused;

#[test]
fn links_have_encoded_names_and_come_from_file_or_environment() {
    assert_eq!(load(GOOD, &[]).unwrap().links, LinkConfig::default());
    let table = "[links]\nrunbooks = \"https://runbooks.example.com/RUNBOOKS.md\"\n\
        dashboard = \" http://grafana/d/x?var-project={project_id}&var-cluster={cluster_name}&y={cluster_name}\"\n";
    let links = load(&format!("{GOOD}{table}"), &[]).unwrap().links;
    let address = |link: &Option<LinkTemplate>, name| link.as_ref().unwrap().address("0a", name);
    assert_eq!(address(&links.runbooks, "a"), "https://runbooks.example.com/RUNBOOKS.md");
    assert_eq!(
        address(&links.dashboard, "prod-eu 1&x=\"<{project_id}>ä/"),
        "http://grafana/d/x?var-project=0a&var-cluster=\
         prod-eu%201%26x%3D%22%3C%7Bproject_id%7D%3E%C3%A4%2F&\
         y=prod-eu%201%26x%3D%22%3C%7Bproject_id%7D%3E%C3%A4%2F"
    );
    let variable = ("ATLAS_BACKUP_EXPORTER__LINKS__RUNBOOKS", "https://wiki/{project_id}");
    let links = load(&format!("{GOOD}{table}"), &[variable]).unwrap().links;
    assert_eq!(address(&links.runbooks, "a"), "https://wiki/0a");
    assert_eq!(
        LinkTemplate::of_atlas(&"https://cloud.mongodbgov.com/".parse().unwrap()).address("0a", "a/b"),
        "https://cloud.mongodbgov.com/v2/0a#/clusters/detail/a%2Fb"
    );
}
