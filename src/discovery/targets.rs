//! What is to be watched: a pure function of the configuration and of what Atlas lists.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use atlas_client::{ListedCluster, OrganizationId, PartialList, ProjectId, Unexportable};
use glob::Pattern;

use crate::config::{ClusterSelector, Config, OrganizationConfig, ProjectTarget};
use crate::model::ExclusionReason;

/// The projects that an organization lists, and their names where these could be read.
pub(crate) type ListedProjects = BTreeMap<ProjectId, Option<String>>;

/// Every project that is watched, given the projects that each organization lists. `[[projects]]`
/// wins over `[[organizations]]`, what that excludes included, and of two organizations the one
/// that stands first.
pub(crate) fn select_projects<'a>(
    config: &Config,
    listed: impl Fn(&OrganizationId) -> Option<&'a ListedProjects>,
) -> BTreeMap<ProjectId, ProjectTarget> {
    let entries = config.projects.iter().map(|project| (project.id.clone(), project.clone()));
    let mut projects: BTreeMap<_, _> = entries.collect();
    for organization in &config.organizations {
        for (id, name) in listed(&organization.id).into_iter().flatten() {
            if organization.excludes(id, name.as_deref()) {
                continue;
            }
            projects.entry(id.clone()).or_insert_with(|| ProjectTarget {
                id: id.clone(),
                organization: Some(organization.id.clone()),
                selection: ClusterSelector {
                    excluded: organization.exclude_clusters.clone(),
                    ..ClusterSelector::default()
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
pub(crate) fn excluded_projects(
    config: &Config,
    organization: &OrganizationConfig,
    listed: &ListedProjects,
) -> usize {
    let entries: HashSet<_> = config.projects.iter().map(|project| &project.id).collect();
    let excludes = |(id, name): &(&ProjectId, &Option<String>)| organization.excludes(id, name.as_deref());
    listed.iter().filter(excludes).filter(|(id, _)| !entries.contains(id)).count()
}

/// What a selection comes to in a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SelectedClusters<'a> {
    /// The clusters to watch, and how the project lists them; `None` where it does not.
    pub(crate) watched: BTreeMap<&'a str, Option<&'a ListedCluster>>,
    /// Clusters that would have been selected, but cannot be exported or are excluded.
    pub(crate) excluded: BTreeMap<&'a str, ExclusionReason>,
}

impl SelectedClusters<'_> {
    /// How many are left out, by reason.
    pub(crate) fn counts(&self) -> BTreeMap<ExclusionReason, u64> {
        let count = |reason| self.excluded.values().filter(|excluded| **excluded == reason).count() as u64;
        ExclusionReason::ALL.into_iter().map(|reason| (reason, count(reason))).collect()
    }
}

/// Which clusters of a project are watched; `listed` is `None` while nobody knows what there is.
///
/// A cluster that the selection names in full is watched whatever it is: that it is missing, or
/// cannot be exported, must be seen.
pub(crate) fn select_clusters<'a>(
    selection: &'a ClusterSelector,
    listed: Option<&'a [ListedCluster]>,
) -> SelectedClusters<'a> {
    let mut selected = SelectedClusters::default();
    selected.watched.extend(selection.names.iter().map(|name| (name.as_str(), None)));
    for cluster in listed.into_iter().flatten() {
        let name = cluster.name.as_str();
        match cluster.unexportable {
            _ if selection.names.contains(name) => drop(selected.watched.insert(name, Some(cluster))),
            _ if !selection.matches(name) => {}
            _ if selection.excludes(name) => {
                selected.excluded.insert(name, ExclusionReason::Configured);
            }
            None => drop(selected.watched.insert(name, Some(cluster))),
            Some(reason) => {
                selected.excluded.insert(name, ExclusionReason::Unexportable(reason));
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
const MAX_WARNINGS: usize = 10;

/// A name or a pattern of the configuration that matches nothing that is exported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SelectionWarning {
    /// A cluster that is named in full.
    Cluster {
        name: String,
        /// Why it cannot be exported; `None` if the project does not list it.
        reason: Option<Unexportable>,
        /// The listed name that may have been meant.
        meant: Option<String>,
    },
    More {
        count: usize,
    },
    /// A pattern, or the id of a project.
    Pattern {
        pattern: String,
        /// What it should match: `cluster` or `project`.
        kind: &'static str,
    },
}

/// Returns the entries of a selection that match nothing. Exclusions of an organization hold for
/// all its projects, so those of one cannot tell.
pub(crate) fn selection_warnings(
    target: &ProjectTarget,
    listed: &[ListedCluster],
    selected: &SelectedClusters<'_>,
) -> BTreeSet<SelectionWarning> {
    let (mut found, mut more) = (BTreeSet::new(), 0);
    for (name, cluster) in &selected.watched {
        let reason = cluster.and_then(|cluster| cluster.unexportable);
        if cluster.is_some() && reason.is_none() {
            continue;
        }
        if found.len() == MAX_WARNINGS {
            more += 1;
            continue;
        }
        let meant = if cluster.is_none() { closest_name(name, listed).map(str::to_owned) } else { None };
        found.insert(SelectionWarning::Cluster { name: (*name).to_owned(), reason, meant });
    }
    found.extend((more > 0).then_some(SelectionWarning::More { count: more }));
    let names: Vec<_> = listed.iter().map(|cluster| cluster.name.as_str()).collect();
    let excluded = target.selection.excluded.iter().filter(|_| target.organization.is_none());
    let patterns = target.selection.patterns.iter().flatten().chain(excluded);
    found.extend(unmatched(patterns, &names));
    found
}

/// Returns the exclusions of an organization that match nothing. `names` are those of all clusters
/// in its projects, `None` while some are not known.
pub(crate) fn organization_warnings(
    organization: &OrganizationConfig,
    listed: &ListedProjects,
    names: Option<&[&str]>,
) -> BTreeSet<SelectionWarning> {
    let of_projects = organization
        .exclude_projects
        .iter()
        .filter(|pattern| !listed.iter().any(|(id, name)| pattern.matches(id, name.as_deref())))
        .map(|pattern| SelectionWarning::Pattern { pattern: pattern.to_string(), kind: "project" });
    let of_clusters = names.into_iter().flat_map(|names| unmatched(&organization.exclude_clusters, names));
    of_projects.chain(of_clusters).collect()
}

fn unmatched<'a>(
    patterns: impl IntoIterator<Item = &'a Pattern>,
    names: &[&str],
) -> impl Iterator<Item = SelectionWarning> {
    patterns
        .into_iter()
        .filter(|pattern| !names.iter().any(|name| pattern.matches(name)))
        .map(|pattern| SelectionWarning::Pattern { pattern: pattern.to_string(), kind: "cluster" })
}

/// Maximum number of names that are compared with one that is not listed.
const MAX_CANDIDATES: usize = 1000;

/// The listed name that `name` may be a slip of.
pub(crate) fn closest_name<'a>(name: &str, listed: &'a [ListedCluster]) -> Option<&'a str> {
    exporter_web::suggest(name, listed.iter().take(MAX_CANDIDATES).map(|cluster| cluster.name.as_str()))
}

#[cfg(test)]
mod tests {
    use atlas_client::{CredentialKind, Credentials, Error, SecretSource};

    use super::*;
    use crate::cpu_time;
    use crate::model::ExportExpectation;

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
        PartialList { entries: found, error: Some(Error::Timeout("no response".to_owned())) }
    }

    fn warnings(
        selection: ClusterSelector,
        listed: &[ListedCluster],
        organization: Option<OrganizationId>,
    ) -> BTreeSet<SelectionWarning> {
        let secret = SecretSource::Inline { secret: "hush".into(), origin: String::new() };
        let credentials = Credentials {
            kind: CredentialKind::ApiKey,
            id: String::new(),
            secret,
            origin: String::new(),
            expires_at: None,
        };
        let target = ProjectTarget {
            id: ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap(),
            organization,
            selection,
            expected: ExportExpectation::default(),
            credentials,
        };
        selection_warnings(&target, listed, &select_clusters(&target.selection, Some(listed)))
    }

    #[test]
    fn names_select_any_cluster_and_patterns_exportable_ones() {
        let there = listed(&[
            ("prod", None),
            ("test-a", None),
            ("test-free", Some(Unexportable::SharedTier)),
            ("old", Some(Unexportable::BackupDisabled)),
        ]);
        let check = |entries: Option<&[&str]>, watched: &[(&str, bool)], excluded: &[&str]| {
            let selection = entries.map_or_else(ClusterSelector::default, |entries| {
                ClusterSelector::parse(entries.iter().copied()).unwrap()
            });
            let selected = select_clusters(&selection, Some(&there));
            let seen: Vec<_> =
                selected.watched.iter().map(|(name, listed)| (*name, listed.is_some())).collect();
            assert_eq!(seen, watched, "{entries:?}");
            assert_eq!(selected.excluded.into_keys().collect::<Vec<_>>(), excluded, "{entries:?}");
        };
        check(None, &[("prod", true), ("test-a", true)], &["old", "test-free"]);
        check(Some(&["test-*"]), &[("test-a", true)], &["test-free"]);
        check(Some(&["old", "prodd"]), &[("old", true), ("prodd", false)], &[]);
        check(Some(&["old", "*"]), &[("old", true), ("prod", true), ("test-a", true)], &["test-free"]);
        let selection = ClusterSelector::parse(["prod", "test-*"]).unwrap();
        let unknown = select_clusters(&selection, None);
        assert_eq!(unknown.watched, BTreeMap::from([("prod", None)]));
        assert!(unknown.counts().values().all(|count| *count == 0));
    }

    #[test]
    fn excluded_clusters_are_counted_as_configured() {
        let there =
            listed(&[("prod", None), ("test-a", None), ("test-free", Some(Unexportable::SharedTier))]);
        let excluded = vec![Pattern::new("test-*").unwrap(), Pattern::new("none-*").unwrap()];
        let check = |selection: ClusterSelector, excluded: &[&str]| {
            let selected = select_clusters(&selection, Some(&there));
            assert_eq!(selected.watched.into_keys().collect::<Vec<_>>(), ["prod"]);
            let configured: BTreeMap<_, _> =
                excluded.iter().map(|name| (*name, ExclusionReason::Configured)).collect();
            assert_eq!(selected.excluded, configured);
        };
        check(
            ClusterSelector { excluded: excluded.clone(), ..ClusterSelector::default() },
            &["test-a", "test-free"],
        );
        let named = ClusterSelector::parse(["prod"]).unwrap();
        check(ClusterSelector { excluded: excluded.clone(), ..named }, &[]);

        let selection = ClusterSelector { excluded, ..ClusterSelector::default() };
        let found = |organization| warnings(selection.clone(), &there, organization);
        let unmatched = SelectionWarning::Pattern { pattern: "none-*".to_owned(), kind: "cluster" };
        assert_eq!(found(None), BTreeSet::from([unmatched]));
        let organization = OrganizationId::parse("5f0e5a3b9c1d4e6f8a7b0000").unwrap();
        assert_eq!(found(Some(organization)), BTreeSet::new(), "another project may have a match");
    }

    #[test]
    fn unmatched_names_and_patterns_are_warnings() {
        let there = listed(&[("prod-eu", None), ("free-a", Some(Unexportable::SharedTier))]);
        let selection = ClusterSelector::parse(["prod-ue", "free-a", "free-*", "none-*"]).unwrap();
        let found = warnings(selection, &there, None);
        let name = |name: &str| name.to_owned();
        let expected = [
            SelectionWarning::Cluster { name: name("prod-ue"), reason: None, meant: Some(name("prod-eu")) },
            SelectionWarning::Cluster {
                name: name("free-a"),
                reason: Some(Unexportable::SharedTier),
                meant: None,
            },
            SelectionWarning::Pattern { pattern: name("none-*"), kind: "cluster" },
        ];
        assert_eq!(
            found,
            BTreeSet::from(expected),
            "a pattern that matches what cannot be exported has a match"
        );
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
        let selection = ClusterSelector { names, patterns: Some(Vec::new()), excluded: Vec::new() };
        for (listed, before) in [(&one, &other), (&other, &one)] {
            for max in [count + 1, 2 * count] {
                let merged = merge_clusters(flawed(listed.clone()), before.clone(), max);
                assert_eq!(merged.len(), max);
            }
        }
        for (listed, expected) in [(&one, 0), (&other, MAX_WARNINGS + 1)] {
            let found = warnings(selection.clone(), listed, None);
            assert_eq!(found.len(), expected);
            let more = SelectionWarning::More { count: count - MAX_WARNINGS };
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
