//! Strictness of the simulator, which the exporter never meets.

use std::time::Duration;

use atlas_simulator::{Cluster, Simulator};
use reqwest::{Response, StatusCode};

use crate::support::atlas::{PROJECT, SECRET, atlas_state, simulator};

const ACCEPT: &str = "application/vnd.atlas.2024-05-30+json";

async fn start() -> Simulator {
    let _ = rustls::crypto::ring::default_provider().install_default();
    simulator(atlas_state([("prod", Cluster::default())])).await
}

fn listing(query: &str) -> String {
    format!("/api/atlas/v2/groups/{PROJECT}/clusters/prod/backup/exports{query}")
}

async fn request_token(simulator: &Simulator, secret: &str) -> Response {
    reqwest::Client::new()
        .post(format!("{}/api/oauth/token", simulator.url()))
        .basic_auth("mdb_sa_id_1", Some(secret))
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await
        .unwrap()
}

async fn token(simulator: &Simulator) -> String {
    let response: serde_json::Value =
        serde_json::from_slice(&request_token(simulator, SECRET).await.bytes().await.unwrap()).unwrap();
    format!("Bearer {}", response["access_token"].as_str().unwrap())
}

/// Returns the status and the body of a response.
async fn get(simulator: &Simulator, path: &str, authorization: &str, accept: &str) -> (u16, String) {
    let request = reqwest::Client::new().get(format!("{}{path}", simulator.url()));
    let response =
        request.header("authorization", authorization).header("accept", accept).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn dated_version_is_required() {
    let simulator = start().await;
    let token = token(&simulator).await;
    for (accept, status) in [
        ("*/*", 406),
        ("application/json", 406),
        ("application/vnd.atlas.2022-12-31+json", 400),
        ("application/vnd.atlas.2024-13-01+json", 400),
        ("application/vnd.atlas.2023-01-01+json", 200),
        (ACCEPT, 200),
    ] {
        assert_eq!(get(&simulator, &listing(""), &token, accept).await.0, status, "{accept}");
    }
}

#[tokio::test]
async fn tokens_expire_and_are_rate_limited() {
    let simulator = start().await;
    simulator.state().sessions.token_lifetime = Duration::from_millis(400);
    let token = token(&simulator).await;
    assert_eq!(get(&simulator, &listing(""), &token, ACCEPT).await.0, 200);
    assert_eq!(get(&simulator, &listing(""), "Bearer guessed", ACCEPT).await.0, 401);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(get(&simulator, &listing(""), &token, ACCEPT).await.0, 401);
    assert_eq!(request_token(&simulator, "wrong").await.status(), StatusCode::UNAUTHORIZED);
    for _ in 2..10 {
        assert_eq!(request_token(&simulator, SECRET).await.status(), StatusCode::OK);
    }
    let eleventh = request_token(&simulator, SECRET).await;
    assert_eq!(eleventh.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(eleventh.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn digest_is_valid_for_one_request() {
    let simulator = start().await;
    let challenged =
        reqwest::Client::new().get(format!("{}{}", simulator.url(), listing(""))).send().await.unwrap();
    assert_eq!(challenged.status(), StatusCode::UNAUTHORIZED);
    // Atlas repeats error codes in a header, but not on a 401.
    assert!(!challenged.headers().contains_key("x-error-code"));
    let challenge = challenged.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let body = |path: &str| {
        let context =
            digest_auth::AuthContext::new("pubkey", crate::support::atlas::PRIVATE_KEY, path.to_owned());
        digest_auth::parse(&challenge).unwrap().respond(&context).unwrap().to_header_string()
    };
    let good = body(&listing(""));
    assert_eq!(
        get(&simulator, &listing(""), &body(&listing("?pageNum=2")), ACCEPT).await.0,
        401,
        "another path"
    );
    assert_eq!(
        get(&simulator, &listing(""), &good.replace("MMS", "SMM"), ACCEPT).await.0,
        401,
        "another realm"
    );
    assert_eq!(get(&simulator, &listing(""), &good, ACCEPT).await.0, 200);
    let again = reqwest::Client::new()
        .get(format!("{}{}", simulator.url(), listing("")))
        .header("authorization", good);
    let again = again.header("accept", ACCEPT).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    assert!(again.headers()["www-authenticate"].to_str().unwrap().contains("stale=true"));
}
