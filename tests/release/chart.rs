//! Helm chart of a release.

use std::process::Command;

use crate::{VERSION, artifact, run};

/// The chart of the repository is tested by `tests/e2e/chart.rs`.
#[test]
#[ignore = "needs the artifacts of deploy/release, and helm"]
fn chart_renders_the_same_as_in_the_repository() {
    let values = "config: '# /run/secrets/atlas/client_secret'\n\
                  atlas: {existingSecret: atlas}\n\
                  serviceMonitor: {enabled: true}\n\
                  prometheusRule: {enabled: true}\n\
                  dashboards: {enabled: true}\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, values).unwrap();
    let package = artifact(&format!("atlas-backup-exporter-{VERSION}.tgz"));
    let [released, expected] = [package, "deploy/helm/atlas-backup-exporter".into()].map(|chart| {
        let mut helm = Command::new("helm");
        helm.current_dir(env!("CARGO_MANIFEST_DIR")).args(["template", "backups"]).arg(chart);
        // Links of the repository are reported on standard error.
        let output = helm.arg("--values").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    });
    // As deploy/release does.
    let placeholder = "registry.example.org/atlas-backup-exporter";
    let image = std::env::var("IMAGE").unwrap_or(placeholder.to_owned());
    let expected = expected.replace(placeholder, &image);
    assert!(released == expected && released.contains(&format!("atlas-backup-exporter:{VERSION}")));
}

#[test]
#[ignore = "needs the artifacts of deploy/release"]
fn links_of_the_chart_lead_to_the_repository() {
    let package = artifact(&format!("atlas-backup-exporter-{VERSION}.tgz"));
    let file = |name: &str| {
        run(Command::new("tar").arg("-xOzf").arg(&package).arg(format!("atlas-backup-exporter/{name}")))
    };
    let repository = env!("CARGO_PKG_REPOSITORY");
    assert!(file("Chart.yaml").contains(&format!("home: {repository}\n")));
    let readme = file("README.md");
    assert!(readme.contains(&format!("]({repository}/blob/v{VERSION}/docs/service-account.md)")));
    assert!(!readme.contains("](../"));
}
