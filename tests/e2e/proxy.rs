//! Pages below a path of nginx, as `docs/production.md` configures it.

use std::path::Path;
use std::process::Stdio;

use reqwest::Url;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::demo;
use crate::page::browse;
use crate::servers::{eventually, shipped};
use crate::support::port::free_port;

/// Returns the `location` of `docs/production.md`, for an exporter at `upstream`.
fn location(upstream: &str) -> String {
    let text = std::fs::read_to_string(shipped("docs/production.md")).unwrap();
    let block = text.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(block.contains("location /anything/ {") && block.contains("http://127.0.0.1:10027"), "{block}");
    block.replace("http://127.0.0.1:10027", upstream)
}

/// Starts nginx in front of `upstream`; returns the URL of the page.
async fn nginx(upstream: &str, folder: &Path) -> (Url, Child) {
    let port = free_port();
    let paths =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|one| format!("{one}_temp_path {one};"));
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{}}\n\
         http {{ access_log off; {}\nserver {{ listen 127.0.0.1:{port};\n{} }} }}\n",
        paths.join(" "),
        location(upstream)
    );
    std::fs::write(folder.join("nginx.conf"), config).unwrap();
    let log = std::fs::File::create(folder.join("nginx.log")).unwrap();
    let mut nginx = Command::new("/usr/sbin/nginx");
    nginx.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]);
    let child =
        nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn().unwrap();
    let page: Url = format!("http://127.0.0.1:{port}/anything/").parse().unwrap();
    eventually("nginx responses", || async { reqwest::get(page.clone()).await.ok() }).await;
    (page, child)
}

#[tokio::test]
#[ignore = "needs Debian's nginx-light; tests/run installs it"]
async fn pages_work_behind_nginx_with_a_path_prefix() {
    let demo = demo().await;
    let folder = tempfile::tempdir().unwrap();
    let (page, _nginx) = nginx(&demo.url, folder.path()).await;
    // nginx redirects the path without a slash.
    let response = reqwest::get(page.as_str().trim_end_matches('/')).await.unwrap();
    assert_eq!((response.status().as_u16(), response.url()), (200, &page));
    let text = response.text().await.unwrap();
    let links: Vec<_> = text.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut seen = Vec::new();
    // Links to clusters in Atlas do lead out.
    let is_own = |link: &&str| !link.starts_with("data:") && !link.contains("#/clusters/detail/");
    for link in links.into_iter().filter(is_own) {
        let address = page.join(&link.replace("&amp;", "&")).unwrap();
        assert!(address.path().starts_with("/anything/"), "{link} leads out");
        let response = reqwest::get(address).await.unwrap();
        assert_eq!(response.status(), 200, "{link}");
        let body = response.text().await.unwrap();
        match link {
            "metrics" => assert!(body.contains("\nmongodbatlas_backup_export_up{"), "{body}"),
            "api/v1/clusters" => {
                let json: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(json["clusters"].as_array().unwrap().len(), 8);
            }
            _ => {}
        }
        seen.push(link);
    }
    for link in ["metrics", "api/v1/clusters", "-/healthy", "-/ready", "?severity=", "?sort="] {
        assert!(seen.iter().any(|seen| seen.starts_with(link)), "{link} is not in {seen:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx-light, chromium, and npm's playwright-core and axe-core; tests/run installs them"]
async fn status_page_refreshes_behind_nginx_with_a_path_prefix() {
    let demo = demo().await;
    let folder = tempfile::tempdir().unwrap();
    let (page, _nginx) = nginx(&demo.url, folder.path()).await;
    let pid = demo.pid().to_string();
    browse("page.mjs", &[page.as_str(), &pid, "8", folder.path().to_str().unwrap()]).await;
}
