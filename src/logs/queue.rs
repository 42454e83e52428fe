//! The queue of the log. A pipe that is not read blocks the thread that writes, and no other.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum bytes that wait to be written; further lines are dropped.
const MAX_BYTES: usize = 1024 * 1024;

/// Maximum bytes of one write.
const CHUNK: usize = 16 * 1024;

/// Minimum stack of the thread. It is set, since the variable `RUST_MIN_STACK` could ask for more than there is.
const STACK: usize = 256 * 1024;

/// Pause before another attempt, where standard error does not block and is full.
const FULL_PAUSE: Duration = Duration::from_millis(20);

const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// The lines that wait for standard error; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<u8>,
    /// Whether the thread has lines that are not written yet.
    writing: bool,
}

impl Queue {
    /// Starts the thread that writes to `out`. It calls `report` once a minute.
    pub(crate) fn start(
        out: impl Write + Send + 'static,
        report: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self::default();
        let shared = queue.0.clone();
        let thread = thread::Builder::new().name("log".to_owned()).stack_size(STACK);
        thread.spawn(move || shared.write_to(out, report))?;
        Ok(queue)
    }

    /// The counter of lines that were dropped.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        self.0.dropped.clone()
    }

    /// Adds whole lines, or counts them as dropped where there is no room.
    pub(crate) fn push(&self, lines: &[u8]) {
        let mut state = self.0.state();
        if state.waiting.len() + lines.len() > MAX_BYTES {
            self.0.drop_lines(lines);
        } else {
            state.waiting.extend(lines);
            self.0.changed.notify_all();
        }
    }

    /// Waits until everything is written, at most for `timeout`.
    pub(crate) fn flush(&self, timeout: Duration) {
        let is_busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.0.state(), timeout, is_busy);
        drop(waited);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_lines(&self, lines: &[u8]) {
        let count = lines.iter().map(|byte| u64::from(*byte == b'\n')).sum();
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    fn write_to(&self, mut out: impl Write, report: impl Fn()) {
        let (mut chunk, mut noted, mut reported) = (Vec::with_capacity(CHUNK), 0, Instant::now());
        loop {
            let is_idle = |state: &mut State| state.waiting.is_empty();
            let waited = self.changed.wait_timeout_while(self.state(), REPORT_INTERVAL, is_idle);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            chunk.clear();
            let bytes = state.waiting.len().min(CHUNK);
            chunk.extend(state.waiting.drain(..bytes));
            if state.waiting.is_empty() {
                state.waiting.shrink_to(CHUNK);
            }
            // A line about those that were dropped should not be dropped itself.
            let has_room = state.waiting.len() < MAX_BYTES / 2;
            state.writing = true;
            drop(state);
            if write_all(&mut out, &chunk).is_err() {
                self.drop_lines(&chunk);
            } else if has_room {
                let dropped = self.dropped.load(Ordering::Relaxed);
                if dropped > noted {
                    tracing::warn!("dropped {} log lines", dropped - noted);
                }
                noted = dropped;
            }
            if reported.elapsed() >= REPORT_INTERVAL {
                reported = Instant::now();
                report();
            }
            self.state().writing = false;
            self.changed.notify_all();
        }
    }
}

/// [`Write::write_all`], but waits where a pipe that does not block is full.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    type Gate = mpsc::Sender<io::Result<()>>;
    type Taken = Arc<Mutex<Vec<u8>>>;

    /// Takes what is written once it is let go, or fails.
    struct Pipe {
        gate: mpsc::Receiver<io::Result<()>>,
        taken: Taken,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.gate.recv().unwrap_or(Ok(()))?;
            self.taken.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (Queue, Gate, Taken) {
        let ((open, gate), taken) = (mpsc::channel(), Taken::default());
        let pipe = Pipe { gate, taken: taken.clone() };
        (Queue::start(pipe, || ()).unwrap(), open, taken)
    }

    #[test]
    fn full_queue_drops_and_counts_lines() {
        let (queue, gate, taken) = queue();
        let line = [b"x".repeat(1023).as_slice(), b"\n"].concat();
        for _ in 0..2000 {
            queue.push(&line);
        }
        let dropped = queue.dropped().load(Ordering::Relaxed);
        // The thread holds one chunk at most.
        assert!((2000 - 1024 - 16..=2000 - 1024).contains(&dropped), "{dropped}");
        let start = Instant::now();
        queue.flush(Duration::from_millis(50));
        assert!(start.elapsed() < PATIENCE, "a flush has an end");
        drop(gate);
        queue.flush(PATIENCE);
        assert_eq!(taken.lock().unwrap().len() as u64, (2000 - dropped) * 1024);
    }

    #[test]
    fn failed_write_is_counted_and_the_next_one_tried() {
        let (queue, gate, taken) = queue();
        for outcome in [Err(ErrorKind::BrokenPipe.into()), Err(ErrorKind::WouldBlock.into()), Ok(())] {
            gate.send(outcome).unwrap();
        }
        for line in ["lost\n", "late\n"] {
            queue.push(line.as_bytes());
            queue.flush(PATIENCE);
        }
        assert_eq!(
            (queue.dropped().load(Ordering::Relaxed), &taken.lock().unwrap()[..]),
            (1, &b"late\n"[..])
        );
    }
}
