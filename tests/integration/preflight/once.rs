//! `--once`, and shards.

use super::*;
use crate::support::exporter::{Exporter, command};

#[tokio::test]
async fn once_prints_metrics_and_sets_the_exit_code() {
    let simulator = simulator(mixed()).await;
    let builder = ExporterBuilder::new(&simulator).organization(ORGANIZATION);
    let (code, out, err) = run(&builder, &["--once"]).await;
    assert_eq!(code, Some(0), "{err}");
    let scrape = Scrape::parse(&out);
    for name in ["prod-eu", "prod-us", "manual", "warehouse"] {
        assert_eq!(scrape.up(name), Some(1.0), "{name}");
        assert!(scrape.value("auto_export_enabled", name, "").is_some(), "{name}");
    }
    assert_eq!(scrape.latest_state("prod-eu"), Some("Successful"));
    assert!(out.starts_with("# HELP ") && out.ends_with('\n') && !out.contains("# EOF"), "text format 0.0.4");
    assert!(!out.contains("process_"), "a textfile collector has its own");

    for path in ["prod-eu/backup/exports", "prod-eu/backup/schedule", "/orgs/", "/clusters$"] {
        let refusal = FaultKind::error(403, "USER_UNAUTHORIZED");
        simulator.state().faults = vec![Fault::lasting(path, refusal)];
        let (code, out, err) = run(&builder, &["--once"]).await;
        assert_eq!(code, Some(1), "{path}: {err}");
        assert!(out.contains("_success{") || out.contains("mongodbatlas_backup_export_up{"), "{path}: {out}");
        if path.ends_with("exports") {
            assert_eq!(Scrape::parse(&out).up("prod-eu"), Some(0.0));
        }
    }
}

#[tokio::test]
async fn once_stops_on_sigterm() {
    let simulator = simulator(mixed()).await;
    simulator.state().faults = vec![Fault::lasting("/exports", FaultKind::HANG)];
    let folder = tempfile::tempdir().unwrap();
    ExporterBuilder::new(&simulator).write(&folder);
    let mut child = command().current_dir(folder.path()).arg("--once").spawn().unwrap();
    while requests(&simulator, "/schedule") == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = child.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    let status = tokio::time::timeout(Duration::from_secs(2), child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn once_ends_while_clusters_come_and_go() {
    let simulator = std::sync::Arc::new(simulator(mixed()).await);
    let mut builder = ExporterBuilder::new(&simulator).project(PROJECT).set("discovery.interval", "100ms");
    simulator.state().faults = vec![Fault::lasting("/fickle-", FaultKind::HANG)];
    builder = builder.set("poll.timeout", "2s");
    let state = simulator.clone();
    let fickle = tokio::spawn(async move {
        for number in 0.. {
            add_cluster(&state, format!("fickle-{number}"), cluster());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let (code, out, err) = run(&builder, &["--once"]).await;
    fickle.abort();
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(Scrape::parse(&out).up("prod-eu"), Some(1.0));
}

#[tokio::test]
async fn every_cluster_is_on_exactly_one_shard() {
    let names: Vec<&'static str> = (0..30).map(|i| &*format!("c{i:02}").leak()).collect();
    let simulator = simulator(atlas_state(names.iter().map(|name| (*name, cluster())))).await;
    let mut held = Vec::new();
    for (index, host) in [("0", ""), ("auto", "exporter-1"), ("auto", "atlas-backup-exporter-2")] {
        let folder = tempfile::tempdir().unwrap();
        let all = format!("[[projects]]\nid = \"{PROJECT}\"\n[shard]\ntotal = 3\n");
        ExporterBuilder::new(&simulator).targets(all).write(&folder);
        let mut command = command();
        command.current_dir(folder.path()).env("HOSTNAME", host);
        command.args(["--web.listen-address=127.0.0.1:0", &format!("--shard.index={index}")]);
        let scrape = Exporter::spawn(command, folder).await.ready().await;
        let up = scrape.of("mongodbatlas_backup_export_up");
        assert!(up.len() > 3, "{index} holds {}", up.len());
        held.extend(up.iter().map(|(labels, _)| (*labels).to_owned()));
    }
    held.sort();
    assert_eq!(held.len(), 30, "{held:#?}");
    held.dedup();
    assert_eq!(held.len(), 30, "{held:#?}");
}
