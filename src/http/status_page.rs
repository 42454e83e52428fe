//! The status page, which needs no script and nothing from other hosts. The script requests the
//! page again, so filters and order are the server's.

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

use super::query::{MOST_SEARCHED, Query, Sort};
use crate::status::{ClusterStatus, Severity, Status};

const STYLE: &str = include_str!("status_page/style.css");
const LIVE: &str = include_str!("status_page/live.js");

/// Seconds from one refresh to the next: half of the time between polls, within these bounds.
const REFRESH: (f64, f64) = (2.0, 15.0);

/// Allows the page its style, its script and requests to the exporter.
pub(super) fn content_security_policy() -> HeaderValue {
    let hash = |text: &str| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(LIVE)
    );
    // Base64 is plain text.
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

pub(super) fn render(mut status: Status<'_>, query: &Query, telemetry_path: &str) -> Markup {
    let (summary, banners) = (Summary::of(&status), banners(&status));
    query.apply(&mut status.clusters);
    let every = (status.poll_interval_seconds / 2.0).clamp(REFRESH.0, REFRESH.1);
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
                    p id="said" role="status" { (summary.sentences()) }
                    form method="get" {
                        label for="search" { "Find" }
                        input type="search" id="search" name="search" value=(query.search) maxlength=(MOST_SEARCHED) placeholder="project, cluster, state, error code" autocomplete="off";
                        // Without a script, the form would drop them.
                        @for (name, value) in query.parameters().filter(|(name, _)| *name != "search") {
                            input type="hidden" name=(name) value=(value);
                        }
                        noscript { button type="submit" { "Find" } }
                    }
                    p id="lost" class="banner unknown" role="alert" hidden {}
                    p id="held" class="banner none" hidden { "This page is not refreshed while text is marked." }
                }
                main id="live" data-every=(every) {
                    nav id="severities" aria-label="Severities" { (severities(query, &summary)) }
                    div id="banners" { (banners) }
                    (table(&status, query))
                }
                footer class="faint" {
                    // Relative, so that they hold below any path of a reverse proxy.
                    a href=(telemetry_path.trim_start_matches('/')) { "Metrics" } " · "
                    a href="api/v1/clusters" { "JSON" } " · "
                    a href="-/healthy" { "Health" } " · " a href="-/ready" { "Readiness" }
                    " · version " (status.version)
                }
                script { (PreEscaped(LIVE)) }
            }
        }
    }
}

/// What is told before anything else.
struct Summary {
    counts: [(Severity, usize); Severity::ALL.len()],
    clusters: usize,
    /// Readings besides those of clusters that failed.
    unread: usize,
    /// Clusters that wait for their first poll, or for the name of their project.
    unpolled: usize,
    refused: bool,
}

impl Summary {
    fn of(status: &Status<'_>) -> Self {
        let counts = Severity::ALL.map(|severity| {
            let of_severity = status.clusters.iter().filter(|cluster| cluster.status.severity() == severity);
            (severity, of_severity.count())
        });
        let (clusters, unread) = (status.clusters.len(), status.problems.len());
        let waits = status.clusters.iter().filter(|cluster| cluster.status == ClusterStatus::NotReadYet);
        let unpolled = status.clusters_watched.saturating_sub(clusters) + waits.count();
        let refused = status.configuration_error.is_some();
        Self { counts, clusters, unread, unpolled, refused }
    }

    /// Number of clusters of each severity from warning up.
    fn troubles(&self) -> Vec<String> {
        let troubles =
            self.counts.iter().filter(|(severity, count)| *count > 0 && *severity <= Severity::Warning);
        troubles.map(|(severity, count)| format!("{count} {}", severity.as_str())).collect()
    }

    /// What stands in the tab of a browser.
    fn title(&self) -> String {
        let mut parts = self.troubles();
        match (self.clusters, self.unread) {
            (_, 0) => {}
            (0, _) => parts.push("discovery failing".to_owned()),
            (_, unread) => parts.push(format!("{unread} unread")),
        }
        if self.refused {
            parts.push("configuration refused".to_owned());
        }
        parts.push("Atlas backup exports".to_owned());
        parts.join(" · ")
    }

    fn sentences(&self) -> String {
        let clusters = if self.clusters == 1 { "1 cluster" } else { &format!("{} clusters", self.clusters) };
        let mut text = match self.troubles().join(", ") {
            _ if self.clusters == 0 && self.unread > 0 => "No cluster is known.".to_owned(),
            _ if self.clusters == 0 => "No cluster is known yet.".to_owned(),
            trouble if !trouble.is_empty() => format!("{clusters}: {trouble}."),
            _ if self.unpolled > 0 => format!("{clusters}."),
            _ => format!("{clusters} without problems."),
        };
        if self.unread > 0 {
            let _ =
                write!(text, " Failed readings of organizations, projects and collectors: {}.", self.unread);
        }
        if self.unpolled > 0 {
            let _ = write!(text, " Not read yet: {}.", self.unpolled);
        }
        if self.refused {
            text += " The configuration was refused.";
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
            @let word = if *severity == Severity::Ok { "OK" } else { severity.as_str() };
            a id={ "severity-" (severity.as_str()) } class=(severity.as_str()) href=(link(Some(*severity))) aria-current=[current(Some(*severity))] {
                (word) " " (count)
            }
        }
    }
}

/// What is wrong besides single clusters.
fn banners(status: &Status<'_>) -> Markup {
    let unmatched =
        status.clusters.iter().filter(|cluster| cluster.policy_item_missing == Some(true)).count();
    let unnamed = status.clusters_watched.saturating_sub(status.clusters_named);
    html! {
        @if let Some(error) = &status.configuration_error {
            p class="banner critical" { "The configuration was refused when it was read last, and an older one is in force: " (isolated(error)) }
        }
        @for text in banners::texts(status) { p class="banner unknown" { (text) } }
        @if unmatched > 0 {
            p class="banner warning" {
                "Nothing will ever be exported of " (unmatched) @if unmatched == 1 { " cluster" } @else { " clusters" }
                ": no item of the backup policy has the frequency that is exported."
            }
        }
        @if unnamed > 0 {
            p class="banner none" { (unnamed) " of " (status.clusters_watched) " clusters wait for the name of their project." }
        }
    }
}

fn table(status: &Status<'_>, query: &Query) -> Markup {
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
                    0 if status.clusters_named == 0 => { "There is no cluster to show yet" },
                    0 => { "No cluster is like that" },
                    shown => { (shown) " shown" },
                }
                ", as of " (now.strftime("%F %T UTC"))
            }
            thead id="head" { tr {
                @for (sort, word, title) in Sort::ALL {
                    th scope="col" aria-sort=[order(sort)] { a id={ "sort-" (word) } href=(link(sort)) { (title) } }
                }
            } }
            tbody id="rows" { @for cluster in &status.clusters { (row::row(cluster, now)) } }
        }
    }
}
