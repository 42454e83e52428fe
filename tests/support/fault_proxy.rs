//! Proxy between the exporter and the simulator that injects network and HTTP faults.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atlas_simulator::Simulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::io::InspectReader;

/// Maximum size of the head of a request, and of a TLS client hello.
const MAX_HEAD: usize = 64 * 1024;

/// Step of a scripted response.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// So many bytes of white space.
    Spaces(usize),
    /// Byte by byte, with a pause before each.
    Drip(Vec<u8>, Duration),
    Wait(Duration),
    /// Resets the connection. Otherwise it is closed after the last step.
    Reset,
}

/// Step that sends text or bytes.
pub(crate) fn send(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Send(bytes.into())
}

/// A wait that is longer than any test.
pub(crate) const FOREVER: Step = Step::Wait(Duration::from_hours(1));

/// Behavior of the proxy for every connection.
#[derive(Clone)]
pub(crate) enum ProxyMode {
    /// Forwards plain HTTP, one request per connection; scripts may respond instead.
    Plain,
    /// Terminates TLS and forwards the rest.
    Tls(Arc<rustls::ServerConfig>),
    /// Responds to the first bytes of the client, whatever they are.
    Respond(Vec<Step>),
    /// Responds before it reads anything.
    RespondFirst(Vec<Step>),
    /// Opens the tunnels that clients request with `CONNECT`.
    Tunnel,
    /// Refuses connections, as no socket listens.
    Refuse,
    /// Never accepts connections, as the backlog of the listener is full.
    FullBacklog,
}

/// Response to a request, made from its head instead of by the simulator.
pub(crate) type Script = Arc<dyn Fn(&str) -> Vec<Step> + Send + Sync>;

#[derive(Default)]
struct Shared {
    /// Scripts by a part of the first line of a request.
    scripts: Mutex<Vec<(String, Script)>>,
    accepted: AtomicUsize,
    /// All unencrypted bytes received from clients.
    received: Mutex<Vec<u8>>,
}

impl Shared {
    fn record(&self, bytes: &[u8]) {
        self.received.lock().unwrap().extend_from_slice(bytes);
    }
}

pub(crate) struct FaultProxy {
    address: SocketAddr,
    upstream: SocketAddr,
    shared: Arc<Shared>,
    /// Bound socket that reserves the port while the proxy refuses connections.
    _reserved: TcpSocket,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl FaultProxy {
    pub(crate) async fn start(simulator: &Simulator, mode: ProxyMode) -> Self {
        Self::start_at(simulator.url(), mode).await
    }

    /// Starts a proxy in front of any server, such as another proxy.
    pub(crate) async fn start_at(upstream: &str, mode: ProxyMode) -> Self {
        let upstream = upstream.strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap();
        let reserved = bound("127.0.0.1:0".parse().unwrap());
        let address = reserved.local_addr().unwrap();
        let proxy = Self {
            address,
            upstream,
            shared: Arc::default(),
            _reserved: reserved,
            serving: Mutex::default(),
        };
        proxy.set_mode(mode).await;
        proxy
    }

    pub(crate) fn plain_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns a URL with a host name, which certificates can be valid for.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Returns the number of connections since the mode was set.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Returns the unencrypted bytes from clients and everything in tunnels.
    pub(crate) fn received(&self) -> String {
        String::from_utf8_lossy(&self.shared.received.lock().unwrap()).into_owned()
    }

    /// Closes all connections and changes the treatment of later ones.
    pub(crate) async fn set_mode(&self, mode: ProxyMode) {
        let before = self.serving.lock().unwrap().take();
        if let Some(before) = before {
            before.abort();
            let _ = before.await;
        }
        self.shared.accepted.store(0, Ordering::Relaxed);
        let socket = bound(self.address);
        let (upstream, shared) = (self.upstream, self.shared.clone());
        let serving = match mode {
            ProxyMode::Refuse => return,
            ProxyMode::FullBacklog => {
                let listener = socket.listen(1).unwrap();
                let filled = fill(self.address).await;
                tokio::spawn(async move {
                    let _full = (listener, filled);
                    std::future::pending::<()>().await;
                })
            }
            mode => tokio::spawn(serve(socket.listen(1024).unwrap(), mode, upstream, shared)),
        };
        *self.serving.lock().unwrap() = Some(serving);
    }

    /// Sets or removes the script for requests whose first line contains `part`.
    pub(crate) fn respond(&self, part: &str, script: Option<Script>) {
        let mut scripts = self.shared.scripts.lock().unwrap();
        scripts.retain(|(known, _)| known != part);
        scripts.extend(script.map(|script| (part.to_owned(), script)));
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.get_mut().unwrap().take() {
            serving.abort();
        }
    }
}

/// Binds with `SO_REUSEPORT`: with `SO_REUSEADDR`, the kernel could give the port to other sockets.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Connects until the backlog is full.
async fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut filled = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        filled.push(stream);
        assert!(filled.len() < 100, "the backlog does not fill up");
    }
    filled
}

