//! Ports for processes that tests and benchmarks start.

/// Returns a free port for a process that is started later. Ports of outgoing connections are above
/// this range, so that none of them takes it in the meantime.
pub(crate) fn free_port() -> u16 {
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..100).map(|_| fastrand::u16(10_000..30_000)).find(is_free).expect("a free port")
}
