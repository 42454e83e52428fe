//! The log on standard error, one line for each event.

mod limit;
mod queue;

use std::fmt::{self, Debug, Write as _};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use atlas_client::redact;
use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::LogFormat;
use limit::Limiter;
use queue::Queue;

/// Maximum size of a line in bytes, apart from its last keys.
const MAX_LINE: usize = 8 * 1024;

/// Maximum size of a value in bytes.
const MAX_VALUE: usize = 2 * 1024;

/// End of a truncated value.
const ELLIPSIS: &str = "...";

/// Maximum time that each of the two steps of a flush waits for standard error.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval between reports of suppressed and dropped lines.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

#[derive(Debug, Clone)]
pub(crate) struct Logs {
    queue: Queue,
    limiter: Limiter,
    format: LogFormat,
}

impl Logs {
    /// Returns the counter of dropped lines.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        self.queue.dropped.clone()
    }

    /// Writes a line of plain text.
    pub(crate) fn print(&self, line: &str) {
        self.queue.push(format!("{}\n", redact::secrets(line)).as_bytes());
    }

    /// Logs once a minute how many lines were suppressed or dropped.
    pub(crate) async fn report_regularly(self) {
        loop {
            tokio::time::sleep(REPORT_INTERVAL).await;
            self.report();
        }
    }

    fn report(&self) {
        self.limiter.report();
        self.queue.report();
    }

    /// Waits until the log is written, or until the timeout.
    pub(crate) fn flush(&self) {
        // The report needs space in the queue.
        self.queue.wait_until_written(FLUSH_TIMEOUT);
        self.report();
        self.queue.wait_until_written(FLUSH_TIMEOUT);
    }
}

impl<S: Subscriber> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.queue.push(line(self.format, event).as_bytes());
    }
}

/// Starts the log, and a panic hook that logs each panic and ends the process.
///
/// If only the task of a panic ended, the exporter would keep serving values that are out of date.
pub(crate) fn init(filter: Targets, format: LogFormat) -> io::Result<Logs> {
    let logs = Logs { queue: Queue::start(io::stderr())?, limiter: Limiter::default(), format };
    tracing_subscriber::registry().with(filter).with(logs.limiter.clone()).with(logs.clone()).init();
    let log = logs.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(location, error = text, "panic; please report this bug");
        log.flush();
        std::process::exit(1);
    }));
    Ok(logs)
}

/// Formats an event as logfmt (`ts=... level=... msg=... key=value`) or as a JSON object.
///
/// In logfmt, values are quoted as JSON strings where Go's parsers need it. `tracing-logfmt`
/// escapes as Rust does, and `\'` and `\u{7}` are errors for those parsers. The JSON of
/// `tracing-subscriber` has no maximum length.
fn line(format: LogFormat, event: &Event<'_>) -> String {
    let (level, target, now) = (event.metadata().level(), event.metadata().target(), Timestamp::now());
    let text = match format {
        LogFormat::Logfmt => format!("ts={now:.3} level={}", level.as_str().to_lowercase()),
        LogFormat::Json => format!("{{\"timestamp\":\"{now:.6}\",\"level\":\"{level}\""),
    };
    let mut line = Line { format, text };
    event.record(&mut line);
    match format {
        LogFormat::Logfmt => line.text + "\n",
        LogFormat::Json => format!("{},\"target\":\"{target}\"}}\n", line.text),
    }
}

struct Line {
    format: LogFormat,
    text: String,
}

impl Line {
    /// Adds a text, redacted, without invisible characters, and truncated if it is too long.
    ///
    /// Texts from outside are redacted where they enter; this is a second line of defense.
    fn push(&mut self, field: &Field, value: &str) {
        let max = MAX_VALUE.min(MAX_LINE.saturating_sub(self.text.len()));
        let value = cut(&redact::secrets(value), max);
        let bare = !value.is_empty()
            && value.chars().all(|c| c > ' ' && !redact::is_hidden(c) && !matches!(c, '=' | '"' | '\\'));
        if bare && self.format == LogFormat::Logfmt {
            self.push_plain(field, &value);
        } else {
            self.push_plain(field, redact::escape_json(&serde_json::Value::from(value).to_string()));
        }
    }

