//! The exporter as a whole: polls and pages side by side until it is told to stop.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::atlas::{self, Atlas};
use crate::board::Board;
use crate::config::Config;
use crate::model::Target;
use crate::poll::Poller;
use crate::{discovery, http};

/// Requests that are under way at shutdown may take this long; a scrape takes far less.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the exporter ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client of the API could not be set up.
    #[error("cannot set up the Atlas client: {0}")]
    Atlas(#[from] atlas::Error),
    /// A listener failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] std::io::Error),
    /// A task that should run for ever has ended. Its figures would go on being served, so nothing goes on.
    #[error("a task has ended: {0}")]
    TaskEnded(String),
}

/// What the command line decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// The path of the metrics.
    pub telemetry_path: String,
}

/// Polls and serves until `shutdown`, then drains. Ends with an error if any of its tasks ends before that.
pub async fn run(
    config: Config,
    options: Options,
    listeners: Vec<TcpListener>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let atlas = Arc::new(Atlas::new(&config.atlas)?);
    let targets = targets(&config);
    let board = Arc::new(Board::new(targets.iter().cloned(), config.poll.stale_after));
    let router = http::router(http::Pages {
        board: board.clone(),
        poll_interval: config.poll.interval,
        telemetry_path: options.telemetry_path,
    });

    tracing::info!(clusters = targets.len(), projects = config.projects.len(), atlas = %config.atlas.base_url, "polling");
    let mut tasks = JoinSet::new();
    for project in &config.projects {
        tasks.spawn(discovery::name_project(
            atlas.clone(),
            board.clone(),
            project.id.clone(),
            config.discovery_interval,
        ));
    }
    let poller = Arc::new(Poller::new(atlas, board, config.poll));
    let count = targets.len();
    for (index, target) in targets.into_iter().enumerate() {
        tasks.spawn(poller.clone().watch(target, index, count));
    }

    let mut servers = JoinSet::new();
    for listener in listeners {
        let stop = shutdown.clone().cancelled_owned();
        servers.spawn(axum::serve(listener, router.clone()).with_graceful_shutdown(stop).into_future());
    }
    supervise(tasks, servers, &shutdown).await
}

fn targets(config: &Config) -> Vec<Target> {
    let of_project = |project: &crate::config::ProjectConfig| {
        let id = project.id.clone();
        project
            .clusters
            .clone()
            .into_iter()
            .map(move |cluster_name| Target { project_id: id.clone(), cluster_name })
    };
    config.projects.iter().flat_map(of_project).collect()
}

/// Waits for `shutdown`, then for the requests that are under way; an error once any task ends or panics before that, since
/// none of them should.
async fn supervise(
    mut tasks: JoinSet<()>,
    mut servers: JoinSet<std::io::Result<()>>,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        Some(ended) = tasks.join_next() => return Err(Error::TaskEnded(match ended {
            Ok(()) => "it returned".to_owned(),
            Err(error) => error.to_string(),
        })),
        Some(ended) = servers.join_next() => return Err(match ended {
            Ok(Err(error)) => Error::Serve(error),
            Ok(Ok(())) => Error::TaskEnded("a server returned".to_owned()),
            Err(error) => Error::TaskEnded(error.to_string()),
        }),
    }
    tasks.abort_all();
    let drained = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "requests are still under way; they are cut off");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;

    async fn outcome(task: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        tasks.spawn(task);
        let shutdown = CancellationToken::new();
        let supervised = supervise(tasks, JoinSet::new(), &shutdown);
        tokio::time::timeout(Duration::from_secs(5), supervised).await.expect("the end of a task is noticed")
    }

    #[tokio::test]
    async fn a_task_that_returns_or_panics_ends_the_exporter() {
        assert!(matches!(outcome(async {}).await, Err(Error::TaskEnded(_))));
        let error = outcome(async { panic!("a poll task died") }).await.unwrap_err().to_string();
        assert!(error.contains("panicked") && error.contains("a poll task died"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_ends_ends_the_exporter() {
        for result in [Ok(()), Err(std::io::Error::other("no more sockets"))] {
            let mut servers = JoinSet::new();
            servers.spawn(async { result });
            assert!(supervise(JoinSet::new(), servers, &CancellationToken::new()).await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_is_no_error_and_waits_for_requests_but_not_for_ever() {
        for (takes, expected) in [(1, 1), (3600, DRAIN.as_secs())] {
            let mut servers = JoinSet::new();
            servers.spawn(async move {
                tokio::time::sleep(Duration::from_secs(takes)).await;
                Ok(())
            });
            let shutdown = CancellationToken::new();
            shutdown.cancel();
            let start = tokio::time::Instant::now();
            assert!(supervise(JoinSet::new(), servers, &shutdown).await.is_ok());
            assert_eq!(start.elapsed().as_secs(), expected);
        }
    }
}
