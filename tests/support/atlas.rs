//! Simulated Atlas of tests.

use atlas_simulator::{Account, AtlasState, Cluster, Project, Scheme, Simulator};
use tokio::net::TcpListener;

/// The project of most tests.
pub(crate) const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
pub(crate) const SECRET: &str = "mdb_sa_sk_never_to_be_seen";
pub(crate) const PRIVATE_KEY: &str = "5ec4e7-never-to-be-seen";

pub(crate) fn service_account() -> Account {
    Account::new(Scheme::ServiceAccount, "mdb_sa_id_1", SECRET)
}

pub(crate) fn api_key() -> Account {
    Account::new(Scheme::ApiKey, "pubkey", PRIVATE_KEY)
}

/// One project with these clusters, and both accounts.
pub(crate) fn atlas_state(clusters: impl IntoIterator<Item = (&'static str, Cluster)>) -> AtlasState {
    let mut project = Project::new("payments");
    for (name, cluster) in clusters {
        project = project.with(name, cluster);
    }
    AtlasState {
        accounts: vec![service_account(), api_key()],
        projects: [(PROJECT.to_owned(), project)].into(),
        ..AtlasState::default()
    }
}

pub(crate) async fn simulator(state: AtlasState) -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, state).unwrap()
}

/// Changes the project [`PROJECT`] of the simulator.
pub(crate) fn update_project(simulator: &Simulator, change: impl FnOnce(&mut Project)) {
    change(simulator.state().projects.get_mut(PROJECT).unwrap());
}

/// Changes a cluster of [`PROJECT`].
pub(crate) fn update_cluster(simulator: &Simulator, name: &str, change: impl FnOnce(&mut Cluster)) {
    update_project(simulator, |project| change(project.clusters.get_mut(name).unwrap()));
}

/// Adds a cluster to [`PROJECT`], or replaces it.
pub(crate) fn add_cluster(simulator: &Simulator, name: impl Into<String>, cluster: Cluster) {
    update_project(simulator, |project| drop(project.clusters.insert(name.into(), cluster)));
}

/// Returns the end of the path of a cluster's export jobs.
pub(crate) fn exports(cluster: &str) -> String {
    format!("/{cluster}/backup/exports")
}

/// Returns the number of requests whose first line contains `part`.
pub(crate) fn requests(simulator: &Simulator, part: &str) -> usize {
    simulator.state().requests.iter().filter(|seen| seen.line.contains(part)).count()
}
