//! Helm chart: its manifests for many values.

mod pods;
mod refused;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::deployed::{list, read, run, text, yaml};
use crate::support::atlas::SECRET;

const CHART: &str = "deploy/helm/atlas-backup-exporter";

/// Runs Helm with these values, the last of which win.
fn helm(arguments: &[&str], values: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut helm = Command::new("helm");
    helm.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).args(["--namespace", "monitoring"]);
    for (index, values) in values.iter().enumerate() {
        let file = folder.path().join(format!("{index}.yaml"));
        std::fs::write(&file, values).unwrap();
        helm.arg("--values").arg(file);
    }
    helm.output().unwrap_or_else(|error| panic!("helm: {error}"))
}

/// Returns the standard output of Helm, which must succeed.
fn helm_prints(arguments: &[&str], values: &[&str]) -> String {
    let output = helm(arguments, values);
    assert!(output.status.success(), "{values:#?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the resources of a release whose name does not contain the name of the chart.
pub(crate) fn render(values: &[&str]) -> Vec<Value> {
    yaml(&helm_prints(&["template", "backups", CHART], values))
}

/// Returns the only resource of a kind.
pub(crate) fn resource(resources: &[Value], kind: &str) -> Value {
    let found: Vec<_> = resources.iter().filter(|resource| resource["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}: {found:?}");
    found[0].clone()
}

fn workload(resources: &[Value]) -> Value {
    let is_sharded = resources.iter().any(|resource| resource["kind"] == "StatefulSet");
    resource(resources, if is_sharded { "StatefulSet" } else { "Deployment" })
}

/// Returns the blocks of YAML in the README of the chart that begin with a comment.
fn documented(comment: &str) -> Vec<String> {
    let readme = read(&format!("{CHART}/README.md"));
    let blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks = blocks.filter(|block| block.trim_start().starts_with(comment));
    // Blocks of a list are indented.
    let indent = |block: &str| " ".repeat(block.len() - block.trim_start().len());
    blocks.map(|block| format!("\n{block}").replace(&format!("\n{}", indent(block)), "\n")).collect()
}

/// Returns the values of the first installation in the README.
pub(crate) fn minimal() -> String {
    documented("# values.yaml").swap_remove(0)
}

/// Every value that has no effect on others.
const EVERYTHING: &str = "
links: {runbooks: 'https://git.example.org/RUNBOOKS.md', grafana: 'https://grafana.example.org/'}
image:
  tag: 1.2.3
  digest: sha256:0123456789012345678901234567890123456789012345678901234567890123
  pullPolicy: Always
imagePullSecrets: [{name: registry}]
serviceMonitor:
  enabled: true
  additionalLabels: {release: kube-prometheus-stack}
  scrapeTimeout: 10s
  basicAuth: {username: {name: password, key: username}, password: {name: password, key: password}}
  relabelings: [{action: labeldrop, regex: pod}]
  metricRelabelings: [{action: keep, regex: mongodbatlas_.*, sourceLabels: [__name__]}]
prometheusRule: {enabled: true, additionalLabels: {release: kube-prometheus-stack}}
dashboards: {enabled: true, annotations: {grafana_folder: MongoDB}}
web: {config: {basic_auth_users: {prometheus: hash}, rate_limit: {interval: 1s, burst: 5}}}
proxy: {url: 'http://proxy.example.org:3128', noProxy: .example.org}
networkPolicy:
  enabled: true
  from: [{podSelector: {matchLabels: {app.kubernetes.io/name: prometheus}}}]
  egress: {enabled: true, to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [443, 3128]}
podDisruptionBudget: {enabled: true, maxUnavailable: 50%}
serviceAccount: {name: exporter, annotations: {example.org/role: none}}
service: {annotations: {prometheus.io/scrape: 'true'}}
extraArgs: [--log.format=json]
extraEnv: [{name: ATLAS_BACKUP_EXPORTER__POLL__INTERVAL, value: 2m}]
extraVolumes: [{name: more, emptyDir: {}}]
extraVolumeMounts: [{name: more, mountPath: /more}]
podAnnotations: {example.org/team: backup}
podLabels: {example.org/team: backup}
priorityClassName: high
nodeSelector: {kubernetes.io/arch: amd64}
tolerations: [{key: spot, operator: Exists}]
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{matchExpressions: [{key: spot, operator: DoesNotExist}]}]
topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
";

/// Values that are rendered together with those of the first installation.
fn matrix() -> Vec<String> {
    let created =
        format!("atlas: {{existingSecret: '', clientSecret: {SECRET}, ca: '-----BEGIN CERTIFICATE-----'}}");
    let mut matrix = documented("# values.yaml");
    assert!(matrix.len() > 6, "{matrix:?}");
    matrix.extend([
        EVERYTHING.to_owned(),
        created,
        "{nameOverride: exports, fullnameOverride: atlas, serviceMonitor: {enabled: true}}".to_owned(),
        "{shard: {total: 2}, web: {existingSecret: web, tlsSecret: tls}, proxy: {existingSecret: proxy}}"
            .to_owned(),
        "{serviceAccount: {create: false}, podSecurityContext: {runAsUser: null, runAsGroup: null}}"
            .to_owned(),
        "web: {tlsSecret: tls, config: {tls_server_config: {client_auth_type: RequireAnyClientCert}}}"
            .to_owned(),
    ]);
    matrix
}

#[test]
#[ignore = "needs helm; tests/run installs it"]
fn scrape_of_an_existing_web_configuration_uses_tls_if_set() {
    for (tls, scheme) in [("", "http"), ("tlsConfig: {serverName: a}", "https")] {
        let values = format!("{{web: {{existingSecret: web}}, serviceMonitor: {{enabled: true, {tls}}}}}");
        let monitor = resource(&render(&[&minimal(), &values]), "ServiceMonitor");
        assert_eq!(monitor["spec"]["endpoints"][0]["scheme"], scheme);
    }
}

/// Returns whether a selector matches labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(name, value)| labels[name] == *value)
}

/// Asserts that a resource that has a selector for pods or services selects those of the release.
fn assert_selects(resource: &Value, pod: &Value, service: &Value) {
    let spec = &resource["spec"];
    let (selector, labels) = match text(&resource["kind"]) {
        "Service" => (&spec["selector"], pod),
        "NetworkPolicy" => (&spec["podSelector"]["matchLabels"], pod),
        "ServiceMonitor" => (&spec["selector"]["matchLabels"], &service["metadata"]["labels"]),
        "Deployment" | "StatefulSet" | "PodDisruptionBudget" => (&spec["selector"]["matchLabels"], pod),
        "ConfigMap" | "Secret" | "ServiceAccount" | "PrometheusRule" => return,
        kind => panic!("{kind} is not expected"),
    };
    assert!(selects(selector, labels), "{resource:#?}");
}

#[test]
#[ignore = "needs helm and kubernetes-validate; tests/run installs them"]
fn manifests_of_the_chart_are_valid() {
    let (folder, minimal) = (tempfile::tempdir().unwrap(), minimal());
    let file = folder.path().join("all.yaml");
    helm_prints(&["lint", "--strict", CHART], &[]);
    for values in matrix() {
        helm_prints(&["lint", "--strict", CHART], &[&minimal, &values]);
        let manifests = helm_prints(&["template", "backups", CHART], &[&minimal, &values]);
        std::fs::write(&file, &manifests).unwrap();
        let resources = yaml(&manifests);
        let of_operator = |one: &&Value| text(&one["apiVersion"]).starts_with("monitoring.coreos.com/");
        let foreign = resources.iter().filter(of_operator).count();
        for version in ["1.25", "1.37"] {
            let arguments = ["--strict", "--kubernetes-version", version, file.to_str().unwrap()];
            let output = run("kubernetes-validate", &arguments);
            let count = |part| output.lines().filter(|line| line.contains(part)).count();
            assert_eq!(count(" passed for resource "), resources.len() - foreign, "{values}: {output}");
            assert_eq!(count("Couldn't find schema"), foreign, "{values}: {output}");
        }
        let service = resource(&resources, "Service");
        let pod = workload(&resources)["spec"]["template"]["metadata"]["labels"].clone();
        for resource in &resources {
            assert_selects(resource, &pod, &service);
            assert_eq!(resource["metadata"]["namespace"], "monitoring", "{resource:#?}");
            // kubectl apply copies a resource into an annotation of at most 256 KiB.
            assert!(resource.to_string().len() < 250_000, "{}", resource["metadata"]["name"]);
            assert!(resource["kind"] == "Secret" || !resource.to_string().contains(SECRET), "{resource:#?}");
        }
        assert_eq!(values.contains(SECRET), manifests.contains(SECRET));
    }
}

#[test]
#[ignore = "needs helm; tests/run installs it"]
fn number_of_shards_is_the_number_of_pods() {
    let resources = render(&[&minimal(), "shard: {total: 3}"]);
    let spec = resource(&resources, "StatefulSet")["spec"].clone();
    let container = &spec["template"]["spec"]["containers"][0];
    let total = json!([{"name": "ATLAS_BACKUP_EXPORTER__SHARD__TOTAL", "value": "3"}]);
    assert_eq!((&spec["replicas"], &container["env"]), (&json!(3), &total));
    assert_eq!(spec["serviceName"], resource(&resources, "Service")["metadata"]["name"]);
    assert!(list(&container["args"]).contains(&json!("--shard.index=auto")));
    assert_eq!(resource(&render(&[&minimal(), "replicas: 2"]), "Deployment")["spec"]["replicas"], 2);
}

/// Returns the expected groups of rules, as `docs/alerts.md` replaces their texts.
fn rules(runbooks: &str, grafana: &str, job: &str) -> Value {
    let rules = read("alerts/atlas-backup-export.rules.yml")
        .replace("https://runbooks.example.com/RUNBOOKS.md", runbooks)
        .replace("https://grafana.example.com", grafana)
        .replace("job=\"atlas-backup-exporter\"", &format!("job=\"{job}\""));
    yaml(&rules)[0]["groups"].clone()
}

#[test]
#[ignore = "needs helm and Debian's prometheus; tests/run installs them"]
fn rules_have_the_links_and_the_job_of_the_service_monitor() {
    let folder = tempfile::tempdir().unwrap();
    let on = "{serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}}";
    let links = "links: {runbooks: 'https://git.example.org/R.md', grafana: 'https://grafana.example.org/'}";
    for (values, job) in [("{}", "atlas-backup-exporter"), ("nameOverride: exports", "exports")] {
        let resources = render(&[&minimal(), on, links, values]);
        let (service, monitor) =
            (resource(&resources, "Service"), &resource(&resources, "ServiceMonitor")["spec"]);
        assert_eq!(service["metadata"]["labels"][text(&monitor["jobLabel"])], job);
        let [endpoint] = list(&monitor["endpoints"]) else { panic!("one endpoint") };
        assert_eq!((&endpoint["path"], &endpoint["honorLabels"]), (&Value::Null, &Value::Bool(true)));
        assert_eq!(endpoint["port"], service["spec"]["ports"][0]["name"]);
        let found = resource(&resources, "PrometheusRule")["spec"].clone();
        let expected = rules("https://git.example.org/R.md", "https://grafana.example.org", job);
        assert_eq!(found, json!({"groups": expected}));
        let texts = found.to_string();
        assert!(
            !texts.contains("example.com") && texts.matches("https://git.example.org/R.md#").count() > 20
        );
        assert!(texts.contains(&format!("up{{job=\\\"{job}\\\"}}")));
        let file = folder.path().join("rules.yml");
        std::fs::write(&file, texts).unwrap();
        run("promtool", &["check", "rules", file.to_str().unwrap()]);
    }
    // No link leads to a placeholder.
    let mut expected = rules("", "", "atlas-backup-exporter");
    for group in expected.as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            if let Some(annotations) = rule.get_mut("annotations").and_then(Value::as_object_mut) {
                let links = ["runbook_url", "dashboard_url"].map(|link| annotations.remove(link));
                assert!(links.iter().all(Option::is_some), "{rule:#?}");
            }
        }
    }
    assert_eq!(resource(&render(&[&minimal(), on]), "PrometheusRule")["spec"]["groups"], expected);
}

