//! The landing page: every cluster in one table, without a script or an asset from elsewhere.

use jiff::{SpanRound, Timestamp, Unit};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::board::{ClusterView, View};
use crate::model::{ClusterReport, JobState, Moment, Schedule};

/// Characters of a failed job's message that fit into a table; the log has all of it.
const MESSAGE_SHOWN: usize = 120;

const STYLE: &str = "
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .7rem; text-align: left; border-bottom: 1px solid color-mix(in srgb, CanvasText 20%, transparent); vertical-align: top; }
th { font-weight: 600; } .none { opacity: .6; } progress { width: 5rem; vertical-align: middle; }
td, th { white-space: nowrap; } td:last-child { white-space: normal; }
small { display: block; opacity: .75; max-width: 18rem; white-space: normal; overflow-wrap: anywhere; font-weight: 400; }
.bad { opacity: 1; color: light-dark(#b3261e, #ff8a80); font-weight: 600; } .good { color: light-dark(#1b6e33, #7fd99a); }
";

pub(super) fn render(view: &View, refused: Option<&str>, telemetry_path: &str, now: Moment) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "atlas-backup-exporter" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "MongoDB Atlas backup exports" }
                p {
                    a href=(telemetry_path) { "Metrics" } " · "
                    a href="/-/healthy" { "Health" } " · "
                    a href="/-/ready" { "Readiness" } " · as of " (Timestamp::from(now).strftime("%F %T UTC")) " · version " (env!("CARGO_PKG_VERSION"))
                }
                @if let Some(error) = refused {
                    p class="bad" { "The configuration was refused when it was read last, and an older one is in force: " (error) }
                }
                (troubles(view))
                @if view.clusters.len() < view.targets {
                    p { (view.targets - view.clusters.len()) " of " (view.targets) " clusters wait for the name of their project." }
                }
                div class="scroll" {
                    table {
                        thead { tr {
                            @for title in ["Project", "Cluster", "Newest job", "Progress", "Last success", "In the bucket", "Failures since", "Last poll", "Last poll error"] {
                                th scope="col" { (title) }
                            }
                        } }
                        tbody { @for cluster in &view.clusters { (row(cluster, now)) } }
                    }
                }
            }
        }
    }
}

/// Organizations and projects that cannot be discovered at present.
fn troubles(view: &View) -> Markup {
    let organizations = view.organizations.iter().filter_map(|organization| {
        Some((
            format!("the projects of organization {}", organization.id),
            organization.discovery.error.as_ref()?,
        ))
    });
    let projects = view.projects.iter().filter_map(|project| {
        Some((
            format!("all of project {}", project.name.as_deref().unwrap_or(project.id.as_str())),
            project.error.as_ref()?,
        ))
    });
    let details = view.projects.iter().flat_map(|project| {
        let unread = project.details.iter().filter(|(_, up)| !**up);
        unread.map(|(detail, _)| (detail.as_str(), project.name.as_deref().unwrap_or(project.id.as_str())))
    });
    html! {
        @for (what, error) in organizations.chain(projects) {
            p class="bad" { "Cannot read " (what) ": " (error.text) "; what is known stays" }
        }
        @for (detail, project) in details {
            p class="bad" { "Cannot read the " (detail) " of project " (project) ": see the log; its export jobs are watched all the same" }
        }
    }
}

fn row(cluster: &ClusterView, now: Moment) -> Markup {
    let report = cluster.current().map(|good| &good.report);
    let latest = report.and_then(|report| report.latest.as_ref());
    html! {
        tr {
            td { (cluster.project) }
            th scope="row" {
                (cluster.target.cluster_name)
                @if cluster.state.paused == Some(true) { small { "paused" } }
            }
            @match (latest, report) {
                (Some(latest), _) => td {
                    span class=(class_of(latest.state)) { (latest.state.as_str()) }
                    @if let Some(moved) = cluster.current().and_then(|good| good.last_progress) {
                        small { "last moved " (ago(moved, now)) }
                    }
                },
                (None, Some(report)) if report.jobs.iter().all(|(_, count)| *count == 0) => td { "never exported" },
                _ => td class="none" { "unknown" },
            }
            @match latest.and_then(|latest| latest.counts.ratio().map(|ratio| (ratio, latest.counts))) {
                Some((ratio, counts)) => td {
                    progress value=(ratio) max="1" {} " "
                    (counts.exported.unwrap_or_default()) "/" (counts.total.unwrap_or_default())
                },
                None => td class="none" { "–" },
            }
            @match (report, report.and_then(|report| report.last_finished(JobState::Successful))) {
                (_, Some(at)) => td title=(at) { (ago(at, now)) (expectation(cluster)) },
                (Some(_), None) => td { "none listed" (expectation(cluster)) },
                (None, None) => td class="none" { "unknown" },
            }
            (recovery(cluster, now))
            @match report {
                Some(report) if report.failures_since_success > 0 => td { (failures(report, now)) },
                Some(_) => td { "0" },
                None => td class="none" { "unknown" },
            }
            @match &cluster.state.last {
                Some(last) => td title=(last.finished_at) { (ago(last.finished_at, now)) },
                None => td class="none" { "not yet" },
            }
            @match cluster.error() {
                Some(error) => td class="bad" { (error.reason.as_str()) ": " (error.text) },
                None => td class="none" { "–" },
            }
        }
    }
}

