//! The command line, with the dotted flags of Prometheus and its exporters.

use std::path::PathBuf;

use atlas_backup_exporter::config::Source;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use exporter_web::listeners;
use tracing::Level;
use tracing_subscriber::filter::Targets;

const PAGES: &str = "Pages";
const LOG: &str = "Log";

/// What `--version` says; `-V` has the number alone.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("BUILD_REVISION"),
    ", Rust ",
    env!("BUILD_RUST_VERSION"),
    ")"
);

/// The text below the flags.
const AFTER_HELP: &str = "Examples:
  atlas-backup-exporter demo                             an embedded Atlas, to look at: no account, no file
  atlas-backup-exporter check --config.file=config.toml  whether everything can be watched, and what to do if not
  atlas-backup-exporter --config.file=config.toml        watch it, and serve metrics on port 10027
  atlas-backup-exporter --once > atlas.prom              once, for the textfile collector of node_exporter

Exit codes:
  0  told to stop, or all is well
  1  failed at run time, or not all is well
  2  bad usage or bad configuration";

/// Tells Prometheus whether MongoDB Atlas really exports its backup snapshots.
#[derive(Debug, Parser)]
#[command(version, long_version = LONG_VERSION, about, after_help = AFTER_HELP, args_conflicts_with_subcommands = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The configuration file, TOML; config.example.toml documents every key. The demo needs none.
    #[arg(long = "config.file", value_name = "FILE", default_value = "config.toml", global = true)]
    pub(crate) config_file: PathBuf,

    /// Address to serve on, host:port or :port; may be repeated.
    #[arg(help_heading = PAGES, long = "web.listen-address", value_name = "ADDRESS", default_value = ":10027", value_parser = listeners::parse_address, global = true)]
    pub(crate) listen_addresses: Vec<String>,

    /// Path of the metrics.
    #[arg(help_heading = PAGES, long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path, global = true)]
    pub(crate) telemetry_path: String,

    /// Who may look at the pages, and over what: TLS, client certificates, users, headers, in the form that exporters of
    /// Prometheus share.
    #[arg(help_heading = PAGES, long = "web.config.file", value_name = "FILE", global = true)]
    pub(crate) web_config_file: Option<PathBuf>,

    /// Scrapes and status pages at once, 0 for any number; more are told to come back.
    #[arg(help_heading = PAGES, long = "web.max-requests", value_name = "NUMBER", default_value = "40", global = true)]
    pub(crate) max_requests: usize,

    /// Serve on the sockets that systemd hands over, and on no address.
    #[arg(help_heading = PAGES, long = "web.systemd-socket", global = true)]
    pub(crate) systemd_socket: bool,

    /// Answer POST /-/reload; SIGHUP always reads the configuration again.
    #[arg(help_heading = PAGES, long = "web.enable-lifecycle", global = true)]
    pub(crate) lifecycle: bool,

    /// Which shard this is, from 0 on, or auto: the number that the host name ends in. Wins over [shard] index.
    #[arg(long = "shard.index", value_name = "INDEX", global = true)]
    pub(crate) shard_index: Option<String>,

    /// Ask everything once, print the metrics and exit; 1 if anything was not well.
    #[arg(long)]
    pub(crate) once: bool,

    /// Least severe messages to log: error, warn, info, debug or trace. [default: info; error for check]
    #[arg(help_heading = LOG, long = "log.level", value_name = "LEVEL", global = true)]
    pub(crate) log_level: Option<Level>,

    /// Form of the log on standard error.
    #[arg(help_heading = LOG, long = "log.format", value_name = "FORMAT", default_value = "logfmt", global = true)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Run an embedded Atlas and the exporter watching it; needs no account and no file.
    Demo,
    /// Ask every project and cluster of the configuration once, and say what to do about those that cannot be watched.
    Check {
        /// A table for people, or JSON for scripts.
        #[arg(long, value_name = "FORM", default_value = "table")]
        output: Output,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

impl Cli {
    /// `--once` is for the exporter alone; clap cannot say so of a flag and a command.
    pub(crate) fn refuse_once_with_a_command(&self) {
        if self.once && self.command.is_some() {
            let text = "--once goes without a command";
            Self::command().error(ErrorKind::ArgumentConflict, text).exit();
        }
    }

    /// The filter of the log. The level is for the exporter alone: its libraries speak up only when
    /// something is wrong.
    pub(crate) fn filter(&self) -> Targets {
        let default = match self.command {
            Some(Command::Check { .. }) => Level::ERROR,
            _ => Level::INFO,
        };
        let level = self.log_level.unwrap_or(default);
        Targets::new()
            .with_default(Level::WARN)
            .with_targets([("atlas_backup_exporter", level), ("exporter_web", level)])
    }

    pub(crate) fn source(&self) -> Source {
        Source { file: self.config_file.clone(), shard_index: self.shard_index.clone() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Logfmt,
    Json,
}

fn telemetry_path(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
    if !text.starts_with('/') || text.starts_with("//") || !text.bytes().all(plain) {
        return Err("write an absolute path such as /metrics");
    }
    if text.starts_with("/-/") || text.starts_with("/api/") {
        return Err("paths below /-/ and /api/ are the exporter's own");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
