//! The exporter as a whole: polls and pages side by side until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, bail};
use atlas_client::{ENDPOINTS, Proxy, redact};
use exporter_web::{ReloadTrigger, WebConfigWatcher};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Source};
use crate::discovery::supervisor::Supervisor;
use crate::http;
use crate::metrics::self_metrics::SelfMetrics;
use crate::metrics::{Exposition, Format};
use crate::reload::{ReloadHandle, ReloadRequest, ReloadScope, Reloads};
use crate::store::Store;

const NEVER: Duration = Duration::from_hours(24 * 3650);

/// Longest time that reading the configuration again may take.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether everything was asked once.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Maximum wait for a further collector to be read once everything else was requested.
const COLLECTORS_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Options {
    pub telemetry_path: String,
    /// Where the configuration is read from again; `None` if it came from nowhere.
    pub source: Option<Source>,
    pub lifecycle: bool,
    /// Scrapes and status pages at once; 0 for any number.
    pub max_requests: usize,
    /// Who may look at the pages, and over what.
    pub web: WebConfigWatcher,
    /// Counts the lines of the log that were dropped.
    pub dropped_log_lines: Arc<AtomicU64>,
}

/// Polls and serves until `shutdown`, then drains. Ends with an error if any of its tasks ends
/// before that.
pub async fn run(
    config: Config,
    options: Options,
    listeners: Vec<TcpListener>,
    mut reloads: Reloads,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (store, metrics, mut supervisor) = begin(config, options.dropped_log_lines)?;
    let router = http::router(http::AppState {
        store,
        metrics: metrics.clone(),
        config: supervisor.reloadable_config.subscribe(),
        telemetry_path: options.telemetry_path,
        reload: options.lifecycle.then(|| reloads.handle()),
        max_requests: options.max_requests,
    });
    let web = options.web;
    let serving =
        exporter_web::serve(listeners, router, web.clone(), http::serve_options(), shutdown.clone());
    let server = tokio::spawn(serving);
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(follow_web(web.clone(), reloads.handle())));
    // Why the file is not what is in use.
    let mut config_error = None;
    loop {
        let (request, config, web_outcome) = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            // Its figures would go on being served, so nothing goes on.
            reason = supervisor.run() => bail!("a task has ended: {reason}"),
            reload = next_reload(&mut reloads, options.source.as_ref(), &web) => reload,
        };
        if let Some(config) = config {
            let reload = |config| supervisor.reload(config).map_err(|error| error.to_string());
            config_error = config.and_then(reload).err();
        }
        let web_error = web_outcome.err();
        let errors: Vec<_> = config_error.iter().chain(&web_error).map(String::as_str).collect();
        let errors = (!errors.is_empty()).then(|| errors.join("; "));
        let (what, error) = match request.scope {
            ReloadScope::All => ("the configuration", errors.clone()),
            ReloadScope::Web => ("the web configuration", web_error),
        };
        match &error {
            None => tracing::info!("{what} was read anew"),
            Some(error) => tracing::error!(error, "{what} was refused; the one in force stays"),
        }
        metrics.count_reload(error.is_some(), errors, Timestamp::now());
        // Whoever asked may have gone.
        let _ = request.answer.send(error.map_or(Ok(()), Err));
    }
    drop(supervisor);
    // Whoever waits for a reload is told that there is none.
    drop(reloads);
    let _ = server.await;
    Ok(())
}

/// Asks everything once, well or badly, and returns the exposition and whether all was well. An
/// error if it is told to stop before that.
pub async fn once(
    mut config: Config,
    dropped_log_lines: Arc<AtomicU64>,
    shutdown: CancellationToken,
) -> anyhow::Result<(String, bool)> {
    // What is found in the meantime is for the next time: a listing that never stands still must
    // not keep this one from ending.
    config.discovery_interval = NEVER;
    let interval = config.poll.interval;
    let (store, metrics, mut supervisor) = begin(config, dropped_log_lines)?;
    let (mut fewest_unasked, mut progressed_at) = (usize::MAX, Instant::now());
    let view = loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => bail!("told to stop before everything was asked once"),
            reason = supervisor.run() => bail!("a task has ended: {reason}"),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if store.is_ready() {
            let view = store.view(Instant::now());
            let unasked = view.pending();
            if unasked < fewest_unasked {
                (fewest_unasked, progressed_at) = (unasked, Instant::now());
            }
            if unasked == 0 || progressed_at.elapsed() > COLLECTORS_WAIT {
                break Arc::new(view);
            }
        }
    };
    let well = view.is_well();
    let text = Exposition::new(view, metrics, interval, None, Format::Text)?.pieces().collect();
    Ok((text, well))
}

fn begin(
    config: Config,
    dropped_log_lines: Arc<AtomicU64>,
) -> anyhow::Result<(Arc<Store>, Arc<SelfMetrics>, Supervisor)> {
    tracing::info!(
        projects = config.projects.len(),
        organizations = config.organizations.len(),
        shard = config.shard.index,
        shards = config.shard.total,
        atlas = %config.base_url,
        proxy = config.proxy.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
        proxy_variable = config.proxy.as_ref().map(Proxy::variable),
        "watching"
    );
    let metrics = SelfMetrics::new(&ENDPOINTS, Timestamp::now());
    let metrics = Arc::new(metrics.with_dropped_log_lines(dropped_log_lines));
    let store = Arc::new(Store::new(config.poll.stale_after));
    let supervisor =
        Supervisor::new(config, store.clone(), metrics.clone()).context("cannot set up the Atlas client")?;
    Ok((store, metrics, supervisor))
}

/// Waits for a request to reload, and reads: the configuration, unless only the web configuration
/// is to be read, and the web configuration. If it is cancelled, the request is dropped, which
/// answers it.
async fn next_reload(
    reloads: &mut Reloads,
    source: Option<&Source>,
    web: &WebConfigWatcher,
) -> (ReloadRequest, Option<Result<Config, String>>, Result<(), String>) {
    let request = reloads.next().await;
    let config = match (request.scope, source) {
        (ReloadScope::All, Some(source)) => Some(read_again(source.clone()).await),
        // A demo has none.
        (ReloadScope::All, None) | (ReloadScope::Web, _) => None,
    };
    // What is refused as a whole opens nothing.
    let is_asked = request.scope == ReloadScope::All && !matches!(config, Some(Err(_)));
    let trigger = if is_asked { ReloadTrigger::Manual } else { ReloadTrigger::FileChange };
    let web = web.reload(trigger).await.map_err(|error| redact::line(&error.to_string()));
    (request, config, web)
}

/// Requests a reload of the web configuration whenever it changes.
async fn follow_web(web: WebConfigWatcher, reload: ReloadHandle) {
    loop {
        web.changed().await;
        // The outcome is in the log.
        let _ = reload.reload(ReloadScope::Web).await;
    }
}

/// Reads the configuration again, on a thread of its own: a file that hangs must not hold up
/// anything.
async fn read_again(source: Source) -> Result<Config, String> {
    let read = tokio::task::spawn_blocking(move || Config::load(&source).map_err(|error| error.to_string()));
    match tokio::time::timeout(RELOAD_TIMEOUT, read).await {
        Ok(read) => read.map_err(|error| error.to_string())?,
        Err(_) => Err("reading the configuration takes too long".to_owned()),
    }
}
