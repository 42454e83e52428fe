use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::stream;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::timeouts::{FIRST_REQUEST_TIMEOUT, KEEP_ALIVE_TIMEOUT, RESPONSE_TIMEOUT};

const OPEN: &str = "/-/healthy";

/// A thousand of them are more than is kept for a client that does not read.
const PIECE: Result<Bytes, Infallible> = Ok(Bytes::from_static(&[b'x'; 16 * 1024]));

const SOON: Duration = Duration::from_millis(1);

fn server(web: watch::Receiver<Arc<WebConfig>>) -> Server {
    let long = || get(async || Body::from_stream(stream::iter((0..1000).map(|_| PIECE))));
    let router = Router::new()
        .route("/short", get(async || "short"))
        .route("/long", long())
        .route("/large", get(async || vec![b'x'; 1024 * 1024]))
        .route(OPEN, long())
        .route("/slow", get(async || sleep(Duration::from_secs(90)).await));
    Server {
        middleware: Middleware::new(
            router,
            ServeOptions { open_path: Some(OPEN), ..ServeOptions::default() },
        ),
        web,
        connections: Arc::new(Semaphore::new(1)),
        evict: Notify::new(),
        shutdown: CancellationToken::new(),
    }
}

/// Returns how a connection to `client` ended, and after which time.
async fn served<F: Future<Output = ()>>(
    client: impl FnOnce(DuplexStream) -> F,
) -> (Option<ErrorKind>, Duration) {
    let (_sender, web) = watch::channel(Arc::default());
    served_by(&server(web.clone()), web, client).await
}

async fn served_by<F: Future<Output = ()>>(
    server: &Server,
    web: watch::Receiver<Arc<WebConfig>>,
    client: impl FnOnce(DuplexStream) -> F,
) -> (Option<ErrorKind>, Duration) {
    let (timeouts, start) = (Timeouts::new(), Instant::now());
    let (ours, theirs) = duplex(1024);
    let serving = server.serve_http(TokioIo::new(ours), web, &timeouts);
    let (ended, ()) = tokio::join!(async { (serving.await, start.elapsed()) }, client(theirs));
    (ended.0.err().map(|error| error.kind()), ended.1)
}

async fn send_request(client: &mut DuplexStream, path: &str) {
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
}

async fn until_the_end(mut client: DuplexStream) {
    let _ = client.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(start_paused = true)]
async fn incomplete_first_request_times_out() {
    let timed_out = (Some(ErrorKind::TimedOut), FIRST_REQUEST_TIMEOUT);
    assert_eq!(served(until_the_end).await, timed_out);
    let half = async |mut client: DuplexStream| {
        client.write_all(b"GET /short HTTP/1.1\r\n").await.unwrap();
        until_the_end(client).await;
    };
    assert_eq!(served(half).await, timed_out);
}

#[tokio::test(start_paused = true)]
async fn response_to_slow_reader_times_out() {
    for path in ["/long", "/large"] {
        let stuck = async |mut client: DuplexStream| {
            send_request(&mut client, path).await;
            sleep(RESPONSE_TIMEOUT + SOON).await;
        };
        assert_eq!(served(stuck).await, (Some(ErrorKind::TimedOut), RESPONSE_TIMEOUT), "{path}");
    }
    let crawling = async |mut client: DuplexStream| {
        send_request(&mut client, "/long").await;
        while client.read_u8().await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    assert_eq!(served(crawling).await, (Some(ErrorKind::TimedOut), RESPONSE_TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn response_in_progress_times_out_after_config_change() {
    let (changed, web) = watch::channel(Arc::default());
    let slow = async |mut client: DuplexStream| {
        send_request(&mut client, "/slow").await;
        sleep(SOON).await;
        changed.send_replace(Arc::default());
        until_the_end(client).await;
    };
    let ended = served_by(&server(web.clone()), web, slow).await;
    assert_eq!(ended, (Some(ErrorKind::TimedOut), SOON + WEB_CHANGE_TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn slow_reader_of_open_path_is_evicted() {
    for (path, lasts) in [("/long", RESPONSE_TIMEOUT), (OPEN, Duration::from_secs(5))] {
        let (_sender, web) = watch::channel(Arc::default());
        let server = server(web.clone());
        let stuck = async |mut client: DuplexStream| {
            send_request(&mut client, path).await;
            sleep(Duration::from_secs(5)).await;
            server.evict.notify_one();
            sleep(RESPONSE_TIMEOUT).await;
        };
        let ended = served_by(&server, web, stuck).await;
        assert_eq!(ended, (Some(ErrorKind::TimedOut), lasts), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn regular_requests_keep_the_connection() {
    let pause = Duration::from_secs(170);
    let regular = async |mut client: DuplexStream| {
        for _ in 0..10 {
            send_request(&mut client, "/short").await;
            let read = client.read(&mut [0; 1024]).await.unwrap();
            assert!(read > 100);
            sleep(pause).await;
        }
        until_the_end(client).await;
    };
    let (ended, time) = served(regular).await;
    assert_eq!(ended, Some(ErrorKind::TimedOut));
    assert_eq!(time, pause * 9 + KEEP_ALIVE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn slow_response_within_timeout_is_sent() {
    let patient = async |mut client: DuplexStream| {
        for _ in 0..3 {
            send_request(&mut client, "/slow").await;
            assert!(client.read(&mut [0; 1024]).await.unwrap() > 50);
        }
    };
    assert_eq!(served(patient).await, (None, Duration::from_secs(270)));
}
