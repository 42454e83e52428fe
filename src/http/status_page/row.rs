//! The row of a cluster in the table of the status page.

use atlas_client::{JobState, redact::escape};
use jiff::{SignedDuration, SpanRound, Timestamp, Unit};
use maud::{Markup, html};

use super::isolated::isolated;
use crate::status::{Cluster, Jobs, NewestJob, OVERDUE_FACTOR};

/// Maximum length of an error code or message in characters. The log has the full text.
const MAX_TEXT: usize = 120;

/// The bar of an age is full at this multiple of the expected interval.
const MAX_BAR_INTERVALS: f64 = 1.5;

pub(super) fn row(cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    html! {
        tr data-key={ (cluster.project_id) "/" (escape(cluster.cluster_name)) } {
            td class=(cluster.status.severity().as_str()) { (cluster.status.words()) }
            th scope="row" {
                (isolated(cluster.cluster_name))
                small { (isolated(cluster.project)) @if cluster.paused == Some(true) { ", paused" } }
            }
            td data-label="Newest job" {
                @match (&cluster.newest_job, &cluster.jobs) {
                    (Some(job), jobs) => { (newest_job(job, jobs.as_ref(), cluster.last_progress_at, now)) },
                    (None, Some(jobs)) if jobs.0.iter().all(|(_, count)| *count == 0) => { "none listed" },
                    _ => { (unknown()) },
                }
            }
            td data-label="Last success" { (success(cluster, now)) }
            td data-label="Exported snapshot" { (bucket(cluster, now)) }
            td data-label="Failures since success" { (failures(cluster, now)) }
            td data-label="Last poll" { (poll(cluster, now)) }
        }
    }
}

fn unknown() -> Markup {
    html! { span class="faint" { "unknown" } }
}

fn note(text: &str, at: Timestamp, now: Timestamp) -> Markup {
    html! { small title=(at) { (text) " " (ago(at, now)) } }
}

fn newest_job(
    job: &NewestJob,
    jobs: Option<&Jobs<'_>>,
    last_progress: Option<Timestamp>,
    now: Timestamp,
) -> Markup {
    let active = jobs.map_or(0, |jobs| jobs.0[JobState::Queued] + jobs.0[JobState::InProgress]);
    // `last_progress` is about the active job without progress for longest, perhaps another one.
    let is_only_active = active == 1 && job.state.is_active();
    html! {
        span class=[class_of(job.state)] { (job.state.as_str()) }
        @if let Some(ratio) = job.progress_ratio {
            @let (exported, all) = (job.exported_collections, job.collections);
            (bar(ratio, ""))
            small { (exported.unwrap_or_default()) "/" (all.unwrap_or_default()) " collections" }
        }
        @if !is_only_active { (note("created", job.created_at, now)) }
        @match last_progress {
            Some(at) if is_only_active => { (note("last progress", at, now)) },
            Some(at) => { (note(&format!("one of {active} active: last progress"), at, now)) },
            None => {},
        }
    }
}

/// Returns a bar that is hidden from screen readers: the text beside it has the values.
fn bar(ratio: f64, class: &str) -> Markup {
    let percent = (ratio * 100.0).clamp(0.0, 100.0).round();
    // A `style` attribute would need a weaker Content-Security-Policy.
    html! {
        svg class={ "bar " (class) } viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(percent) height="1" {}
        }
    }
}

fn success(cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    let age = cluster.last_success_finished_at.map(|at| now.duration_since(at).as_secs_f64());
    let intervals = age.zip(cluster.expected_interval_seconds).map(|(age, expected)| age / expected);
    html! {
        @match (cluster.last_success_finished_at, &cluster.jobs) {
            (Some(at), _) => { span title=(at) { (ago(at, now)) } },
            (None, Some(_)) => { "none listed" },
            (None, None) => { (unknown()) },
        }
        @if let (Some(intervals), false) = (intervals, cluster.paused == Some(true)) {
            @let class = match intervals { ..=1.0 => "ok", ..=OVERDUE_FACTOR => "warning", _ => "critical" };
            (bar(intervals / MAX_BAR_INTERVALS, class))
        }
        @if let Some(expected) = cluster.expected_interval_seconds {
            small { "expected every " (span(expected)) }
        }
        @if cluster.auto_export_enabled == Some(false) { small { "auto export disabled" } }
        @if cluster.policy_item_missing == Some(true) {
            small class="warning" { "no policy item has the export frequency" }
        }
    }
}

