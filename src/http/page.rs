//! The status page: every cluster in one table, whole without a script, and without an asset from elsewhere. The script asks for the same page
//! again; so there is one place that filters, sorts and renders.

mod row;

use std::fmt::Write;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::query::{Query, Sort};
use crate::status::{Kind, Problem, Status};

const STYLE: &str = include_str!("page/style.css");
const LIVE: &str = include_str!("page/live.js");

/// Seconds from one refresh to the next: half of the time between polls, within these bounds.
const REFRESH: (f64, f64) = (2.0, 15.0);

/// The columns, with what they are sorted by.
const COLUMNS: [(&str, Sort); 7] = [
    ("Verdict", Sort::Verdict),
    ("Cluster", Sort::Cluster),
    ("Newest job", Sort::Job),
    ("Last success", Sort::Success),
    ("In the bucket", Sort::Bucket),
    ("Failures since", Sort::Failures),
    ("Poll", Sort::Poll),
];

/// How many clusters there are of each kind.
type Counts = [(Kind, usize); Kind::ALL.len()];

/// The page of the clusters that `query` asks for.
pub(super) fn render(mut status: Status<'_>, query: &Query, telemetry_path: &str) -> Markup {
    let counts = Kind::ALL.map(|kind| {
        let of_kind = status.clusters.iter().filter(|cluster| cluster.verdict.kind() == kind);
        (kind, of_kind.count())
    });
    let all = status.clusters.len();
    query.apply(&mut status.clusters);
    let every = (status.poll_interval_seconds / 2.0).clamp(REFRESH.0, REFRESH.1);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title(&counts)) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "MongoDB Atlas backup exports" }
                    p id="said" role="status" { (summary(&counts, all)) }
                    form method="get" {
                        label for="search" { "Find" }
                        input type="search" id="search" name="search" value=(query.search) placeholder="project, cluster, state, error code" autocomplete="off";
                        @for (name, value) in hidden(query) { input type="hidden" name=(name) value=(value); }
                        noscript { button type="submit" { "Find" } }
                    }
                    p id="lost" class="banner unseen" role="alert" hidden {
                        "The exporter has not been reached since " span {} ", and what stands below is from before: " span {}
                    }
                }
                main id="live" data-every=(every) {
                    (kinds(query, &counts, all))
                    (banners(&status))
                    (table(&status, query))
                    p class="faint" {
                        a href=(telemetry_path) { "Metrics" } " · " a href="/api/v1/clusters" { "JSON" } " · "
                        a href="/-/healthy" { "Health" } " · " a href="/-/ready" { "Readiness" }
                        " · version " (status.version)
                    }
                }
                script { (PreEscaped(LIVE)) }
            }
        }
    }
}

/// What stands in the tab of a browser.
fn title(counts: &Counts) -> String {
    let mut title = String::new();
    for (kind, count) in counts.iter().filter(|(kind, count)| *count > 0 && *kind <= Kind::Look) {
        let _ = write!(title, "{count} {} · ", words(*kind));
    }
    title + "Atlas backup exports"
}

/// The same as a sentence.
fn summary(counts: &Counts, all: usize) -> String {
    let troubles: Vec<_> = counts
        .iter()
        .filter(|(kind, count)| *count > 0 && *kind <= Kind::Look)
        .map(|(kind, count)| format!("{count} {}", words(*kind)))
        .collect();
    let clusters = if all == 1 { "1 cluster".to_owned() } else { format!("{all} clusters") };
    if troubles.is_empty() {
        format!("{clusters}, none in trouble.")
    } else {
        format!("{clusters}: {}.", troubles.join(", "))
    }
}

/// Of how many clusters it is said.
fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Missing => "missing a backup",
        Kind::Unseen => "not seen",
        Kind::Look => "to look at",
        Kind::Quiet => "with nothing due",
        Kind::Well => "well",
    }
}

/// What of the query is not the search, for a form without a script.
fn hidden(query: &Query) -> Vec<(String, String)> {
    let rest = Query { search: String::new(), ..query.clone() }.to_string();
    let rest = url::form_urlencoded::parse(rest.trim_start_matches('?').as_bytes());
    rest.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// One link for each kind of verdict.
fn kinds(query: &Query, counts: &Counts, all: usize) -> Markup {
    let link = |kind: Option<Kind>| Query { kind, ..query.clone() }.to_string();
    let current = |kind: Option<Kind>| (query.kind == kind).then_some("true");
    html! {
        nav aria-label="Kinds of verdicts" {
            a id="all" href=(link(None)) aria-current=[current(None)] { "All " (all) }
            @for (kind, count) in counts {
                a id={ "kind-" (kind.as_str()) } class=(kind.as_str()) href=(link(Some(*kind))) aria-current=[current(Some(*kind))] {
                    (count) " " (words(*kind))
                }
            }
        }
    }
}

/// What is wrong besides single clusters.
fn banners(status: &Status<'_>) -> Markup {
    let unnamed = status.clusters_watched.saturating_sub(status.clusters_named);
    html! {
        @if let Some(error) = &status.configuration_error {
            p class="banner missing" { "The configuration was refused when it was read last, and an older one is in force: " (error) }
        }
        @for problem in &status.problems { p class="banner unseen" { (told(problem)) } }
        @if unnamed > 0 {
            p class="banner quiet" { (unnamed) " of " (status.clusters_watched) " clusters wait for the name of their project." }
        }
    }
}

fn told(problem: &Problem<'_>) -> String {
    let project = problem.project.or(problem.project_id).unwrap_or_default();
    match (problem.organization_id, problem.error) {
        (Some(organization), error) => {
            format!(
                "Cannot read the projects of organization {organization}: {}; what is known stays",
                error.unwrap_or_default()
            )
        }
        (None, Some(error)) => format!("Cannot read all of project {project}: {error}; what is known stays"),
        (None, None) => {
            format!(
                "Cannot read the {} of project {project}: see the log; its export jobs are watched all the same",
                problem.what
            )
        }
    }
}

fn table(status: &Status<'_>, query: &Query) -> Markup {
    let now = status.as_of.0;
    let link = |sort: Sort| {
        let reversed = query.sort == sort && !query.reversed;
        Query { sort, reversed, ..query.clone() }.to_string()
    };
    let order =
        |sort: Sort| (query.sort == sort).then_some(if query.reversed { "descending" } else { "ascending" });
    html! {
        table {
            caption class="faint" {
                @match status.clusters.len() {
                    0 if status.clusters_named == 0 => { "There is no cluster to show yet" },
                    0 => { "No cluster is like that" },
                    shown => { (shown) " shown" },
                }
                ", as of " (jiff::Timestamp::from(now).strftime("%F %T UTC"))
            }
            thead { tr {
                @for (title, sort) in COLUMNS {
                    th scope="col" aria-sort=[order(sort)] { a id={ "sort-" (sort.as_str()) } href=(link(sort)) { (title) } }
                }
            } }
            tbody { @for cluster in &status.clusters { (row::row(cluster, now)) } }
        }
    }
}
