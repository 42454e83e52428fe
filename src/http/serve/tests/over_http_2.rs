//! Clients of HTTP/2 that do what no library would let them do.

use tokio::io::{ReadHalf, WriteHalf, split};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames, and what a client says with them (RFC 9113, section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_OF_REQUEST: u8 = 5;
const CONTINUATION: u8 = 9;
const END_OF_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u8 = 4;

/// How the headers of an answer begin whose status is 200: entry 8 of the table.
const OK: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET path`, compressed as little as there is (RFC 7541): entries 2, 6 and 4 of its table.
fn request(stream: u32, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    frame(HEADERS, END_OF_REQUEST, stream, &[&[0x82, 0x86, 0x04, length], path.as_bytes()].concat())
}

struct Client {
    read: ReadHalf<DuplexStream>,
    write: WriteHalf<DuplexStream>,
}

impl Client {
    /// Begins to talk; of each answer it takes no more than `window` bytes.
    async fn begin(stream: DuplexStream, window: u32) -> Self {
        let (read, mut write) = split(stream);
        let window = [&[0, INITIAL_WINDOW_SIZE], &window.to_be_bytes()[..]].concat();
        let settings = frame(SETTINGS, 0, 0, &window);
        write.write_all(&[PREFACE, &settings].concat()).await.unwrap();
        Self { read, write }
    }

    /// Types and first bytes of all frames that come, while something is sent.
    async fn frames(mut self, send: impl AsyncFnOnce(WriteHalf<DuplexStream>)) -> Vec<(u8, u8)> {
        let mut frames = Vec::new();
        let reading = async {
            let mut header = [0; 9];
            while self.read.read_exact(&mut header).await.is_ok() {
                let [_, a, b, kind, ..] = header;
                let mut payload = vec![0; usize::from(u16::from_be_bytes([a, b]))];
                let _ = self.read.read_exact(&mut payload).await;
                frames.push((kind, payload.first().copied().unwrap_or_default()));
            }
        };
        tokio::join!(reading, send(self.write));
        frames
    }
}

/// What has become of a connection whose client takes `window` bytes of each answer and sends something, how long that took, and what came.
async fn served(
    web: watch::Receiver<Arc<WebConfig>>,
    window: u32,
    send: impl AsyncFnOnce(WriteHalf<DuplexStream>),
) -> (Option<ErrorKind>, Duration, Vec<(u8, u8)>) {
    let (server, life, start) = (server(web.clone()), Life::new(), Instant::now());
    let (ours, theirs) = duplex(64 * 1024);
    let connection = http_2().serve_connection(TokioIo::new(ours), server.answers(&life));
    let serving = drive(connection, http2::Connection::graceful_shutdown, &server, web, &life);
    let ended = async { (serving.await.err().map(|error| error.kind()), start.elapsed()) };
    let client = async { Client::begin(theirs, window).await.frames(send).await };
    let ((ended, time), frames) = tokio::join!(ended, client);
    (ended, time, frames)
}

#[tokio::test(start_paused = true)]
async fn who_ignores_that_it_is_let_go_is_cut_off() {
    let (changed, web) = watch::channel(Arc::default());
    let deaf = async |mut write: WriteHalf<DuplexStream>| {
        for number in 0..100 {
            if number == 20 {
                changed.send_replace(Arc::default());
            }
            // It never acknowledges anything.
            if write.write_all(&request(2 * number + 1, "/short")).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (ended, time, frames) = served(web, 1000, deaf).await;
    assert_eq!((ended, time), (Some(ErrorKind::TimedOut), Duration::from_secs(20) + LET_GO));
    let answers = frames.iter().filter(|frame| **frame == (HEADERS, OK)).count();
    assert!(answers > 20, "it is no longer answered: {answers}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_is_given_up_though_others_are_asked_for() {
    let (_sender, web) = watch::channel(Arc::default());
    let stuck = async |mut write: WriteHalf<DuplexStream>| {
        write.write_all(&request(1, "/long")).await.unwrap();
        for number in 1..100 {
            sleep(Duration::from_secs(7)).await;
            if write.write_all(&request(2 * number + 1, "/short")).await.is_err() {
                break;
            }
        }
    };
    let (ended, time, frames) = served(web, 100, stuck).await;
    assert_eq!((ended, time), (Some(ErrorKind::TimedOut), ANSWER));
    let answers = frames.iter().filter(|frame| **frame == (HEADERS, OK)).count();
    assert_eq!(answers, 1 + 17, "the others are answered meanwhile");
}

#[tokio::test(start_paused = true)]
async fn who_only_pings_is_given_up() {
    let (_sender, web) = watch::channel(Arc::default());
    let pinging = async |mut write: WriteHalf<DuplexStream>| {
        for _ in 0..100 {
            if write.write_all(&frame(PING, 0, 0, b"a ping!!")).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(300)).await;
        }
    };
    let (ended, time, _) = served(web, 100, pinging).await;
    assert_eq!((ended, time), (Some(ErrorKind::TimedOut), FIRST_REQUEST));
}

#[tokio::test(start_paused = true)]
async fn more_requests_at_once_than_allowed_are_refused() {
    let (_sender, web) = watch::channel(Arc::default());
    let greedy = async |mut write: WriteHalf<DuplexStream>| {
        for number in 0..20 {
            write.write_all(&request(2 * number + 1, "/slow")).await.unwrap();
        }
        sleep(Duration::from_secs(91)).await;
    };
    let (_, _, frames) = served(web, 100, greedy).await;
    let of = |kind| frames.iter().filter(|frame| frame.0 == kind).count();
    assert_eq!((of(HEADERS), of(RST_STREAM)), (16, 4));
}

#[tokio::test(start_paused = true)]
async fn headers_that_are_too_large_are_refused() {
    let (_sender, web) = watch::channel(Arc::default());
    let talkative = async |mut write: WriteHalf<DuplexStream>| {
        // How many bytes there are of `a`, and that number: seven bits, then what is left, seven by seven.
        let (few, many): (&[u8], &[u8]) = (&[127, 0x91, 0x4d], &[127, 0xa1, 0x9b, 1]);
        for (stream, most, length) in [(1, 10_000, few), (3, 20_000, many)] {
            let header = [&[0, 1, b'a'], length, &vec![b'x'; most]].concat();
            let mut request = request(stream, "/short");
            // Its headers go on in another frame.
            request[4] = 1;
            write.write_all(&request).await.unwrap();
            let (some, rest) = header.split_at(header.len() / 2);
            write.write_all(&frame(CONTINUATION, 0, stream, some)).await.unwrap();
            write.write_all(&frame(CONTINUATION, END_OF_HEADERS, stream, rest)).await.unwrap();
            sleep(SOON).await;
        }
    };
    let (_, _, frames) = served(web, 100, talkative).await;
    let mut answers = frames.iter().filter(|(kind, _)| *kind == HEADERS).map(|(_, first)| *first == OK);
    assert_eq!((answers.next(), answers.next()), (Some(true), Some(false)), "{frames:?}");
}
