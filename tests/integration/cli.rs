//! Command line, and errors of the configuration.

use crate::support::atlas::PROJECT;
use crate::support::exporter::command;

/// Runs the exporter with `toml` as its configuration; returns the exit code, standard output and
/// standard error.
async fn run(
    toml: Option<&str>,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    if let Some(toml) = toml {
        std::fs::write(folder.path().join("config.toml"), toml).unwrap();
    }
    let mut command = command();
    command.current_dir(folder.path()).args(arguments).envs(environment.iter().copied());
    let output =
        tokio::time::timeout(std::time::Duration::from_secs(10), command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn invalid_configuration_exits_with_code_2() {
    let good = format!(
        "[atlas.service_account]\nclient_id = \"a\"\nclient_secret = \"hush\"\n[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod\"]\n"
    );
    let cases: [(String, &[&str]); 9] = [
        (
            format!("{good}[poll]\nintervall = \"1m\"\n"),
            &["config.toml:8:1: unknown key `poll.intervall`; did you mean `interval`?"],
        ),
        (
            format!("{good}[poll]\ninterval = \"soon\"\n"),
            &["config.toml:8:1: poll.interval is \"soon\"", "\"1m 30s\""],
        ),
        (good.replace(PROJECT, "prod"), &["config.toml:5:1: projects[0].id is \"prod\"", "24 lower-case"]),
        (
            good.replace("client_secret = \"hush\"", "client_secret_file = \"no/where\""),
            &["client_secret_file", "no/where"],
        ),
        (
            format!("{good}[atlas.api_key]\npublic_key = \"a\"\nprivate_key = \"hush\"\n"),
            &["atlas.api_key", "remove one"],
        ),
        (
            format!("[atlas]\nbase_url = \"http://example.com\"\n{good}"),
            &["atlas.base_url is \"http://example.com\"", "https"],
        ),
        ("[atlas".to_owned(), &["config.toml:1:7: not TOML: "]),
        (
            "atlas:\n  service_account: {client_id: a, client_secret: hush}\n".to_owned(),
            &["config.toml: not TOML but YAML", "such as [poll]"],
        ),
        (String::new(), &["config.toml: atlas.service_account is missing"]),
    ];
    for (toml, parts) in cases {
        let (code, out, err) = run(Some(&toml), &[], &[]).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{toml}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        for part in parts {
            assert!(err.contains(part), "{part:?} is not in: {err}");
        }
        assert!(!err.contains("hush"), "{err}");
    }
    let (code, _, err) =
        run(Some(&good), &[], &[("ATLAS_BACKUP_EXPORTER__POLL__TIMEOUT", "1 fortnight")]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("ATLAS_BACKUP_EXPORTER__POLL__TIMEOUT: poll.timeout is \"1 fortnight\""), "{err}");
}

#[tokio::test]
async fn unknown_keys_are_reported_one_a_line() {
    let toml = format!("[poll]\nintervall = \"1m\"\n[[projects]]\nid = \"{PROJECT}\"\ncluster = []\n");
    let variable = ("ATLAS_BACKUP_EXPORTER__SHARD__TOTL", "2");
    let (code, _, err) = run(Some(&toml), &["check"], &[variable]).await;
    let expected = "\
        error: config.toml:2:1: unknown key `poll.intervall`; did you mean `interval`?\n\
        error: config.toml:5:1: unknown key `projects[0].cluster`; did you mean `clusters`?\n\
        error: ATLAS_BACKUP_EXPORTER__SHARD__TOTL: unknown key `shard.totl`; \
        did you mean `ATLAS_BACKUP_EXPORTER__SHARD__TOTAL`?\n";
    assert_eq!((code, err.as_str()), (Some(2), expected));
}

#[tokio::test]
async fn misplaced_secret_is_not_in_the_error() {
    let rest = format!("\n[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod\"]\n");
    for atlas in [
        "api_key = \"hush\"",
        "service_account = [\"a\", \"hush\"]",
        "base_url = \"https://user:hush@example.com\"",
        "[atlas.service_account]\nclient_id = [\"hush\"]\nclient_secret = \"hush\"",
        "[atlas.api_key]\npublic_key = \"a\"\nprivate_key = [\"hush\"]",
        "[atlas.api_key]\npublic_key = \"a\"\nprivate_key_file = [\"hush\"]",
    ] {
        let (code, _, err) = run(Some(&format!("[atlas]\n{atlas}{rest}")), &[], &[]).await;
        assert_eq!(code, Some(2), "{atlas}: {err}");
        assert!(
            err.contains("config.toml:") && err.contains(": atlas.") && !err.contains("hush"),
            "{atlas}: {err}"
        );
    }
    // A secret is not repeated, whichever key it is the value of.
    let secret = "mdb_sa_sk_hush";
    for toml in [
        format!("atlas = \"{secret}\"{rest}"),
        format!("[atlas]\nbase_url = \"https://example.com/?token=hush\"{rest}"),
        format!("[atlas.service_account]\nclient_id = \"{secret}\"\nclient_secret = \"mdb_sa_id_1\"{rest}"),
        format!("[atlas.service_account]\nclient_id = \"a\"\nclient_secret_file = \"{secret}\"{rest}"),
        format!("[atlas.service_account]\n{secret} = 1{rest}"),
        format!("[poll]\ninterval = \"{secret}\"{rest}"),
        format!("projects = \"{secret}\""),
        rest.replace(PROJECT, secret),
    ] {
        let (code, _, err) = run(Some(&toml), &[], &[]).await;
        assert!(code == Some(2) && !err.contains("hush"), "{toml}: {err}");
    }
    let (code, _, err) = run(Some(&rest), &[], &[("ATLAS_BACKUP_EXPORTER__ATLAS__API_KEY", "hush")]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("ATLAS_BACKUP_EXPORTER__ATLAS__API_KEY") && !err.contains("hush"), "{err}");
}

#[tokio::test]
async fn unusable_proxy_is_an_error_at_startup() {
    let good = format!(
        "[atlas]\nbase_url = \"https://localhost:9\"\n[atlas.service_account]\nclient_id = \"a\"\nclient_secret = \"b\"\n[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod\"]\n"
    );
    let values = [
        " http://jane:hush@proxy:3128",
        "http://jane:hush@proxy:3128\n",
        "\"http://jane:hush@proxy:3128\"",
        "http://jane:hush%@proxy:3128",
        "http://jane:hush@:3128",
        "gopher://jane:hush@proxy:3128",
        "socks5://jane:hush@proxy:1080",
    ];
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        for (value, arguments) in values.iter().zip([&["check"][..], &["--once"], &[]].iter().cycle()) {
            let (code, out, err) = run(Some(&good), arguments, &[(variable, value)]).await;
            assert_eq!((code, out.as_str()), (Some(2), ""), "{variable}={value}: {err}");
            assert!(err.starts_with(&format!("error: {variable}: ")), "{value}: {err}");
            assert!(!err.contains("hush") && err.lines().count() == 1, "{value}: {err}");
        }
    }
    let (_, _, err) = run(Some(&good), &["check"], &[("HTTPS_PROXY", "socks5://proxy:1080")]).await;
    assert!(err.contains("a socks5 proxy is not supported"), "{err}");
    let quoted = [("HTTPS_PROXY", "http://proxy:3128"), ("no_proxy", "\"localhost\"")];
    let (code, _, err) = run(Some(&good), &["check"], &quoted).await;
    assert!(code == Some(2) && err.starts_with("error: no_proxy: "), "{err}");
}

#[tokio::test]
async fn variable_with_a_single_underscore_is_logged() {
    let config = "[atlas]\nbase_url = \"http://127.0.0.1:9\"\n[poll]\ntimeout = \"1s\"\n[atlas.api_key]\npublic_key = \"a\"\nprivate_key = \"b\"\n";
    let config = format!("{config}[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod\"]\n");
    let variable = ("ATLAS_BACKUP_EXPORTER_POLL_INTERVAL", "30s");
    let (_, _, err) = run(Some(&config), &["check", "--log.level=warn"], &[variable]).await;
    let expected = "level=warn msg=\"ignoring an environment variable\" variable=ATLAS_BACKUP_EXPORTER_POLL_INTERVAL problem=\"not a key; did you mean ATLAS_BACKUP_EXPORTER__POLL__INTERVAL?\"";
    assert!(err.contains(expected), "{err}");
}

#[tokio::test]
async fn missing_configuration_file_is_named() {
    let (code, _, err) = run(None, &["--config.file=/no/where.toml"], &[]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("/no/where.toml: failed to read"), "{err}");
    let (code, _, err) = run(None, &[], &[]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("config.toml: failed to read") && err.contains("config.example.toml"), "{err}");
}

#[tokio::test]
async fn usage_errors_exit_with_code_2() {
    let (code, out, _) = run(None, &["--help"], &[]).await;
    assert_eq!(code, Some(0));
    for flag in [
        "--config.file",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.enable-lifecycle",
        "--once",
        "--shard.index",
        "--log.level",
        "--log.format",
        "demo",
        "check",
        ":10027",
    ] {
        assert!(out.contains(flag), "{flag} is not in {out}");
    }
    let (code, out, _) = run(None, &["--version"], &[]).await;
    let build = concat!("atlas-backup-exporter ", env!("CARGO_PKG_VERSION"), " (revision ");
    assert!(code == Some(0) && out.starts_with(build) && out.contains(", Rust 1."), "{out}");
    for wrong in [
        "--once check",
        "check --output=xml",
        "--web.listen-adress=:1",
        "--web.listen-address=10027",
        "--log.format=xml",
        "--log.level=loud",
        "demo --atlas.listen-address=0.0.0.0:0",
        "demo --atlas.listen-address=:10030",
        "--atlas.listen-address=127.0.0.1:0",
        "--web.telemetry-path=metrics",
        "serve",
    ] {
        let (code, _, err) = run(None, &wrong.split(' ').collect::<Vec<_>>(), &[]).await;
        assert_eq!(code, Some(2), "{wrong}: {err}");
    }
}

#[tokio::test]
async fn help_of_a_command_lists_the_flags_that_it_uses() {
    let web =
        ["--web.listen-address", "--web.telemetry-path", "--web.max-requests", "--web.enable-lifecycle"];
    for (command, used, unused) in [
        (
            "demo",
            [&web[..], &["--atlas.listen-address"]].concat(),
            vec!["--config.file", "--shard.index", "--once"],
        ),
        ("check", vec!["--config.file", "--web.config.file", "--output"], [&web[..], &["--once"]].concat()),
    ] {
        let (code, help, _) = run(None, &[command, "--help"], &[("COLUMNS", "80")]).await;
        assert_eq!(code, Some(0));
        assert!(
            used.iter().chain(&["--log.level", "--log.format"]).all(|flag| help.contains(flag)),
            "{help}"
        );
        assert!(!unused.iter().any(|flag| help.contains(&format!("{flag} "))), "{help}");
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    }
    // Flags without effect are still accepted.
    let (code, _, err) = run(None, &["check", "--web.listen-address=:0", "--log.level=ERROR"], &[]).await;
    assert!(code == Some(2) && err.contains("config.toml: "), "{err}");
}

#[tokio::test]
async fn variables_do_not_cause_panics() {
    for (variable, value) in [
        ("TOKIO_WORKER_THREADS", "0"),
        ("TOKIO_WORKER_THREADS", "many"),
        ("RUST_MIN_STACK", "0"),
        ("RUST_MIN_STACK", "99999999999999999"),
        ("RUST_BACKTRACE", "odd"),
        ("RUST_LOG", "=,[trace"),
        ("COLUMNS", "0"),
        ("COLUMNS", "wide"),
        ("NO_COLOR", "odd"),
        ("TMPDIR", "/no/where"),
        ("NOTIFY_SOCKET", "odd"),
    ] {
        // The runtime is created before the configuration is read.
        let (code, _, err) = run(None, &["check"], &[(variable, value)]).await;
        assert_eq!(code, Some(2), "{variable}={value}: {err}");
        assert!(err.starts_with("error: ") && err.lines().count() == 1, "{variable}={value}: {err}");
        let (code, ..) = run(None, &["--help"], &[(variable, value)]).await;
        assert_eq!(code, Some(0), "{variable}={value}");
    }
    let good = format!(
        "[atlas.service_account]\nclient_id = \"a\"\nclient_secret = \"b\"\n[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod\"]\n"
    );
    for value in ["", "0", "-1", "odd", "9", "2147483647", "99999999999999999999"] {
        let variables = [("LISTEN_FDS", value), ("LISTEN_PID", "")];
        let (code, _, err) = run(Some(&good), &["--web.systemd-socket"], &variables).await;
        assert!(
            matches!(code, Some(1 | 2)) && !err.contains("please report this bug"),
            "{value}: {code:?} {err}"
        );
    }
}
