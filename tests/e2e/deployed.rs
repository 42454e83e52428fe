//! Container image and the demo stack.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::chart;
use crate::servers::shipped;

/// Returns the output of a program that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text.into_owned()
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(shipped(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

pub(crate) fn list(yaml: &Value) -> &[Value] {
    yaml.as_array().unwrap_or_else(|| panic!("{yaml:?} is not a list"))
}

pub(crate) fn text(yaml: &Value) -> &str {
    yaml.as_str().unwrap_or_else(|| panic!("{yaml:?} is not a string"))
}

pub(crate) fn texts(yaml: &Value) -> Vec<&str> {
    list(yaml).iter().map(text).collect()
}

/// Returns the rest of a line of the first stage of `Dockerfile` by its first word.
fn instruction(word: &str) -> String {
    let file = read("Dockerfile");
    let stage = file.split("\nFROM scratch AS base\n").nth(1).unwrap();
    let mut lines = stage.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    lines.next().unwrap_or_else(|| panic!("no {word}")).to_owned()
}

#[test]
#[ignore = "needs helm and hadolint; tests/run installs them"]
fn chart_uses_the_released_image() {
    run("hadolint", &["Dockerfile"]);
    let workload = chart::resource(&chart::render(&[&chart::minimal()]), "Deployment");
    let pod = &workload["spec"]["template"]["spec"];
    let (container, security) = (&pod["containers"][0], &pod["securityContext"]);
    let (user, group) = (security["runAsUser"].as_i64().unwrap(), security["runAsGroup"].as_i64().unwrap());
    assert_eq!(instruction("USER"), format!("{user}:{group}"));
    let port = container["ports"][0]["containerPort"].as_i64().unwrap();
    assert_eq!(instruction("EXPOSE"), port.to_string());
    // The default of the flag.
    assert!(run(env!("CARGO_BIN_EXE_atlas-backup-exporter"), &["--help"]).contains(&format!(":{port}]")));
    // Kubernetes uses the command of the image.
    assert_eq!(instruction("CMD"), format!("[\"{}\"]", text(&container["args"][0])));
}

#[test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; tests/run installs them"]
fn demo_stack_mounts_every_file() {
    let compose = yaml(&read("deploy/compose.yaml")).remove(0);
    let services = &compose["services"];
    // Maps a path in a service to one of the repository.
    let ours = |service: &str, path: &str| -> String {
        let mut found = texts(&services[service]["volumes"]).into_iter().filter_map(|volume| {
            let [from, to, "ro"] = volume.split(':').collect::<Vec<_>>()[..] else {
                panic!("{volume} is not mounted read-only")
            };
            let rest = Path::new(path).strip_prefix(to).ok()?;
            // Mounted files have no rest.
            let place = Path::new("deploy").join(from);
            Some(if rest.as_os_str().is_empty() { place } else { place.join(rest) })
        });
        let place = found.next().unwrap_or_else(|| panic!("{service} has no {path}"));
        assert!(shipped("").join(&place).exists(), "{service}: no {}", place.display());
        place.display().to_string()
    };
    let config = |service: &str| {
        let flag = texts(&services[service]["command"])
            .into_iter()
            .find_map(|argument| argument.strip_prefix("--config.file="));
        ours(service, flag.unwrap())
    };
    let checked = run("promtool", &["check", "config", &config("prometheus")]);
    assert!(checked.contains("rules found"), "{checked}");
    // The same relative path leads to the rules in the container.
    ours("prometheus", "/repository/alerts/atlas-backup-export.rules.yml");
    run("amtool", &["check-config", &config("alertmanager")]);

    let provider = ours("grafana", "/etc/grafana/provisioning/dashboards/atlas-backup-export.yml");
    let folder = yaml(&read(&provider)).remove(0)["providers"][0]["options"]["path"].clone();
    let home = text(&services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]);
    // Its copies of the dashboards.
    assert_eq!(text(&folder), "/var/lib/grafana/dashboards/atlas-backup-export");
    assert_eq!(Path::new(home).parent().unwrap(), Path::new(text(&folder)));
    for dashboard in ["overview.json", "cluster.json"] {
        ours("grafana", &format!("/repository/dashboards/{dashboard}"));
    }
    let source = ours("grafana", "/etc/grafana/provisioning/datasources/prometheus.yml");
    let source = yaml(&read(&source)).remove(0);
    let prometheus = yaml(&read(&config("prometheus"))).remove(0);
    let interval = &prometheus["global"]["scrape_interval"];
    assert_eq!(source["datasources"][0]["jsonData"]["timeInterval"], *interval);
    // All services are on this machine.
    let exporter = &services["exporter"];
    let published: Vec<_> =
        texts(&exporter["ports"]).iter().map(|port| port.rsplit(':').next().unwrap()).collect();
    let targets = [
        text(&prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0]),
        text(&prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0]),
        text(&source["datasources"][0]["url"]).strip_prefix("http://").unwrap(),
    ];
    for target in targets {
        let port = target.strip_prefix("127.0.0.1:").unwrap();
        assert!(published.contains(&port), "{target} is not published: {published:?}");
    }
    for service in ["prometheus", "alertmanager", "grafana"] {
        assert_eq!(text(&services[service]["network_mode"]), "service:exporter");
    }
}
