//! The log on standard error: one line an event.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::LogFormat;

/// Begins to log, and makes a panic a line of the log like any other.
pub(crate) fn init(filter: &str, format: LogFormat) {
    let (logfmt, json) = match format {
        LogFormat::Logfmt => (
            Some(
                tracing_subscriber::fmt::layer()
                    .event_format(tracing_logfmt::EventsFormatter::default())
                    .fmt_fields(tracing_logfmt::FieldsFormatter::default())
                    .log_internal_errors(false)
                    .with_writer(io::stderr),
            ),
            None,
        ),
        LogFormat::Json => {
            (
                None,
                Some(
                    tracing_subscriber::fmt::layer()
                        .json()
                        .flatten_event(true)
                        // A standard error that is closed must not end the exporter.
                        .log_internal_errors(false)
                        .with_writer(io::stderr),
                ),
            )
        }
    };
    tracing_subscriber::registry().with(EnvFilter::new(filter)).with(logfmt).with(json).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, error = text, "a bug: please report it");
    }));
}
