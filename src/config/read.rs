//! Which keys there are, what each may be, and how they hang together.

mod who;

use std::collections::BTreeSet;
use std::path::Path;

use config::{Value, ValueKind};
use url::Url;

use super::section::Section;
use super::selection::cluster_patterns;
use super::text::trimmed;
use super::{
    Config, ConfigError, Credentials, DISCOVERY_INTERVAL, DetailConfig, OrganizationConfig, PollConfig,
    ProjectConfig, ProjectPattern, Selection,
};
use crate::model::{Detail, Expected, OrganizationId, ProjectId, Shard};
use who::{API_KEY, SERVICE_ACCOUNT, authorities, credentials};

const ORGANIZATION: [&str; 7] = [
    "id",
    "exclude_projects",
    "exclude_clusters",
    "expected_interval",
    "export_expected",
    "service_account",
    "api_key",
];
const PROJECT: [&str; 7] = [
    "id",
    "clusters",
    "exclude_clusters",
    "expected_interval",
    "export_expected",
    "service_account",
    "api_key",
];

const ATLAS: [&str; 4] = ["base_url", "ca_file", "service_account", "api_key"];
const POLL: [&str; 6] =
    ["interval", "timeout", "stale_after", "concurrency", "incremental", "full_walk_interval"];
const DISCOVERY: [&str; 1] = ["interval"];
const DETAIL: [&str; 4] = ["interval", "snapshots", "events", "buckets"];
const SHARD: [&str; 2] = ["index", "total"];

/// Tables whose keys the environment can set.
pub(super) const TABLES: [(&str, &[&str]); 7] = [
    ("atlas", &ATLAS),
    ("atlas.service_account", &SERVICE_ACCOUNT),
    ("atlas.api_key", &API_KEY),
    ("poll", &POLL),
    ("discovery", &DISCOVERY),
    ("detail", &DETAIL),
    ("shard", &SHARD),
];

/// More shards than this are a slip.
const MOST_SHARDS: u32 = 1000;

pub(super) fn config(file: &Path, root: Value, host_name: &str) -> Result<Config, ConfigError> {
    let known = ["atlas", "poll", "discovery", "detail", "projects", "organizations", "shard"];
    let mut root = Section::root(file, root, &known)?;
    let mut atlas = root.section("atlas", &ATLAS)?;
    let base_url = atlas.required(
        "base_url",
        "an https URL without the path of the API, such as \"https://cloud.mongodb.com\" (http only to this machine)",
        |value| base_url(text(value)?),
    )?;
    let authorities = authorities(file, &mut atlas)?;
    let default = credentials(file, &mut atlas)?;

    let poll = poll(&mut root)?;
    let mut section = root.section("discovery", &DISCOVERY)?;
    let discovery_interval = section.duration("interval")?.unwrap_or(DISCOVERY_INTERVAL);
    let detail = detail(&mut root)?;
    let shard = which_shard(&mut root, host_name)?;

    let missing = || {
        atlas.error(
            "service_account",
            "is missing, and so is atlas.api_key; set one of them, or MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET in the environment",
        )
    };
    let who = |section: &mut Section<'_>| match credentials(file, section)? {
        Some(own) => Ok(own),
        None => default.clone().ok_or_else(missing),
    };
    let projects = projects(&mut root, who)?;
    let organizations = organizations(&mut root, who)?;
    if projects.is_empty() && organizations.is_empty() {
        if default.is_none() {
            return Err(missing());
        }
        return Err(root.error(
            "projects",
            "is missing, and so is organizations; name at least one project with [[projects]] and its id, or an organization with [[organizations]] and its id",
        ));
    }
    Ok(Config {
        base_url,
        authorities,
        proxy: None,
        poll,
        discovery_interval,
        detail,
        projects,
        organizations,
        shard,
        warnings: Vec::new(),
    })
}

