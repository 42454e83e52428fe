//! Listening sockets: addresses as Prometheus writes them, and sockets of systemd.

use std::io;

use tokio::net::TcpListener;

/// Maximum of `LISTEN_FDS`: each number takes memory, whether it is a socket or not.
const MAX_SOCKETS: u64 = 1000;

/// Parses an address to listen on, `host:port` or `:port`.
pub fn parse_address(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "expected host:port or :port, with an IPv6 address in brackets";
    let (host, port) = text.rsplit_once(':').ok_or(EXPECTED)?;
    port.parse::<u16>().map_err(|_| "expected a port from 0 to 65535")?;
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(EXPECTED);
    }
    Ok(text.to_owned())
}

/// Listens on `host:port` or `:port`.
///
/// Without a host, it listens on all addresses of IPv4 and IPv6, or of IPv4 if IPv6 is off.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    if !address.starts_with(':') {
        return TcpListener::bind(address).await;
    }
    match TcpListener::bind(format!("[::]{address}")).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(format!("0.0.0.0{address}")).await
        }
        bound => bound,
    }
}

/// Takes the sockets that systemd passes to this process; see `sd_listen_fds(3)`.
pub fn from_systemd() -> io::Result<Vec<TcpListener>> {
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<u64>().ok());
    if count.is_some_and(|count| count > MAX_SOCKETS) {
        return Err(io::Error::other(format!("LISTEN_FDS names more than {MAX_SOCKETS} sockets")));
    }
    let mut passed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let socket = passed.take_tcp_listener(index).map_err(|error| {
            io::Error::other(format!("socket {index} of systemd is not a listening TCP socket: {error}"))
        })?;
        let Some(socket) = socket else { continue };
        socket.set_nonblocking(true)?;
        listeners.push(TcpListener::from_std(socket)?);
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_those_of_prometheus() {
        for text in [":10027", "127.0.0.1:0", "localhost:9", "[::1]:8080"] {
            assert_eq!(parse_address(text).unwrap(), text);
        }
        for text in ["", "10027", "::1:80", "host:", "host:http", ":65536"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }
}
