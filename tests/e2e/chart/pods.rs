//! Pods of the chart, started as processes beside the simulator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atlas_simulator::{Cluster, ORGANIZATION};
use reqwest::{Certificate, Client};
use serde_json::Value;

use super::{CHART, documented, helm_prints, minimal, render, resource, workload};
use crate::deployed::{list, text, texts};
use crate::support::atlas::{SECRET, atlas_state, simulator};
use crate::support::authority;
use crate::support::certificates::Authority;
use crate::support::exporter::{Exporter, command};
use crate::support::fault_proxy::{FaultProxy, ProxyMode};
use crate::web::HASH;

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// `jane:pa55-w0rd` in a request to the proxy.
const PASSWORD: &str = "Basic amFuZTpwYTU1LXcwcmQ=";

/// Files of Secrets by name.
type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// Pod of a release, whose volumes are in `files` and whose Atlas is the simulator.
struct Pod {
    container: Value,
    env: Vec<(String, String)>,
    files: tempfile::TempDir,
}

impl Pod {
    /// Writes the files of the volumes below a temporary folder; `secrets` are those of the user.
    fn of(resources: &[Value], secrets: &Secrets) -> Self {
        let pod = workload(resources)["spec"]["template"]["spec"].clone();
        let files = tempfile::tempdir().unwrap();
        let container = pod["containers"][0].clone();
        for mount in list(&container["volumeMounts"]) {
            assert_eq!(mount["readOnly"], true, "{mount}");
            let place = below(files.path(), text(&mount["mountPath"]));
            std::fs::create_dir_all(&place).unwrap();
            let volume = list(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            for (name, content) in contents(resources, secrets, volume) {
                // Paths in the files are those of the pod.
                let content = content
                    .replace("/run/secrets", below(files.path(), "/run/secrets").to_str().unwrap())
                    .replace("5f0e5a3b9c1d4e6f8a7b0000", ORGANIZATION)
                    .replace("mdb_sa_id_0123456789abcdef01234567", "mdb_sa_id_1");
                std::fs::write(place.join(name), content).unwrap();
            }
        }
        let mut env = Vec::new();
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = match variable["value"].as_str() {
                Some(path) if path.starts_with('/') => format!("{}{path}", files.path().display()),
                Some(value) => value.to_owned(),
                None => referenced(secrets, &variable["valueFrom"]["secretKeyRef"]),
            };
            env.push((text(&variable["name"]).to_owned(), value));
        }
        Self { container, env, files }
    }

    /// Returns the exporter with variables of the pod, and with arguments that are those of the pod
    /// or of another command in it. The ordinal of the host replaces `auto`.
    fn command(&self, arguments: &[&str], atlas: &str) -> tokio::process::Command {
        let root = self.files.path().display();
        let mut command = command();
        for argument in arguments {
            let argument = argument.replace("=/", &format!("={root}/"));
            command.arg(argument.replace("--shard.index=auto", "--shard.index=1"));
        }
        command.envs(self.env.clone()).env("ATLAS_BACKUP_EXPORTER__ATLAS__BASE_URL", atlas);
        command
    }

    async fn start(self, atlas: &str) -> Exporter {
        let mut command = self.command(&texts(&self.container["args"]), atlas);
        command.arg("--web.listen-address=127.0.0.1:0");
        Exporter::spawn(command, self.files).await
    }

    /// Returns the URLs of the probes of an exporter; `None` for those that only connect.
    fn probes(&self) -> [Option<(String, String)>; 2] {
        ["livenessProbe", "readinessProbe"].map(|probe| {
            let probe = &self.container[probe];
            let Some(http) = probe["httpGet"].as_object() else {
                assert_eq!(probe["tcpSocket"]["port"], "metrics");
                return None;
            };
            Some((text(&http["scheme"]).to_lowercase(), text(&http["path"]).to_owned()))
        })
    }
}

/// Returns the files of a volume.
fn contents(resources: &[Value], secrets: &Secrets, volume: &Value) -> BTreeMap<String, String> {
    let (kind, name) = match volume["configMap"]["name"].as_str() {
        Some(name) => ("ConfigMap", name),
        None => ("Secret", text(&volume["secret"]["secretName"])),
    };
    if let Some(files) = secrets.get(name).filter(|_| kind == "Secret") {
        return files.clone();
    }
    let is_it = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
    let found = resources.iter().find(is_it).unwrap_or_else(|| panic!("there is no {kind} {name}"));
    let data = &found[if kind == "Secret" { "stringData" } else { "data" }];
    data.as_object().unwrap().iter().map(|(name, data)| (name.clone(), text(data).to_owned())).collect()
}

fn below(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.strip_prefix('/').unwrap())
}

fn secret(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}

/// Returns the value at a reference to a key of a Secret.
fn referenced(secrets: &Secrets, reference: &Value) -> String {
    secrets[text(&reference["name"])][text(&reference["key"])].clone()
}

