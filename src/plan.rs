//! What is to be watched: a pure function of the configuration and of what Atlas lists.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use atlas_client::{Credentials, ListedCluster, OrganizationId, PartialList, ProjectId, Unexportable};
use glob::Pattern;

use crate::config::{Config, OrganizationConfig, Selection};
use crate::model::{ExclusionReason, Expected};

/// The projects that an organization lists, and their names where these could be read.
pub(crate) type ListedProjects = BTreeMap<ProjectId, Option<String>>;

/// A project that is watched, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    /// The organization that it was found in; `None` for a `[[projects]]` entry.
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) selection: Selection,
    pub(crate) expected: Expected,
    pub(crate) credentials: Credentials,
}

/// Every project that is watched, given the projects that each organization lists. `[[projects]]`
/// wins over `[[organizations]]`, what that excludes included, and of two organizations the one
/// that stands first.
pub(crate) fn projects<'a>(
    config: &Config,
    listed: impl Fn(&OrganizationId) -> Option<&'a ListedProjects>,
) -> BTreeMap<ProjectId, Project> {
    let mut projects = BTreeMap::new();
    for project in &config.projects {
        let plan = Project {
            organization: None,
            selection: project.clusters.clone(),
            expected: project.expected,
            credentials: project.credentials.clone(),
        };
        projects.insert(project.id.clone(), plan);
    }
    for organization in &config.organizations {
        for (id, name) in listed(&organization.id).into_iter().flatten() {
            if organization.excludes(id, name.as_deref()) {
                continue;
            }
            projects.entry(id.clone()).or_insert_with(|| Project {
                organization: Some(organization.id.clone()),
                selection: Selection {
                    excluded: organization.exclude_clusters.clone(),
                    ..Selection::default()
                },
                expected: organization.expected,
                credentials: organization.credentials.clone(),
            });
        }
    }
    projects
}

/// The number of projects that `organization` lists and that are not watched since it excludes
/// them.
pub(crate) fn excluded(config: &Config, organization: &OrganizationConfig, listed: &ListedProjects) -> usize {
    let entries: HashSet<_> = config.projects.iter().map(|project| &project.id).collect();
    let excludes = |(id, name): &(&ProjectId, &Option<String>)| organization.excludes(id, name.as_deref());
    listed.iter().filter(excludes).filter(|(id, _)| !entries.contains(id)).count()
}

/// What a selection comes to in a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selected<'a> {
    /// The clusters to watch, and how the project lists them; `None` where it does not.
    pub(crate) watched: BTreeMap<&'a str, Option<&'a ListedCluster>>,
    /// Clusters that would have been selected, but cannot be exported or are excluded.
    pub(crate) left_out: BTreeMap<&'a str, ExclusionReason>,
}

impl Selected<'_> {
    /// How many are left out, by reason.
    pub(crate) fn counts(&self) -> BTreeMap<ExclusionReason, u64> {
        let count = |reason| self.left_out.values().filter(|left_out| **left_out == reason).count() as u64;
        ExclusionReason::ALL.into_iter().map(|reason| (reason, count(reason))).collect()
    }
}

/// Which clusters of a project are watched; `listed` is `None` while nobody knows what there is.
///
/// A cluster that the selection names in full is watched whatever it is: that it is missing, or
/// cannot be exported, must be seen.
pub(crate) fn clusters<'a>(selection: &'a Selection, listed: Option<&'a [ListedCluster]>) -> Selected<'a> {
    let mut selected = Selected::default();
    selected.watched.extend(selection.names.iter().map(|name| (name.as_str(), None)));
    for cluster in listed.into_iter().flatten() {
        let name = cluster.name.as_str();
        match cluster.unexportable {
            _ if selection.names.contains(name) => drop(selected.watched.insert(name, Some(cluster))),
            _ if !selection.matches(name) => {}
            _ if selection.excludes(name) => {
                selected.left_out.insert(name, ExclusionReason::Configured);
            }
            None => drop(selected.watched.insert(name, Some(cluster))),
            Some(reason) => {
                selected.left_out.insert(name, ExclusionReason::Unexportable(reason));
            }
        }
    }
    selected
}

