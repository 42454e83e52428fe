//! The row of a cluster in the table of the status page.

use std::fmt::Display;

use atlas_client::{JobState, redact::escape};
use jiff::{SignedDuration, SpanRound, Timestamp, Unit};
use maud::{Markup, html};

use super::isolated::{breakable, isolated};
use crate::reloadable_config::ReloadableConfig;
use crate::status::{Cluster, ClusterStatus, NewestJob, OVERDUE_FACTOR};

/// Length of an error in characters from which its end is shown on request.
const MAX_SHORT: usize = 120;

/// The bar of an age is full at this multiple of the expected interval.
const MAX_BAR_INTERVALS: f64 = 1.5;

/// The bar is amber from this multiple of the expected interval.
const AMBER_INTERVALS: f64 = 0.9;

pub(super) fn row(cluster: &Cluster<'_>, config: &ReloadableConfig, now: Timestamp) -> Markup {
    let status = cluster.status;
    let (id, name) = (cluster.project_id, cluster.cluster_name);
    let links = &config.links;
    let runbook = links.runbooks.as_ref().zip(status.alert());
    html! {
        tr data-key={ (id) "/" (escape(name)) } {
            td class=(status.severity().as_str()) title=(status.description()) {
                @match runbook {
                    Some((page, alert)) => {
                        (link(&format!("{}#{}", page.address(id, name), alert.to_lowercase()), status.words()))
                    },
                    None => { (status.words()) },
                }
                @if let Some((text, at)) = cluster.since {
                    small title=(time(at)) { (text.replace("{}", &elapsed(at, now))) }
                } @else if status == ClusterStatus::BucketMissing {
                    small { "for an unknown time" }
                }
            }
            th scope="row" {
                (link(&config.atlas_link.address(id, name), isolated(name)))
                small {
                    (isolated(cluster.project))
                    @if cluster.paused == Some(true) { ", paused" }
                }
                @if let Some(page) = &links.dashboard {
                    small { (link(&page.address(id, name), "Dashboard")) }
                }
            }
            td data-label="Newest job" {
                @match (&cluster.newest_job, &cluster.jobs) {
                    (Some(job), _) => { (newest_job(job, cluster, now)) },
                    (None, Some(jobs)) if jobs.0.iter().all(|(_, count)| *count == 0) => { "none listed" },
                    _ => { (unknown()) },
                }
            }
            td data-label="Last success" { (success(cluster, now)) }
            td data-label="Exported snapshot" { (bucket(cluster, now)) }
            td data-label="Failures since success" { (failures(cluster)) }
            td data-label="Last poll" { (poll(cluster, now)) }
        }
    }
}

fn unknown() -> Markup {
    html! { span class="faint" { "unknown" } }
}

fn link(address: &str, text: impl maud::Render) -> Markup {
    html! { a href=(address) rel="noreferrer" { (text) } }
}

fn note(class: Option<&str>, text: &str, at: Timestamp, now: Timestamp) -> Markup {
    html! { small class=[class] title=(time(at)) { (text) " " (ago(at, now)) } }
}

fn time(at: Timestamp) -> impl Display {
    at.strftime("%F %T UTC")
}

/// Returns an error. The end of a long one can be expanded.
fn error(text: &str) -> Markup {
    let end = text.char_indices().nth(MAX_SHORT).map(|(end, _)| text[..end].rfind(' ').unwrap_or(end));
    html! {
        @match end {
            None => { (breakable(text)) },
            Some(end) => {
                details { summary { (breakable(&text[..end])) span { "..." } } (breakable(&text[end..])) }
            },
        }
    }
}

fn newest_job(job: &NewestJob, cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    let active =
        cluster.jobs.as_ref().map_or(0, |jobs| jobs.0[JobState::Queued] + jobs.0[JobState::InProgress]);
    let is_late = matches!(cluster.status, ClusterStatus::Stalled | ClusterStatus::QueuedTooLong);
    let class = is_late.then_some("warning");
    // `last_progress` is about the active job without progress for longest, perhaps another one.
    let is_only_active = active == 1 && job.state.is_active();
    html! {
        span class=[class_of(job.state)] { (job.state.as_str()) }
        @if let Some(ratio) = job.progress_ratio {
            @let (exported, all) = (job.exported_collections, job.collections);
            @if job.state != JobState::Successful { (bar(ratio, "", None)) }
            small { (exported.unwrap_or_default()) "/" (all.unwrap_or_default()) " collections" }
        }
        @if !is_only_active { (note(None, "created", job.created_at, now)) }
        @match cluster.last_progress_at {
            Some(at) if is_only_active => { (note(class, "last progress", at, now)) },
            Some(at) => { (note(class, &format!("one of {active} active: last progress"), at, now)) },
            None => {},
        }
    }
}

/// Returns a bar that is hidden from screen readers: the text beside it has the values.
fn bar(ratio: f64, class: &str, tick: Option<f64>) -> Markup {
    let percent = |ratio: f64| (ratio * 100.0).clamp(0.0, 100.0).round();
    // A `style` attribute would need a weaker Content-Security-Policy.
    html! {
        svg class={ "bar " (class) } viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(percent(ratio)) height="1" {}
            @if let Some(tick) = tick { rect class="tick" x=(percent(tick)) y="-.8" width="2" height="2.6" {} }
        }
    }
}