/// What the time since the last success is held against.
fn expectation(cluster: &ClusterView) -> Markup {
    let off = cluster.state.schedule.as_ref().and_then(|schedule| schedule.auto_export) == Some(false);
    let every = cluster.expected_interval().and_then(|interval| {
        let round = SpanRound::new().largest(Unit::Day).days_are_24_hours();
        jiff::Span::try_from(interval).and_then(|span| span.round(round)).ok()
    });
    html! {
        @if let Some(every) = every { small { "expected: " (format!("{every:#}")) } }
        @if off { small { "no auto export" } }
    }
}

/// The newest snapshot that is in the bucket, and what should be there.
fn recovery(cluster: &ClusterView, now: Moment) -> Markup {
    let newest = cluster.recovery.and_then(|recovery| recovery.newest_exported);
    let awaiting = cluster.recovery.and_then(|recovery| recovery.awaiting);
    let oldest = awaiting.and_then(|awaiting| Some((awaiting.count, awaiting.oldest?)));
    let success = cluster.current().and_then(|good| good.report.last_success_created);
    let failed = cluster.failed_event.filter(|at| success.is_none_or(|success| success < *at));
    html! {
        td {
            @match newest {
                Some(newest) => span title=(newest) { "snapshot of " (ago(newest, now)) },
                None => span class="none" { "–" },
            }
            @if let Some((count, oldest)) = oldest {
                small title=(oldest) { (count) @if count == 1 { " awaits export, of " } @else { " await export, the oldest of " } (ago(oldest, now)) }
            }
            @if let Some(failed) = failed { small class="bad" title=(failed) { "Atlas told of a failed export " (ago(failed, now)) } }
            @if cluster.bucket_missing == Some(true) { small class="bad" { "its export bucket is gone: " (cluster.state.schedule.as_ref().and_then(Schedule::bucket).unwrap_or_default()) } }
        }
    }
}

/// How many, since when, and why.
fn failures(report: &ClusterReport, now: Moment) -> Markup {
    let reason = report.unresolved().next().map(|job| &job.reason);
    html! {
        span class="bad" { (report.failures_since_success) }
        @if let Some(since) = report.oldest_failure_created { small title=(since) { "first " (ago(since, now)) } }
        @if let Some(code) = reason.and_then(|reason| reason.error_code.as_deref()) { small { (code) } }
        @if let Some(message) = reason.and_then(|reason| reason.message.as_deref()) {
            small { (message.chars().take(MESSAGE_SHOWN).collect::<String>()) }
        }
    }
}

fn class_of(state: JobState) -> &'static str {
    match state {
        JobState::Failed => "bad",
        JobState::Successful => "good",
        _ => "",
    }
}

/// "2d 3h ago": the two largest units.
fn ago(at: Moment, now: Moment) -> String {
    let age = now.duration_since(at);
    if age.is_negative() {
        return at.to_string();
    }
    let smallest = match age.as_secs() {
        ..3600 => Unit::Second,
        3600..86400 => Unit::Minute,
        _ => Unit::Hour,
    };
    let round = SpanRound::new().largest(Unit::Day).smallest(smallest).days_are_24_hours();
    let span = jiff::Span::try_from(age).and_then(|span| span.round(round));
    span.map_or_else(|_| at.to_string(), |span| format!("{span:#} ago"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_two_largest_units() {
        let check = |seconds: i64, expected: &str| {
            let now = Moment::from_second(1_800_000_000).unwrap();
            let at = Moment::from_second(1_800_000_000 - seconds).unwrap();
            assert_eq!(ago(at, now), expected);
        };
        check(0, "0s ago");
        check(75, "1m 15s ago");
        check(3 * 3600 + 125, "3h 2m ago");
        check(2 * 86400 + 3 * 3600, "2d 3h ago");
        check(-5, "2027-01-15T08:00:05Z");
    }
}
