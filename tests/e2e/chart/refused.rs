//! Wrong values of the chart.

use super::{CHART, helm, minimal};

/// Values that are refused, and the part of the message that names the value and the expectation.
const REFUSED: [(&str, &str); 36] = [
    ("config: ''", "config is required"),
    ("config: [a]", "'/config': got array, want string"),
    ("replica: 2", "additional properties 'replica' not allowed"),
    ("replicas: two", "'/replicas': got string, want integer"),
    ("replicas: -1", "'/replicas': minimum: got -1, want 0"),
    ("{replicas: 2, shard: {total: 2}}", "replicas must be 1 if shard.total is above 1"),
    ("shard: {total: 0}", "'/shard/total': minimum: got 0, want 1"),
    ("shard: {total: '3'}", "'/shard/total': got string, want integer"),
    ("shard: {index: 1}", "additional properties 'index' not allowed"),
    ("atlas: {existingSecret: ''}", "set atlas.existingSecret or atlas.clientSecret"),
    ("atlas: {clientSecret: a}", "atlas.existingSecret and atlas.clientSecret are both set"),
    ("atlas: {existingSecret: Atlas}", "'/atlas/existingSecret': 'Atlas' does not match"),
    ("atlas: {ca: /etc/ca.pem}", "'/etc/ca.pem' does not match pattern '^$|-----BEGIN CERTIFICATE-----'"),
    ("config: client_secret_file = '/run/secrets/atlas_client_secret'", "a path below /run/secrets/atlas/"),
    ("config: \"# /run/secrets/atlas/a\\n client_secret = 'x'\"", "config has a secret"),
    ("config: \"# /run/secrets/atlas/a\\nservice_account = {private_key='x'}\"", "config has a secret"),
    ("config: \"# /run/secrets/atlas/a\\n'client_secret' = 'x'\"", "config has a secret"),
    ("config: \"# /run/secrets/atlas/a\\n[shard]\\ntotal = 3\"", "set shard.total in the values"),
    ("config: \"# /run/secrets/atlas/a\\n['shard']\\ntotal = 3\"", "set shard.total in the values"),
    ("image: {repository: 'a b'}", "'/image/repository': 'a b' does not match"),
    ("links: {grafana: grafana.example.org}", "'^$|^https?://"),
    ("links: {dashboard: 'https://grafana.example.org'}", "additional properties 'dashboard' not allowed"),
    ("image: {digest: 'sha256:0123'}", "'/image/digest': 'sha256:0123' does not match"),
    ("image: {tag: 0.1}", "'/image/tag': got number, want string"),
    ("image: {pullPolicy: Sometimes}", "'Always', 'IfNotPresent', 'Never'"),
    ("serviceMonitor: {enabled: 'yes'}", "'/serviceMonitor/enabled': got string, want boolean"),
    ("serviceMonitor: {interval: 30}", "'/serviceMonitor/interval': got number, want string"),
    ("serviceMonitor: {enabled: true, tlsConfig: {serverName: a}}", "web has no TLS"),
    ("{serviceMonitor: {enabled: true}, web: {tlsSecret: tls}}", "serviceMonitor.tlsConfig is required"),
    (
        "{serviceMonitor: {enabled: true}, web: {config: {basic_auth_users: {a: b}}}}",
        "serviceMonitor.basicAuth is required",
    ),
    ("web: {config: {basic_auth: {a: b}}}", "'/web/config': additional properties 'basic_auth' not allowed"),
    ("web: {existingSecret: web, config: {rate_limit: {burst: 5}}}", "web.config and web.existingSecret"),
    ("proxy: {url: 'http://user:password@proxy.example.org'}", "proxy.url has a password"),
    ("proxy: {url: 'http://proxy.example.org', existingSecret: proxy}", "proxy.url and proxy.existingSecret"),
    ("networkPolicy: {egress: {ports: 443}}", "'/networkPolicy/egress/ports': got number, want array"),
    ("podDisruptionBudget: {maxUnavailable: half}", "'half' does not match pattern '^[0-9]+%$'"),
];

#[test]
#[ignore = "needs helm; tests/run installs it"]
fn wrong_values_are_refused_with_a_readable_error() {
    for (values, message) in REFUSED {
        let output = helm(&["template", "backups", CHART], &[&minimal(), values]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(message), "{values}: {error}");
    }
}
