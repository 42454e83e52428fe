//! The log on standard error: one line an event.

use std::fmt::{self, Debug, Write};
use std::io;

use atlas_backup_exporter::redact;
use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::LogFormat;

/// Begins to log, and makes a panic, wherever it is, a line of the log like any other and the end of the process: what a task leaves undone
/// nobody would notice, and its figures would go on being served.
pub(crate) fn init(filter: Targets, format: LogFormat) {
    // An error inside the log is dropped: it would be printed, and a standard error that is closed must not end us.
    let layer = || tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(io::stderr);
    let layer = match format {
        LogFormat::Logfmt => layer().event_format(Redacted(Logfmt)).boxed(),
        LogFormat::Json => layer().json().flatten_event(true).map_event_format(Redacted).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(layer).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, error = text, "a bug: please report it");
        std::process::exit(1);
    }));
}

/// Another format, without known secrets, and with hidden characters as escapes: both formats quote as JSON does. Texts from
/// outside are redacted where they enter, so this is the last line of defense.
struct Redacted<F>(F);

impl<S, N, F> FormatEvent<S, N> for Redacted<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&redact::escape_json(&redact::secrets(&line)))
    }
}

/// `ts=... level=... msg=... key=value`, values quoted as JSON strings where they need it, as Go's logfmt reads them.
/// (`tracing-logfmt` quotes as Rust does: `\'` and `\u{7}` are errors to those readers.)
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = event.metadata().level().as_str().to_lowercase();
        write!(writer, "ts={:.3} level={level}", Timestamp::now())?;
        let mut line = Line(String::new());
        event.record(&mut line);
        writeln!(writer, "{}", line.0)
    }
}

/// The fields of an event.
struct Line(String);

impl Line {
    fn push(&mut self, field: &Field, value: &str) {
        let key = if field.name() == "message" { "msg" } else { field.name() };
        let bare = !value.is_empty()
            && value.chars().all(|c| c > ' ' && !redact::is_hidden(c) && !matches!(c, '=' | '"' | '\\'));
        let value = if bare { value.into() } else { serde_json::Value::from(value).to_string() };
        // Writing to a string does not fail.
        let _ = write!(self.0, " {key}={value}");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Not a test by itself, but what the next one starts.
    #[test]
    #[ignore = "ends its process"]
    fn panicking_task() {
        init(Targets::new().with_default(tracing::Level::INFO), LogFormat::Logfmt);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(async { panic!("odd \"figures\"") });
            // Far longer than a panic takes to end it.
            tokio::time::sleep(std::time::Duration::from_mins(1)).await;
        });
    }

    #[test]
    fn a_panic_in_any_task_ends_the_process_and_says_so() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logs::tests::panicking_task", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let log = String::from_utf8(child.stderr).unwrap();
        assert_eq!(child.status.code(), Some(1), "{log}");
        assert!(log.contains("level=error msg=\"a bug: please report it\" place=src/logs.rs:"), "{log}");
        assert!(log.contains("error=\"odd \\\"figures\\\"\""), "{log}");
    }
}
