//! A mail server that keeps the mails which it gets.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

/// Mail with two alternative parts.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Mail {
    fn parse(message: &str) -> Self {
        let (head, body) = message.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| {
            let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_else(|| panic!("no {name}: {head}")).to_owned()
        };
        let kind = header("Content-Type");
        let boundary = kind.strip_prefix("multipart/alternative;").unwrap().trim();
        let boundary = boundary.strip_prefix("boundary=").unwrap().trim_matches('"');
        let part = |kind: &str| {
            let part = body.split(&format!("--{boundary}")).find(|part| part.contains(kind)).unwrap();
            let (head, body) = part.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("quoted-printable"), "{head}");
            decoded(body).replace("\r\n", "\n")
        };
        let (text, html) = (part("text/plain; charset=UTF-8"), part("text/html; charset=UTF-8"));
        Self { to: header("To"), subject: header("Subject"), text, html }
    }
}

fn decoded(text: &str) -> String {
    let text = text.replace("=\r\n", "");
    let mut pieces = text.split('=');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

/// Starts a mail server without TLS and authentication; returns its host and port, and its mails.
pub(crate) async fn receive() -> (String, Arc<Mutex<Vec<Mail>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mails = Arc::<Mutex<Vec<Mail>>>::default();
    let kept = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                // Alertmanager may hang up at any time.
                if let Ok(mail) = session(stream).await {
                    kept.lock().unwrap().push(mail);
                }
            });
        }
    });
    (address, mails)
}

async fn session(stream: TcpStream) -> std::io::Result<Mail> {
    let mut stream = BufStream::new(stream);
    let mut answer = "220 ready";
    loop {
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        stream.flush().await?;
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer = if line.starts_with("DATA") { break } else { "250 ok" };
    }
    stream.write_all(b"354 continue\r\n").await?;
    stream.flush().await?;
    let mut message = String::new();
    while !message.ends_with("\r\n.\r\n") {
        if stream.read_line(&mut message).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    stream.write_all(b"250 ok\r\n").await?;
    stream.flush().await?;
    let mail = Mail::parse(message.strip_suffix(".\r\n").unwrap());
    let mut quit = String::new();
    stream.read_line(&mut quit).await?;
    stream.write_all(b"221 bye\r\n").await?;
    stream.flush().await?;
    Ok(mail)
}
