//! Connections to Atlas: TLS, proxies, host names and reuse. Faults are in `tests/faults`.

use std::time::Duration;

use atlas_simulator::{Cluster, Job, JobOutcome, Simulator};

use crate::support::atlas::{atlas_state, exports, requests, simulator};
use crate::support::authority::Authority;
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;
use crate::support::fault_proxy::{FaultProxy, ProxyMode, send};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

async fn clusters() -> Simulator {
    let cluster = || Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)]);
    simulator(atlas_state(NAMES.map(|name| (name, cluster())))).await
}

/// Starts an exporter that sends requests to `server` and trusts `bundle`.
pub(crate) async fn start(builder: ExporterBuilder, server: &FaultProxy, bundle: &str) -> Exporter {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), bundle).unwrap();
    builder.base_url(&server.url()).set("atlas.ca_file", "ca.pem").start_in(folder).await
}

fn is_up(scrape: &crate::support::scrape::Scrape) -> bool {
    NAMES.iter().all(|name| scrape.up(name) == Some(1.0))
}

#[tokio::test]
async fn many_requests_share_few_connections() {
    let (simulator, authority) = (clusters().await, Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let exporter = start(ExporterBuilder::new(&simulator), &server, &authority.pem()).await;
    assert!(is_up(&exporter.polled_again(10.0).await));
    let asked = requests(&simulator, "");
    // Four polls may be in flight, and requests of discovery and collectors as well.
    let connections = server.accepted();
    assert!(asked >= 44 && connections <= 12, "{connections} connections for {asked} requests");
    exporter.polled_again(10.0).await;
    assert!(server.accepted() <= connections + 4, "{} connections by now", server.accepted());
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn reload_uses_a_changed_ca_bundle() {
    let (simulator, authority, other) = (clusters().await, Authority::new(), Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let exporter = start(ExporterBuilder::new(&simulator), &server, &other.pem()).await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.value("last_poll_error_info", "a", "reason=\"tls\""), Some(1.0), "{}", exporter.log());
    assert_eq!(requests(&simulator, ""), 0);

    let bundle = exporter.folder.path().join("ca.pem");
    std::fs::write(&bundle, other.pem() + &authority.pem()).unwrap();
    exporter.signal("HUP");
    exporter.until(is_up).await;

    // Connections with an authority that is no longer trusted are closed.
    std::fs::write(&bundle, other.pem()).unwrap();
    exporter.signal("HUP");
    exporter.until(|scrape| scrape.value("last_poll_error_info", "a", "reason=\"tls\"") == Some(1.0)).await;
}

#[tokio::test]
async fn ca_bundle_without_newlines_is_trusted() {
    let (simulator, authority, other) = (clusters().await, Authority::new(), Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let key = "-----BEGIN EC PARAMETERS-----BggqhkjOPQMBBw==-----END EC PARAMETERS-----";
    let bundle = format!("\u{feff}Our roots{}{key}{}", other.pem().trim_end(), authority.pem().trim_end());
    let exporter = start(ExporterBuilder::new(&simulator), &server, &bundle.replace('\n', "\r\n")).await;
    assert!(is_up(&exporter.polled().await), "{}", exporter.log());
    let expected = "msg=\"skipped a section that is not a certificate\" file=ca.pem line=";
    assert!(exporter.log().contains(expected), "{}", exporter.log());
}

#[tokio::test]
async fn reload_of_the_same_bundle_keeps_connections() {
    let (simulator, authority) = (clusters().await, Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let exporter = start(ExporterBuilder::new(&simulator), &server, &authority.pem()).await;
    exporter.polled_again(2.0).await;
    let before = server.accepted();
    std::fs::write(exporter.folder.path().join("ca.pem"), format!("# renewed\n{}", authority.pem())).unwrap();
    exporter.signal("HUP");
    exporter
        .until(|scrape| {
            let name = "mongodbatlas_backup_exporter_config_last_reload_success_timestamp_seconds";
            !scrape.of(name).is_empty() && exporter.log().contains("reloaded configuration")
        })
        .await;
    assert!(is_up(&exporter.polled_again(3.0).await));
    assert_eq!(requests(&simulator, "POST /api/oauth/token"), 1);
    assert!(server.accepted() <= before + 4, "{} connections, {before} before", server.accepted());
}

#[tokio::test]
async fn requests_through_a_proxy_are_encrypted() {
    let (simulator, authority) = (clusters().await, Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Tunnel).await;
    let address = proxy.plain_url().replace("http://", "http://jane:pa55-w0rd@");
    let builder = ExporterBuilder::new(&simulator).env("HTTPS_PROXY", address).flag("--log.level=trace");
    let exporter = start(builder, &server, &authority.pem()).await;
    assert!(is_up(&exporter.polled_again(3.0).await));
    assert_eq!(server.accepted(), proxy.accepted(), "someone went past the proxy");
    let heard = proxy.received();
    assert!(heard.contains(&format!("CONNECT {} ", server.url().replace("https://", ""))));
    // Proxy credentials are sent to the proxy only, and Atlas credentials to Atlas only.
    assert!(heard.contains("Basic amFuZTpwYTU1LXcwcmQ="), "{heard}");
    assert!(!heard.contains("Bearer") && !heard.contains("/api/"), "a request is in clear");
    assert!(simulator.state().requests.iter().all(|seen| seen.status == 200));
    exporter.assert_no_secret().await;

    // Errors of a failing proxy do not contain the password either.
    proxy.set_mode(ProxyMode::Refuse).await;
    exporter.until(|scrape| scrape.up("a") == Some(0.0)).await;
    for text in [exporter.log(), exporter.get("/").await.text().await.unwrap()] {
        assert!(text.contains("proxy"), "the proxy is not in: {text}");
        assert!(!text.contains("pa55") && !text.contains("amFuZ"), "a password is in: {text}");
    }
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn proxy_of_any_variable_is_used_and_logged() {
    let (simulator, authority) = (clusters().await, Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Tunnel).await;
    let encrypted = FaultProxy::start_at(&proxy.plain_url(), ProxyMode::Tls(authority.valid())).await;
    let (plain, bare) = (proxy.plain_url(), proxy.plain_url().replace("http://", ""));
    let empty = |name| (name, String::new());
    for (environment, heard, shown) in [
        (vec![empty("HTTPS_PROXY"), ("https_proxy", plain.clone())], "CONNECT", &plain),
        (vec![empty("https_proxy"), empty("ALL_PROXY"), ("all_proxy", bare.clone())], "CONNECT", &plain),
        (vec![("ALL_PROXY", plain.clone()), ("NO_PROXY", "127.0.0.1,b.test".to_owned())], "CONNECT", &plain),
        // Variables of CGI programs have no effect.
        (vec![("HTTPS_PROXY", plain.clone()), ("REQUEST_METHOD", "GET".to_owned())], "CONNECT", &plain),
        (vec![("HTTPS_PROXY", format!("jane:a%40b%25%c3%a4@{bare}"))], "Basic amFuZTphQGIlw6Q=", &plain),
        (vec![("HTTPS_PROXY", format!("http://jane:a@b@{bare}"))], "Basic amFuZTphQGI=", &plain),
        (
            vec![("HTTPS_PROXY", format!("http://jane:!$&()*+,;=:~_-.@{bare}/"))],
            "Basic amFuZTohJCYoKSorLDs9On5fLS4=",
            &plain,
        ),
        (vec![("HTTPS_PROXY", encrypted.url())], "CONNECT", &encrypted.url()),
    ] {
        proxy.set_mode(ProxyMode::Tunnel).await;
        let before = proxy.received().len();
        let variable = environment.iter().find(|(_, value)| !value.is_empty()).unwrap().0;
        let builder = environment
            .iter()
            .fold(ExporterBuilder::new(&simulator), |builder, (name, value)| builder.env(name, value));
        let exporter = start(builder, &server, &authority.pem()).await;
        assert!(is_up(&exporter.polled().await), "{environment:?}: {}", exporter.log());
        assert!(
            proxy.received()[before..].contains(heard),
            "{environment:?}: {}",
            &proxy.received()[before..]
        );
        let expected = format!(" proxy={shown} proxy_variable={variable} ");
        let log = exporter.log().replace('\n', " \n");
        assert!(log.contains(&expected) && !log.contains("jane"), "{expected} is not in {log}");
    }
}

#[tokio::test]
async fn check_reports_the_proxy_and_ignored_variables() {
    let (simulator, authority) = (clusters().await, Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Tunnel).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let builder = ExporterBuilder::new(&simulator).base_url(&server.url()).set("atlas.ca_file", "ca.pem");
    builder.write(&folder);
    let with_password = proxy.plain_url().replace("http://", "http://jane:pa55@");
    let check = async |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = crate::support::exporter::command();
        command.current_dir(folder.path()).arg("check").args(arguments).envs(environment.iter().copied());
        let output = command.output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(!text.contains("pa55"), "{text}");
        text
    };
    let proxied = [("HTTPS_PROXY", with_password.as_str()), ("ALL_PROXY", "socks5://127.0.0.1:9")];
    let table = check(&[], &proxied).await;
    let end = format!(
        "\nProxy: {} (HTTPS_PROXY)\n\
         Warning: ALL_PROXY is ignored: a socks5 proxy is not supported; use an http or\n    \
         https proxy, such as http://proxy.example.org:3128\n\
         4 clusters can be read. 1 warning.\n",
        proxy.plain_url()
    );
    assert!(table.ends_with(&end), "{table}");
    let json = async |environment: &[(&str, &str)]| {
        let json = check(&["--output=json"], environment).await;
        serde_json::from_str::<serde_json::Value>(&json).unwrap()
    };
    let with = json(&proxied).await;
    assert_eq!((&with["proxy"], &with["proxy_variable"]), (&proxy.plain_url().into(), &"HTTPS_PROXY".into()));
    assert!(with["warnings"][0].as_str().unwrap().starts_with("ALL_PROXY is ignored: "), "{with}");
    assert!(proxy.accepted() > 0);
    let without = json(&[("HTTPS_PROXY", &with_password), ("no_proxy", "localhost")]).await;
    assert_eq!((&without["proxy"], &without["proxy_variable"]), (&().into(), &().into()));
    assert_eq!((&without["ok"], &without["warnings"]), (&true.into(), &serde_json::json!([])));
    assert!(!check(&[], &[]).await.contains("Proxy: "));
}

#[tokio::test]
async fn proxy_failures_are_named() {
    let (simulator, authority) = (clusters().await, Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Tunnel).await;
    for (mode, expected) in [
        (ProxyMode::Refuse, "error=\"cannot connect to proxy PROXY: connection refused\""),
        (respond("HTTP/1.1 407 Who Are You\r\n\r\n"), "error=\"proxy PROXY answered 407: "),
        (respond("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "error=\"proxy PROXY failed to connect to HOST\""),
    ] {
        proxy.set_mode(mode).await;
        let builder = ExporterBuilder::new(&simulator).env("HTTPS_PROXY", proxy.plain_url());
        let exporter = start(builder, &server, &authority.pem()).await;
        exporter.polled().await;
        let host = server.url().replace("https://", "");
        let address = proxy.plain_url().replace("http://", "");
        let expected = expected.replace("HOST", &host).replace("PROXY", &address);
        assert!(exporter.log().contains(&expected), "{expected:?} is not in: {}", exporter.log());
    }

    // A label this long is invalid, so that no resolver is asked.
    let name = format!("http://{}.test:80", "a".repeat(64));
    let builder = ExporterBuilder::new(&simulator).env("HTTPS_PROXY", name);
    let exporter = start(builder, &server, &authority.pem()).await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.value("last_poll_error_info", "a", "reason=\"connect\""), Some(1.0));
    assert!(exporter.log().contains("error=\"cannot resolve aaa"), "{}", exporter.log());
}

fn respond(text: &str) -> ProxyMode {
    ProxyMode::Respond(vec![send(text)])
}

#[tokio::test]
async fn no_proxy_bypasses_the_proxy() {
    let (simulator, authority) = (clusters().await, Authority::new());
    let server = FaultProxy::start(&simulator, ProxyMode::Tls(authority.valid())).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Tunnel).await;
    let builder = ExporterBuilder::new(&simulator)
        .env("HTTPS_PROXY", proxy.plain_url())
        .env("NO_PROXY", "elsewhere.test,localhost");
    let exporter = start(builder, &server, &authority.pem()).await;
    assert!(is_up(&exporter.polled().await));
    assert_eq!(proxy.accepted(), 0);
}

#[tokio::test]
async fn plain_http_is_not_sent_to_a_proxy() {
    let simulator = clusters().await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Tunnel).await;
    let exporter = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"]
        .into_iter()
        .fold(ExporterBuilder::new(&simulator), |builder, name| builder.env(name, proxy.plain_url()))
        .start()
        .await;
    assert!(is_up(&exporter.polled().await));
    assert_eq!((proxy.accepted(), requests(&simulator, &exports("a")) > 0), (0, true));
    assert!(exporter.log().contains(" proxy=none"), "{}", exporter.log());
}
