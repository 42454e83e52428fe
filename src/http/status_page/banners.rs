//! Banners for failed readings of organizations, projects and collectors: one for each cause.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::isolated::isolated;
use crate::model::CollectorKind;
use crate::status::{Cluster, ClusterStatus, Problem, Status};

const MAX_NAMES: usize = 3;

/// Problems with the same cause.
#[derive(Default)]
struct Group<'a> {
    /// The error of the first problem.
    error: &'a str,
    organizations: BTreeSet<&'a str>,
    /// Ids and names of projects.
    projects: BTreeMap<&'a str, &'a str>,
    what: BTreeSet<&'a str>,
}

/// Returns the text of each banner. `status` must contain all clusters.
pub(super) fn texts(status: &Status<'_>) -> Vec<Markup> {
    let mut groups: BTreeMap<_, Group<'_>> = BTreeMap::new();
    for problem in &status.problems {
        let first = || Group { error: problem.error, ..Group::default() };
        let group = groups.entry(cause(problem)).or_insert_with(first);
        match (problem.organization_id, problem.project_id) {
            (Some(id), _) => drop(group.organizations.insert(id)),
            (None, id) => {
                let id = id.unwrap_or_default();
                group.projects.insert(id, problem.project.unwrap_or(id));
                group.what.insert(problem.what);
            }
        }
    }
    groups.values().map(|group| group.text(status)).collect()
}

/// Returns the key of a cause: the reason, and the error code if a reason can have several causes.
fn cause<'a>(problem: &Problem<'a>) -> (&'static str, &'a str) {
    let code = match problem.reason {
        "unauthorized" | "forbidden" | "not_found" | "bad_request" => problem.error,
        _ => "",
    };
    (problem.reason, code.split(": ").next().unwrap_or_default())
}

impl Group<'_> {
    fn text(&self, status: &Status<'_>) -> Markup {
        let ids: Vec<_> = self.organizations.iter().copied().collect();
        let names: Vec<_> = self.projects.values().copied().collect();
        let what: Vec<_> = self.what.iter().copied().collect();
        html! {
            "Failed to read "
            @if !ids.is_empty() { "the projects of " (counted("organization", &ids)) }
            @if !ids.is_empty() && !names.is_empty() { " and " }
            @if !names.is_empty() { "the " (listed(&what)) " of " (counted("project", &names)) }
            ": " (isolated(self.error.trim_end_matches('.'))) "."
            @for sentence in [self.discovery(status), &self.undetected(), &self.polls(&status.clusters)] {
                @if !sentence.is_empty() { " " (sentence) }
            }
        }
    }

    fn discovery(&self, status: &Status<'_>) -> &'static str {
        // Clusters of unnamed projects and those of organizations cannot be assigned.
        let is_of_group = |cluster: &Cluster<'_>| self.projects.contains_key(cluster.project_id);
        let are_known = match status.clusters_watched.saturating_sub(status.clusters_named) {
            0 if self.organizations.is_empty() => status.clusters.iter().any(is_of_group),
            _ => status.clusters_watched > 0,
        };
        match (self.organizations.is_empty(), self.what.contains("clusters")) {
            (true, false) => "",
            _ if !are_known => "No clusters are known yet.",
            (true, true) => "Known clusters are kept; new clusters and policy changes are not detected.",
            (false, _) => "Known clusters are kept; new projects and clusters are not detected.",
        }
    }

    fn undetected(&self) -> String {
        let collectors = CollectorKind::ALL.into_iter().filter(|kind| self.what.contains(kind.as_str()));
        let problems: Vec<_> = collectors.map(CollectorKind::detects).collect();
        if problems.is_empty() { String::new() } else { format!("Not detected: {}.", listed(&problems)) }
    }

    fn polls(&self, clusters: &[Cluster<'_>]) -> String {
        let polled = clusters
            .iter()
            .filter(|cluster| cluster.up.is_some() && self.projects.contains_key(cluster.project_id));
        let is_failing = |cluster: &&Cluster<'_>| {
            cluster.up == Some(false) || cluster.status == ClusterStatus::PollsFailing
        };
        let (polls, failing) = (polled.clone().count(), polled.filter(is_failing).count());
        match (polls, failing) {
            (0, _) => String::new(),
            (_, 0) => "Export jobs are still polled.".to_owned(),
            (polls, failing) if polls == failing => {
                "Polls of all affected clusters fail, too: their export jobs are not monitored.".to_owned()
            }
            (polls, failing) => format!("Polls of {failing} of {polls} affected clusters fail, too."),
        }
    }
}