async fn serve(listener: TcpListener, mode: ProxyMode, upstream: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_nodelay(true);
        let (mode, shared) = (mode.clone(), shared.clone());
        connections.spawn(async move {
            // Clients that disconnect are expected.
            let _ = connection(stream, mode, upstream, &shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    mut stream: TcpStream,
    mode: ProxyMode,
    upstream: SocketAddr,
    shared: &Shared,
) -> std::io::Result<()> {
    match mode {
        ProxyMode::RespondFirst(steps) => play(stream, steps).await,
        ProxyMode::Respond(steps) => {
            let mut hello = vec![0; MAX_HEAD];
            let length = stream.read(&mut hello).await?;
            shared.record(&hello[..length]);
            play(stream, steps).await
        }
        ProxyMode::Tls(config) => {
            let mut stream = tokio_rustls::TlsAcceptor::from(config).accept(stream).await?;
            let mut upstream = TcpStream::connect(upstream).await?;
            copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
        }
        ProxyMode::Tunnel => {
            let head = head(&mut stream).await?;
            shared.record(&head);
            let head = String::from_utf8_lossy(&head);
            let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
            let mut to = TcpStream::connect(to.unwrap_or_default()).await?;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            let mut stream = InspectReader::new(stream, |bytes: &[u8]| shared.record(bytes));
            copy_bidirectional(&mut stream, &mut to).await.map(drop)
        }
        ProxyMode::Plain | ProxyMode::Refuse | ProxyMode::FullBacklog => {
            let head = head(&mut stream).await?;
            let text = String::from_utf8_lossy(&head).into_owned();
            let line = text.lines().next().unwrap_or_default();
            let script = {
                let scripts = shared.scripts.lock().unwrap();
                scripts.iter().find(|(part, _)| line.contains(part)).map(|(_, script)| script.clone())
            };
            if let Some(script) = script {
                return play(stream, script(&text)).await;
            }
            let mut upstream = TcpStream::connect(upstream).await?;
            let end = line.len() + 2;
            upstream.write_all(&[&head[..end], b"connection: close\r\n", &head[end..]].concat()).await?;
            copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
        }
    }
}

/// Reads the head of a request, and what of its body came with it.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > MAX_HEAD {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
    Ok(head)
}

async fn play(mut stream: TcpStream, steps: Vec<Step>) -> std::io::Result<()> {
    for step in steps {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes).await?,
            Step::Spaces(count) => {
                copy(&mut tokio::io::repeat(b' ').take(count as u64), &mut stream).await?;
            }
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    tokio::time::sleep(pause).await;
                    stream.write_all(&[byte]).await?;
                }
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Reset => return stream.set_zero_linger(),
        }
    }
    stream.shutdown().await?;
    // Closing a socket with unread data would reset the connection and discard the response.
    let _ = tokio::time::timeout(Duration::from_secs(1), copy(&mut stream, &mut sink())).await;
    Ok(())
}
