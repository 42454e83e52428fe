//! Errors of invalid configurations.

use super::*;

const ORGANIZATION: &str = "[[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0000\"\n";

/// [`GOOD`] with more at its end, in `[[projects]]`.
fn more(toml: &str) -> String {
    format!("{GOOD}{toml}\n")
}

fn replaced(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    GOOD.replace(from, to)
}

#[test]
fn unknown_keys_are_reported_together_with_line_and_column() {
    let toml =
        more("[poll]\n  intervall = \"1m\"\n[[organizations]]\nclusters = []\n[collectors]\nevent = true");
    let toml = format!("verbose = true{}", toml.replace("clusters = [\"prod\"]", "cluster = [\"hush\"]"));
    let problems = [
        "exporter.toml:1:1: unknown key `verbose`",
        "exporter.toml:7:1: unknown key `projects[0].cluster`; did you mean `clusters`?",
        "exporter.toml:9:3: unknown key `poll.intervall`; did you mean `interval`?",
        "exporter.toml:11:1: unknown key `organizations[0].clusters`",
        "exporter.toml:13:1: unknown key `collectors.event`; did you mean `events`?",
        "ATLAS_BACKUP_EXPORTER__POLL__TIMEOT: unknown key `poll.timeot`; \
         did you mean `ATLAS_BACKUP_EXPORTER__POLL__TIMEOUT`?",
        "ATLAS_BACKUP_EXPORTER__VERBOSITY: unknown key `verbosity`",
    ];
    let variables =
        [("ATLAS_BACKUP_EXPORTER__VERBOSITY", "hush"), ("ATLAS_BACKUP_EXPORTER__POLL__TIMEOT", "hush")];
    assert_eq!(load(&toml, &variables).unwrap_err(), problems.join("\n"));
    let nested =
        more("service_account = { client_idd = \"a\", client_secret = \"hush\" }\n[projects.x]\ny = 1");
    let problems = [
        "exporter.toml:8:21: unknown key `projects[0].service_account.client_idd`; did you mean `client_id`?",
        "exporter.toml:9:11: unknown key `projects[0].x`",
    ];
    assert_eq!(load(&nested, &[]).unwrap_err(), problems.join("\n"));
    for (toml, problem) in [
        (
            replaced("service_account", "service_acount"),
            "exporter.toml:2:8: unknown key `atlas.service_acount`",
        ),
        (more("exclude_projects = [\"x\"]"), "exporter.toml:8:1: unknown key `projects[0].exclude_projects`"),
        (more("\"poll.interval\" = 1"), "unknown key `projects[0].poll.interval`"),
        (more("\"a\\nb\" = 1"), "unknown key `projects[0].a\\nb`"),
        (more("[poll.interval]\nx = 1"), "poll.interval is of type table; expected a duration"),
        (
            replaced("client_secret", "expires_at = 2027-01-31\nprivate_key")
                .replace("service_account", "api_key")
                .replace("client_id", "public_key"),
            "unknown key `atlas.api_key.expires_at`",
        ),
    ] {
        refused(&toml, &[], &[problem]);
    }
    for (variable, key, hint) in [
        ("POLL__INTERVALL", "poll.intervall", "; did you mean `ATLAS_BACKUP_EXPORTER__POLL__INTERVAL`?"),
        ("POLL_INTERVAL", "poll_interval", "; did you mean `ATLAS_BACKUP_EXPORTER__POLL__INTERVAL`?"),
        (
            "ATLAS__SERVICE_ACCOUNT_CLIENT_SECRET",
            "atlas.service_account_client_secret",
            "; did you mean `ATLAS_BACKUP_EXPORTER__ATLAS__SERVICE_ACCOUNT__CLIENT_SECRET`?",
        ),
        ("VERBOSE", "verbose", ""),
        ("", "", ""),
    ] {
        let variable = format!("ATLAS_BACKUP_EXPORTER__{variable}");
        let error = load(GOOD, &[(&variable, "hush")]).unwrap_err();
        assert_eq!(error, format!("{variable}: unknown key `{key}`{hint}"));
    }
}

#[test]
fn renamed_key_is_refused_with_its_new_name() {
    for (toml, problem) in [
        ("[detail]\nevents = false", "exporter.toml:8:2: unknown key `detail`; it is now `collectors`"),
        (
            "[poll]\nfull_walk_interval = \"1h\"",
            "exporter.toml:9:1: unknown key `poll.full_walk_interval`; it is now \
             `poll.full_listing_interval`",
        ),
    ] {
        assert_eq!(load(&more(toml), &[]).unwrap_err(), problem);
    }
    let variable = "ATLAS_BACKUP_EXPORTER__DETAIL__EVENTS";
    let problem = format!("{variable}: unknown key `detail`; it is now `collectors`");
    assert_eq!(load(GOOD, &[(variable, "hush")]).unwrap_err(), problem);
}

