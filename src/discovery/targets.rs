//! Selects projects and clusters: pure functions of the configuration and of listings.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use atlas_client::{ListedCluster, OrganizationId, PartialList, ProjectId, Unexportable};
use glob::Pattern;

use crate::config::{ClusterSelector, Config, OrganizationConfig, ProjectTarget};
use crate::model::ExclusionReason;

/// The projects of an organization with their names; `None` if a name could not be read.
pub(crate) type ListedProjects = BTreeMap<ProjectId, Option<String>>;

/// Selects the projects to monitor from the listings of organizations.
///
/// `[[projects]]` takes precedence over `[[organizations]]` and their exclusions. If several
/// organizations list a project, the first one in the configuration counts.
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

/// Returns the number of listed projects that are not monitored because `organization` excludes
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

/// The result of a selection in a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SelectedClusters<'a> {
    /// The clusters to monitor; `None` if a cluster is not listed.
    pub(crate) watched: BTreeMap<&'a str, Option<&'a ListedCluster>>,
    /// Matching clusters that cannot be exported or are excluded.
    pub(crate) excluded: BTreeMap<&'a str, ExclusionReason>,
}

impl SelectedClusters<'_> {
    /// Returns the number of excluded clusters by reason.
    pub(crate) fn counts(&self) -> BTreeMap<ExclusionReason, u64> {
        let count = |reason| self.excluded.values().filter(|excluded| **excluded == reason).count() as u64;
        ExclusionReason::ALL.into_iter().map(|reason| (reason, count(reason))).collect()
    }
}

/// Selects the clusters of a project to monitor. `listed` is `None` before the first listing.
///
/// A cluster with its full name in the selection is always monitored: if it is missing or cannot
/// be exported, its polls fail visibly.
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

/// Merges a listing of projects with the previous one.
///
/// Unreadable names are replaced by the previous ones, so that exclusions do not change. If some
/// entries are unreadable, missing projects are kept, up to `max` projects in total.
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

/// Merges a listing of clusters with the previous one.
///
/// If some entries are unreadable, missing clusters are kept, up to `max` clusters in total.
pub(crate) fn merge_clusters(
    listing: PartialList<ListedCluster>,
    before: Vec<ListedCluster>,
    max: usize,
) -> Vec<ListedCluster> {
    let mut listed = listing.entries;
    if listing.error.is_some() {
        let names: HashSet<_> = listed.iter().map(|cluster| cluster.name.as_str()).collect();
        let is_missing = |cluster: &ListedCluster| !names.contains(cluster.name.as_str());
        let max_missing = max.saturating_sub(listed.len());
        let missing: Vec<_> = before.into_iter().filter(is_missing).take(max_missing).collect();
        listed.extend(missing);
    }
    listed
}

/// Maximum number of warnings about single names of a project.
const MAX_WARNINGS: usize = 10;

/// A name or pattern of the configuration without a match, or that cannot be exported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SelectionWarning {
    /// A full cluster name that is not listed, or whose cluster cannot be exported.
    Cluster {
        name: String,
        /// The reason why the cluster cannot be exported; `None` if it is not listed.
        reason: Option<Unexportable>,
        /// The listed name that is most similar.
        suggestion: Option<String>,
    },
    /// Number of names beyond [`MAX_WARNINGS`].
    More { count: usize },
    /// A pattern, or the id of a project, without a match.
    Pattern { pattern: String, kind: &'static str },
}

/// Returns the entries of a project's selection without a match.
///
/// Exclusions of an organization are not checked: they may match in another project.
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
        let suggestion = if cluster.is_none() { closest_name(name, listed).map(str::to_owned) } else { None };
        found.insert(SelectionWarning::Cluster { name: (*name).to_owned(), reason, suggestion });
    }
    found.extend((more > 0).then_some(SelectionWarning::More { count: more }));
    let names: Vec<_> = listed.iter().map(|cluster| cluster.name.as_str()).collect();
    let excluded = target.selection.excluded.iter().filter(|_| target.organization.is_none());
    let patterns = target.selection.patterns.iter().flatten().chain(excluded);
    found.extend(unmatched(patterns, &names));
    found
}