fn poll(root: &mut Section<'_>) -> Result<PollConfig, ConfigError> {
    let mut section = root.section("poll", &POLL)?;
    let default = PollConfig::default();
    let interval = section.duration("interval")?.unwrap_or(default.interval);
    let concurrency = section.number("concurrency", "a whole number from 1 to 1000", 1..=1000)?;
    let poll = PollConfig {
        interval,
        timeout: section.duration("timeout")?.unwrap_or(default.timeout),
        stale_after: section.duration("stale_after")?.unwrap_or(default.stale_after.max(interval * 3)),
        concurrency: concurrency.map_or(default.concurrency, |number| number as usize),
        incremental: section.flag("incremental")?.unwrap_or(default.incremental),
        full_walk_interval: section.duration("full_walk_interval")?.unwrap_or(default.full_walk_interval),
    };
    if poll.stale_after < poll.interval * 2 {
        return Err(section.error(
            "stale_after",
            &format!(
                "is {:?}, less than two of poll.interval ({:?}), so figures would be withdrawn between two good polls; make it at least {:?}",
                poll.stale_after, poll.interval, poll.interval * 2
            ),
        ));
    }
    Ok(poll)
}

fn detail(root: &mut Section<'_>) -> Result<DetailConfig, ConfigError> {
    let mut section = root.section("detail", &DETAIL)?;
    let mut detail = DetailConfig::default();
    if let Some(interval) = section.duration("interval")? {
        detail.interval = interval;
    }
    for one in Detail::ALL {
        if section.flag(one.as_str())? == Some(false) {
            detail.off.push(one);
        }
    }
    Ok(detail)
}

fn which_shard(root: &mut Section<'_>, host_name: &str) -> Result<Shard, ConfigError> {
    let mut section = root.section("shard", &SHARD)?;
    let total = format!("the number of shards, from 1 to {MOST_SHARDS}");
    let total = section.number("total", &total, 1..=MOST_SHARDS)?;
    if !section.has("index") {
        return match total {
            None | Some(1) => Ok(Shard::default()),
            Some(total) => Err(section.error(
                "index",
                &format!(
                    "is missing; of {total} shards, say which this is: 0 to {}, or \"auto\" in a StatefulSet",
                    total - 1
                ),
            )),
        };
    }
    let origin = section.error("index", "").to_string();
    let complain = |problem: &str| ConfigError::new(&format!("{} {problem}", origin.trim_end()));
    let index =
        section.required(
            "index",
            "the number of this shard, from 0 on, or \"auto\"",
            |value| match &value.kind {
                ValueKind::I64(number) => u32::try_from(*number).ok().map(Some),
                ValueKind::String(text) if text.trim() == "auto" => Some(None),
                ValueKind::String(text) => text.trim().parse().ok().map(Some),
                _ => None,
            },
        )?;
    let ordinal = || host_name.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse().ok());
    let Some(index) = index.or_else(ordinal) else {
        return Err(complain(&format!(
            "is \"auto\", but the host name {host_name:?} does not end in a number, as \"exporter-0\" of a StatefulSet does; write the number"
        )));
    };
    let Some(total) = total else {
        return Err(section.error("total", "is missing; it should be the number of shards"));
    };
    if index >= total {
        return Err(complain(&format!("is {index}, but of {total} shards the last is {}", total - 1)));
    }
    Ok(Shard { index, total })
}