#[test]
fn invalid_values_are_shown_with_the_expected_ones() {
    let duration =
        "expected a duration of at least 100ms with its unit, such as \"30s\", \"1m 30s\" or \"1d\"";
    let list = "expected a list of names or patterns";
    let tables = [
        ("[poll]\ntimeout", "poll.timeout"),
        ("[collectors]\ninterval", "collectors.interval"),
        ("[discovery]\ninterval", "discovery.interval"),
        ("expected_interval", "projects[0].expected_interval"),
        ("[poll]\nconcurrency", "poll.concurrency"),
        ("[shard]\ntotal", "shard.total"),
        ("[shard]\ntotal = 2\nindex", "shard.index"),
        ("[collectors]\nsnapshots", "collectors.snapshots"),
        ("[poll]\nincremental", "poll.incremental"),
        ("export_expected", "projects[0].export_expected"),
        ("exclude_clusters", "projects[0].exclude_clusters"),
    ];
    let durations: &[_] =
        &["\"5 parsecs\"", "\"1ns\"", "60", "\"60\"", "\"0s\"", "\"-5s\"", "\"1 month\"", "true", "[\"1m\"]"];
    let numbers: &[_] = &["0", "-1", "1001", "\"many\"", "1.5", "4294967297"];
    for (keys, values, expected) in [
        (&tables[..4], durations, duration),
        (&tables[4..6], numbers, "expected a whole number from 1 to 1000"),
        (
            &tables[6..7],
            &["-1", "\"x\"", "0.5", "true"],
            "expected the index of this shard, starting at 0, or \"auto\"",
        ),
        (&tables[7..9], &["\"no\"", "0", "[]"], "expected true or false"),
        (&tables[9..10], &["\"yes\"", "1", "\"true\""], "expected \"auto\", true or false"),
        (&tables[10..], &["\"test\"", "[\"\"]", "[7]", "[\".\"]", "[\" a\"]"], list),
    ] {
        for (written, key) in keys {
            for value in values {
                let place = if written.contains('\n') { "exporter.toml:" } else { "exporter.toml:8:1: " };
                let problem = format!("{key} is {value}; {expected}");
                refused(&more(&format!("{written} = {value}")), &[], &[place, &problem]);
            }
        }
    }
    for name in ["", ".", "..", " prod", "prod\\n", "a\\u0000"] {
        refused(&replaced("prod", name), &[], &["exporter.toml:7:1: projects[0].clusters is [", list]);
    }
    let variable = "ATLAS_BACKUP_EXPORTER__POLL__TIMEOUT";
    refused(GOOD, &[(variable, "soon")], &[&format!("{variable}: poll.timeout is \"soon\"; {duration}")]);
    for (toml, problem) in [
        (format!("poll = 3\n{GOOD}"), "exporter.toml:1:1: poll is 3; expected a table"),
        (
            GOOD.replace("[[projects]]", "[projects]"),
            "exporter.toml:5:2: projects is of type table; expected a sequence",
        ),
        (format!("organizations = [7]\n{GOOD}"), "organizations[0] is 7; expected a table"),
        (
            replaced("32b6e34b3d91647abb20e7b8", "prod"),
            "projects[0].id is \"prod\"; expected a project id: 24",
        ),
        (replaced("id = \"32b6e34b3d91647abb20e7b8\"", ""), "projects[0].id is missing"),
        (
            more("[[organizations]]\nid = \"acme\""),
            "organizations[0].id is \"acme\"; expected an organization id: 24",
        ),
        (replaced("[\"prod\"]", "\"prod\""), "projects[0].clusters is \"prod\"; expected a list"),
        (format!("[atlas]\nca_file = \" \"\n{GOOD}"), "atlas.ca_file is \" \"; expected the path of a file"),
    ] {
        refused(&toml, &[], &[problem]);
    }
    for (url, shown) in [
        ("http://cloud.mongodb.com", "\"http://cloud.mongodb.com\""),
        ("ftp://x", "\"ftp://x\""),
        ("cloud.mongodb.com", "\"cloud.mongodb.com\""),
        ("https://u:hush@x", "of type string"),
        ("https://hush@x", "of type string"),
        ("https://x/?hush=b", "of type string"),
        ("https://x/#b", "\"https://x/#b\""),
        ("https://cloud.mongodb.com/api/atlas/v2", "\"https://cloud.mongodb.com/api/atlas/v2\""),
        ("", "\"\""),
    ] {
        let problem = format!("exporter.toml:2:1: atlas.base_url is {shown}; expected an https URL");
        refused(&format!("[atlas]\nbase_url = \"{url}\"\n{GOOD}"), &[], &[&problem]);
    }
}

