//! `atlas-backup-exporter`: command line, logs, listeners, signals, exit code.

mod cli;
mod logs;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use atlas_backup_exporter::config::Config;
use atlas_backup_exporter::{Options, ReloadHandle, Reloads, check, demo, once, run};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use cli::{Cli, Command, ListenAddress, Output};

/// A wrong configuration, and clap's code for a wrong command line.
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.refuse_what_does_not_go_together();
    logs::init(cli.filter(), cli.log_format);
    let config = match cli.command {
        Some(Command::Demo) => None,
        _ => match Config::load(&cli.source()) {
            Ok(config) => Some(config),
            Err(error) => {
                // To a person at a terminal, as clap reports a wrong command line.
                let _ = writeln!(std::io::stderr(), "error: {error}");
                return ExitCode::from(BAD_CONFIGURATION);
            }
        },
    };
    // One connection for each poll under way, and those of the scrapers: soft limits are made for older programs. Where it
    // cannot be raised, polls fail with a reason when it is reached.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(error = %error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(start(&cli, config));
    // A look-up of a name that hangs cannot be ended, so it is not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the exporter ends");
            ExitCode::FAILURE
        }
    }
}

async fn start(cli: &Cli, config: Option<Config>) -> anyhow::Result<ExitCode> {
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    match (&cli.command, config) {
        (Some(Command::Check { output }), Some(config)) => preflight(&config, *output, &shutdown).await,
        (None, Some(config)) if cli.once => {
            let (text, well) = once(config, shutdown).await?;
            print(&text)?;
            Ok(exit_code(well))
        }
        (_, config) => serve(cli, config, shutdown).await,
    }
}

async fn preflight(
    config: &Config,
    output: Output,
    shutdown: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let report = tokio::select! {
        report = check::check(config) => report?,
        () = shutdown.cancelled() => return Ok(ExitCode::FAILURE),
    };
    let text = match output {
        Output::Table => report.text(terminal_size::terminal_size().map(|(width, _)| width.0)),
        Output::Json => report.json(),
    };
    print(&text)?;
    Ok(exit_code(report.is_well()))
}

fn exit_code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

async fn serve(cli: &Cli, config: Option<Config>, shutdown: CancellationToken) -> anyhow::Result<ExitCode> {
    let reloads = Reloads::default();
    reload_on_signal(reloads.handle())?;
    let mut listeners = Vec::new();
    for address in &cli.listen_addresses {
        let listener = bind(address).await.with_context(|| {
            format!("cannot listen on {address} (choose another with --web.listen-address)")
        })?;
        tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "listening");
        listeners.push(listener);
    }
    let options = Options {
        telemetry_path: cli.telemetry_path.clone(),
        source: config.is_some().then(|| cli.source()),
        lifecycle: cli.lifecycle,
    };
    if let Some(config) = config {
        run(config, options, listeners, reloads, shutdown).await?;
    } else {
        show_where_to_look(cli, &listeners);
        demo::run(options, listeners, reloads, shutdown).await?;
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// `:10027` means every address of both families, as in Prometheus; where IPv6 is switched off, those of IPv4.
async fn bind(address: &ListenAddress) -> std::io::Result<TcpListener> {
    match TcpListener::bind((address.host(), address.port())).await {
        Err(error) if address.is_any() && error.kind() != std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(("0.0.0.0", address.port())).await
        }
        bound => bound,
    }
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
            let _ = reload.reload().await;
        }
    });
    Ok(())
}

/// Where nobody reads standard output, nothing is lost.
fn show_where_to_look(cli: &Cli, listeners: &[TcpListener]) {
    let Some(Ok(mut address)) = listeners.first().map(TcpListener::local_addr) else { return };
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let text = format!(
        "\nA demo: eight clusters of an embedded Atlas whose exports queue, run, end, fail and hang, or are never begun.\n\n  \
         every cluster at a glance   http://{address}/\n  \
         the metrics                 http://{address}{path}\n  \
         one figure                  curl -s http://{address}{path} | grep progress_ratio\n\n\
         Ctrl-C ends it.\n\n",
        path = cli.telemetry_path,
    );
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
