//! Examples of `docs/scraping.md`, with the programs that Debian has.
//!
//! The scrape configuration of the OpenTelemetry Collector is checked by promtool, because the
//! receiver uses the code of Prometheus. The rest of it is parsed as YAML, as are the resources of the
//! Prometheus Operator. Alloy's syntax is parsed as that of Terraform.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::deployed::{read, run, yaml};
use crate::servers::eventually;
use crate::support::exporter::{Exporter, command, http};
use crate::support::port::free_port;
use crate::web::{HASH, certificates};

const JOB: &str = "atlas-backup-exporter";

/// Returns the example whose first line is this comment.
fn example(first: &str) -> String {
    let document = read("docs/scraping.md");
    let blocks = document.split("\n```").skip(1).step_by(2);
    let found = blocks.filter_map(|block| block.split_once('\n')).find(|(_, text)| text.starts_with(first));
    let (_, text) = found.unwrap_or_else(|| panic!("no example begins with {first}"));
    text.to_owned()
}

fn is_right(settings: &Value, [job, labels]: [&str; 2]) {
    assert_eq!((settings[job].as_str(), settings[labels].as_bool()), (Some(JOB), Some(true)), "{settings}");
}

/// Checks a configuration with promtool, which reports missing files.
fn check(folder: &Path, config: &str) -> String {
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let file = file.to_str().unwrap().to_owned();
    run("promtool", &["check", "config", &file]);
    is_right(&yaml(config)[0]["scrape_configs"][0], ["job_name", "honor_labels"]);
    file
}

#[test]
#[ignore = "needs Debian's prometheus and victoria-metrics, and python-hcl2; tests/run installs them"]
fn examples_of_scraping_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    std::fs::write(folder.path().join("password"), "secret").unwrap();
    for first in ["# prometheus.yml\n", "# prometheus.yml with TLS\n"] {
        let file = check(folder.path(), &example(first));
        run("vmagent", &["-dryRun", &format!("-promscrape.config={file}")]);
    }

    let collector = yaml(&example("# otelcol.yaml\n")).remove(0);
    check(folder.path(), &collector["receivers"]["prometheus"]["config"].to_string());
    for kind in ["receivers", "exporters"] {
        let named = collector["service"]["pipelines"]["metrics"][kind][0].as_str().unwrap();
        assert!(collector[kind].get(named).is_some(), "no {named}");
    }

    let scrape = &yaml(&example("# scrapeconfig.yaml\n"))[0]["spec"];
    is_right(scrape, ["jobName", "honorLabels"]);
    let monitor = &yaml(&example("# servicemonitor.yaml\n"))[0]["spec"];
    let label = monitor["jobLabel"].as_str().unwrap();
    assert_eq!(monitor["selector"]["matchLabels"][label], JOB);
    assert_eq!(monitor["endpoints"][0]["honorLabels"], true);

    let alloy = folder.path().join("config.tf");
    std::fs::write(&alloy, example("// config.alloy\n").replace("prometheus.", "prometheus_")).unwrap();
    let alloy = run("hcl2tojson", &["-q", "--strip-string-quotes", alloy.to_str().unwrap()]);
    let alloy: Value = serde_json::from_str(&alloy).unwrap();
    is_right(&alloy["prometheus_scrape"][0]["atlas_backup_exporter"], ["job_name", "honor_labels"]);
    assert!(alloy["prometheus_remote_write"][0]["default"]["endpoint"][0]["url"].is_string(), "{alloy}");
}

/// The example with TLS, against the demo with TLS and a password.
#[tokio::test]
#[ignore = "needs Debian's victoria-metrics; tests/run installs it"]
async fn victoria_metrics_scrapes_with_tls_and_keeps_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    certificates(path);
    let web = format!(
        "tls_server_config: {{cert_file: server.pem, key_file: server-key.pem}}\n\
         basic_auth_users: {{prometheus: {HASH}}}\n"
    );
    std::fs::write(path.join("web.yml"), web).unwrap();
    std::fs::write(path.join("password"), "secret\n").unwrap();
    let mut demo = command();
    demo.current_dir(path).stdout(Stdio::null());
    demo.args(["demo", "--web.listen-address=127.0.0.1:0", "--web.config.file=web.yml"]);
    let demo = Exporter::spawn(demo, tempfile::tempdir().unwrap()).await;

    let address = demo.url.strip_prefix("http://").unwrap();
    // A target label that the exporter uses as well, as with Google Managed Prometheus.
    let target = format!("[\"{address}\"]\n        labels: {{project_id: of-the-target}}");
    let config = example("# prometheus.yml with TLS\n")
        .replace("[\"exporter.example.org:10027\"]", &target)
        .replace("30s", "1s");
    std::fs::write(path.join("prometheus.yml"), config).unwrap();
    let url = format!("127.0.0.1:{}", free_port());
    let mut database = tokio::process::Command::new("victoria-metrics");
    database.current_dir(path).args(["-promscrape.config=prometheus.yml", "-storageDataPath=data"]);
    // By default, queries do not see the last 30 seconds.
    database.args(["-search.latencyOffset=0s", &format!("-httpListenAddr={url}")]);
    let _database = database.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();

    let query = "count(mongodbatlas_backup_export_up{project_id!='of-the-target'}) by (job)";
    let found = eventually("eight clusters", || async {
        let request = http().get(format!("http://{url}/api/v1/query")).query(&[("query", query)]);
        let response: Value = serde_json::from_slice(&request.send().await.ok()?.bytes().await.ok()?).ok()?;
        let result = response["data"]["result"][0].clone();
        (result["value"][1] == "8").then_some(result)
    })
    .await;
    assert_eq!(found["metric"], json!({"job": JOB}));
}
