//! An Atlas with precomputed responses over TLS and plain HTTP, so that it uses little CPU.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::page;

pub(crate) const PROJECT: &str = "65f1c0ffee5eed0000000001";

/// A server that runs until the benchmark ends.
pub(crate) struct Atlas {
    pub(crate) url: String,
    /// A page of 500 jobs over plain HTTP, without compression.
    pub(crate) plain_url: String,
    /// CA certificate of the server.
    pub(crate) authority: String,
    responses: Arc<Responses>,
}

struct Responses {
    /// Gzip bodies by the end of the path and the query.
    bodies: HashMap<String, Bytes>,
    schedule: Bytes,
    requests: AtomicU64,
}

impl Atlas {
    /// Starts a server for `clusters` clusters with `jobs` jobs each.
    pub(crate) async fn start(clusters: usize, jobs: usize) -> Self {
        let responses = Arc::new(Responses::new(clusters, jobs));
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        let (tls, plain) = (bind().await, bind().await);
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let atlas = Self {
            url: format!("https://localhost:{}", port(&tls)),
            plain_url: format!("http://127.0.0.1:{}/page", port(&plain)),
            authority: key.cert.pem(),
            responses: responses.clone(),
        };
        let tls = Tls { listener: tls, acceptor: TlsAcceptor::from(Arc::new(config)) };
        tokio::spawn(axum::serve(tls, Router::new().fallback(respond).with_state(responses)).into_future());
        let page = Bytes::from(page::of(0, page::JOBS, jobs));
        let router = Router::new().fallback(move || std::future::ready(page.clone()));
        tokio::spawn(axum::serve(plain, router).into_future());
        atlas
    }

    pub(crate) fn requests(&self) -> u64 {
        self.responses.requests.load(Ordering::Relaxed)
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

impl Responses {
    fn new(clusters: usize, jobs: usize) -> Self {
        let mut bodies = HashMap::new();
        let mut add = |what: String, body: &str| drop(bodies.insert(what, gzip(body)));
        for size in [100, 500] {
            // A full last page is followed by an empty one.
            for number in 1..=jobs / size + 1 {
                // Incremental polls only read the first small page, as nothing changes.
                if size == 500 || number == 1 {
                    let page = page::of((number - 1) * size, size.min(jobs - (number - 1) * size), jobs);
                    add(format!("exports?itemsPerPage={size}&pageNum={number}"), &page);
                }
            }
        }
        let names: Vec<_> = (0..clusters)
            .map(|number| format!(r#"{{"name":"cluster-{number}","backupEnabled":true}}"#))
            .collect();
        for number in 0..=clusters / 500 {
            let page =
                names[number * 500..].iter().take(500).map(String::as_str).collect::<Vec<_>>().join(",");
            let page = format!(r#"{{"results":[{page}],"totalCount":{clusters}}}"#);
            add(format!("clusters?itemsPerPage=500&pageNum={}", number + 1), &page);
        }
        add("token".to_owned(), r#"{"access_token":"bench","expires_in":3600,"token_type":"Bearer"}"#);
        add(PROJECT.to_owned(), r#"{"name":"payments"}"#);
        let schedule = gzip(r#"{"autoExportEnabled":false}"#);
        Self { bodies, schedule, requests: AtomicU64::new(0) }
    }
}

async fn respond(State(responses): State<Arc<Responses>>, uri: Uri) -> Response {
    responses.requests.fetch_add(1, Ordering::Relaxed);
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let what = target.rsplit('/').next().unwrap_or_default();
    let body = if what == "schedule" { Some(&responses.schedule) } else { responses.bodies.get(what) };
    match body {
        Some(body) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
            (headers, body.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn gzip(text: &str) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().into()
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            let _ = stream.set_nodelay(true);
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