/// Merges a listing of projects with the one before it. A known name stays where the new one is
/// unreadable, so that no exclusion comes and goes; and where entries are unreadable, missing
/// projects stay, up to `max` in all.
pub(crate) fn merge_projects(
    listing: PartialList<(ProjectId, Option<String>)>,
    before: ListedProjects,
    max: usize,
) -> ListedProjects {
    let mut listed: ListedProjects = listing.entries.into_iter().collect();
    for (id, name) in before {
        if let Some(known) = listed.get_mut(&id) {
            *known = known.take().or(name);
        } else if listing.error.is_some() && listed.len() < max {
            listed.insert(id, name);
        }
    }
    listed
}

/// Merges a listing of clusters with the one before it: where entries are unreadable, missing
/// clusters stay, up to `max` in all.
pub(crate) fn merge_clusters(
    listing: PartialList<ListedCluster>,
    before: Vec<ListedCluster>,
    max: usize,
) -> Vec<ListedCluster> {
    let mut listed = listing.entries;
    if listing.error.is_some() {
        let names: HashSet<_> = listed.iter().map(|cluster| cluster.name.as_str()).collect();
        let is_missing = |cluster: &ListedCluster| !names.contains(cluster.name.as_str());
        let room = max.saturating_sub(listed.len());
        let missing: Vec<_> = before.into_iter().filter(is_missing).take(room).collect();
        listed.extend(missing);
    }
    listed
}

/// Maximum number of names about which there is a complaint of its own.
const MAX_COMPLAINTS: usize = 10;

/// A name or a pattern of the configuration that matches nothing that is exported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Complaint {
    /// A cluster that is named in full.
    Cluster {
        name: String,
        /// Why it cannot be exported; `None` if the project does not list it.
        reason: Option<Unexportable>,
        /// The listed name that may have been meant.
        meant: Option<String>,
    },
    /// Further names.
    More { count: usize },
    /// A pattern, or the id of a project.
    Pattern {
        pattern: String,
        /// What it should match: `cluster` or `project`.
        kind: &'static str,
    },
}

/// Returns the entries of a selection that match nothing. Exclusions of an organization hold for
/// all its projects, so those of one cannot tell.
pub(crate) fn complaints(
    selection: &Selection,
    listed: &[ListedCluster],
    selected: &Selected<'_>,
    organization: Option<&OrganizationId>,
) -> BTreeSet<Complaint> {
    let (mut found, mut more) = (BTreeSet::new(), 0);
    for (name, cluster) in &selected.watched {
        let reason = cluster.and_then(|cluster| cluster.unexportable);
        if cluster.is_some() && reason.is_none() {
            continue;
        }
        if found.len() == MAX_COMPLAINTS {
            more += 1;
            continue;
        }
        let meant = if cluster.is_none() { meant(name, listed).map(str::to_owned) } else { None };
        found.insert(Complaint::Cluster { name: (*name).to_owned(), reason, meant });
    }
    found.extend((more > 0).then_some(Complaint::More { count: more }));
    let names: Vec<_> = listed.iter().map(|cluster| cluster.name.as_str()).collect();
    let excluded = selection.excluded.iter().filter(|_| organization.is_none());
    let patterns = selection.patterns.iter().flatten().chain(excluded);
    found.extend(unmatched(patterns, &names));
    found
}

/// Returns the exclusions of an organization that match nothing. `names` are those of all clusters
/// in its projects, `None` while some are not known.
pub(crate) fn organization_complaints(
    organization: &OrganizationConfig,
    listed: &ListedProjects,
    names: Option<&[&str]>,
) -> BTreeSet<Complaint> {
    let of_projects = organization
        .exclude_projects
        .iter()
        .filter(|pattern| !listed.iter().any(|(id, name)| pattern.matches(id, name.as_deref())))
        .map(|pattern| Complaint::Pattern { pattern: pattern.to_string(), kind: "project" });
    let of_clusters = names.into_iter().flat_map(|names| unmatched(&organization.exclude_clusters, names));
    of_projects.chain(of_clusters).collect()
}

fn unmatched<'a>(
    patterns: impl IntoIterator<Item = &'a Pattern>,
    names: &[&str],
) -> impl Iterator<Item = Complaint> {
    patterns
        .into_iter()
        .filter(|pattern| !names.iter().any(|name| pattern.matches(name)))
        .map(|pattern| Complaint::Pattern { pattern: pattern.to_string(), kind: "cluster" })
}

