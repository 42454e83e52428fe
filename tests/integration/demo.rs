//! The demo.

use std::time::{Duration, Instant};

use crate::support::exporter::{Exporter, command};

#[tokio::test]
async fn demo_needs_no_certificates_and_no_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = command();
    demo.current_dir(folder.path())
        .args(["demo", "--web.listen-address=127.0.0.1:0"])
        .stdout(std::process::Stdio::null());
    demo.env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .env("HTTP_PROXY", "http://127.0.0.1:9");
    let exporter = Exporter::spawn(demo, folder).await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.up("prod-eu"), Some(1.0), "{}", exporter.log());
    // The demo ignores a configuration file in its folder.
    let real = "[atlas]\nbase_url = \"http://127.0.0.1:9\"\n[atlas.service_account]\nclient_id = \"a\"\nclient_secret = \"b\"\n[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"\n";
    std::fs::write(exporter.folder.path().join("config.toml"), real).unwrap();
    exporter.signal("HUP");
    let since = scrape.0["mongodbatlas_backup_exporter_config_last_reload_success_timestamp_seconds"];
    let scrape = exporter
        .until(|scrape| {
            scrape.0["mongodbatlas_backup_exporter_config_last_reload_success_timestamp_seconds"] > since
        })
        .await;
    assert_eq!(scrape.0["mongodbatlas_backup_exporter_config_reload_failures_total"], 0.0);
    assert_eq!(scrape.0["mongodbatlas_backup_exporter_targets"], 8.0);
}

#[tokio::test]
async fn printed_configuration_works_for_a_second_exporter() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let mut demo = command();
    demo.current_dir(folder.path()).args(["demo", "--web.listen-address=127.0.0.1:0"]);
    demo.stdout(std::fs::File::create(&output).unwrap());
    let exporter = Exporter::spawn(demo, folder).await;
    exporter.polled().await;

    let banner = std::fs::read_to_string(&output).unwrap();
    let start = banner.find("[atlas]").unwrap();
    let end = start + banner[start..].find("Commands for").unwrap();
    let folder = exporter.folder.path();
    std::fs::write(folder.join("config.toml"), &banner[start..end]).unwrap();
    let commands: Vec<_> = banner.lines().filter(|line| line.starts_with("atlas-backup-exporter ")).collect();
    assert_eq!(commands.len(), 2, "{banner}");
    assert!(banner.lines().all(|line| line.len() <= 84), "{banner}");

    let run = async |arguments: &[&str]| {
        let mut command = command();
        command.current_dir(folder).args(arguments);
        command.output().await.unwrap()
    };
    let arguments: Vec<_> = commands[0].split(' ').skip(1).chain(["--output=json"]).collect();
    let check = run(&arguments).await;
    let report: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    let statuses = report["rows"].as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap());
    let statuses: Vec<_> = statuses.collect();
    assert!(statuses.contains(&"ok") && !statuses.contains(&"failed"), "{report:#}");
    // The bucket of a cluster is missing.
    assert_eq!((check.status.code(), statuses.contains(&"problem")), (Some(1), true), "{report:#}");
    let once = run(&["--once"]).await;
    let metrics = String::from_utf8(once.stdout).unwrap();
    let is_up = |line: &&str| line.starts_with("mongodbatlas_backup_export_up{") && line.ends_with(" 1");
    assert_eq!((once.status.code(), metrics.lines().filter(is_up).count()), (Some(1), 8), "{metrics}");
}

#[tokio::test]
async fn demo_uses_the_address_for_its_atlas() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    let flag = format!("--atlas.listen-address={address}");
    let mut demo = command();
    let output = demo.args(["demo", "--web.listen-address=127.0.0.1:0", &flag]).output().await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    let expected = format!(
        "failed to listen on {address} (choose another address with --atlas.listen-address): Address already in use"
    );
    assert_eq!(log.matches(&expected).count(), 1, "{log}");

    drop(free);
    let folder = tempfile::tempdir().unwrap();
    let mut demo = command();
    demo.current_dir(folder.path()).args(["demo", "--web.listen-address=127.0.0.1:0", &flag]);
    demo.stdout(std::fs::File::create(folder.path().join("out")).unwrap());
    let exporter = Exporter::spawn(demo, folder).await;
    exporter.polled().await;
    let banner = std::fs::read_to_string(exporter.folder.path().join("out")).unwrap();
    assert!(banner.contains(&format!("base_url = \"http://{address}\"")), "{banner}");
}

