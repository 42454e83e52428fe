//! What is to be watched: a pure function of the configuration and of what Atlas lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, Credentials, Selection};
use crate::likeness;
use crate::model::{Expected, ListedCluster, OrganizationId, ProjectId, Unexportable};

/// A project that is watched, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Which of its clusters.
    pub selection: Selection,
    /// What is expected of them.
    pub expected: Expected,
    /// Who asks for them.
    pub credentials: Credentials,
}

/// Every project that is watched, given the projects that each organization lists. `[[projects]]` wins over
/// `[[organizations]]`, and of two organizations the one that stands first.
#[must_use]
pub fn projects(
    config: &Config,
    listed: &BTreeMap<OrganizationId, BTreeSet<ProjectId>>,
) -> BTreeMap<ProjectId, Project> {
    let mut projects = BTreeMap::new();
    for project in &config.projects {
        let plan = Project {
            selection: project.clusters.clone(),
            expected: project.expected,
            credentials: project.credentials.clone(),
        };
        projects.insert(project.id.clone(), plan);
    }
    for organization in &config.organizations {
        for id in listed.get(&organization.id).into_iter().flatten() {
            projects.entry(id.clone()).or_insert_with(|| Project {
                selection: Selection::default(),
                expected: organization.expected,
                credentials: organization.credentials.clone(),
            });
        }
    }
    projects
}

/// What a selection comes to in a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selected<'a> {
    /// The clusters to watch, and how the project lists them; `None` where it does not.
    pub watched: BTreeMap<&'a str, Option<&'a ListedCluster>>,
    /// Clusters that would have been selected, but cannot be exported.
    pub left_out: BTreeMap<&'a str, Unexportable>,
}

impl Selected<'_> {
    /// How many are left out, by reason.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Unexportable, u64> {
        let count = |reason| self.left_out.values().filter(|left_out| **left_out == reason).count() as u64;
        Unexportable::ALL.into_iter().map(|reason| (reason, count(reason))).collect()
    }
}

/// Which clusters of a project are watched; `listed` is `None` while nobody knows what there is.
///
/// A cluster that the selection names in full is watched whatever it is: that it is missing, or cannot be exported, must be seen.
#[must_use]
pub fn clusters<'a>(selection: &'a Selection, listed: Option<&'a [ListedCluster]>) -> Selected<'a> {
    let mut selected = Selected::default();
    selected.watched.extend(selection.names.iter().map(|name| (name.as_str(), None)));
    for cluster in listed.into_iter().flatten() {
        let name = cluster.name.as_str();
        match cluster.unexportable {
            _ if selection.names(name) => drop(selected.watched.insert(name, Some(cluster))),
            _ if !selection.matches(name) => {}
            None => drop(selected.watched.insert(name, Some(cluster))),
            Some(reason) => drop(selected.left_out.insert(name, reason)),
        }
    }
    selected
}

/// A name or a pattern of the configuration that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Complaint {
    /// A name that the project does not list.
    Unknown {
        /// The name.
        name: String,
        /// The one that may have been meant.
        meant: Option<String>,
    },
    /// A name whose cluster cannot be exported.
    Unexportable {
        /// The name.
        name: String,
        /// Why it cannot.
        reason: Unexportable,
    },
    /// A pattern that matches nothing.
    NoMatch {
        /// The pattern.
        pattern: String,
    },
}

/// What of a selection leads nowhere.
#[must_use]
pub fn complaints(
    selection: &Selection,
    listed: &[ListedCluster],
    selected: &Selected<'_>,
) -> BTreeSet<Complaint> {
    let of_names = selected.watched.iter().filter_map(|(name, cluster)| {
        let name = (*name).to_owned();
        match cluster {
            None => {
                let meant = meant(&name, listed).map(str::to_owned);
                Some(Complaint::Unknown { name, meant })
            }
            Some(cluster) => cluster.unexportable.map(|reason| Complaint::Unexportable { name, reason }),
        }
    });
    let of_patterns = selection
        .patterns
        .iter()
        .flatten()
        .filter(|pattern| !listed.iter().any(|cluster| pattern.matches(&cluster.name)))
        .map(|pattern| Complaint::NoMatch { pattern: pattern.as_str().to_owned() });
    of_names.chain(of_patterns).collect()
}

/// The listed name that `name` may be a slip of.
#[must_use]
pub fn meant<'a>(name: &str, listed: &'a [ListedCluster]) -> Option<&'a str> {
    likeness::meant(name, listed.iter().map(|cluster| cluster.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_leads_nowhere_is_a_complaint() {
        let there = listed(&[("prod-eu", None), ("free-a", Some(Unexportable::SharedTier))]);
        let selection = Selection::parse(["prod-ue", "free-a", "free-*", "none-*"]).unwrap();
        let found = complaints(&selection, &there, &clusters(&selection, Some(&there)));
        let name = |name: &str| name.to_owned();
        let expected = [
            Complaint::Unknown { name: name("prod-ue"), meant: Some(name("prod-eu")) },
            Complaint::Unexportable { name: name("free-a"), reason: Unexportable::SharedTier },
            Complaint::NoMatch { pattern: name("none-*") },
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
}