/// The Secret of the first installation in the README.
fn secrets() -> Secrets {
    [("atlas-service-account".to_owned(), secret(&[("client_secret", SECRET)]))].into()
}

#[tokio::test]
#[ignore = "needs helm; tests/run installs it"]
async fn pod_becomes_ready_and_polls() {
    let simulator = simulator(atlas_state(NAMES.map(|name| (name, Cluster::default())))).await;
    let values = [
        // Pods with an existing Secret, and with one that the chart creates.
        "links: {runbooks: 'https://git.example.org/R.md', grafana: 'https://grafana.example.org/'}"
            .to_owned(),
        format!("atlas: {{existingSecret: '', clientSecret: {SECRET}}}"),
    ];
    for values in values {
        let resources = render(&[&minimal(), &values]);
        let secrets = if values.contains(SECRET) { Secrets::new() } else { secrets() };
        let pod = Pod::of(&resources, &secrets);
        let probes = pod.probes();
        assert_eq!(probes.clone().map(|probe| probe.unwrap().1), ["/-/healthy", "/-/ready"]);
        let exporter = pod.start(simulator.url()).await;
        let scrape = exporter.ready().await;
        for (scheme, path) in probes.into_iter().flatten() {
            assert_eq!(
                (scheme.as_str(), exporter.get(&path).await.status().as_u16()),
                ("http", 200),
                "{path}"
            );
        }
        assert!(NAMES.iter().all(|name| scrape.up(name) == Some(1.0)), "{}", exporter.log());
        let page = exporter.page().await;
        let links =
            ["https://git.example.org/R.md#", "https://grafana.example.org/d/atlas-backup-export-cluster?"];
        assert!(links.iter().all(|link| page.contains(link) == values.contains("links")), "{page}");
    }
}

#[tokio::test]
#[ignore = "needs helm; tests/run installs it"]
async fn shard_polls_a_part_of_the_clusters() {
    let simulator = simulator(atlas_state(NAMES.map(|name| (name, Cluster::default())))).await;
    let pod = Pod::of(&render(&[&minimal(), "shard: {total: 3}"]), &secrets());
    let shard = pod.start(simulator.url()).await;
    let scrape = shard.ready().await;
    let polled = NAMES.iter().filter(|name| scrape.up(name) == Some(1.0)).count();
    assert!((1..NAMES.len()).contains(&polled), "{polled}: {}", shard.log());
}

#[tokio::test]
#[ignore = "needs helm; tests/run installs it"]
async fn pod_uses_the_proxy_and_the_certificate_authority() {
    let simulator = simulator(atlas_state(NAMES.map(|name| (name, Cluster::default())))).await;
    let authority = authority::Authority::new();
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Tunnel).await;
    let mut secrets = secrets();
    let address = proxy.plain_url().replace("http://", "http://jane:pa55-w0rd@");
    secrets.insert("proxy".to_owned(), secret(&[("url", &address)]));
    let ca = format!("atlas: {{ca: \"{}\"}}", authority.pem().replace('\n', "\\n"));
    for (proxy_values, has_password) in
        [("existingSecret: proxy".to_owned(), true), (format!("url: '{}'", proxy.plain_url()), false)]
    {
        let proxy_values = format!("proxy: {{{proxy_values}, noProxy: .example.org}}");
        server.set_mode(ProxyMode::Tls(authority.valid())).await;
        proxy.set_mode(ProxyMode::Tunnel).await;
        let passwords = || proxy.received().matches(PASSWORD).count();
        let before = passwords();
        let pod = Pod::of(&render(&[&minimal(), &ca, &proxy_values]), &secrets);
        let exporter = pod.start(&server.url()).await;
        let scrape = exporter.ready().await;
        assert!(NAMES.iter().all(|name| scrape.up(name) == Some(1.0)), "{}", exporter.log());
        assert!(proxy.accepted() > 0 && proxy.accepted() == server.accepted(), "{proxy_values}");
        assert_eq!(passwords() > before, has_password, "{proxy_values}");
    }
}

