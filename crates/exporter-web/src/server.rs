//! The HTTP/1.1 server: TLS, per-connection timeouts, graceful shutdown.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::config::WebConfig;
use crate::middleware::Middleware;
pub use crate::middleware::ServeOptions;
use crate::timeouts::Timeouts;
use crate::watcher::WebConfigWatcher;

/// Maximum number of connections of all listeners, or half of the limit of open files if less.
///
/// The rest is for the application. A further connection evicts the longest idle one.
const MAX_CONNECTIONS: u32 = 512;

/// Interval between attempts to evict an idle connection.
const EVICT_INTERVAL: Duration = Duration::from_millis(1);

/// Timeout of responses in progress at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of responses in progress after a change: their clients may have lost access.
const WEB_CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Interval after an error of a listener, such as too many open files.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

const MAX_HEADER_BYTES: usize = 16 * 1024;

/// First byte of every TLS handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Response to plain HTTP on a TLS port, as that of Go.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

#[derive(Debug)]
struct Server {
    middleware: Middleware,
    web: watch::Receiver<Arc<WebConfig>>,
    connections: Arc<Semaphore>,
    /// Closes the connection that has waited longest, if it is idle.
    evict: Notify,
    shutdown: CancellationToken,
}

/// Serves `router` on every listener until `shutdown`.
///
/// Then it waits up to five seconds for responses in progress. Bodies of requests are discarded.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    watcher: WebConfigWatcher,
    options: ServeOptions,
    shutdown: CancellationToken,
) {
    let open_files = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    let max_connections =
        u32::try_from(open_files / 2).map_or(MAX_CONNECTIONS, |half| half.clamp(1, MAX_CONNECTIONS));
    let connections = Arc::new(Semaphore::new(max_connections as usize));
    let server = Arc::new(Server {
        middleware: Middleware::new(router, options),
        web: watcher.subscribe(),
        connections: connections.clone(),
        evict: Notify::new(),
        shutdown: shutdown.clone(),
    });
    for listener in listeners {
        tokio::spawn(accept(listener, server.clone()));
    }
    shutdown.cancelled().await;
    // All permits are available when all connections have ended.
    if timeout(SHUTDOWN_TIMEOUT, connections.acquire_many(max_connections)).await.is_err() {
        tracing::warn!(seconds = SHUTDOWN_TIMEOUT.as_secs(), "requests are still in progress; closing them");
    }
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            () = server.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The client has aborted the connection.
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
                    continue;
                }
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(error = %error, "failed to accept connections");
                }
                // For example, too many open files.
                server.evict.notify_one();
                sleep(ACCEPT_RETRY_INTERVAL).await;
                continue;
            }
        };
        is_failing = false;
        let permit = server.connection_permit().await;
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = server.serve_connection(stream).await {
                tracing::debug!(peer = %peer, error = %error, "connection failed");
            }
            drop(permit);
        });
    }
}

impl Server {
    async fn connection_permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.connections.clone().try_acquire_owned() {
            return Some(permit);
        }
        let mut permit = pin!(self.connections.clone().acquire_owned());
        loop {
            self.evict.notify_one();
            if let Ok(permit) = timeout(EVICT_INTERVAL, &mut permit).await {
                return permit.ok();
            }
        }
    }

    async fn serve_connection(&self, stream: TcpStream) -> io::Result<()> {
        // Nagle's algorithm would delay the end of a response until its beginning is acknowledged.
        stream.set_nodelay(true)?;
        let (timeouts, mut web) = (Timeouts::new(), self.web.clone());
        let tls = web.borrow_and_update().tls.clone();
        let stream = match tls {
            None => Either::Left(stream),
            Some(tls) => tokio::select! {
                stream = accept_tls(stream, TlsAcceptor::from(tls)) => Either::Right(stream?),
                () = timeouts.expired(&self.evict) => return Err(ErrorKind::TimedOut.into()),
            },
        };
        self.serve_http(TokioIo::new(stream), web, &timeouts).await
    }

    /// Serves requests until the connection ends or times out.
    ///
    /// After a change of the web configuration, and at shutdown, only the response in progress is
    /// completed.
    async fn serve_http(
        &self,
        stream: impl hyper::rt::Read + hyper::rt::Write + Unpin,
        mut web: watch::Receiver<Arc<WebConfig>>,
        timeouts: &Timeouts,
    ) -> io::Result<()> {
        let mut builder = http1::Builder::new();
        // Timeouts::expired covers reading the header, too.
        builder.header_read_timeout(None).max_header_size(MAX_HEADER_BYTES);
        // A client can close its half after the request and still read the response.
        builder.half_close(true);
        let service = service_fn(async |request| {
            let config = self.web.borrow().clone();
            Ok::<_, Infallible>(self.middleware.call(request, &config, timeouts).await)
        });
        let mut connection = pin!(builder.serve_connection(stream, service));
        tokio::select! {
            ended = &mut connection => return ended.map_err(io::Error::other),
            () = timeouts.expired(&self.evict) => return Err(ErrorKind::TimedOut.into()),
            () = self.shutdown.cancelled() => {}
            _ = web.changed() => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => ended.map_err(io::Error::other),
            () = timeouts.expired(&self.evict) => Err(ErrorKind::TimedOut.into()),
            () = sleep(WEB_CHANGE_TIMEOUT) => Err(ErrorKind::TimedOut.into()),
        }
    }
}

async fn accept_tls(mut stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [TLS_HANDSHAKE] {
        stream.write_all(NOT_TLS).await?;
        return Err(io::Error::other("plain HTTP where TLS is expected"));
    }
    acceptor.accept(stream).await
}

#[cfg(test)]
mod tests;
