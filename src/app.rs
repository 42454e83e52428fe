//! The running exporter: polls, pages, reloads and shutdown; and `--once`.

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

use crate::config::{Config, ConfigError, Source};
use crate::discovery::supervisor::Supervisor;
use crate::http;
use crate::metrics::self_metrics::SelfMetrics;
use crate::metrics::{Exposition, Format};
use crate::reload::{ReloadHandle, ReloadRequest, ReloadScope, Reloads};
use crate::store::Store;

/// Discovery interval of `--once`: ten years, so that discovery is not repeated.
const ONCE_DISCOVERY_INTERVAL: Duration = Duration::from_hours(24 * 3650);

/// Timeout of reading the configuration for a reload.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Interval at which `--once` checks whether every target was polled.
const READY_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Maximum time for which `--once` waits for the next collector after all polls.
const COLLECTORS_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Options {
    pub telemetry_path: String,
    /// Source of the configuration for reloads; `None` for the demo.
    pub source: Option<Source>,
    /// True if `POST /-/reload` is enabled.
    pub lifecycle: bool,
    /// Maximum number of concurrent requests; 0 for no limit.
    pub max_requests: usize,
    pub web: WebConfigWatcher,
    /// Number of dropped log lines.
    pub dropped_log_lines: Arc<AtomicU64>,
}

/// Polls and serves until `shutdown`, then finishes the responses in progress.
///
/// Returns an error if a task ends before that.
pub async fn run(
    config: Config,
    options: Options,
    listeners: Vec<TcpListener>,
    mut reloads: Reloads,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (store, metrics, mut supervisor) = start(config, options.dropped_log_lines)?;
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
    // Error of the last reload of the configuration file.
    let mut config_error = None;
    loop {
        let (request, config, web_outcome) = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            // Otherwise the exporter would serve values that are no longer updated.
            reason = supervisor.run() => bail!("a task ended unexpectedly: {reason}"),
            reload = next_reload(&mut reloads, options.source.as_ref(), &web) => reload,
        };
        if let Some(config) = config {
            let reload = |config| supervisor.reload(config).map_err(|error| error.to_string());
            config_error = config.and_then(reload).err();
        }
        let web_error = web_outcome.err();
        let errors: Vec<_> = config_error.iter().chain(&web_error).map(String::as_str).collect();
        let errors = (!errors.is_empty()).then(|| errors.join("; "));
        let (scope, error) = match request.scope {
            ReloadScope::All => ("configuration", errors.clone()),
            ReloadScope::Web => ("web configuration", web_error),
        };
        match &error {
            None => tracing::info!("reloaded {scope}"),
            Some(error) => {
                tracing::error!(error, "failed to reload {scope}; keeping the previous one");
            }
        }
        metrics.count_reload(error.is_some(), errors, Timestamp::now());
        // The requester may be gone.
        let _ = request.answer.send(error.map_or(Ok(()), Err));
    }
    drop(supervisor);
    // Fails pending requests to reload.
    drop(reloads);
    let _ = server.await;
    Ok(())
}

/// Polls every target once. Returns the exposition, and true if everything succeeded.
///
/// Returns an error if `shutdown` comes first.
pub async fn once(
    mut config: Config,
    dropped_log_lines: Arc<AtomicU64>,
    shutdown: CancellationToken,
) -> anyhow::Result<(String, bool)> {
    // Targets found later are not polled: clusters that come and go would keep `--once` running.
    config.discovery_interval = ONCE_DISCOVERY_INTERVAL;
    let interval = config.poll.interval;
    let (store, metrics, mut supervisor) = start(config, dropped_log_lines)?;
    let (mut min_pending, mut progressed_at) = (usize::MAX, Instant::now());
    let view = loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => bail!("stopped before every target was polled"),
            reason = supervisor.run() => bail!("a task ended unexpectedly: {reason}"),
            () = tokio::time::sleep(READY_CHECK_INTERVAL) => {}
        }
        if store.is_ready() {
            let view = store.view(Instant::now());
            let pending = view.pending();
            if pending < min_pending {
                (min_pending, progressed_at) = (pending, Instant::now());
            }
            if pending == 0 || progressed_at.elapsed() > COLLECTORS_TIMEOUT {
                break Arc::new(view);
            }
        }
    };
    let is_ok = view.is_healthy();
    let text = Exposition::new(view, metrics, interval, None, Format::Text)?.chunks().collect();
    Ok((text, is_ok))
}

fn start(
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
        "loaded configuration"
    );
    let metrics = SelfMetrics::new(&ENDPOINTS, Timestamp::now());
    let metrics = Arc::new(metrics.with_dropped_log_lines(dropped_log_lines));
    let store = Arc::new(Store::new(config.poll.stale_after));
    let supervisor = Supervisor::new(config, store.clone(), metrics.clone())
        .context("failed to set up the Atlas client")?;
    Ok((store, metrics, supervisor))
}

/// Waits for a request to reload, then reads the configuration files in its scope.
///
/// Cancellation drops the request, which answers it.
async fn next_reload(
    reloads: &mut Reloads,
    source: Option<&Source>,
    web: &WebConfigWatcher,
) -> (ReloadRequest, Option<Result<Config, String>>, Result<(), String>) {
    let request = reloads.next().await;
    let config = match (request.scope, source) {
        (ReloadScope::All, Some(source)) => Some(read_again(source.clone()).await),
        // The demo has no configuration file.
        (ReloadScope::All, None) | (ReloadScope::Web, _) => None,
    };
    // An invalid configuration must not remove restrictions of the web configuration.
    let is_manual = request.scope == ReloadScope::All && !matches!(config, Some(Err(_)));
    let trigger = if is_manual { ReloadTrigger::Manual } else { ReloadTrigger::FileChange };
    let web = web.reload(trigger).await.map_err(|error| redact::line(&error.to_string()));
    (request, config, web)
}

/// Requests a reload of the web configuration after each change.
async fn follow_web(web: WebConfigWatcher, reload: ReloadHandle) {
    loop {
        web.changed().await;
        // The outcome is logged.
        let _ = reload.reload(ReloadScope::Web).await;
    }
}

/// Reads the configuration again, on a separate thread, because a file system can hang.
async fn read_again(source: Source) -> Result<Config, String> {
    let error = |error: ConfigError| error.to_string().replace('\n', "; ");
    let read = tokio::task::spawn_blocking(move || Config::load(&source).map_err(error));
    match tokio::time::timeout(RELOAD_TIMEOUT, read).await {
        Ok(read) => read.map_err(|error| error.to_string())?,
        Err(_) => Err(format!("configuration not read within {RELOAD_TIMEOUT:?}")),
    }
}
