//! Container image, Kubernetes manifests, and the demo stack.

use std::path::{Path, PathBuf};
use std::process::Command;

use atlas_simulator::{Cluster, ORGANIZATION};
use serde_json::Value;

use crate::servers::shipped;
use crate::support::atlas::{SECRET, atlas_state, simulator};
use crate::support::exporter::{Exporter, command};

const BASE: &str = "deploy/kubernetes/base";
const SHARDED: &str = "deploy/kubernetes/sharded";

/// Returns the output of a program that must succeed.
fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text.into_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(shipped(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// Returns the only resource of a kind in the output of kustomize.
fn resource(folder: &str, kind: &str) -> Value {
    let resources = yaml(&run("kubectl", &["kustomize", folder]));
    let mut found = resources.into_iter().filter(|resource| resource["kind"].as_str() == Some(kind));
    let one = found.next().unwrap_or_else(|| panic!("{folder} has no {kind}"));
    assert!(found.next().is_none(), "{folder} has two of {kind}");
    one
}

fn list(yaml: &Value) -> &[Value] {
    yaml.as_array().unwrap_or_else(|| panic!("{yaml:?} is not a list"))
}

fn text(yaml: &Value) -> &str {
    yaml.as_str().unwrap_or_else(|| panic!("{yaml:?} is not a string"))
}

fn texts(yaml: &Value) -> Vec<&str> {
    list(yaml).iter().map(text).collect()
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = self::list(list).iter().find(|one| one["name"].as_str() == Some(name));
    found.unwrap_or_else(|| panic!("{list:?} has no {name}"))
}

/// Returns whether a selector matches labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(name, value)| labels[name] == *value)
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate; tests/run installs them"]
fn manifests_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    for from in [BASE, SHARDED] {
        let file = folder.path().join("all.yaml");
        std::fs::write(&file, run("kubectl", &["kustomize", from])).unwrap();
        let output = run("kubernetes-validate", &["--strict", file.to_str().unwrap()]);
        let passed = output.lines().filter(|line| line.contains(" passed for resource ")).count();
        // Resources of the Prometheus Operator are checked below.
        let foreign: Vec<_> = output.lines().filter(|line| line.contains("Couldn't find schema")).collect();
        assert!(passed == 3 && foreign.len() == 2, "{output}");
        for kind in ["kind PrometheusRule ", "kind ServiceMonitor "] {
            assert!(foreign.iter().any(|line| line.contains(kind)), "{output}");
        }
    }
}

#[test]
#[ignore = "needs kubectl; tests/run installs it"]
fn pods_are_scraped_with_the_job_name_of_the_rules() {
    for (folder, kind) in [(BASE, "Deployment"), (SHARDED, "StatefulSet")] {
        let (workload, service) = (resource(folder, kind), resource(folder, "Service"));
        let (monitor, pod) = (&resource(folder, "ServiceMonitor")["spec"], &workload["spec"]["template"]);
        assert!(selects(&workload["spec"]["selector"]["matchLabels"], &pod["metadata"]["labels"]));
        assert!(selects(&service["spec"]["selector"], &pod["metadata"]["labels"]));
        assert!(selects(&monitor["selector"]["matchLabels"], &service["metadata"]["labels"]));
        let job = &service["metadata"]["labels"][text(&monitor["jobLabel"])];
        let rules = read("alerts/atlas-backup-export.rules.yml");
        assert!(rules.contains(&format!("job=\"{}\"", text(job))), "no rule has the job {job:?}");
        let [endpoint] = list(&monitor["endpoints"]) else { panic!("one endpoint") };
        assert!(endpoint["path"].is_null(), "the default of both");
        let port = named(&service["spec"]["ports"], text(&endpoint["port"]));
        let containers = &pod["spec"]["containers"];
        named(&containers[0]["ports"], text(&port["targetPort"]));
        if kind == "StatefulSet" {
            assert_eq!(workload["spec"]["serviceName"], service["metadata"]["name"]);
        }
    }
}

/// Returns the block of YAML in the README that begins with a comment.
fn documented(comment: &str) -> String {
    let readme = read("deploy/kubernetes/README.md");
    let found = readme.split("```yaml\n").find(|block| block.starts_with(comment));
    found.and_then(|block| block.split("```").next()).unwrap().to_owned()
}

#[test]
#[ignore = "needs kubectl; tests/run installs it"]
fn documented_overlay_sets_the_links_of_all_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    // Kustomize refuses absolute paths.
    let up = "../".repeat(path.components().count() - 1);
    let repository = shipped("").canonicalize().unwrap();
    let repository = format!("{up}{}", repository.strip_prefix("/").unwrap().display());
    std::fs::write(path.join("config.toml"), read("deploy/kubernetes/base/config.toml")).unwrap();
    std::fs::write(path.join("links.yaml"), documented("# links.yaml\n")).unwrap();
    for shape in ["/base ", "/sharded "] {
        let overlay = documented("# kustomization.yaml\n");
        let overlay = overlay.replace("../atlas-backup-exporter", &repository).replace("/base ", shape);
        std::fs::write(path.join("kustomization.yaml"), overlay).unwrap();
        let groups = resource(path.to_str().unwrap(), "PrometheusRule")["spec"]["groups"].clone();
        let rules = list(&groups).iter().flat_map(|group| list(&group["rules"]));
        let alerts: Vec<_> = rules.filter(|rule| rule["alert"].is_string()).collect();
        assert!(alerts.len() > 20);
        for alert in alerts {
            let (name, links) = (text(&alert["alert"]).to_lowercase(), &alert["annotations"]);
            let runbooks = "https://git.example.org/ops/atlas-backup-exporter/alerts/RUNBOOKS.md";
            assert_eq!(links["runbook_url"], format!("{runbooks}#{name}"));
            let dashboard = text(&links["dashboard_url"]);
            let grafana = "https://grafana.example.org/d/atlas-backup-export-";
            assert!(dashboard.starts_with(grafana), "{dashboard}");
        }
        // Only the ConfigMap of the configuration is applied.
        resource(path.to_str().unwrap(), "ConfigMap");
    }
}