/// Maximum number of names that are compared with one that is not listed.
const MAX_CANDIDATES: usize = 1000;

/// The listed name that `name` may be a slip of.
pub(crate) fn meant<'a>(name: &str, listed: &'a [ListedCluster]) -> Option<&'a str> {
    exporter_web::suggest(name, listed.iter().take(MAX_CANDIDATES).map(|cluster| cluster.name.as_str()))
}

#[cfg(test)]
mod tests {
    use atlas_client::Error;

    use super::*;
    use crate::cpu_time;

    fn listed(clusters: &[(&str, Option<Unexportable>)]) -> Vec<ListedCluster> {
        clusters
            .iter()
            .map(|(name, unexportable)| ListedCluster {
                name: (*name).to_owned(),
                unexportable: *unexportable,
                paused: None,
                created_at: None,
                sharded: false,
            })
            .collect()
    }

    fn flawed<T>(found: Vec<T>) -> PartialList<T> {
        PartialList { entries: found, error: Some(Error::Timeout) }
    }

    #[test]
    fn names_are_watched_whatever_they_are_and_patterns_take_what_can_be_exported() {
        let there = listed(&[
            ("prod", None),
            ("test-a", None),
            ("test-free", Some(Unexportable::SharedTier)),
            ("old", Some(Unexportable::BackupDisabled)),
        ]);
        let check = |entries: Option<&[&str]>, watched: &[(&str, bool)], left_out: &[&str]| {
            let selection = entries.map_or_else(Selection::default, |entries| {
                Selection::parse(entries.iter().copied()).unwrap()
            });
            let selected = clusters(&selection, Some(&there));
            let seen: Vec<_> =
                selected.watched.iter().map(|(name, listed)| (*name, listed.is_some())).collect();
            assert_eq!(seen, watched, "{entries:?}");
            assert_eq!(selected.left_out.into_keys().collect::<Vec<_>>(), left_out, "{entries:?}");
        };
        check(None, &[("prod", true), ("test-a", true)], &["old", "test-free"]);
        check(Some(&["test-*"]), &[("test-a", true)], &["test-free"]);
        check(Some(&["old", "prodd"]), &[("old", true), ("prodd", false)], &[]);
        check(Some(&["old", "*"]), &[("old", true), ("prod", true), ("test-a", true)], &["test-free"]);
        let selection = Selection::parse(["prod", "test-*"]).unwrap();
        let unknown = clusters(&selection, None);
        assert_eq!(unknown.watched, BTreeMap::from([("prod", None)]));
        assert!(unknown.counts().values().all(|count| *count == 0));
    }

    #[test]
    fn excluded_clusters_are_counted_as_configured() {
        let there =
            listed(&[("prod", None), ("test-a", None), ("test-free", Some(Unexportable::SharedTier))]);
        let excluded = vec![Pattern::new("test-*").unwrap(), Pattern::new("none-*").unwrap()];
        let check = |selection: Selection, left_out: &[&str]| {
            let selected = clusters(&selection, Some(&there));
            assert_eq!(selected.watched.into_keys().collect::<Vec<_>>(), ["prod"]);
            let configured: BTreeMap<_, _> =
                left_out.iter().map(|name| (*name, ExclusionReason::Configured)).collect();
            assert_eq!(selected.left_out, configured);
        };
        check(Selection { excluded: excluded.clone(), ..Selection::default() }, &["test-a", "test-free"]);
        let named = Selection::parse(["prod"]).unwrap();
        check(Selection { excluded: excluded.clone(), ..named }, &[]);

        let selection = Selection { excluded, ..Selection::default() };
        let found = |organization| {
            let selected = clusters(&selection, Some(&there));
            complaints(&selection, &there, &selected, organization)
        };
        let unmatched = Complaint::Pattern { pattern: "none-*".to_owned(), kind: "cluster" };
        assert_eq!(found(None), BTreeSet::from([unmatched]));
        let organization = OrganizationId::parse("5f0e5a3b9c1d4e6f8a7b0000").unwrap();
        assert_eq!(found(Some(&organization)), BTreeSet::new(), "another project may have a match");
    }