fn bucket(cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    let awaiting = cluster.snapshots_awaiting_export.zip(cluster.oldest_snapshot_awaiting_export_at);
    let success = cluster.last_success_created_at;
    // Without jobs, it is unknown whether a newer success has resolved the failure.
    let failure_event = cluster
        .last_auto_export_failure_event_at
        .filter(|at| cluster.jobs.is_some() && success.is_none_or(|success| success < *at));
    html! {
        @match cluster.newest_exported_snapshot_at {
            Some(newest) => { span title=(newest) { "taken " (ago(newest, now)) } },
            None => { (unknown()) },
        }
        @match awaiting {
            Some((1, oldest)) => { (note("1 awaits export, taken", oldest, now)) },
            Some((count, oldest)) => {
                (note(&format!("{count} await export, the oldest taken"), oldest, now))
            },
            None => {},
        }
        @if let Some(at) = failure_event {
            small class="critical" title=(at) { "export failure event " (ago(at, now)) }
        }
        @if cluster.bucket_missing == Some(true) {
            small class="critical" {
                "export bucket missing: " (isolated(cluster.export_bucket_id.unwrap_or_default()))
            }
        }
    }
}

fn failures(cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    let reason = cluster.latest_failure.as_ref();
    html! {
        @match cluster.failures_since_last_success {
            None => { (unknown()) },
            Some(0) => { "0" },
            Some(count) => {
                span class="critical" { (count) }
                @if let Some(first) = cluster.oldest_unresolved_failure_created_at {
                    (note("first", first, now))
                }
                @if let Some(code) = reason.and_then(|reason| reason.error_code) {
                    small { (isolated(&truncated(code))) }
                }
                @if let Some(message) = reason.and_then(|reason| reason.message) {
                    small { (isolated(&truncated(message))) }
                }
            },
        }
    }
}

fn truncated(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn poll(cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    html! {
        @match cluster.last_poll_at {
            Some(at) => { span title=(at) { (ago(at, now)) } },
            None => { span class="faint" { "not yet" } },
        }
        @if cluster.last_poll_at.is_some() && !cluster.unread_collectors.is_empty() {
            small class="none" { "unread collectors: " (cluster.unread_collectors.join(", ")) }
        }
        @if let Some(error) = &cluster.last_poll_error {
            small class="unknown" { (error.reason) ": " (isolated(error.error)) }
        }
        @if let Some(next) = cluster.next_poll_at {
            small title=(next) {
                @match next.duration_since(now).as_secs() {
                    ..=0 => { "next due now" },
                    seconds => { "next in " (rounded(SignedDuration::from_secs(seconds), Unit::Second)) },
                }
            }
        }
    }
}

fn class_of(state: JobState) -> Option<&'static str> {
    match state {
        JobState::Failed => Some("critical"),
        JobState::Successful => Some("ok"),
        _ => None,
    }
}

/// Returns a text like "2d 3h ago", with the two largest units. A future time is not relative.
fn ago(at: Timestamp, now: Timestamp) -> String {
    let age = now.duration_since(at);
    if age.is_negative() {
        return at.to_string();
    }
    let smallest = match age.as_secs() {
        ..3600 => Unit::Second,
        3600..86400 => Unit::Minute,
        _ => Unit::Hour,
    };
    rounded(age, smallest) + " ago"
}

fn span(seconds: f64) -> String {
    SignedDuration::try_from_secs_f64(seconds)
        .map_or_else(|_| format!("{seconds} s"), |span| rounded(span, Unit::Second))
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
    fn age_has_its_two_largest_units() {
        let check = |seconds: i64, expected: &str| {
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            let at = Timestamp::from_second(1_800_000_000 - seconds).unwrap();
            assert_eq!(ago(at, now), expected);
        };
        check(0, "0s ago");
        check(75, "1m 15s ago");
        check(3 * 3600 + 125, "3h 2m ago");
        check(2 * 86400 + 3 * 3600, "2d 3h ago");
        check(-5, "2027-01-15T08:00:05Z");
    }
}