fn success(cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    let age = cluster.last_success_finished_at.map(|at| now.duration_since(at).as_secs_f64());
    let intervals = age.zip(cluster.expected_interval_seconds).map(|(age, expected)| age / expected);
    html! {
        @match (cluster.last_success_finished_at, &cluster.jobs) {
            (Some(at), _) => { span title=(time(at)) { (ago(at, now)) } },
            (None, Some(_)) => { "none listed" },
            (None, None) => { (unknown()) },
        }
        @match (cluster.expected_interval_seconds.map(span), intervals) {
            (Some(expected), Some(intervals)) if cluster.paused != Some(true) => {
                @let class = match intervals {
                    ..AMBER_INTERVALS => "ok",
                    ..=OVERDUE_FACTOR => "warning",
                    _ => "critical",
                };
                (bar(intervals / MAX_BAR_INTERVALS, class, Some(1.0 / MAX_BAR_INTERVALS)))
                small class=(class) { ((intervals * 100.0).floor()) "% of expected " (expected) }
            },
            (Some(expected), _) => { small { "expected every " (expected) } },
            (None, _) => {},
        }
        @if cluster.auto_export_enabled == Some(false) {
            @let is_problem = cluster.status == ClusterStatus::AutoExportDisabled;
            small class=[is_problem.then_some("warning")] { "auto export disabled" }
        }
        @if cluster.policy_item_missing == Some(true) {
            small class="warning" { "no policy item has the export frequency" }
        }
    }
}

fn bucket(cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    let awaiting = cluster.snapshots_awaiting_export.zip(cluster.oldest_snapshot_awaiting_export_at);
    let class = cluster.snapshot_is_late.then_some("critical");
    let success = cluster.last_success_created_at;
    // Without jobs, it is unknown whether a newer success has resolved the failure.
    let failure_event = cluster
        .last_auto_export_failure_event_at
        .filter(|at| cluster.jobs.is_some() && success.is_none_or(|success| success < *at));
    html! {
        @match cluster.newest_exported_snapshot_at {
            Some(newest) => { span title=(time(newest)) { "taken " (ago(newest, now)) } },
            None => { (unknown()) },
        }
        @match awaiting {
            Some((1, oldest)) => { (note(class, "1 awaits export, taken", oldest, now)) },
            Some((count, oldest)) => {
                (note(class, &format!("{count} await export, the oldest taken"), oldest, now))
            },
            None => {},
        }
        @if let Some(at) = failure_event { (note(Some("critical"), "export failure event", at, now)) }
        @if cluster.bucket_missing == Some(true) {
            small class="critical" {
                "export bucket missing: " (isolated(cluster.export_bucket_id.unwrap_or_default()))
            }
        }
    }
}

fn failures(cluster: &Cluster<'_>) -> Markup {
    let reason = cluster.latest_failure.as_ref();
    html! {
        @match cluster.failures_since_last_success {
            None => { (unknown()) },
            Some(0) => { "0" },
            Some(count) => {
                span class="critical" { (count) }
                @if let Some(code) = reason.and_then(|reason| reason.error_code) {
                    small class="critical" { (breakable(code)) }
                }
                @if let Some(message) = reason.and_then(|reason| reason.message) {
                    div class="note" { (error(message)) }
                }
            },
        }
    }
}

fn poll(cluster: &Cluster<'_>, now: Timestamp) -> Markup {
    html! {
        @match cluster.last_poll_at {
            Some(at) if cluster.last_poll_error.is_some() => {
                span class="unknown" title=(time(at)) { "failed " (ago(at, now)) }
            },
            Some(at) => { span title=(time(at)) { (ago(at, now)) } },
            None => { span class="faint" { "not yet" } },
        }
        @if cluster.last_poll_at.is_some() && !cluster.unread_collectors.is_empty() {
            small class="none" { "unread collectors: " (cluster.unread_collectors.join(", ")) }
        }
        @if let Some(failed) = &cluster.last_poll_error {
            div class="note unknown" { (failed.reason) ": " (error(failed.error)) }
        }
        @if let Some(next) = cluster.next_poll_at {
            small title=(time(next)) {
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

/// Returns a text like "2d 3h ago". A future time is not relative.
fn ago(at: Timestamp, now: Timestamp) -> String {
    if at > now { at.to_string() } else { elapsed(at, now) + " ago" }
}

/// Returns a text like "2d 3h", with the two largest units.
fn elapsed(at: Timestamp, now: Timestamp) -> String {
    let age = now.duration_since(at.min(now));
    let smallest = match age.as_secs() {
        ..3600 => Unit::Second,
        3600..86400 => Unit::Minute,
        _ => Unit::Hour,
    };
    rounded(age, smallest)
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

    #[test]
    fn end_of_a_long_error_is_expandable() {
        let html = |text: &str| error(text).into_string();
        assert_eq!(html("BAD_X <no>"), "<bdi>BAD_<wbr>X &lt;no&gt;</bdi>");
        let (word, ending) = ("\u{e4}".repeat(118), "\u{202e}end");
        assert_eq!(
            html(&format!("{word} a{ending}")),
            format!(
                "<details><summary><bdi>{word}</bdi><span>...</span></summary>\
                 <bdi> a\\u{{202e}}end</bdi></details>"
            )
        );
        assert!(html(&"_\u{e4}".repeat(61)).ends_with("</span></summary><bdi>_<wbr>\u{e4}</bdi></details>"));
    }
}
