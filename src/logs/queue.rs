//! The queue of the log. A pipe that is not read blocks only the thread that writes.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum size of the queue in bytes; further lines are dropped.
const MAX_BYTES: usize = 1024 * 1024;

/// Stack of the thread in bytes. `RUST_MIN_STACK` could request more than is available.
const STACK_BYTES: usize = 256 * 1024;

/// Interval between attempts to write to a full pipe that does not block.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Interval at which a flush checks whether all lines are written.
const FLUSH_INTERVAL: Duration = Duration::from_millis(2);

/// Lines to write to standard error; clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    lines: Sender<Vec<u8>>,
    /// Size in bytes of the lines that are not written yet.
    waiting: Arc<AtomicUsize>,
    /// Number of lines that were dropped.
    pub(crate) dropped: Arc<AtomicU64>,
    /// Number of dropped lines that were reported.
    reported: Arc<AtomicU64>,
}

impl Queue {
    /// Starts the thread that writes to `out`.
    pub(crate) fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, lines) = mpsc::channel::<Vec<u8>>();
        let queue = Self {
            lines: sender,
            waiting: Arc::default(),
            dropped: Arc::default(),
            reported: Arc::default(),
        };
        let (waiting, dropped) = (queue.waiting.clone(), queue.dropped.clone());
        let thread = thread::Builder::new().name("log".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(move || {
            for line in lines {
                if write_all(&mut out, &line).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
                waiting.fetch_sub(line.len(), Ordering::Release);
            }
        })?;
        Ok(queue)
    }

    /// Adds a line; if the queue is full, drops and counts it.
    pub(crate) fn push(&self, line: &[u8]) {
        let before = self.waiting.fetch_add(line.len(), Ordering::Relaxed);
        if before + line.len() > MAX_BYTES || self.lines.send(line.to_vec()).is_err() {
            self.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Logs the number of lines dropped since the previous report.
    pub(crate) fn report(&self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        // The report itself must not be dropped.
        if self.waiting.load(Ordering::Relaxed) < MAX_BYTES / 2 {
            let lines = dropped.saturating_sub(self.reported.fetch_max(dropped, Ordering::Relaxed));
            if lines > 0 {
                tracing::warn!("dropped {lines} log lines");
            }
        }
    }

    /// Waits until all lines are written, or until the timeout.
    pub(crate) fn wait_until_written(&self, timeout: Duration) {
        let start = Instant::now();
        while self.waiting.load(Ordering::Acquire) > 0 && start.elapsed() < timeout {
            thread::sleep(FLUSH_INTERVAL);
        }
    }
}

/// Writes all bytes; waits for a full pipe that does not block.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_INTERVAL),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

    type Outcomes = mpsc::Sender<io::Result<()>>;
    type Taken = Arc<Mutex<Vec<u8>>>;

    /// A pipe whose writes wait for an outcome; it succeeds once the sender is gone.
    struct Pipe {
        outcomes: mpsc::Receiver<io::Result<()>>,
        taken: Taken,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.outcomes.recv().unwrap_or(Ok(()))?;
            self.taken.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (Queue, Outcomes, Taken) {
        let ((sender, outcomes), taken) = (mpsc::channel(), Taken::default());
        let pipe = Pipe { outcomes, taken: taken.clone() };
        (Queue::start(pipe).unwrap(), sender, taken)
    }

    #[test]
    fn full_queue_drops_and_counts_lines() {
        let (queue, sender, taken) = queue();
        let line = [b"x".repeat(1023).as_slice(), b"\n"].concat();
        for _ in 0..2000 {
            queue.push(&line);
        }
        let dropped = queue.dropped.load(Ordering::Relaxed);
        assert_eq!(dropped, 2000 - 1024);
        let start = Instant::now();
        queue.wait_until_written(Duration::from_millis(50));
        assert!(start.elapsed() < WRITE_TIMEOUT, "the flush has a timeout");
        drop(sender);
        queue.wait_until_written(WRITE_TIMEOUT);
        assert_eq!(taken.lock().unwrap().len() as u64, (2000 - dropped) * 1024);
    }

    #[test]
    fn failed_write_is_counted_and_the_next_line_written() {
        let (queue, sender, taken) = queue();
        for outcome in [Err(ErrorKind::BrokenPipe.into()), Err(ErrorKind::WouldBlock.into()), Ok(())] {
            sender.send(outcome).unwrap();
        }
        for line in ["lost\n", "late\n"] {
            queue.push(line.as_bytes());
            queue.wait_until_written(WRITE_TIMEOUT);
        }
        assert_eq!((queue.dropped.load(Ordering::Relaxed), &taken.lock().unwrap()[..]), (1, &b"late\n"[..]));
    }
}