    fn push_plain(&mut self, field: &Field, value: impl fmt::Display) {
        let key = if field.name() == "message" { "msg" } else { field.name() };
        // Writing to a string does not fail.
        let _ = match self.format {
            LogFormat::Logfmt => write!(self.text, " {key}={value}"),
            LogFormat::Json => write!(self.text, ",\"{}\":{value}", field.name()),
        };
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, &format!("{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push_plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push_plain(field, serde_json::Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push_plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push_plain(field, value);
    }
}

/// Returns `value`, truncated to at most `max` bytes in JSON with an ellipsis.
fn cut(value: &str, max: usize) -> String {
    let bytes = |c: char| match c {
        '"' | '\\' => 2,
        // Characters of more than 16 bits take two escapes.
        c if redact::is_hidden(c) => 6 * c.len_utf16(),
        c => c.len_utf8(),
    };
    if value.chars().map(bytes).sum::<usize>() <= max {
        return value.to_owned();
    }
    let mut space = max.saturating_sub(ELLIPSIS.len());
    let fits = |c: &char| {
        let fits = bytes(*c) <= space;
        space = space.saturating_sub(bytes(*c));
        fits
    };
    value.chars().take_while(fits).chain(ELLIPSIS.chars()).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn long_value_is_truncated() {
        let check = |value: &str, max, expected: &str| assert_eq!(cut(value, max), expected, "{value} {max}");
        check("", 0, "");
        check("abcdef", 6, "abcdef");
        check("abcdefg", 6, "abc...");
        check("abcdefg", 0, "...");
        check("äöü", 6, "äöü");
        check("äöüä", 6, "ä...");
        check("\"\"\"", 6, "\"\"\"");
        check("\"\"\"\"", 6, "\"...");
        check("\u{7}b", 7, "\u{7}b");
        check("\u{7}bc", 7, "...");
    }

    struct Sent(mpsc::SyncSender<Vec<u8>>);
    impl io::Write for Sent {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.send(line.to_owned()).map(|()| line.len()).map_err(io::Error::other)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logs(sender: mpsc::SyncSender<Vec<u8>>, format: LogFormat) -> Logs {
        Logs { queue: Queue::start(Sent(sender)).unwrap(), limiter: Limiter::default(), format }
    }

    /// Returns the line of an event with many long values.
    fn long_line(format: LogFormat) -> String {
        let (sender, lines) = mpsc::sync_channel(1);
        let logs = logs(sender, format);
        let long = "\u{7}".repeat(10_000);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(logs), || {
            tracing::warn!(a = long, b = long, c = long, d = long, e = long, f = 7, "text of {}", long);
        });
        String::from_utf8(lines.recv().unwrap()).unwrap()
    }

    #[test]
    fn long_line_is_truncated_and_well_formed() {
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            let line = long_line(format);
            assert!(line.len() < MAX_LINE + 256 && line.ends_with('\n'), "{} bytes: {line}", line.len());
        }
        let line: serde_json::Value = serde_json::from_str(&long_line(LogFormat::Json)).unwrap();
        let characters = |name: &str| line[name].as_str().unwrap().chars().count();
        assert!(line["message"].as_str().unwrap().starts_with("text of \u{7}"), "{line}");
        assert_eq!([characters("a"), characters("e")], [(MAX_VALUE - 3) / 6 + 3, 3]);
        assert_eq!((&line["f"], &line["level"]), (&7.into(), &"WARN".into()));
    }

    // `panic_in_a_task_is_logged_and_ends_the_process` runs this in a separate process.
    #[test]
    #[ignore = "ends its process"]
    fn panicking_task() {
        init(Targets::new().with_default(tracing::Level::INFO), LogFormat::Logfmt).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(async { panic!("odd \"values\"") });
            // Far longer than the panic hook needs.
            tokio::time::sleep(std::time::Duration::from_mins(1)).await;
        });
    }

    #[test]
    fn dropped_lines_are_counted_in_the_log() {
        let (sender, lines) = mpsc::sync_channel(0);
        let logs = logs(sender, LogFormat::Logfmt);
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(logs.clone()));
        let value = "x".repeat(2000);
        for _ in 0..500 {
            tracing::info!(a = value, b = value, c = value, "flood");
        }
        // Nothing is read until now.
        let reader = std::thread::spawn(move || lines.iter().collect::<Vec<_>>().concat());
        logs.flush();
        drop((guard, logs));
        let log = String::from_utf8(reader.join().unwrap()).unwrap();
        let line = log.lines().find_map(|line| Some(line.split_once("msg=\"dropped ")?.1));
        let dropped: usize = line.and_then(|line| line.split(' ').next()).unwrap().parse().unwrap();
        assert!(dropped > 200, "{dropped}");
        assert_eq!(log.matches("msg=flood").count() + dropped, 500);
    }

    #[test]
    fn panic_in_a_task_is_logged_and_ends_the_process() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logs::tests::panicking_task", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let log = String::from_utf8(child.stderr).unwrap();
        assert_eq!(child.status.code(), Some(1), "{log}");
        assert!(
            log.contains("level=error msg=\"panic; please report this bug\" location=src/logs.rs:"),
            "{log}"
        );
        assert!(log.contains("error=\"odd \\\"values\\\"\""), "{log}");
    }
}
