//! Connections: accepted, encrypted where the web configuration says so, and ended when nothing comes of them.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::held::Held;
use super::life::{Life, UnderWay};
use crate::web::WebConfig;

/// Connections at once, or half as many as there may be descriptors if that is less: the others are for Atlas. When all are taken, a new one
/// takes the place of one that nobody is using.
const MOST_CONNECTIONS: u32 = 512;

/// How often such a place is looked for.
const MAKE_ROOM_EVERY: Duration = Duration::from_millis(1);

/// Requests under way at shutdown may take this long; a scrape takes far less.
const DRAIN: Duration = Duration::from_secs(5);

/// What an answer under way may take when the web configuration changes: whoever is no longer to look does not go on for longer.
const LET_GO: Duration = Duration::from_secs(10);

/// After an error of the listener, such as too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The lines before the body.
const LARGEST_HEADER: u32 = 16 * 1024;

/// Requests at once over a connection of HTTP/2.
const MOST_STREAMS: u32 = 16;

/// The first byte of every handshake of TLS (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// As Go's servers say it.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// One type for both, lest everything about HTTP/1 be in the binary twice.
type PlainOrTls = Either<TcpStream, TlsStream<TcpStream>>;

/// What every connection needs.
#[derive(Debug)]
struct Server {
    gate: Gate,
    web: watch::Receiver<Arc<WebConfig>>,
    places: Arc<Semaphore>,
    /// Tells the connection that has waited longest that its place is needed.
    needed: Notify,
    stop: CancellationToken,
}

/// Serves `router` on every listener until `stop`, then waits for the requests that are under way, but not for ever.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    web: watch::Receiver<Arc<WebConfig>>,
    stop: CancellationToken,
) {
    let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    let most =
        u32::try_from(descriptors / 2).map_or(MOST_CONNECTIONS, |half| half.clamp(1, MOST_CONNECTIONS));
    let places = Arc::new(Semaphore::new(most as usize));
    let server = Arc::new(Server {
        gate: Gate::new(router, web.clone()),
        web,
        places: places.clone(),
        needed: Notify::new(),
        stop: stop.clone(),
    });
    for listener in listeners {
        tokio::spawn(accept(listener, server.clone()));
    }
    stop.cancelled().await;
    // All places are free when all connections are gone.
    if timeout(DRAIN, places.acquire_many(most)).await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "requests are still under way; they are cut off");
    }
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let mut failing = false;
    loop {
        let (stream, peer) = tokio::select! {
            () = server.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Its own fault.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => continue,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(error = %error, "cannot accept connections");
                    }
                    // There may be too few descriptors for all.
                    server.needed.notify_one();
                    sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            },
        };
        failing = false;
        let mut place = pin!(server.places.clone().acquire_owned());
        let place = loop {
            // Whoever makes room does so long before the pause is over.
            tokio::select! {
                biased;
                place = &mut place => break place,
                () = async {
                    server.needed.notify_one();
                    sleep(MAKE_ROOM_EVERY).await;
                } => {}
            }
        };
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(stream, server).await {
                tracing::debug!(peer = %peer, error = %error, "a connection has failed");
            }
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>) -> io::Result<()> {
    // Else the end of an answer may wait for the other side to acknowledge its beginning.
    stream.set_nodelay(true)?;
    let (life, mut web) = (Life::new(), server.web.clone());
    let tls = web.borrow_and_update().tls.clone();
    let answers = server.answers(&life);
    let Some(tls) = tls else {
        let connection = http_1().serve_connection(TokioIo::new(PlainOrTls::Left(stream)), answers);
        return drive(connection, http1::Connection::graceful_shutdown, &server, web, &life).await;
    };
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
            let mut stream = stream;
            stream.write_all(NOT_TLS).await?;
            return Err(io::Error::other("plain HTTP where TLS is spoken"));
        }
        TlsAcceptor::from(tls).accept(stream).await
    };
    let stream = tokio::select! {
        stream = handshake => stream?,
        () = life.over(&server.needed) => return Err(ErrorKind::TimedOut.into()),
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let connection = http_2().serve_connection(TokioIo::new(stream), answers);
        drive(connection, http2::Connection::graceful_shutdown, &server, web, &life).await
    } else {
        let connection = http_1().serve_connection(TokioIo::new(PlainOrTls::Right(stream)), answers);
        drive(connection, http1::Connection::graceful_shutdown, &server, web, &life).await
    }
}

fn http_1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Whether a request is slow in coming or none comes, the connection's own time tells.
    builder.header_read_timeout(None).max_header_size(LARGEST_HEADER as usize);
    // A client may close its half after the request, and read on.
    builder.half_close(true);
    builder
}

fn http_2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(MOST_STREAMS).max_header_list_size(LARGEST_HEADER);
    builder
}

/// Serves a connection until it ends, or its time is over. Another web configuration, and the end of the exporter, let it answer what it was
/// asked: they `let_go`.
async fn drive<C>(
    connection: C,
    let_go: impl Fn(Pin<&mut C>),
    server: &Server,
    mut web: watch::Receiver<Arc<WebConfig>>,
    life: &Life,
) -> io::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let (mut connection, mut last) = (pin!(connection), None);
    loop {
        let cut_off = async {
            match last {
                Some(since) => sleep_until(since + LET_GO).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut connection => return ended.map_err(io::Error::other),
            () = life.over(&server.needed) => return Err(ErrorKind::TimedOut.into()),
            () = cut_off => return Err(ErrorKind::TimedOut.into()),
            () = server.stop.cancelled(), if last.is_none() => {}
            _ = web.changed(), if last.is_none() => {}
        }
        last = Some(Instant::now());
        let_go(connection.as_mut());
    }
}

impl Server {
    /// What answers the requests of a connection.
    fn answers(
        &self,
        life: &Life,
    ) -> impl HttpService<Incoming, ResBody = Held<Option<UnderWay>>, Error = Infallible, Future: Send> + use<>
    {
        let (gate, life) = (self.gate.clone(), life.clone());
        service_fn(move |request| {
            let answer = gate.call(request, &life);
            async move { Ok(answer.await) }
        })
    }
}

#[cfg(test)]
mod tests;