#[tokio::test]
async fn demo_shows_every_status() {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut demo = command();
    demo.current_dir(folder.path()).args(["demo", "--web.listen-address=127.0.0.1:0"]);
    demo.stdout(std::fs::File::create(folder.path().join("out")).unwrap());
    let mut exporter = Exporter::spawn(demo, folder).await;
    exporter.polled().await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let output = std::fs::read_to_string(exporter.folder.path().join("out")).unwrap();
    assert!(
        output.contains(&format!("{}/metrics", exporter.url))
            && output.contains(&format!("{}/\n", exporter.url)),
        "{output}"
    );

    let mut seen = Vec::new();
    let everything = [
        "queued",
        "running",
        "successful",
        "failed",
        "cancelled",
        "sharded",
        "stuck at 105/105",
        "never exported",
        "recovered",
    ];
    let recovery = std::cell::Cell::new(false);
    while start.elapsed() < Duration::from_secs(90) && seen.len() < everything.len() {
        let scrape = exporter.scrape().await;
        let states: Vec<_> = scrape
            .of("mongodbatlas_backup_export_latest_job_state")
            .into_iter()
            .filter(|(_, value)| *value == 1.0)
            .map(|(labels, _)| labels.to_owned())
            .collect();
        let state = |word: &str| states.iter().any(|labels| labels.contains(&format!("state=\"{word}\"")));
        let failures = scrape.value("failures_since_last_success", "archive", "");
        recovery.set(recovery.get() || failures == Some(1.0));
        let now = [
            state("Queued"),
            scrape
                .of("mongodbatlas_backup_export_progress_ratio")
                .iter()
                .any(|(_, ratio)| *ratio > 0.0 && *ratio < 1.0),
            state("Successful"),
            state("Failed"),
            state("Cancelled"),
            scrape.latest_state("ledger-sharded").is_some()
                && scrape.value("progress_ratio", "ledger-sharded", "").is_none(),
            scrape.latest_state("warehouse") == Some("InProgress")
                && scrape.value("progress_ratio", "warehouse", "") == Some(1.0),
            scrape.has_metrics("sandbox") && scrape.latest_state("sandbox").is_none(),
            recovery.get() && failures == Some(0.0),
        ];
        for (what, now) in everything.into_iter().zip(now) {
            if now && !seen.contains(&what) {
                seen.push(what);
            }
        }
        let promised =
            ["queued", "running", "successful", "failed", "sharded", "stuck at 105/105", "never exported"];
        assert!(
            start.elapsed() < Duration::from_secs(45) || promised.iter().all(|what| seen.contains(what)),
            "within 45 s only {seen:?}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(seen.len(), everything.len(), "{seen:?}");
    let scrape = exporter.scrape().await;
    assert!(scrape.of("mongodbatlas_backup_export_poll_failures_total").is_empty(), "{scrape:#?}");
    exporter.signal("INT");
    assert_eq!(exporter.exit().await.code(), Some(0));
}

#[test]
fn demo_stack_shows_fifteen_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let compose = std::fs::read_to_string(root.join("deploy/compose.yaml")).unwrap();
    let compose: serde_json::Value = serde_saphyr::from_str(&compose).unwrap();
    let script = compose["services"]["grafana"]["entrypoint"][2].as_str().unwrap();
    let script = script
        .replace("/repository", root.to_str().unwrap())
        .replace("/var/lib/grafana", folder.path().to_str().unwrap())
        .replace("exec /run.sh", "echo started");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "started\n", "{output:?}");
    for name in ["overview.json", "cluster.json"] {
        let dashboard = |folder: &std::path::Path| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
        };
        let mut shipped = dashboard(&root.join("dashboards"));
        let demo = dashboard(&folder.path().join("dashboards/atlas-backup-export"));
        assert_eq!(shipped["time"]["from"].take(), "now-7d");
        shipped["time"]["from"] = "now-15m".into();
        assert_eq!(demo, shipped);
    }
}