    #[test]
    fn what_leads_nowhere_is_a_complaint() {
        let there = listed(&[("prod-eu", None), ("free-a", Some(Unexportable::SharedTier))]);
        let selection = Selection::parse(["prod-ue", "free-a", "free-*", "none-*"]).unwrap();
        let found = complaints(&selection, &there, &clusters(&selection, Some(&there)), None);
        let name = |name: &str| name.to_owned();
        let expected = [
            Complaint::Cluster { name: name("prod-ue"), reason: None, meant: Some(name("prod-eu")) },
            Complaint::Cluster { name: name("free-a"), reason: Some(Unexportable::SharedTier), meant: None },
            Complaint::Pattern { pattern: name("none-*"), kind: "cluster" },
        ];
        assert_eq!(
            found,
            BTreeSet::from(expected),
            "a pattern that matches what cannot be exported has a match"
        );
    }

    #[test]
    fn a_slip_is_told_from_another_name() {
        let there = listed(&[("prod-eu", None), ("prod-us", None), ("reporting", None)]);
        for (name, expected) in [
            ("prod-ue", Some("prod-eu")),
            ("PROD-US", Some("prod-us")),
            ("reportng", Some("reporting")),
            ("warehouse", None),
        ] {
            assert_eq!(meant(name, &there), expected, "{name}");
        }
        assert_eq!(meant("prod", &[]), None);
    }

    /// Clusters of a project, `many` of which nothing else lists.
    fn many(many: usize, prefix: &str) -> Vec<ListedCluster> {
        let names: Vec<_> = (0..many).map(|number| format!("{prefix}-{number:05}")).collect();
        listed(&names.iter().map(|name| (name.as_str(), None)).collect::<Vec<_>>())
    }

    /// Compares two listings of so many clusters, in turns.
    fn take_turns(count: usize) {
        let (one, other) = (many(count, "one"), many(count, "other"));
        let names = one.iter().map(|cluster| cluster.name.clone()).collect();
        let selection = Selection { names, patterns: Some(Vec::new()), excluded: Vec::new() };
        for (listed, before) in [(&one, &other), (&other, &one)] {
            for max in [count + 1, 2 * count] {
                let merged = merge_clusters(flawed(listed.clone()), before.clone(), max);
                assert_eq!(merged.len(), max);
            }
        }
        for (listed, expected) in [(&one, 0), (&other, MAX_COMPLAINTS + 1)] {
            let selected = clusters(&selection, Some(listed));
            assert_eq!(selected.watched.len(), count);
            let found = complaints(&selection, listed, &selected, None);
            assert_eq!(found.len(), expected);
            let more = Complaint::More { count: count - MAX_COMPLAINTS };
            assert_eq!(found.contains(&more), expected > 0);
        }
    }

    #[test]
    fn listings_that_take_turns_are_compared_in_linear_time() {
        // To compare every name with every other one would take about 225 times as long.
        let ratio = cpu_time::ratio(take_turns, 30_000, 2_000);
        assert!(ratio < 60.0, "{ratio}");
    }

    #[test]
    fn older_listing_adds_what_is_missing() {
        let newer = listed(&[("a", None), ("b", Some(Unexportable::SharedTier))]);
        let older = listed(&[("b", None), ("c", None)]);
        let expected = listed(&[("a", None), ("b", Some(Unexportable::SharedTier)), ("c", None)]);
        assert_eq!(merge_clusters(flawed(newer.clone()), older.clone(), 9), expected);
        assert_eq!(merge_clusters(PartialList { entries: newer.clone(), error: None }, older, 9), newer);
    }

    #[test]
    fn known_project_names_stay() {
        let id = |digit: &str| ProjectId::parse(&digit.repeat(24)).unwrap();
        let name = |name: &str| Some(name.to_owned());
        let before =
            ListedProjects::from([(id("a"), name("old")), (id("b"), name("b")), (id("c"), name("c"))]);
        let found = vec![(id("a"), name("new")), (id("b"), None)];
        let complete = PartialList { entries: found.clone(), error: None };
        let expected = ListedProjects::from([(id("a"), name("new")), (id("b"), name("b"))]);
        assert_eq!(merge_projects(complete, before.clone(), 9), expected);
        assert_eq!(merge_projects(flawed(found.clone()), before.clone(), 2), expected);
        assert_eq!(merge_projects(flawed(found), before, 3).len(), 3);
    }
}