#[test]
#[ignore = "needs helm; tests/run installs it"]
fn documented_scrape_configuration_finds_the_pods() {
    // Debian's Prometheus is built without discovery in Kubernetes.
    let [config] = &documented("# prometheus.yml")[..] else { panic!("one") };
    let scrape = &yaml(config)[0]["scrape_configs"][0];
    assert_eq!(
        (&scrape["job_name"], &scrape["honor_labels"]),
        (&json!("atlas-backup-exporter"), &json!(true))
    );
    let discovery = &scrape["kubernetes_sd_configs"][0];
    let pod = &resource(&render(&[&minimal()]), "Deployment")["spec"]["template"];
    let (name, value) = text(&discovery["selectors"][0]["label"]).split_once('=').unwrap();
    assert_eq!(pod["metadata"]["labels"][name], value);
    assert_eq!(scrape["relabel_configs"][0]["regex"], pod["spec"]["containers"][0]["ports"][0]["name"]);
}

#[test]
#[ignore = "needs helm; tests/run installs it"]
fn dashboards_equal_the_files() {
    let resources = render(&[&minimal(), "dashboards: {enabled: true}"]);
    let of_sidecar = |one: &&Value| one["metadata"]["labels"]["grafana_dashboard"] == "1";
    let mut found = Vec::new();
    for map in resources.iter().filter(of_sidecar) {
        for (name, dashboard) in map["data"].as_object().unwrap() {
            assert!(text(dashboard) == read(&format!("dashboards/{name}")), "{name} differs");
            found.push(name.clone());
        }
    }
    let mut files: Vec<_> =
        std::fs::read_dir("dashboards").unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    assert_eq!((found.len(), files.len()), (2, 2), "{found:?}");
}

#[test]
#[ignore = "needs helm; tests/run installs it"]
fn packaged_chart_renders_the_same() {
    let folder = tempfile::tempdir().unwrap();
    helm_prints(&["package", CHART, "--destination", folder.path().to_str().unwrap()], &[]);
    let name = format!("atlas-backup-exporter-{}.tgz", env!("CARGO_PKG_VERSION"));
    let package = folder.path().join(name);
    for values in matrix() {
        let [of_folder, of_package] = [Path::new(CHART), &package].map(|chart| {
            helm_prints(&["template", "backups", chart.to_str().unwrap()], &[&minimal(), &values])
        });
        assert!(of_folder == of_package, "{values}");
    }
    // Links are replaced by their targets.
    let listing = run("tar", &["--list", "--verbose", "--file", package.to_str().unwrap()]);
    assert!(listing.lines().count() > 15 && listing.lines().all(|line| line.starts_with('-')), "{listing}");
}