/// Returns the exclusions of an organization without a match.
///
/// `names` has all clusters of its projects; `None` if some are unknown.
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

/// Maximum number of listed names that are compared with an unlisted one.
const MAX_CANDIDATES: usize = 1000;

/// Returns the listed name most similar to `name`, for "did you mean".
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

    fn partial<T>(entries: Vec<T>) -> PartialList<T> {
        PartialList { entries, error: Some(Error::Timeout("no response".to_owned())) }
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
    fn names_match_any_cluster_and_patterns_exportable_ones() {
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
    fn names_and_patterns_without_a_match_cause_warnings() {
        let there = listed(&[("prod-eu", None), ("free-a", Some(Unexportable::SharedTier))]);
        let selection = ClusterSelector::parse(["prod-ue", "free-a", "free-*", "none-*"]).unwrap();
        let found = warnings(selection, &there, None);
        let name = |name: &str| name.to_owned();
        let expected = [
            SelectionWarning::Cluster {
                name: name("prod-ue"),
                reason: None,
                suggestion: Some(name("prod-eu")),
            },
            SelectionWarning::Cluster {
                name: name("free-a"),
                reason: Some(Unexportable::SharedTier),
                suggestion: None,
            },
            SelectionWarning::Pattern { pattern: name("none-*"), kind: "cluster" },
        ];
        assert_eq!(found, BTreeSet::from(expected), "a pattern may match clusters that cannot be exported");
    }

    fn many_clusters(count: usize, prefix: &str) -> Vec<ListedCluster> {
        let names: Vec<_> = (0..count).map(|number| format!("{prefix}-{number:05}")).collect();
        listed(&names.iter().map(|name| (name.as_str(), None)).collect::<Vec<_>>())
    }

    /// Merges and checks two alternating listings of `count` clusters without common names.
    fn merge_alternating(count: usize) {
        let (one, other) = (many_clusters(count, "one"), many_clusters(count, "other"));
        let names = one.iter().map(|cluster| cluster.name.clone()).collect();
        let selection = ClusterSelector { names, patterns: Some(Vec::new()), excluded: Vec::new() };
        for (listed, before) in [(&one, &other), (&other, &one)] {
            for max in [count + 1, 2 * count] {
                let merged = merge_clusters(partial(listed.clone()), before.clone(), max);
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
    fn alternating_listings_are_merged_in_linear_time() {
        // Comparing every pair of names would take about 225 times as long.
        let ratio = cpu_time::ratio(merge_alternating, 30_000, 2_000);
        assert!(ratio < 60.0, "{ratio}");
    }

    #[test]
    fn missing_clusters_of_a_partial_listing_are_kept() {
        let newer = listed(&[("a", None), ("b", Some(Unexportable::SharedTier))]);
        let older = listed(&[("b", None), ("c", None)]);
        let expected = listed(&[("a", None), ("b", Some(Unexportable::SharedTier)), ("c", None)]);
        assert_eq!(merge_clusters(partial(newer.clone()), older.clone(), 9), expected);
        assert_eq!(merge_clusters(PartialList { entries: newer.clone(), error: None }, older, 9), newer);
    }

    #[test]
    fn known_project_names_are_kept() {
        let id = |digit: &str| ProjectId::parse(&digit.repeat(24)).unwrap();
        let name = |name: &str| Some(name.to_owned());
        let before =
            ListedProjects::from([(id("a"), name("old")), (id("b"), name("b")), (id("c"), name("c"))]);
        let found = vec![(id("a"), name("new")), (id("b"), None)];
        let complete = PartialList { entries: found.clone(), error: None };
        let expected = ListedProjects::from([(id("a"), name("new")), (id("b"), name("b"))]);
        assert_eq!(merge_projects(complete, before.clone(), 9), expected);
        assert_eq!(merge_projects(partial(found.clone()), before.clone(), 2), expected);
        assert_eq!(merge_projects(partial(found), before, 3).len(), 3);
    }
}