fn projects(
    root: &mut Section<'_>,
    who: impl Fn(&mut Section<'_>) -> Result<Credentials, ConfigError>,
) -> Result<Vec<ProjectConfig>, ConfigError> {
    let mut projects = Vec::new();
    let mut ids = BTreeSet::new();
    for mut section in root.sections("projects", &PROJECT)? {
        let id = section.required(
            "id",
            "a project id: 24 lower-case hexadecimal digits, as in the project's address in Atlas",
            |value| ProjectId::parse(text(value)?),
        )?;
        if !ids.insert(id.clone()) {
            return Err(section.error(
                "id",
                &format!("is \"{id}\" a second time; put all clusters of a project in one [[projects]]"),
            ));
        }
        let clusters = clusters(&mut section)?;
        let (expected, credentials) = (expected(&mut section)?, who(&mut section)?);
        projects.push(ProjectConfig { id, clusters, expected, credentials });
    }
    Ok(projects)
}

fn organizations(
    root: &mut Section<'_>,
    who: impl Fn(&mut Section<'_>) -> Result<Credentials, ConfigError>,
) -> Result<Vec<OrganizationConfig>, ConfigError> {
    let mut organizations = Vec::new();
    let mut ids = BTreeSet::new();
    for mut section in root.sections("organizations", &ORGANIZATION)? {
        let id = section.required(
            "id",
            "an organization id: 24 lower-case hexadecimal digits, as in the organization's address in Atlas",
            |value| OrganizationId::parse(text(value)?),
        )?;
        if !ids.insert(id.clone()) {
            return Err(section.error("id", &format!("is \"{id}\" a second time; once is enough")));
        }
        let exclude_projects = names(
            &mut section,
            "exclude_projects",
            "a list of project ids, and of names or patterns of names, such as [\"5f0e5a3b9c1d4e6f8a7b6c5d\", \"sandbox-*\"]",
        )?;
        let exclude_projects = ProjectPattern::parse_all(&exclude_projects.unwrap_or_default())
            .map_err(|problem| section.error("exclude_projects", &problem))?;
        let exclude_clusters = excluded_clusters(&mut section)?;
        let (expected, credentials) = (expected(&mut section)?, who(&mut section)?);
        organizations.push(OrganizationConfig {
            id,
            exclude_projects,
            exclude_clusters,
            expected,
            credentials,
        });
    }
    Ok(organizations)
}

fn clusters(section: &mut Section<'_>) -> Result<Selection, ConfigError> {
    let entries = names(
        section,
        "clusters",
        "a list of cluster names or patterns, such as [\"prod-eu\", \"reporting-*\"]; left out, it is every cluster",
    )?;
    let excluded = excluded_clusters(section)?;
    let Some(entries) = entries else { return Ok(Selection { excluded, ..Selection::default() }) };
    if entries.is_empty() {
        return Err(section.error(
            "clusters",
            "is []; leave it out for every cluster, and name those that should not be watched in exclude_clusters. To watch nothing of a project, leave out its [[projects]], or name it in exclude_projects of its organization",
        ));
    }
    let selection = Selection::parse(entries.iter().map(String::as_str))
        .map_err(|problem| section.error("clusters", &problem))?;
    let selection = Selection { excluded, ..selection };
    match selection.names.iter().find(|name| selection.excludes(name)) {
        None => Ok(selection),
        Some(name) => Err(section.error(
            "clusters",
            &format!("names {name:?}, which exclude_clusters excludes; take it out of one of them"),
        )),
    }
}

fn excluded_clusters(section: &mut Section<'_>) -> Result<Vec<glob::Pattern>, ConfigError> {
    let expected = "a list of cluster names or patterns, such as [\"scratch\", \"test-*\"]";
    let entries = names(section, "exclude_clusters", expected)?;
    cluster_patterns(&entries.unwrap_or_default())
        .map_err(|problem| section.error("exclude_clusters", &problem))
}

/// A list of names and patterns.
fn names(section: &mut Section<'_>, key: &str, expected: &str) -> Result<Option<Vec<String>>, ConfigError> {
    section.optional(key, expected, |value| match &value.kind {
        ValueKind::Array(names) => {
            names.iter().map(|name| text(name).filter(|name| is_name(name)).map(str::to_owned)).collect()
        }
        _ => None,
    })
}

fn expected(section: &mut Section<'_>) -> Result<Expected, ConfigError> {
    let interval = section.duration("expected_interval")?;
    let export =
        section.optional("export_expected", "\"auto\", true or false", |value| match &value.kind {
            ValueKind::Boolean(expected) => Some(Some(*expected)),
            ValueKind::String(text) if text == "auto" => Some(None),
            _ => None,
        })?;
    Ok(Expected { interval, export: export.flatten() })
}

/// Whether a cluster could be called this. What Atlas allows is documented in two ways, so only what cannot stand in a path
/// as it is (dots alone) or stems from a slip is refused.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !matches!(name, "." | "..") && !name.contains(char::is_control)
}

fn text(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

fn filled(value: &Value) -> Option<String> {
    text(value).map(trimmed).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Credentials go wherever this points, so plain http is for this machine only.
fn base_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let loopback = match url.host()? {
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
        url::Host::Domain(name) => name == "localhost",
    };
    let plain = !url.path().contains("/api/")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || !(url.scheme() == "https" || (url.scheme() == "http" && loopback)) {
        return None;
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}
