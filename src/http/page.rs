//! The status page: every cluster in one table, whole without a script, and without an asset from elsewhere. The script asks for the same page
//! again; so there is one place that filters, sorts and renders.

use std::fmt::Write;

use jiff::{SignedDuration, SpanRound, Unit};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::query::{Query, Sort};
use crate::model::{JobState, Moment};
use crate::status::{At, Cluster, Kind, NewestJob, OVERDUE, Problem, Status};

const STYLE: &str = include_str!("page/style.css");
const LIVE: &str = include_str!("page/live.js");

/// Characters of a failed job's message that fit into a table; the log has all of it.
const MESSAGE_SHOWN: usize = 120;

/// Seconds from one refresh to the next: half of the time between polls, within these bounds.
const REFRESH: (f64, f64) = (2.0, 15.0);

/// A bar of an age is full at this many times what is expected.
const MOST_OVERDUE: f64 = 1.5;

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
            tbody { @for cluster in &status.clusters { (row(cluster, now)) } }
        }
    }
}

fn row(cluster: &Cluster<'_>, now: Moment) -> Markup {
    html! {
        tr {
            td class=(cluster.verdict.kind().as_str()) { (cluster.verdict.words()) }
            th scope="row" {
                (cluster.cluster_name)
                small { (cluster.project) @if cluster.paused == Some(true) { ", paused" } }
            }
            td data-is="Newest job" {
                @match (&cluster.newest_job, &cluster.jobs) {
                    (Some(job), _) => { (newest_job(job, cluster.last_progress_at, now)) },
                    (None, Some(jobs)) if jobs.0.iter().all(|(_, count)| *count == 0) => { "never exported" },
                    _ => { (unknown()) },
                }
            }
            td data-is="Last success" { (success(cluster, now)) }
            td data-is="In the bucket" { (bucket(cluster, now)) }
            td data-is="Failures since" { (failures(cluster, now)) }
            td data-is="Poll" { (poll(cluster, now)) }
        }
    }
}

fn unknown() -> Markup {
    html! { span class="faint" { "unknown" } }
}

fn newest_job(job: &NewestJob, moved: Option<At>, now: Moment) -> Markup {
    html! {
        span class=[class_of(job.state)] { (job.state.as_str()) }
        @if let Some(ratio) = job.progress_ratio {
            (bar(ratio, ""))
            small { (job.exported_collections.unwrap_or_default()) "/" (job.collections.unwrap_or_default()) " collections" }
        }
        @match moved {
            Some(moved) => { small title=(moved.0) { "last moved " (ago(moved, now)) } },
            None => { small title=(job.created_at.0) { "created " (ago(job.created_at, now)) } },
        }
    }
}

/// How much of a whole, from 0 to 1, for the eye alone: the figures stand beside it.
fn bar(share: f64, class: &str) -> Markup {
    let percent = (share * 100.0).clamp(0.0, 100.0).round();
    html! { span class={ "bar " (class) } style={ "--share:" (percent) "%" } {} }
}

/// The last success, against what is expected.
fn success(cluster: &Cluster<'_>, now: Moment) -> Markup {
    let age = cluster.last_success_finished_at.map(|at| now.duration_since(at.0).as_secs_f64());
    let share = age.zip(cluster.expected_interval_seconds).map(|(age, expected)| age / expected);
    html! {
        @match (cluster.last_success_finished_at, &cluster.jobs) {
            (Some(at), _) => { span title=(at.0) { (ago(at, now)) } },
            (None, Some(_)) => { "none listed" },
            (None, None) => { (unknown()) },
        }
        @if let (Some(share), false) = (share, cluster.paused == Some(true)) {
            (bar(share / MOST_OVERDUE, match share { ..=1.0 => "well", ..=OVERDUE => "look", _ => "missing" }))
        }
        @if let Some(expected) = cluster.expected_interval_seconds { small { "expected: every " (span(expected, Unit::Second)) } }
        @if cluster.auto_export_enabled == Some(false) { small { "no auto export" } }
    }
}