/// Pod of a manifest, whose volumes are in `files` and whose Atlas is the simulator.
struct Pod {
    container: Value,
    files: tempfile::TempDir,
}

impl Pod {
    /// Writes the files of the volumes below a temporary folder.
    fn of(folder: &str, kind: &str) -> Self {
        let pod = resource(folder, kind)["spec"]["template"]["spec"].clone();
        let files = tempfile::tempdir().unwrap();
        let container = pod["containers"][0].clone();
        for mount in list(&container["volumeMounts"]) {
            let place = below(files.path(), text(&mount["mountPath"]));
            std::fs::create_dir_all(&place).unwrap();
            let volume = named(&pod["volumes"], text(&mount["name"]));
            if volume["configMap"].is_null() {
                // As kubectl creates it by the comment of the volume.
                assert_eq!(text(&volume["secret"]["secretName"]), "atlas-backup-exporter");
                std::fs::write(place.join("client_secret"), SECRET).unwrap();
            } else {
                let map = resource(folder, "ConfigMap");
                assert_eq!(volume["configMap"]["name"], map["metadata"]["name"]);
                let config = text(&map["data"]["config.toml"])
                    .replace("/run/secrets", &below(files.path(), "/run/secrets").display().to_string())
                    .replace("5f0e5a3b9c1d4e6f8a7b0000", ORGANIZATION)
                    .replace("mdb_sa_id_0123456789abcdef01234567", "mdb_sa_id_1");
                std::fs::write(place.join("config.toml"), config).unwrap();
            }
        }
        Self { container, files }
    }

    /// Starts the command of the pod; the ordinal of the host replaces `auto`.
    async fn start(self, atlas: &str) -> Exporter {
        let mut command = command();
        for argument in texts(&self.container["args"]) {
            let argument = argument.replace("=/", &format!("={}/", self.files.path().display()));
            command.arg(argument.replace("--shard.index=auto", "--shard.index=1"));
        }
        for variable in self.container["env"].as_array().into_iter().flatten() {
            command.env(text(&variable["name"]), text(&variable["value"]));
        }
        command.env("ATLAS_BACKUP_EXPORTER__ATLAS__BASE_URL", atlas);
        command.arg("--web.listen-address=127.0.0.1:0");
        Exporter::spawn(command, self.files).await
    }
}

fn below(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.strip_prefix('/').unwrap())
}

#[tokio::test]
#[ignore = "needs kubectl; tests/run installs it"]
async fn pod_command_becomes_ready_and_polls() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let simulator = simulator(atlas_state(names.map(|name| (name, Cluster::default())))).await;
    let pod = Pod::of(BASE, "Deployment");
    let probes = ["livenessProbe", "readinessProbe"]
        .map(|probe| text(&pod.container[probe]["httpGet"]["path"]).to_owned());
    let exporter = pod.start(simulator.url()).await;
    let scrape = exporter.ready().await;
    for probe in probes {
        assert_eq!(exporter.get(&probe).await.status(), 200, "{probe}");
    }
    assert!(names.iter().all(|name| scrape.up(name) == Some(1.0)), "{}", exporter.log());

    let pod = Pod::of(SHARDED, "StatefulSet");
    let replicas = resource(SHARDED, "StatefulSet")["spec"]["replicas"].as_i64().unwrap();
    let total = named(&pod.container["env"], "ATLAS_BACKUP_EXPORTER__SHARD__TOTAL");
    assert_eq!(text(&total["value"]), replicas.to_string());
    let shard = pod.start(simulator.url()).await;
    let scrape = shard.ready().await;
    let watched = names.iter().filter(|name| scrape.up(name) == Some(1.0)).count();
    assert!((1..names.len()).contains(&watched), "{watched}: {}", shard.log());
}

/// Returns the rest of a line of the last stage of `Dockerfile` by its first word.
fn instruction(word: &str) -> String {
    let file = read("Dockerfile");
    let stage = file.split("\nFROM scratch\n").nth(1).unwrap();
    let mut lines = stage.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    lines.next().unwrap_or_else(|| panic!("no {word}")).to_owned()
}

#[test]
#[ignore = "needs kubectl and hadolint; tests/run installs them"]
fn manifests_use_the_released_image() {
    run("hadolint", &["Dockerfile"]);
    for (folder, kind) in [(BASE, "Deployment"), (SHARDED, "StatefulSet")] {
        let pod = &resource(folder, kind)["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let security = &pod["securityContext"];
        let (user, group) =
            (security["runAsUser"].as_i64().unwrap(), security["runAsGroup"].as_i64().unwrap());
        assert_eq!(instruction("USER"), format!("{user}:{group}"));
        let port = container["ports"][0]["containerPort"].as_i64().unwrap();
        assert_eq!(instruction("EXPOSE"), port.to_string());
        // The default of the flag.
        assert!(run(env!("CARGO_BIN_EXE_atlas-backup-exporter"), &["--help"]).contains(&format!(":{port}]")));
        // Kubernetes uses the command of the image.
        assert_eq!(instruction("CMD"), format!("[\"{}\"]", text(&container["args"][0])));
    }
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