/// Scrapes as Prometheus does with the endpoint of the `ServiceMonitor`.
#[tokio::test]
#[ignore = "needs helm; tests/run installs it"]
async fn documented_pod_with_tls_and_password_is_scraped() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let examples = documented("# values.yaml");
    let example = examples.iter().find(|values| values.contains("tlsSecret")).unwrap();
    let resources = render(&[&minimal(), &example.replace("$2y$10$...", HASH)]);
    let endpoint = &resource(&resources, "ServiceMonitor")["spec"]["endpoints"][0];
    let host = text(&endpoint["tlsConfig"]["serverName"]);
    let authority = Authority::new("cluster");
    let server = authority.server_of(&[host]);
    let mut secrets = secrets();
    let tls = [
        ("tls.crt", server.certificate.as_str()),
        ("tls.key", &server.key),
        ("ca.crt", &authority.certificate),
    ];
    secrets.insert("atlas-backup-exporter-tls".to_owned(), secret(&tls));
    let password = secret(&[("username", "prometheus"), ("password", "secret")]);
    secrets.insert("scrape-password".to_owned(), password);
    let pod = Pod::of(&resources, &secrets);
    let probes = pod.probes();
    let exporter = pod.start(simulator.url()).await;
    let address: SocketAddr = exporter.url.strip_prefix("http://").unwrap().parse().unwrap();
    let client = |name: &str, builder: reqwest::ClientBuilder| {
        let url = format!("{}://{name}:{}", text(&endpoint["scheme"]), address.port());
        let builder = builder.no_proxy().timeout(Duration::from_secs(10)).resolve(name, address);
        (builder.build().unwrap(), url)
    };
    let trusted = referenced(&secrets, &endpoint["tlsConfig"]["ca"]["secret"]);
    let trusted = Certificate::from_pem(trusted.as_bytes()).unwrap();
    let (prometheus, url) = client(host, Client::builder().tls_certs_only([trusted]));
    let credentials = ["username", "password"].map(|part| referenced(&secrets, &endpoint["basicAuth"][part]));
    let metrics = format!("{url}/metrics");
    assert_eq!(prometheus.get(&metrics).send().await.unwrap().status(), 401);
    let ready =
        || prometheus.get(format!("{url}/-/ready")).basic_auth(&credentials[0], Some(&credentials[1]));
    while ready().send().await.unwrap().status() != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let scrape = prometheus.get(&metrics).basic_auth(&credentials[0], Some(&credentials[1]));
    let scrape = scrape.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
    assert!(scrape.contains("mongodbatlas_backup_export_up{"), "{scrape}");
    // The kubelet has no password and does not verify the certificate.
    let (kubelet, url) = client("127.0.0.1", Client::builder().tls_danger_accept_invalid_certs(true));
    for (scheme, path) in probes.into_iter().map(Option::unwrap) {
        assert_eq!(scheme, "https");
        assert_eq!(kubelet.get(format!("{url}{path}")).send().await.unwrap().status(), 200, "{path}");
    }
}

#[test]
#[ignore = "needs helm; tests/run installs it"]
fn probes_follow_the_web_configuration() {
    let [healthy, ready] = ["/-/healthy", "/-/ready"].map(Some);
    let tls = "existingSecret: '', tlsSecret: tls, config: {tls_server_config:";
    for (web, expected) in [
        ("{tlsSecret: tls}".to_owned(), [("https", healthy), ("https", ready)]),
        (
            "{config: {rate_limit: {interval: 1s, burst: 5}}}".to_owned(),
            [("http", healthy), ("http", healthy)],
        ),
        (
            format!("{{{tls} {{client_auth_type: VerifyClientCertIfGiven}}}}}}"),
            [("https", healthy), ("https", ready)],
        ),
        (format!("{{{tls} {{client_auth_type: RequireAndVerifyClientCert}}}}}}"), [("", None); 2]),
        (format!("{{{tls} {{client_allowed_sans: [prometheus]}}}}}}"), [("", None); 2]),
        ("{existingSecret: web}".to_owned(), [("", None); 2]),
    ] {
        let pod = Pod { container: container(&web), env: Vec::new(), files: tempfile::tempdir().unwrap() };
        let found = pod.probes().map(Option::unwrap_or_default);
        let expected =
            expected.map(|(scheme, path)| (scheme.to_owned(), path.unwrap_or_default().to_owned()));
        assert_eq!(found, expected, "{web}");
    }
}

fn container(web: &str) -> Value {
    let resources = render(&[&minimal(), &format!("web: {web}")]);
    workload(&resources)["spec"]["template"]["spec"]["containers"][0].clone()
}

/// The notes after an installation name a command that checks the configuration in a pod.
#[tokio::test]
#[ignore = "needs helm; tests/run installs it"]
async fn check_of_the_notes_succeeds_in_the_pod() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    for (shards, kind) in [("{}", "deployment"), ("shard: {total: 2}", "statefulset")] {
        let install = ["install", "backups", CHART, "--dry-run=client"];
        let notes = helm_prints(&install, &[&minimal(), shards]);
        let notes = notes.split("\nNOTES:\n").nth(1).unwrap().replace("\\\n", "");
        let begin = format!("kubectl --namespace monitoring exec {kind}/backups-atlas-backup-exporter -- ");
        let command = notes.split(&begin).nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let arguments = command.strip_prefix("/atlas-backup-exporter ").unwrap();
        let pod = Pod::of(&render(&[&minimal(), shards]), &secrets());
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let output = pod.command(&arguments, simulator.url()).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("prod"), "{arguments:?}: {text}");
    }
}
