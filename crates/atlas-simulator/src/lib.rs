#![doc = include_str!("../README.md")]
#![allow(missing_docs)] // most fields are those of Atlas's API

mod auth;
mod fault;
mod gzip;
mod job;
mod json;
mod response;
mod routes;
mod snapshot;
mod state;
mod token_bucket;

use std::future::IntoFuture;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use auth::{Account, Scheme, Sessions};
pub use fault::{Fault, FaultKind};
pub use job::{Entry, Job, JobOutcome, Recurring};
pub use snapshot::{FREQUENCIES, Snapshot, object_id};
pub use state::{
    AtlasState, Cluster, ClusterKind, Event, ExportBucket, ORGANIZATION, Order, Project, RecordedRequest,
    Schedule,
};
pub use token_bucket::TokenBucket;

/// A simulated Atlas that serves until it is dropped.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<Mutex<AtlasState>>,
    url: String,
    server: JoinHandle<std::io::Result<()>>,
}

impl Simulator {
    /// Serves `state` on a bound listener.
    pub fn start(listener: TcpListener, state: AtlasState) -> std::io::Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(state));
        let router = axum::Router::new().fallback(routes::answer).with_state(state.clone());
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { state, url, server })
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The state, to read and to change while it is served.
    pub fn state(&self) -> MutexGuard<'_, AtlasState> {
        state::lock(&self.state)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
