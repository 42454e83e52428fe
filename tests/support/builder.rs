//! Configuration of an exporter, and ways to run it.

use std::path::Path;
use std::process::Output;

use atlas_simulator::Simulator;
use tempfile::TempDir;
use tokio::process::Command;
use toml::{Table, Value};

use super::atlas::{PRIVATE_KEY, PROJECT, SECRET};
use super::exporter::{Exporter, STATE_TIMEOUT, command};

/// Configuration that polls five times a second, with command line flags and environment variables.
#[derive(Clone)]
pub(crate) struct ExporterBuilder {
    config: Table,
    /// TOML that follows the tables of `config`, instead of [`PROJECT`] with `clusters`.
    targets: Option<String>,
    clusters: Vec<String>,
    flags: Vec<String>,
    env: Vec<(String, String)>,
}

impl ExporterBuilder {
    /// Polls all clusters of [`PROJECT`], with the service account.
    pub(crate) fn new(simulator: &Simulator) -> Self {
        let clusters = simulator.state().projects[PROJECT].clusters.keys().cloned().collect::<Vec<_>>();
        Self::at(simulator.url()).clusters(clusters)
    }

    /// Polls no clusters of the Atlas at this URL, with the service account.
    pub(crate) fn at(base_url: &str) -> Self {
        let (targets, clusters, flags, env) = (None, Vec::new(), Vec::new(), Vec::new());
        Self { config: Table::new(), targets, clusters, flags, env }
            .set("atlas.base_url", base_url)
            .set("atlas.service_account.client_id", "mdb_sa_id_1")
            .set("atlas.service_account.client_secret", SECRET)
            .set("poll.interval", "200ms")
            .set("poll.timeout", "5s")
    }

    /// Sets a key of the configuration, such as `poll.interval`.
    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let (tables, key) = key.rsplit_once('.').unwrap();
        self.table(tables).insert(key.to_owned(), value.into());
        self
    }

    /// Removes a key or a table of the configuration.
    pub(crate) fn unset(mut self, key: &str) -> Self {
        let (tables, key) = key.rsplit_once('.').unwrap();
        self.table(tables).remove(key);
        self
    }

    fn table(&mut self, path: &str) -> &mut Table {
        path.split('.').fold(&mut self.config, |table, key| {
            let table = table.entry(key).or_insert_with(|| Table::new().into());
            table.as_table_mut().unwrap()
        })
    }

    /// Polls at this interval, with the exporter's default timeout.
    pub(crate) fn poll_interval(self, interval: &str) -> Self {
        self.unset("poll.timeout").set("poll.interval", interval)
    }

    pub(crate) fn base_url(self, url: &str) -> Self {
        self.set("atlas.base_url", url)
    }

    pub(crate) fn without_collectors(self, names: &[&str]) -> Self {
        names.iter().fold(self, |builder, name| builder.set(&format!("collectors.{name}"), false))
    }

    /// Reads the client secret from this file.
    pub(crate) fn secret_file(self, file: &str) -> Self {
        self.unset("atlas.service_account.client_secret")
            .set("atlas.service_account.client_secret_file", file)
    }

    /// Uses the API key whose private key is in this file instead of the service account.
    pub(crate) fn private_key_file(self, file: &str) -> Self {
        self.api_key().unset("atlas.api_key.private_key").set("atlas.api_key.private_key_file", file)
    }

    /// Uses the API key instead of the service account.
    pub(crate) fn api_key(self) -> Self {
        self.unset("atlas.service_account")
            .set("atlas.api_key.public_key", "pubkey")
            .set("atlas.api_key.private_key", PRIVATE_KEY)
    }

    /// Polls these clusters of [`PROJECT`].
    pub(crate) fn clusters(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.clusters = names.into_iter().map(Into::into).collect();
        self
    }

    /// Polls the targets of these `[[projects]]` and `[[organizations]]`; other tables may follow.
    pub(crate) fn targets(mut self, toml: impl Into<String>) -> Self {
        self.targets = Some(toml.into());
        self
    }

    /// Appends TOML to the targets.
    pub(crate) fn append(mut self, toml: &str) -> Self {
        self.targets = Some(self.targets_toml() + toml);
        self
    }

    /// Polls all clusters of a project.
    pub(crate) fn project(self, id: &str) -> Self {
        self.targets(format!("[[projects]]\nid = \"{id}\"\n"))
    }

    /// Polls all clusters of an organization.
    pub(crate) fn organization(self, id: &str) -> Self {
        self.targets(format!("[[organizations]]\nid = \"{id}\"\n"))
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    fn targets_toml(&self) -> String {
        let project = || format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = {:?}\n", self.clusters);
        self.targets.clone().unwrap_or_else(project)
    }

    pub(crate) fn toml(&self) -> String {
        format!("{}\n{}", toml::to_string(&self.config).unwrap(), self.targets_toml())
    }

    /// Writes the configuration to `config.toml`.
    pub(crate) fn write(&self, folder: impl AsRef<Path>) {
        std::fs::write(folder.as_ref().join("config.toml"), self.toml()).unwrap();
    }

    pub(crate) async fn start(self) -> Exporter {
        self.start_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_in(self, folder: TempDir) -> Exporter {
        self.write(&folder);
        let mut command = self.command(folder.path());
        command.arg("--web.listen-address=127.0.0.1:0");
        Exporter::spawn(command, folder).await
    }

    /// The exporter in a folder that holds its configuration.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let mut command = command();
        command.current_dir(folder).args(&self.flags).envs(self.env.clone());
        command
    }

    /// Runs `--once`, `check` and the like to their end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        self.run_in(&tempfile::tempdir().unwrap(), arguments).await
    }

    pub(crate) async fn run_in(&self, folder: &TempDir, arguments: &[&str]) -> Output {
        self.write(folder);
        let output = self.command(folder.path()).args(arguments).output();
        tokio::time::timeout(STATE_TIMEOUT * 2, output).await.expect("the exporter exits").unwrap()
    }
}