#[test]
fn keys_that_contradict_each_other_are_named() {
    let second = "[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"";
    for (toml, parts) in [
        (
            more(second),
            &["exporter.toml:9:1: projects[1].id is \"32b6e34b3d91647abb20e7b8\" a second time"][..],
        ),
        (more(&format!("{ORGANIZATION}{ORGANIZATION}")), &["organizations[1].id is", "a second time"]),
        (replaced("[\"prod\"]", "[]"), &["projects[0].clusters is []", "omit the key", "exclude_clusters"]),
        (replaced("[\"prod\"]", "[\"a\", \"a\"]"), &["projects[0].clusters has \"a\" twice"]),
        (replaced("[\"prod\"]", "[\"a*\", \"a*\"]"), &["projects[0].clusters has \"a*\" twice"]),
        (replaced("[\"prod\"]", "[\"a-[\"]"), &["projects[0].clusters has \"a-[\"", "not a valid pattern"]),
        (
            replaced("[\"prod\"]", "[\"{a,b}\"]"),
            &["projects[0].clusters has \"{a,b}\"", "one pattern for each"],
        ),
        (
            more("exclude_clusters = [\"pr*\"]"),
            &["projects[0].clusters has \"prod\", which exclude_clusters excludes"],
        ),
        (more("exclude_clusters = [\"a\", \"a\"]"), &["projects[0].exclude_clusters has \"a\" twice"]),
        (
            more("exclude_clusters = [\"a-[\"]"),
            &["projects[0].exclude_clusters has \"a-[\"", "not a valid pattern"],
        ),
        (
            more(&format!("{ORGANIZATION}exclude_clusters = [\"{{a,b}}\"]")),
            &["organizations[0].exclude_clusters has \"{a,b}\"", "one pattern for each"],
        ),
        (
            more(&format!("{ORGANIZATION}exclude_projects = [\"a\", \"a\"]")),
            &["organizations[0].exclude_projects has \"a\" twice"],
        ),
        (
            more("[poll]\nstale_after = \"119s\""),
            &["exporter.toml:9:1: poll.stale_after is 119s", "at least 120s"],
        ),
        (more("[shard]\nindex = 3\ntotal = 3"), &["exporter.toml:9:1: shard.index is 3", "expected 0 to 2"]),
        (more("[shard]\nindex = 0"), &["shard.total is missing"]),
        (more("[shard]\ntotal = 2"), &["shard.index is missing", "0 to 1"]),
        (
            GOOD.split("[[").next().unwrap().to_owned(),
            &["exporter.toml: projects is missing, and so is organizations"],
        ),
    ] {
        refused(&toml, &[], parts);
    }
    let auto = more("[shard]\nindex = \"auto\"\ntotal = 3");
    refused(&auto, &[("HOSTNAME", "exporter-3")], &["shard.index is 3; expected 0 to 2 for 3 shards"]);
    refused(&auto, &[("HOSTNAME", "laptop")], &["shard.index is \"auto\"", "\"laptop\"", "write the number"]);
}

