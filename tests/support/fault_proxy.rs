//! What stands between the exporter and the simulator, and may misbehave as networks and their boxes do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atlas_simulator::Simulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::io::InspectReader;

/// Heads of requests are shorter, and so is a client's hello.
const LONGEST_HEAD: usize = 64 * 1024;

/// What is sent besides answers.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// So much white space.
    Spaces(usize),
    /// Byte by byte, with a pause before each.
    Drip(Vec<u8>, Duration),
    Wait(Duration),
    /// The connection is torn down, where it would otherwise be closed in order.
    Reset,
}

/// Until the test has ended.
pub(crate) const FOR_EVER: Step = Step::Wait(Duration::from_hours(1));

/// What happens to connections.
#[derive(Clone)]
pub(crate) enum Way {
    /// Plain HTTP; each request on a connection of its own, so that those that scripts answer can be told apart.
    Plain,
    /// TLS that ends here.
    Tls(Arc<rustls::ServerConfig>),
    /// Whatever the client says first, this is the answer.
    Say(Vec<Step>),
    /// Whatever the client would say, this happens first.
    Begin(Vec<Step>),
    /// `CONNECT`, as a proxy answers it.
    Tunnel,
    /// Nobody listens.
    Refuse,
    /// The queue of the listener is full and stays so.
    Deaf,
}

/// What answers a request instead of the simulator, from its head.
pub(crate) type Script = Arc<dyn Fn(&str) -> Vec<Step> + Send + Sync>;

#[derive(Default)]
struct Shared {
    /// By a part of the request's first line.
    scripts: Mutex<Vec<(String, Script)>>,
    accepted: AtomicUsize,
    /// What clients said, as far as it was looked at.
    heard: Mutex<Vec<u8>>,
}

impl Shared {
    fn hear(&self, said: &[u8]) {
        self.heard.lock().unwrap().extend_from_slice(said);
    }
}

pub(crate) struct FaultProxy {
    address: SocketAddr,
    upstream: SocketAddr,
    shared: Arc<Shared>,
    /// A socket that is bound keeps the port from others while nobody listens.
    _keeper: TcpSocket,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl FaultProxy {
    pub(crate) async fn before(simulator: &Simulator, way: Way) -> Self {
        Self::at(simulator.url(), way).await
    }

    /// Before another front, or whatever is at that URL.
    pub(crate) async fn at(upstream: &str, way: Way) -> Self {
        let upstream = upstream.strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap();
        let keeper = bound("127.0.0.1:0".parse().unwrap());
        let address = keeper.local_addr().unwrap();
        let front =
            Self { address, upstream, shared: Arc::default(), _keeper: keeper, serving: Mutex::default() };
        front.set(way).await;
        front
    }

    pub(crate) fn plain_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The name is one that certificates can be for.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Connections since the last time that the way was set.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// All that was heard in clear, and what went through tunnels.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.shared.heard.lock().unwrap()).into_owned()
    }

    /// Cuts every connection, and treats later ones so.
    pub(crate) async fn set(&self, way: Way) {
        let before = self.serving.lock().unwrap().take();
        if let Some(before) = before {
            before.abort();
            let _ = before.await;
        }
        self.shared.accepted.store(0, Ordering::Relaxed);
        let socket = bound(self.address);
        let (upstream, shared) = (self.upstream, self.shared.clone());
        let serving = match way {
            Way::Refuse => return,
            Way::Deaf => {
                let listener = socket.listen(1).unwrap();
                let filled = fill(self.address).await;
                tokio::spawn(async move {
                    let _full = (listener, filled);
                    std::future::pending::<()>().await;
                })
            }
            way => tokio::spawn(serve(socket.listen(1024).unwrap(), way, upstream, shared)),
        };
        *self.serving.lock().unwrap() = Some(serving);
    }

    /// Has `script` answer requests whose first line contains `part`, instead of those that did before.
    pub(crate) fn answer(&self, part: &str, script: Option<Script>) {
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

/// Ports are shared among these sockets alone: with `SO_REUSEADDR`, whoever asks for any port might be given one of them.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Connects until nobody is let in any more.
async fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut filled = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        filled.push(stream);
        assert!(filled.len() < 100, "the queue of the listener has no end");
    }
    filled
}

async fn serve(listener: TcpListener, way: Way, upstream: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_nodelay(true);
        let (way, shared) = (way.clone(), shared.clone());
        connections.spawn(async move {
            // What fails here is what the exporter is to cope with.
            let _ = connection(stream, way, upstream, &shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    mut stream: TcpStream,
    way: Way,
    upstream: SocketAddr,
    shared: &Shared,
) -> std::io::Result<()> {
    match way {
        Way::Begin(steps) => play(stream, steps).await,
        Way::Say(steps) => {
            let mut hello = vec![0; LONGEST_HEAD];
            let length = stream.read(&mut hello).await?;
            shared.hear(&hello[..length]);
            play(stream, steps).await
        }
        Way::Tls(config) => {
            let mut stream = tokio_rustls::TlsAcceptor::from(config).accept(stream).await?;
            let mut upstream = TcpStream::connect(upstream).await?;
            copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
        }
        Way::Tunnel => {
            let head = head(&mut stream).await?;
            shared.hear(&head);
            let head = String::from_utf8_lossy(&head);
            let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
            let mut to = TcpStream::connect(to.unwrap_or_default()).await?;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            let mut stream = InspectReader::new(stream, |said: &[u8]| shared.hear(said));
            copy_bidirectional(&mut stream, &mut to).await.map(drop)
        }
        Way::Plain | Way::Refuse | Way::Deaf => {
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

/// The head of a request, and whatever of its body came with it.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > LONGEST_HEAD {
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
    // What the client still says is read: to close before would tear the connection down, and with it what was just sent.
    let _ = tokio::time::timeout(Duration::from_secs(1), copy(&mut stream, &mut sink())).await;
    Ok(())
}
