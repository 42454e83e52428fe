//! Atlas in miniature, as strict as the real one: it serves `demo` and the tests.
//!
//! It shares no type with its clients. What it knows of Atlas stands here a second time,
//! so that a wrong field name in the client is not mirrored in its fake.

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

pub use auth::{Account, Scheme};
pub use fault::{Fault, Misbehaviour};
pub use state::{
    Cluster, End, Entry, Event, ExportBucket, Job, Kind, ORGANIZATION, Order, PolicyItem, Project, Recurring,
    Schedule, Seen, Shape, Snapshot, World, object_id,
};
pub use token_bucket::Bucket;

/// A simulator that serves until it is dropped.
#[derive(Debug)]
pub struct Simulator {
    world: Arc<Mutex<World>>,
    url: String,
    server: JoinHandle<std::io::Result<()>>,
}

impl Simulator {
    /// Serves `world` on a listener that is bound already.
    pub fn start(listener: TcpListener, world: World) -> std::io::Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        let world = Arc::new(Mutex::new(world));
        let router = axum::Router::new().fallback(routes::answer).with_state(world.clone());
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { world, url, server })
    }

    /// The base URL to configure.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The world, to look at and to change while it is served.
    pub fn world(&self) -> MutexGuard<'_, World> {
        state::lock(&self.world)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
