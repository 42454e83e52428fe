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

/// A wrong configuration, and clap's code for a wrong command line.
const BAD_CONFIGURATION: u8 = 2;

/// Threads of the runtime; as many as there are cores, within these bounds.
const WORKERS: RangeInclusive<usize> = 2..=8;

/// Stack of each thread, as Rust has it by default.
const STACK: usize = 2 * 1024 * 1024;

fn main() -> ExitCode {
    let cli = Cli::parse_or_exit();
    let logs = match logs::init(cli.filter(), cli.log_format) {
        Ok(logs) => logs,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: failed to start a thread: {error}");
            return ExitCode::FAILURE;
        }
    };
    // One connection for each poll under way, and those of the scrapers: soft limits are made for
    // older programs. Where it cannot be raised, polls fail with a reason when it is reached.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let outcome = runtime().map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(start(cli, &logs));
        // A look-up of a name that hangs cannot be ended, so it is not waited for.
        runtime.shutdown_background();
        outcome
    });
    let code = match outcome {
        Ok(code) => code,
        Err(error) if error.is::<ConfigError>() || error.is::<exporter_web::ConfigError>() => {
            // To a person at a terminal, as clap reports a wrong command line.
            logs.print(&format!("error: {error}"));
            ExitCode::from(BAD_CONFIGURATION)
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the exporter ends");
            ExitCode::FAILURE
        }
    };
    logs.flush();
    code
}

/// Numbers and sizes of threads are set, since variables such as `TOKIO_WORKER_THREADS` and
/// `RUST_MIN_STACK` can make the defaults panic.
fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(*WORKERS.start(), NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(*WORKERS.start(), *WORKERS.end()))
        .thread_stack_size(STACK)
        .enable_all()
        .build()
}

/// Signals are handled before anything is read: a large configuration takes a while.
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
            let (text, well) = once(config, logs.dropped(), shutdown.clone()).await?;
            print(text, &shutdown).await?;
            Ok(exit_code(well))
        }
        (_, config) => serve(&cli, config, web, reloads, logs, shutdown).await,
    }
}

/// The configuration, unless it is a demo, and the web configuration.
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
            width: terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0),
            // Respects NO_COLOR, CLICOLOR and TERM.
            color: AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
        }),
        Output::Json => report.json(),
    };
    print(text, shutdown).await?;
    Ok(exit_code(report.is_ok()))
}

fn exit_code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes to standard output until `shutdown`, on a thread that is not waited for then. A pipe that
/// is not read blocks it.
async fn print(text: String, shutdown: &CancellationToken) -> anyhow::Result<()> {
    // The last line of defense, as in the log.
    let text: String = text.split_inclusive('\n').map(redact::secrets).collect();
    let written = tokio::task::spawn_blocking(move || {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    tokio::select! {
        written = written => written?.context("failed to write to standard output"),
        () = shutdown.cancelled() => bail!("failed to write to standard output: stopped before it was read"),
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
            // To start it again would change nothing.
            tracing::error!(
                "systemd hands over no socket; --web.systemd-socket needs a socket unit of the same name"
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
        // What comes of it is in the log.
        while hangup.recv().await.is_some() {
            let _ = reload.reload(ReloadScope::All).await;
        }
    });
    Ok(())
}
