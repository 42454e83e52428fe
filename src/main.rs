//! `atlas-backup-exporter`: command line, logs, listeners, signals, exit code.

mod cli;
mod logs;

use std::io::Write;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, bail};
use atlas_backup_exporter::app::{Options, once, run};
use atlas_backup_exporter::config::{Config, ConfigError};
use atlas_backup_exporter::reload::{ReloadHandle, ReloadScope, Reloads};
use atlas_backup_exporter::{demo, preflight};
use atlas_client::redact;
use exporter_web::WebConfigWatcher;
use exporter_web::listeners;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use cli::{Cli, Command, Output};
use logs::Logs;

/// Exit code for an invalid configuration, and that of clap for usage errors.
const BAD_CONFIGURATION: u8 = 2;

/// Bounds of the number of threads, which is otherwise the number of cores.
const WORKERS: RangeInclusive<usize> = 2..=8;

/// Stack of each thread in bytes, the default of Rust.
const STACK_BYTES: usize = 2 * 1024 * 1024;

fn main() -> ExitCode {
    let cli = Cli::parse_or_exit();
    let logs = match logs::init(cli.filter(), cli.log_format) {
        Ok(logs) => logs,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: failed to start a thread: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Each poll and each scraper needs a connection, and soft limits are low for compatibility with
    // select(2). If the limit cannot be raised, polls beyond it fail with a reason.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let outcome = runtime().map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(start(cli, &logs));
        // A DNS lookup that hangs cannot be cancelled, so shutdown does not wait for it.
        runtime.shutdown_background();
        outcome
    });
    let code = match outcome {
        Ok(code) => code,
        Err(error) if error.is::<ConfigError>() || error.is::<exporter_web::ConfigError>() => {
            // In plain text, as clap reports usage errors.
            for problem in error.to_string().lines() {
                logs.print(&format!("error: {problem}"));
            }
            ExitCode::from(BAD_CONFIGURATION)
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the exporter failed");
            ExitCode::FAILURE
        }
    };
    logs.flush();
    code
}

/// Sets number and stack of the threads, because invalid values of `TOKIO_WORKER_THREADS` and
/// `RUST_MIN_STACK` make the defaults panic.
fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(*WORKERS.start(), NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(*WORKERS.start(), *WORKERS.end()))
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
}

/// Installs the signal handlers first, because reading a large configuration takes a while.
async fn start(cli: Cli, logs: &Logs) -> anyhow::Result<ExitCode> {
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    tokio::spawn(logs.clone().report_regularly());
    let reloads = Reloads::default();
    let serves = !cli.once && !matches!(cli.command, Some(Command::Check { .. }));
    if serves {
        reload_on_signal(reloads.handle())?;
    }
    let cli = Arc::new(cli);
    let read = tokio::task::spawn_blocking({
        let cli = cli.clone();
        move || read(&cli)
    });
    let (config, web) = tokio::select! {
        read = read => read??,
        () = shutdown.cancelled() => return Ok(exit_code(serves)),
    };
    match (&cli.command, config) {
        (Some(Command::Check { output }), Some(config)) => preflight(&config, *output, &shutdown).await,
        (None, Some(config)) if cli.once => {
            let (text, is_ok) = once(config, logs.dropped(), shutdown.clone()).await?;
            print(text, &shutdown).await?;
            Ok(exit_code(is_ok))
        }
        (_, config) => serve(&cli, config, web, reloads, logs, shutdown).await,
    }
}

/// Reads the configuration, except for the demo, and the web configuration.
fn read(cli: &Cli) -> anyhow::Result<(Option<Config>, WebConfigWatcher)> {
    let config = match cli.command {
        Some(Command::Demo { .. }) => None,
        _ => Some(Config::load(&cli.source())?),
    };
    let web =
        WebConfigWatcher::load(cli.web_config_file.clone().filter(|file| !file.as_os_str().is_empty()))?;
    Ok((config, web))
}

async fn preflight(
    config: &Config,
    output: Output,
    shutdown: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let report = tokio::select! {
        report = preflight::check(config) => report?,
        () = shutdown.cancelled() => return Ok(ExitCode::FAILURE),
    };
    let text = match output {
        Output::Table => report.text(preflight::Terminal {
            width: terminal_size::terminal_size_of(std::io::stdout())
                .map(|(width, _)| width.0)
                .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok()),
            // Respects NO_COLOR, CLICOLOR and TERM.
            color: AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
        }),
        Output::Json => report.json(),
    };
    print(text, shutdown).await?;
    Ok(exit_code(report.is_ok()))
}

fn exit_code(is_ok: bool) -> ExitCode {
    if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes to standard output until `shutdown`. The thread that writes is not awaited, because a
/// pipe without a reader blocks it.
async fn print(text: String, shutdown: &CancellationToken) -> anyhow::Result<()> {
    // Texts are redacted where they enter; this is a second line of defense.
    let text: String = text.split_inclusive('\n').map(redact::secrets).collect();
    let written = tokio::task::spawn_blocking(move || {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    tokio::select! {
        written = written => written?.context("failed to write to standard output"),
        () = shutdown.cancelled() => bail!("failed to write to standard output: pipe not read"),
    }
}

async fn serve(
    cli: &Cli,
    config: Option<Config>,
    web: WebConfigWatcher,
    reloads: Reloads,
    logs: &Logs,
    shutdown: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let mut listeners = Vec::new();
    if cli.systemd_socket {
        listeners = listeners::from_systemd()?;
        if listeners.is_empty() {
            // This exit code keeps systemd from restarting the service.
            tracing::error!(
                "systemd passed no socket; --web.systemd-socket needs a socket unit of this name"
            );
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
    } else {
        for address in &cli.listen_addresses {
            listeners.push(listen(address, "--web.listen-address").await?);
        }
    }
    for listener in &listeners {
        let address = listener.local_addr()?;
        tracing::info!(
            address = %address,
            tls = web.is_encrypted(),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
    }
    let options = Options {
        telemetry_path: cli.telemetry_path.clone(),
        source: config.is_some().then(|| cli.source()),
        lifecycle: cli.lifecycle,
        max_requests: cli.max_requests,
        web,
        dropped_log_lines: logs.dropped(),
    };
    if let Some(Command::Demo { atlas_address }) = cli.command {
        let atlas = listen(&atlas_address.to_string(), "--atlas.listen-address").await?;
        demo::run(atlas, options, listeners, reloads, shutdown).await?;
    } else if let Some(config) = config {
        run(config, options, listeners, reloads, shutdown).await?;
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn listen(address: &str, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = listeners::bind(address).await;
    listener.with_context(|| format!("failed to listen on {address} (choose another address with {flag})"))
}

fn stop_on_signals(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
            _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "stopping"),
        }
        shutdown.cancel();
    });
    Ok(())
}

fn reload_on_signal(reload: ReloadHandle) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        // The outcome is logged.
        while hangup.recv().await.is_some() {
            let _ = reload.reload(ReloadScope::All).await;
        }
    });
    Ok(())
}
