use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::stream;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::http::gate::OPEN;
use crate::http::timeouts::{FIRST_REQUEST_TIMEOUT, KEEP_ALIVE_TIMEOUT, RESPONSE_TIMEOUT};

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
        gate: Gate::new(router, web.clone()),
        web,
        connections: Arc::new(Semaphore::new(1)),
        evict: Notify::new(),
        stop: CancellationToken::new(),
    }
}

/// What has become of a connection over which `client` does something, and how long that took.
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

async fn ask(client: &mut DuplexStream, path: &str) {
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
}

async fn until_the_end(mut client: DuplexStream) {
    let _ = client.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_not_enough_is_given_up() {
    let timed_out = (Some(ErrorKind::TimedOut), FIRST_REQUEST_TIMEOUT);
    assert_eq!(served(until_the_end).await, timed_out);
    let half = async |mut client: DuplexStream| {
        client.write_all(b"GET /short HTTP/1.1\r\n").await.unwrap();
        until_the_end(client).await;
    };
    assert_eq!(served(half).await, timed_out);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_the_answer_is_given_up() {
    for path in ["/long", "/large"] {
        let stuck = async |mut client: DuplexStream| {
            ask(&mut client, path).await;
            sleep(RESPONSE_TIMEOUT + SOON).await;
        };
        assert_eq!(served(stuck).await, (Some(ErrorKind::TimedOut), RESPONSE_TIMEOUT), "{path}");
    }
    let crawling = async |mut client: DuplexStream| {
        ask(&mut client, "/long").await;
        while client.read_u8().await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    assert_eq!(served(crawling).await, (Some(ErrorKind::TimedOut), RESPONSE_TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn who_is_let_go_is_waited_for_but_not_for_long() {
    let (changed, web) = watch::channel(Arc::default());
    let slow = async |mut client: DuplexStream| {
        ask(&mut client, "/slow").await;
        sleep(SOON).await;
        changed.send_replace(Arc::default());
        until_the_end(client).await;
    };
    let ended = served_by(&server(web.clone()), web, slow).await;
    assert_eq!(ended, (Some(ErrorKind::TimedOut), SOON + WEB_CHANGE_TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_what_is_open_to_all_makes_room() {
    for (path, lasts) in [("/long", RESPONSE_TIMEOUT), (OPEN, Duration::from_secs(5))] {
        let (_sender, web) = watch::channel(Arc::default());
        let server = server(web.clone());
        let stuck = async |mut client: DuplexStream| {
            ask(&mut client, path).await;
            sleep(Duration::from_secs(5)).await;
            server.evict.notify_one();
            sleep(RESPONSE_TIMEOUT).await;
        };
        let ended = served_by(&server, web, stuck).await;
        assert_eq!(ended, (Some(ErrorKind::TimedOut), lasts), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_now_and_then_keeps_the_connection() {
    let pause = Duration::from_secs(170);
    let regular = async |mut client: DuplexStream| {
        for _ in 0..10 {
            ask(&mut client, "/short").await;
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
async fn a_slow_answer_is_waited_for() {
    let patient = async |mut client: DuplexStream| {
        for _ in 0..3 {
            ask(&mut client, "/slow").await;
            assert!(client.read(&mut [0; 1024]).await.unwrap() > 50);
        }
    };
    assert_eq!(served(patient).await, (None, Duration::from_secs(270)));
}