/// The newest snapshot that is in the bucket, and what should be there.
fn bucket(cluster: &Cluster<'_>, now: Moment) -> Markup {
    let waiting = cluster.snapshots_awaiting_export.zip(cluster.oldest_snapshot_awaiting_export_at);
    let success = cluster.last_success_created_at;
    let failed =
        cluster.last_auto_export_failure_event_at.filter(|at| success.is_none_or(|success| success < *at));
    html! {
        @match cluster.newest_exported_snapshot_at {
            Some(newest) => { span title=(newest.0) { "snapshot of " (ago(newest, now)) } },
            None => { (unknown()) },
        }
        @if let Some((count, oldest)) = waiting {
            small title=(oldest.0) { (count) @if count == 1 { " awaits export, of " } @else { " await export, the oldest of " } (ago(oldest, now)) }
        }
        @if let Some(failed) = failed { small class="missing" title=(failed.0) { "Atlas told of a failed export " (ago(failed, now)) } }
        @if cluster.bucket_missing == Some(true) {
            small class="missing" { "its export bucket is gone: " (cluster.export_bucket_id.unwrap_or_default()) }
        }
    }
}

/// How many, since when, and why.
fn failures(cluster: &Cluster<'_>, now: Moment) -> Markup {
    let reason = cluster.latest_failure.as_ref();
    html! {
        @match cluster.failures_since_last_success {
            None => { (unknown()) },
            Some(0) => { "0" },
            Some(count) => {
                span class="missing" { (count) }
                @if let Some(since) = cluster.oldest_unresolved_failure_created_at { small title=(since.0) { "first " (ago(since, now)) } }
                @if let Some(code) = reason.and_then(|reason| reason.error_code) { small { (code) } }
                @if let Some(message) = reason.and_then(|reason| reason.message) {
                    small { (message.chars().take(MESSAGE_SHOWN).collect::<String>()) }
                }
            },
        }
    }
}

/// The last poll, why it failed, and the next.
fn poll(cluster: &Cluster<'_>, now: Moment) -> Markup {
    html! {
        @match cluster.last_poll_at {
            Some(at) => { span title=(at.0) { (ago(at, now)) } },
            None => { span class="faint" { "not yet" } },
        }
        @if let Some(error) = &cluster.last_poll_error { small class="unseen" { (error.reason) ": " (error.error) } }
        @if let Some(next) = cluster.next_poll_at {
            small title=(next.0) {
                @match next.0.duration_since(now).as_secs() {
                    ..=0 => { "next: now" },
                    seconds => { "next in " (rounded(SignedDuration::from_secs(seconds), Unit::Second)) },
                }
            }
        }
    }
}

fn class_of(state: JobState) -> Option<&'static str> {
    match state {
        JobState::Failed => Some("missing"),
        JobState::Successful => Some("well"),
        _ => None,
    }
}

/// "2d 3h ago": the two largest units.
fn ago(at: At, now: Moment) -> String {
    let age = now.duration_since(at.0);
    if age.is_negative() {
        return at.0.to_string();
    }
    let smallest = match age.as_secs() {
        ..3600 => Unit::Second,
        3600..86400 => Unit::Minute,
        _ => Unit::Hour,
    };
    rounded(age, smallest) + " ago"
}

/// "1d 12h" of so many seconds.
fn span(seconds: f64, smallest: Unit) -> String {
    SignedDuration::try_from_secs_f64(seconds)
        .map_or_else(|_| format!("{seconds} s"), |span| rounded(span, smallest))
}

fn rounded(age: SignedDuration, smallest: Unit) -> String {
    let round = SpanRound::new().largest(Unit::Day).smallest(smallest).days_are_24_hours();
    let span = jiff::Span::try_from(age).and_then(|span| span.round(round));
    span.map_or_else(|_| format!("{} s", age.as_secs()), |span| format!("{span:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_two_largest_units() {
        let check = |seconds: i64, expected: &str| {
            let now = Moment::from_second(1_800_000_000).unwrap();
            let at = Moment::from_second(1_800_000_000 - seconds).unwrap();
            assert_eq!(ago(At(at), now), expected);
        };
        check(0, "0s ago");
        check(75, "1m 15s ago");
        check(3 * 3600 + 125, "3h 2m ago");
        check(2 * 86400 + 3 * 3600, "2d 3h ago");
        check(-5, "2027-01-15T08:00:05Z");
    }
}
