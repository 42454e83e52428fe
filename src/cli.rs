//! The command line, with dotted flags as those of Prometheus and its exporters.

use std::net::SocketAddr;
use std::path::PathBuf;

use atlas_backup_exporter::config::Source;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use exporter_web::listeners;
use tracing::Level;
use tracing_subscriber::filter::Targets;

const WEB: &str = "Web";
const LOGGING: &str = "Logging";

/// Output of `--version`; `-V` prints the number alone.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("BUILD_REVISION"),
    ", Rust ",
    env!("BUILD_RUST_VERSION"),
    ")"
);

const AFTER_HELP: &str = "Examples:
  atlas-backup-exporter demo
      Try the exporter with a simulated Atlas.
  atlas-backup-exporter check --config.file=config.toml
      Check the configuration, the credentials and every cluster.
  atlas-backup-exporter --config.file=config.toml
      Export metrics on port 10027.
  atlas-backup-exporter --once > atlas.prom
      Write metrics for the textfile collector of node_exporter.

Exit codes:
  0  Success.
  1  Failure at run time, or a problem that check or --once found.
  2  Bad usage or configuration.";

/// Flags without effect on a command. They are accepted and hidden from its help.
const UNUSED_FLAGS: [(&str, &[&str]); 2] = [
    ("demo", &["config_file", "shard_index"]),
    ("check", &["listen_addresses", "telemetry_path", "max_requests", "systemd_socket", "lifecycle"]),
];

#[derive(Debug, Parser)]
#[command(version, long_version = LONG_VERSION, about, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Path to the configuration file.
    #[arg(long = "config.file", value_name = "FILE", default_value = "config.toml")]
    pub(crate) config_file: PathBuf,

    /// Address to listen on, host:port or :port; repeatable.
    #[arg(
        help_heading = WEB, long = "web.listen-address", value_name = "ADDRESS", default_value = ":10027",
        value_parser = listeners::parse_address
    )]
    pub(crate) listen_addresses: Vec<String>,

    /// Path under which to expose metrics.
    #[arg(
        help_heading = WEB, long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics",
        value_parser = telemetry_path
    )]
    pub(crate) telemetry_path: String,

    /// Path to the web configuration file: TLS and authentication.
    #[arg(help_heading = WEB, long = "web.config.file", value_name = "FILE")]
    pub(crate) web_config_file: Option<PathBuf>,

    /// Maximum number of concurrent requests; 0 for no limit.
    #[arg(help_heading = WEB, long = "web.max-requests", value_name = "NUMBER", default_value = "40")]
    pub(crate) max_requests: usize,

    /// Use systemd socket activation instead of listen addresses.
    #[arg(help_heading = WEB, long = "web.systemd-socket")]
    pub(crate) systemd_socket: bool,

    /// Enable POST /-/reload. SIGHUP always reloads.
    #[arg(help_heading = WEB, long = "web.enable-lifecycle")]
    pub(crate) lifecycle: bool,

    /// Index of this shard from 0, or auto for the number at the end of the host name; overrides
    /// the configuration.
    #[arg(long = "shard.index", value_name = "INDEX")]
    pub(crate) shard_index: Option<String>,

    /// Poll everything once, print the metrics and exit.
    #[arg(long)]
    pub(crate) once: bool,

    /// Minimum severity of log messages [default: info; error for check].
    #[arg(
        help_heading = LOGGING, long = "log.level", value_name = "LEVEL", ignore_case = true,
        value_parser = levels()
    )]
    pub(crate) log_level: Option<Level>,

    /// Output format of log messages.
    #[arg(help_heading = LOGGING, long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Run the exporter with a simulated Atlas; needs no account and no file.
    Demo {
        /// Loopback address of the simulated Atlas; port 0 for a free port.
        #[arg(
            long = "atlas.listen-address", value_name = "ADDRESS", default_value = "127.0.0.1:0",
            value_parser = loopback_address
        )]
        atlas_address: SocketAddr,
    },
    /// Check configuration, credentials, roles and every cluster, and suggest fixes.
    Check {
        /// Output format: a table for people, or JSON for scripts.
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        output: Output,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

impl Cli {
    /// Parses the arguments of this process; exits after a usage error, `--help` and `--version`.
    pub(crate) fn parse_or_exit() -> Self {
        let cli = Self::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
        // clap has no conflict between a flag and a command.
        if cli.once && cli.command.is_some() {
            let text = "--once cannot be used with a command";
            command().error(ErrorKind::ArgumentConflict, text).exit();
        }
        cli
    }

    /// Returns the filter of the log. The level applies to the exporter; libraries log warnings and
    /// errors only.
    pub(crate) fn filter(&self) -> Targets {
        let default = match self.command {
            Some(Command::Check { .. }) => Level::ERROR,
            _ => Level::INFO,
        };
        let level = self.log_level.unwrap_or(default);
        Targets::new()
            .with_default(Level::WARN)
            .with_targets(["atlas_backup_exporter", "atlas_client", "exporter_web"].map(|name| (name, level)))
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

/// Returns the command line; the help of each command lists the flags that it uses.
fn command() -> clap::Command {
    let mut command = Cli::command().mut_args(|arg| {
        let is_global = arg.get_id() != "once";
        arg.global(is_global)
    });
    // Copies the global flags to the subcommands.
    command.build();
    for subcommand in command.get_subcommands_mut() {
        let unused = UNUSED_FLAGS.iter().find(|(name, _)| *name == subcommand.get_name());
        let is_unused = |flag: &str| unused.is_some_and(|(_, flags)| flags.contains(&flag));
        *subcommand = std::mem::take(subcommand).mut_args(|arg| {
            let is_hidden = arg.is_hide_set() || is_unused(arg.get_id().as_str());
            arg.hide(is_hidden)
        });
    }
    command
}

fn levels() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"])
        .try_map(|level| level.parse::<Level>())
}

/// Parses an address that only this machine can reach: the simulated Atlas has no TLS.
fn loopback_address(text: &str) -> Result<SocketAddr, &'static str> {
    let address = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address = address.as_deref().unwrap_or(text).parse::<SocketAddr>().ok();
    address
        .filter(|address| address.ip().is_loopback())
        .ok_or("expected a loopback address with a port, such as 127.0.0.1:10030")
}

fn telemetry_path(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
    if !text.starts_with('/') || text.starts_with("//") || !text.bytes().all(plain) {
        return Err("expected an absolute path such as /metrics");
    }
    if text.starts_with("/-/") || text.starts_with("/api/") {
        return Err("paths below /-/ and /api/ are reserved");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