#[test]
fn credentials_are_complete_and_of_one_kind() {
    let key = "[atlas.api_key]\npublic_key = \"a\"\nprivate_key = \"hush\"";
    let file = |name: &str| replaced("client_secret = \"hush\"", &format!("client_secret_file = \"{name}\""));
    let own = key.replace("atlas", "projects");
    let path = "atlas.service_account";
    for (toml, parts) in [
        (
            more(key),
            &["exporter.toml:2:8: atlas.service_account and atlas.api_key (exporter.toml:8:8)", "remove one"]
                [..],
        ),
        (
            more(&format!("{own}\n[projects.service_account]\nclient_id = \"x\"\nclient_secret = \"hush\"")),
            &["projects[0].service_account and projects[0].api_key", "remove one"],
        ),
        (
            more("[projects.service_account]\nclient_secret = \"hush\""),
            &["exporter.toml:8:11: projects[0].service_account.client_id is missing"],
        ),
        (
            GOOD.split_once("[[").map(|(_, rest)| format!("[[{rest}")).unwrap(),
            &["exporter.toml: atlas.service_account is missing, and so is atlas.api_key"],
        ),
        (
            replaced("client_id = \"mdb_sa_id_1\"", ""),
            &["exporter.toml:2:8: atlas.service_account.client_id is missing"],
        ),
        (
            replaced("client_secret = \"hush\"", ""),
            &["atlas.service_account.client_secret is missing; set it or \
                 atlas.service_account.client_secret_file"],
        ),
        (replaced("\"hush\"", "5"), &["client_secret is of type integer; expected a non-empty string"]),
        (replaced("\"hush\"", "\" \""), &["client_secret is \" \"; expected a non-empty string"]),
        (replaced("\"mdb_sa_id_1\"", "\" \""), &["client_id is \" \"; expected the client id"]),
        (
            replaced("\"mdb_sa_id_1\"", "\"mdb_sa_sk_hush\""),
            &["client_id is of type string; expected the client id"],
        ),
        (replaced("\"mdb_sa_id_1\"", "[\"hush\"]"), &["client_id is of type array; expected the client id"]),
        (
            replaced("[[p", "client_secret_file = \"secret\"\n[[p"),
            &["client_secret and atlas.service_account.client_secret_file are both set"],
        ),
        (
            file("nowhere"),
            &["exporter.toml:4:1: atlas.service_account.client_secret_file", "nowhere", "No such file"],
        ),
        (file("empty"), &["client_secret_file cannot be read: empty: the file is empty"]),
        (
            format!("atlas.service_account = \"hush\"\n{}", &GOOD[GOOD.find("[[").unwrap()..]),
            &["atlas.service_account is of type string; expected a table"],
        ),
    ] {
        refused(&toml, &[], parts);
    }
    refused(
        GOOD,
        &[("MONGODB_ATLAS_PUBLIC_API_KEY", "a"), ("MONGODB_ATLAS_PRIVATE_API_KEY", "hush")],
        &[path, "atlas.api_key (MONGODB_ATLAS_PUBLIC_API_KEY)", "remove one"],
    );
    refused(GOOD, &[("MONGODB_ATLAS_PUBLIC_API_KEY", "a")], &["remove one"]);
}

#[test]
fn file_that_is_missing_or_no_toml_is_named() {
    let error = Config::layered(&from(Path::new("/nowhere/x.toml")), []).unwrap_err().to_string();
    assert!(error.contains("/nowhere/x.toml") && error.contains("--config.file"), "{error}");
    for (toml, problem) in [
        ("[poll\n", "exporter.toml:1:6: not TOML: "),
        ("a = \"hush\n", "exporter.toml:1:10: not TOML: invalid basic string"),
        ("\na = 1\nhush = 1\na = 2\n", "exporter.toml:4:1: not TOML: duplicate key"),
        ("[poll]\n[poll]\n", "exporter.toml:2:2: not TOML: duplicate key"),
        ("a = 99999999999999999999999\n", "exporter.toml:1:5: not TOML: "),
        ("a = hush\n", "exporter.toml:1:5: not TOML: "),
        ("[poll]\ninterval: 1m\n", "exporter.toml:2:11: not TOML: "),
    ] {
        refused(toml, &[], &[problem]);
    }
}

#[test]
fn links_other_than_http_and_unknown_placeholders_are_refused() {
    let url = "use an http or https URL, such as \"https://example.com/\"";
    for (value, problem) in [
        ("javascript:alert(1)", &*format!("is \"javascript:alert(1)\"; {url}")),
        ("{cluster_name}:x", &format!("is \"{{cluster_name}}:x\"; {url}")),
        ("/RUNBOOKS.md", &format!("is \"/RUNBOOKS.md\"; {url}")),
        ("", &format!("is \"\"; {url}")),
        (
            "https://grafana/?var={cluster}",
            "is \"https://grafana/?var={cluster}\" with the unknown placeholder {cluster}; \
             use {project_id} and {cluster_name}",
        ),
        ("https://grafana/{", "with the unknown placeholder {}"),
        (
            "https://me:hush@grafana/",
            "has a user name or password, which the status page would show; remove it",
        ),
    ] {
        for key in ["runbooks", "dashboard"] {
            let toml = more(&format!("[links]\n{key} = \"{value}\""));
            refused(&toml, &[], &["exporter.toml:9:1: ", &format!("links.{key} "), problem]);
        }
    }
    refused(&more("[links]\nrunbooks = 1"), &[], &["links.runbooks is 1; expected a URL, such as "]);
    refused(&more("[links]\nrunbook = \"\""), &[], &["`links.runbook`; did you mean `runbooks`?"]);
    let variable = ("ATLAS_BACKUP_EXPORTER__LINKS__DASHBOARD", "ftp://x");
    refused(GOOD, &[variable], &["ATLAS_BACKUP_EXPORTER__LINKS__DASHBOARD: links.dashboard is \"ftp://x\""]);
}
