//! `atlas-backup-exporter`: command line, logs, listeners, signals, exit code.

mod cli;
mod logs;

use std::io::Write;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, bail};
use atlas_backup_exporter::config::Config;
use atlas_backup_exporter::web::Web;
use atlas_backup_exporter::{Options, ReloadHandle, Reloads, check, demo, once, redact, run};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use cli::{Cli, Command, ListenAddress, Output};

/// A wrong configuration, and clap's code for a wrong command line.
const BAD_CONFIGURATION: u8 = 2;

/// A service that was started without its socket: to start it again would change nothing.
#[derive(Debug, thiserror::Error)]
#[error("systemd hands over no socket; --web.systemd-socket needs a socket unit of the same name")]
struct NoSocket;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.refuse_what_does_not_go_together();
    logs::init(cli.filter(), cli.log_format);
    let config = match cli.command {
        Some(Command::Demo) => Ok(None),
        _ => Config::load(&cli.source()).map(Some),
    };
    let web = Web::load(cli.web_config_file.clone().filter(|file| !file.as_os_str().is_empty()));
    let (config, web) = match config.and_then(|config| Ok((config, web?))) {
        Ok(read) => read,
        Err(error) => {
            // To a person at a terminal, as clap reports a wrong command line.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
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
    let outcome = runtime.block_on(start(&cli, config, web));
    // A look-up of a name that hangs cannot be ended, so it is not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the exporter ends");
            if error.is::<NoSocket>() { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

async fn start(cli: &Cli, config: Option<Config>, web: Web) -> anyhow::Result<ExitCode> {
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    match (&cli.command, config) {
        (Some(Command::Check { output }), Some(config)) => preflight(&config, *output, &shutdown).await,
        (None, Some(config)) if cli.once => {
            let (text, well) = once(config, shutdown).await?;
            print(&text)?;
            Ok(exit_code(well))
        }
        (_, config) => serve(cli, config, web, shutdown).await,
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
        Output::Table => report.text(check::Terminal {
            width: terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0),
            // NO_COLOR, CLICOLOR and TERM have their say in it.
            colour: AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
        }),
        Output::Json => report.json(),
    };
    print(&text)?;
    Ok(exit_code(report.is_well()))
}

fn exit_code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(text: &str) -> anyhow::Result<()> {
    // The last line of defense, as in the log.
    let text: String = text.split_inclusive('\n').map(redact::secrets).collect();
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

async fn serve(
    cli: &Cli,
    config: Option<Config>,
    web: Web,
    shutdown: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let reloads = Reloads::default();
    reload_on_signal(reloads.handle())?;
    let listeners = if cli.systemd_socket { handed_over()? } else { bind_all(&cli.listen_addresses).await? };
    for listener in &listeners {
        let address = listener.local_addr()?;
        tracing::info!(
            address = %address,
            tls = web.is_encrypted(),
            users = web.users(),
            client_certificates = web.certificates(),
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
    };
    let scheme = if options.web.is_encrypted() { "https" } else { "http" };
    if let Some(config) = config {
        run(config, options, listeners, reloads, shutdown).await?;
    } else {
        show_where_to_look(cli, scheme, &listeners);
        demo::run(options, listeners, reloads, shutdown).await?;
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn bind_all(addresses: &[ListenAddress]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(bind(address).await.with_context(|| {
            format!("cannot listen on {address} (choose another with --web.listen-address)")
        })?);
    }
    Ok(listeners)
}

/// The sockets that systemd listens on for us; see `sd_listen_fds(3)`.
fn handed_over() -> anyhow::Result<Vec<TcpListener>> {
    let mut handed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed.len() {
        let socket = handed.take_tcp_listener(index).with_context(|| {
            format!("socket {index} of those that systemd hands over is not one that listens for TCP")
        })?;
        if let Some(socket) = socket {
            if !socket2::SockRef::from(&socket).is_listener()? {
                bail!(
                    "socket {index} of those that systemd hands over does not listen; is its unit one with Accept=yes?"
                );
            }
            socket.set_nonblocking(true)?;
            listeners.push(TcpListener::from_std(socket)?);
        }
    }
    if listeners.is_empty() {
        bail!(NoSocket);
    }
    Ok(listeners)
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
fn show_where_to_look(cli: &Cli, scheme: &str, listeners: &[TcpListener]) {
    let Some(Ok(mut address)) = listeners.first().map(TcpListener::local_addr) else { return };
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let text = format!(
        "\nA demo: eight clusters of an embedded Atlas whose exports queue, run, end, fail and hang, or are never begun.\n\n  \
         every cluster at a glance   {scheme}://{address}/\n  \
         the metrics                 {scheme}://{address}{path}\n  \
         one figure                  curl -s {scheme}://{address}{path} | grep progress_ratio\n\n\
         Ctrl-C ends it.\n\n",
        path = cli.telemetry_path,
    );
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
