//! The status page. It works without JavaScript and loads nothing from other hosts.
//!
//! The script only refreshes the page: the server filters, sorts and renders.

mod banners;
mod isolated;
mod row;

use std::fmt::Write;

use axum::http::HeaderValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};

use isolated::isolated;

use super::query::{MAX_SEARCH, Query, Sort};
use crate::model::Shard;
use crate::reloadable_config::ReloadableConfig;
use crate::status::{ClusterStatus, Severity, Status};

const STYLE: &str = include_str!("status_page/style.css");
const SCRIPT: &str = include_str!("status_page/live.js");

/// Bounds of the refresh interval in seconds, which is half of the poll interval.
const MIN_REFRESH_INTERVAL: f64 = 2.0;
const MAX_REFRESH_INTERVAL: f64 = 15.0;

/// Returns a policy that allows the style and the script of the page, and requests to the exporter.
pub(super) fn content_security_policy() -> HeaderValue {
    let hash = |text: &str| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    // The conversion cannot fail: Base64 is ASCII.
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

pub(super) fn render(
    mut status: Status<'_>,
    query: &Query,
    config: &ReloadableConfig,
    telemetry_path: &str,
) -> Markup {
    let (summary, banners) = (Summary::of(&status, config.shard), banners(&status));
    query.apply(&mut status.clusters);
    let interval = (status.poll_interval_seconds / 2.0).clamp(MIN_REFRESH_INTERVAL, MAX_REFRESH_INTERVAL);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (summary.title()) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "MongoDB Atlas backup exports" }
                    p id="summary" role="status" { (summary.sentences()) }
                    form method="get" autocomplete="off" {
                        label for="search" { "Search" }
                        input type="search" id="search" name="search" value=(query.search)
                            maxlength=(MAX_SEARCH) placeholder="project, cluster, state, error code";
                        // Without JavaScript, the form would drop the severity.
                        @if let Some(severity) = query.severity {
                            input type="hidden" name="severity" value=(severity.as_str());
                        }
                        // Narrow screens have no column headers.
                        span class="sort" {
                            label for="sort" { "Sort by" }
                            select id="sort" name="sort" {
                                @for (sort, word, title) in Sort::ALL {
                                    option value=(word) selected[sort == query.sort] { (title) }
                                }
                            }
                            label {
                                input type="checkbox" name="order" value="reversed" checked[query.reversed];
                                " reversed"
                            }
                        }
                        noscript { button type="submit" { "Apply" } }
                    }
                    p id="refresh-failed" class="banner unknown" role="alert" hidden {}
                    p id="refresh-paused" class="banner none" hidden {
                        "Auto-refresh is paused while text is selected."
                    }
                }
                main id="live" data-interval=(interval) {
                    nav id="severities" aria-label="Severities" { (severities(query, &summary)) }
                    div id="banners" { (banners) }
                    (table(&status, query, config))
                }
                details class="note" {
                    summary { "Meaning of the statuses" }
                    dl {
                        @for status in ClusterStatus::all() {
                            dt class=(status.severity().as_str()) { (status.words()) }
                            dd { (status.description()) "." }
                        }
                    }
                }
                footer class="faint" {
                    // Relative links work behind a reverse proxy with any path prefix.
                    a href=(telemetry_path.trim_start_matches('/')) { "Metrics" } " · "
                    a href="api/v1/clusters" { "JSON" } " · "
                    a href="-/healthy" { "Health" } " · " a href="-/ready" { "Readiness" }
                    " · version " (status.version)
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The summary at the top of the page and in its title.
struct Summary {
    counts: [(Severity, usize); Severity::ALL.len()],
    clusters: usize,
    /// Number of failed readings of organizations, projects and collectors.
    failed_readings: usize,
    /// Number of clusters that were not read yet, or whose project name is unknown.
    unread_clusters: usize,
    reload_failed: bool,
    shard: Shard,
}

impl Summary {
    fn of(status: &Status<'_>, shard: Shard) -> Self {
        let counts = Severity::ALL.map(|severity| {
            let of_severity = status.clusters.iter().filter(|cluster| cluster.status.severity() == severity);
            (severity, of_severity.count())
        });
        let (clusters, failed_readings) = (status.clusters.len(), status.problems.len());
        let unread = status.clusters.iter().filter(|cluster| cluster.status == ClusterStatus::NotReadYet);
        let unread_clusters = status.clusters_watched.saturating_sub(clusters) + unread.count();
        let reload_failed = status.configuration_error.is_some();
        Self { counts, clusters, failed_readings, unread_clusters, reload_failed, shard }
    }

    /// Returns the number of clusters of each severity that is warning or worse.
    fn problems(&self) -> Vec<String> {
        let problems =
            self.counts.iter().filter(|(severity, count)| *count > 0 && *severity <= Severity::Warning);
        problems.map(|(severity, count)| format!("{count} {}", severity.as_str())).collect()
    }

    fn title(&self) -> String {
        let mut parts = self.problems();
        match (self.clusters, self.failed_readings) {
            (_, 0) => {}
            (0, _) => parts.push("discovery failing".to_owned()),
            (_, 1) => parts.push("1 failed reading".to_owned()),
            (_, failed) => parts.push(format!("{failed} failed readings")),
        }
        if self.reload_failed {
            parts.push("configuration reload failed".to_owned());
        }
        parts.push("Atlas backup exports".to_owned());
        parts.join(" · ")
    }

    fn sentences(&self) -> String {
        let clusters = if self.clusters == 1 { "1 cluster" } else { &format!("{} clusters", self.clusters) };
        let mut text = match self.problems().join(", ") {
            _ if self.clusters == 0 && self.failed_readings > 0 => "No clusters found.".to_owned(),
            _ if self.clusters == 0 => "No clusters found yet.".to_owned(),
            problems if !problems.is_empty() => format!("{clusters}: {problems}."),
            _ if self.unread_clusters > 0 => format!("{clusters}."),
            _ => format!("{clusters}, no problems."),
        };
        let Shard { index, total } = self.shard;
        if total > 1 {
            let _ = write!(text, " Shard {} of {total} (index {index}).", index + 1);
        }
        if self.failed_readings > 0 {
            let failed = self.failed_readings;
            let _ = write!(text, " Failed readings of organizations, projects and collectors: {failed}.");
        }
        if self.unread_clusters > 0 {
            let _ = write!(text, " Not read yet: {}.", self.unread_clusters);
        }
        if self.reload_failed {
            text += " The configuration reload failed.";
        }
        text
    }
}

fn severities(query: &Query, summary: &Summary) -> Markup {
    let link = |severity: Option<Severity>| Query { severity, ..query.clone() }.to_string();
    let current = |severity: Option<Severity>| (query.severity == severity).then_some("true");
    html! {
        a id="all" href=(link(None)) aria-current=[current(None)] { "All " (summary.clusters) }
        @for (severity, count) in &summary.counts {
            @let word = match severity {
                Severity::None => "no action",
                Severity::Ok => "OK",
                _ => severity.as_str(),
            };
            @let statuses = ClusterStatus::all().filter(|status| status.severity() == *severity);
            @let title = statuses.map(ClusterStatus::words).collect::<Vec<_>>().join(", ");
            a id={ "severity-" (severity.as_str()) } class=(severity.as_str()) href=(link(Some(*severity)))
                title=(title) aria-current=[current(Some(*severity))] { (word) " " (count) }
        }
    }
}

/// Returns the banners for problems that are not in the table.
fn banners(status: &Status<'_>) -> Markup {
    let never_exported =
        status.clusters.iter().filter(|cluster| cluster.policy_item_missing == Some(true)).count();
    let unnamed = status.clusters_watched.saturating_sub(status.clusters_named);
    html! {
        @if let Some(error) = &status.configuration_error {
            p class="banner critical" {
                "The configuration reload failed; the previous configuration is active: " (isolated(error))
            }
        }
        @for text in banners::texts(status) { p class="banner unknown" { (text) } }
        @if never_exported > 0 {
            p class="banner warning" {
                "Snapshots of " (never_exported) @if never_exported == 1 { " cluster" } @else { " clusters" }
                " are never exported: no item of the backup policy has the frequency of the export policy."
            }
        }
        @if unnamed > 0 {
            p class="banner none" {
                (unnamed) " of " (status.clusters_watched)
                " clusters are not shown yet: the name of their project has not been read."
            }
        }
    }
}

fn table(status: &Status<'_>, query: &Query, config: &ReloadableConfig) -> Markup {
    let now = status.as_of;
    let link = |sort: Sort| {
        let reversed = query.sort == sort && !query.reversed;
        Query { sort, reversed, ..query.clone() }.to_string()
    };
    let order = |sort: Sort| {
        let ascends = sort.ascends() != query.reversed;
        (query.sort == sort).then_some(if ascends { "ascending" } else { "descending" })
    };
    html! {
        table {
            caption id="shown" class="faint" {
                @match status.clusters.len() {
                    0 if status.clusters_named == 0 => { "No clusters yet" },
                    0 => { "No matching clusters" },
                    shown => { (shown) " shown" },
                }
                ", as of " (now.strftime("%F %T UTC")) " · the mark in a bar is the expected interval"
            }
            thead id="head" { tr {
                @for (sort, word, title) in Sort::ALL {
                    th scope="col" aria-sort=[order(sort)] {
                        a id={ "sort-" (word) } href=(link(sort)) { (title) }
                    }
                }
            } }
            tbody id="rows" { @for cluster in &status.clusters { (row::row(cluster, config, now)) } }
        }
    }
}