/// Joins words as in "a, b and c".
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

/// Returns a text like "project a" or "5 projects (a, b, c, ...)".
fn counted(one: &str, names: &[&str]) -> Markup {
    html! {
        @if let [name] = names {
            (one) " " (isolated(name))
        } @else {
            (names.len()) " " (one) "s ("
            @for (i, name) in names.iter().take(MAX_NAMES).enumerate() {
                @if i > 0 { ", " }
                (isolated(name))
            }
            @if names.len() > MAX_NAMES { ", ..." }
            ")"
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn problem(
        project: &'static str,
        what: &'static str,
        reason: &'static str,
        error: &'static str,
    ) -> Problem<'static> {
        let (project_id, project) = (Some(project), Some(project));
        Problem { organization_id: None, project_id, project, what, reason, error }
    }

    fn banners(problems: &[Problem<'_>]) -> Vec<String> {
        banners_with(1, problems)
    }

    fn banners_with(clusters_watched: usize, problems: &[Problem<'_>]) -> Vec<String> {
        let banners = texts(&Status {
            as_of: Timestamp::UNIX_EPOCH,
            version: "",
            configuration_error: None,
            poll_interval_seconds: 60.0,
            clusters_watched,
            clusters_named: 0,
            problems: problems.to_vec(),
            clusters: Vec::new(),
        });
        let plain = |banner: Markup| banner.into_string().replace("<bdi>", "").replace("</bdi>", "");
        banners.into_iter().map(plain).collect()
    }

    #[test]
    fn names_and_errors_are_isolated() {
        let known = ["\u{202e}a", "b"].map(|project| problem(project, "events", "connect", "\u{5d0}."));
        let text = counted("project", &["\u{202e}a", "b"]).into_string();
        assert_eq!(text, "2 projects (<bdi>\\u{202e}a</bdi>, <bdi>b</bdi>)");
        assert!(
            banners(&known)[0]
                .starts_with("Failed to read the events of 2 projects (b, \\u{202e}a): \u{5d0}.")
        );
    }

    #[test]
    fn problems_with_the_same_cause_share_a_banner() {
        let (connect, role) =
            ("cannot reach Atlas: a:443: refused", "Atlas answered 403 Forbidden CODE: no.");
        let organization = Problem {
            organization_id: Some("o"),
            project_id: None,
            ..problem("", "projects", "connect", connect)
        };
        let unreachable = |project| {
            ["clusters", "snapshots", "events", "buckets"]
                .map(|what| problem(project, what, "connect", connect))
        };
        let all: Vec<_> =
            ["a", "b", "c", "d"].into_iter().flat_map(unreachable).chain([organization]).collect();
        assert_eq!(
            banners(&all),
            ["Failed to read the projects of organization o and the buckets, clusters, events and \
                 snapshots of 4 projects (a, b, c, ...): cannot reach Atlas: a:443: refused. \
                 Known clusters are kept; new projects and clusters are not detected. \
                 Not detected: snapshots that are not exported, exports that fail without a job and \
                 missing export buckets."]
        );
        // Another address has the same cause, another error code does not.
        let other = problem("a", "events", "connect", "cannot reach Atlas: b:443: refused");
        assert_eq!(banners(&[all[0], other]).len(), 1);
        let roles = [problem("a", "events", "forbidden", role), problem("b", "buckets", "forbidden", role)];
        assert_eq!(banners(&roles).len(), 1);
        let address = problem("a", "snapshots", "forbidden", "Atlas answered 403 Forbidden OTHER: no");
        assert_eq!(banners(&[roles[0], address]).len(), 2);
        assert_eq!(
            banners(&roles[..1]),
            ["Failed to read the events of project a: Atlas answered 403 Forbidden CODE: no. \
                 Not detected: exports that fail without a job."]
        );
        assert!(banners(&[]).is_empty());
        let clusters = problem("a", "clusters", "connect", connect);
        assert!(banners(&[clusters])[0].ends_with(
            "refused. Known clusters are kept; new clusters and policy changes are not detected."
        ));
        for first in [clusters, organization] {
            assert!(banners_with(0, &[first])[0].ends_with("refused. No clusters are known yet."));
        }
    }
}
