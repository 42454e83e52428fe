//! Results of `check`: a table or a list for people, and JSON for scripts.

use std::collections::BTreeMap;
use std::fmt::Write;

use atlas_client::{
    Error, OrganizationId, ProjectId, Proxy,
    redact::{escape, escape_json},
};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::config::Warning;
use crate::model::ReadError;

/// Mark behind a status, which becomes the end of its color once the text is rendered.
///
/// Marks have no width, unlike escape sequences. Texts of Atlas cannot contain them, because
/// invisible characters are escaped.
const END_OF_COLOR: char = '\u{2060}';

/// Minimum width of the table in columns. In a narrower terminal it would break ids and error
/// codes, which users copy.
const TABLE_WIDTH: usize = 120;

/// Minimum width of the list in columns.
const MIN_WIDTH: usize = 40;

const INDENT: usize = 4;

/// Result for an organization, a project or a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    pub organization_id: Option<OrganizationId>,
    pub project_id: Option<ProjectId>,
    pub project: Option<String>,
    /// Name of the cluster, or a pattern without a match; `None` for the project itself.
    pub cluster_name: Option<String>,
    pub status: CheckStatus,
    pub error: Option<ReadError>,
    pub error_code: Option<String>,
    /// Suggested fix, or a note.
    pub hint: String,
    /// True if `cluster_name` is a pattern without a match.
    pub is_pattern: bool,
    /// Collectors by name, each with true if it has access. Set for a project.
    pub collectors: BTreeMap<&'static str, bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckStatus {
    #[default]
    Ok,
    /// Readable, but the configuration is probably wrong.
    Warning,
    /// Has no exports, and is not named in the configuration.
    Excluded,
    /// Readable, but its exports cannot succeed.
    Problem,
    Failed,
}

/// Name of each status in the order of the enum, the mark before it, and its ANSI color. Users can
/// configure the named colors of their terminal.
const STATUSES: [(&str, char, &str); 5] = [
    ("ok", '\u{2061}', "\x1b[32m"),
    ("warning", '\u{2062}', "\x1b[33m"),
    ("excluded", '\u{2063}', "\x1b[2m"),
    ("problem", '\u{2064}', "\x1b[31m"),
    ("failed", '\u{2064}', "\x1b[31m"),
];

impl CheckStatus {
    fn as_str(self) -> &'static str {
        STATUSES[self as usize].0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Columns of a line; `None` for no limit, as in a pipe.
    pub width: Option<u16>,
    pub color: bool,
}

impl Row {
    pub(super) fn organization(id: &OrganizationId) -> Self {
        Self { organization_id: Some(id.clone()), ..Self::default() }
    }

    pub(super) fn project(id: &ProjectId, name: Option<&str>) -> Self {
        Self { project_id: Some(id.clone()), project: name.map(str::to_owned), ..Self::default() }
    }

    pub(super) fn cluster(self, name: &str) -> Self {
        Self { cluster_name: Some(name.to_owned()), ..self }
    }

    pub(super) fn pattern(self, pattern: &str, hint: &str) -> Self {
        Self { is_pattern: true, ..self.cluster(pattern).warn(hint) }
    }

    pub(super) fn with(self, status: CheckStatus, hint: &str) -> Self {
        Self { status, hint: hint.to_owned(), ..self }
    }

    pub(super) fn note(self, hint: &str) -> Self {
        self.with(CheckStatus::Ok, hint)
    }

    pub(super) fn warn(self, hint: &str) -> Self {
        self.with(CheckStatus::Warning, hint)
    }

    pub(super) fn fail(self, error: &Error, hint: &str) -> Self {
        let error_code = error.code().map(str::to_owned);
        Self { error: Some(error.into()), error_code, ..self.with(CheckStatus::Failed, hint) }
    }

    /// Returns true if `next` reports the same failure.
    fn is_repeated_by(&self, next: &Self) -> bool {
        let failure = |row: &Self| (row.status, row.error_code.clone(), row.hint.clone());
        self.status == CheckStatus::Failed && failure(self) == failure(next)
    }
}

/// Returns the cells of a row with escaped texts; an empty one has no value.
fn cells(row: &Row, is_repeated: bool) -> [String; 5] {
    let project = match (&row.organization_id, &row.project, &row.project_id) {
        (Some(id), ..) => format!("organization {id}"),
        (None, Some(name), _) => name.clone(),
        (None, None, Some(id)) => id.to_string(),
        (None, None, None) => "credentials".to_owned(),
    };
    let cluster = row.cluster_name.as_deref().unwrap_or_default();
    let code = row.error_code.as_deref().unwrap_or_default();
    // Wrong credentials cause the same failure in every project.
    let hint = if is_repeated { "as above" } else { &row.hint };
    let [project, cluster, code, hint] =
        [&project, cluster, code, hint].map(|text| escape(text).into_owned());
    let status = row.error.as_ref().map_or(row.status.as_str(), |error| error.reason.as_str());
    let (_, start, _) = STATUSES[row.status as usize];
    [project, cluster, format!("{start}{}{END_OF_COLOR}", status.replace('_', " ")), code, hint]
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Credentials first, organizations, then projects by id, their clusters by name.
    pub rows: Vec<Row>,
    pub proxy: Option<Proxy>,
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Returns true if there are clusters, all can be read, and no problem was found.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.rows.iter().all(|row| !matches!(row.status, CheckStatus::Problem | CheckStatus::Failed))
            && self.clusters().next().is_some()
    }

    /// Returns the rows of the clusters to poll.
    fn clusters(&self) -> impl Iterator<Item = &Row> {
        let is_polled =
            |row: &&Row| row.cluster_name.is_some() && !row.is_pattern && row.status != CheckStatus::Excluded;
        self.rows.iter().filter(is_polled)
    }

    /// Returns a table with a summary, or a list if the terminal is too narrow for a table.
    #[must_use]
    pub fn text(&self, terminal: Terminal) -> String {
        let above = std::iter::once(None).chain(self.rows.iter().map(Some));
        let lines: Vec<_> = above
            .zip(&self.rows)
            .map(|(above, row)| cells(row, above.is_some_and(|above| above.is_repeated_by(row))))
            .collect();
        let width = terminal.width.map_or(usize::MAX, |width| usize::from(width).max(MIN_WIDTH));
        let table = (width >= TABLE_WIDTH).then(|| table(&lines, terminal.width));
        // The table breaks words that are wider than its column, such as URLs.
        let has_whole_words = |table: &String| {
            lines.iter().flatten().flat_map(|cell| cell.split(' ')).all(|word| table.contains(word))
        };
        let mut text = table.filter(has_whole_words).unwrap_or_else(|| list(&lines, width));
        text.push('\n');
        let proxy = self.proxy.iter().map(|proxy| format!("Proxy: {proxy} ({})", proxy.variable()));
        let warnings = self.warnings.iter().map(|warning| format!("Warning: {warning}"));
        for note in proxy.chain(warnings).chain([self.summary()]) {
            wrap(&mut text, &note, width, [0, INDENT]);
        }
        for (_, mark, color) in STATUSES.into_iter().chain([("", END_OF_COLOR, "\x1b[0m")]) {
            text = text.replace(mark, if terminal.color { color } else { "" });
        }
        text
    }

    fn summary(&self) -> String {
        let is_failed = |row: &&Row| row.status == CheckStatus::Failed;
        let count = |status| self.rows.iter().filter(|row| row.status == status).count();
        let (all, bad) = (self.clusters().count(), self.clusters().filter(is_failed).count());
        let unread = self.rows.iter().filter(|row| row.cluster_name.is_none()).filter(is_failed).count();
        let known = if unread > 0 { "known " } else { "" };
        let clusters = if all == 1 { "cluster" } else { "clusters" };
        let mut summary = match (all, bad) {
            (0, _) => "No clusters to poll.".to_owned(),
            (all, 0) => format!("{all} {known}{clusters} can be read."),
            (all, bad) => format!("{bad} of {all} {known}{clusters} cannot be read."),
        };
        for (count, one, many) in [
            (unread, "project or organization cannot be read", "projects or organizations cannot be read"),
            (count(CheckStatus::Problem), "problem", "problems"),
            (count(CheckStatus::Warning) + self.warnings.len(), "warning", "warnings"),
        ] {
            if count > 0 {
                let _ = write!(summary, " {count} {}.", if count == 1 { one } else { many });
            }
        }
        summary
    }

    /// Returns the report as a JSON object with `ok` and `rows`; unset fields are null.
    #[must_use]
    pub fn json(&self) -> String {
        let row = |row: &Row| {
            json!({
                "organization_id": row.organization_id.as_ref().map(OrganizationId::as_str),
                "project_id": row.project_id.as_ref().map(ProjectId::as_str),
                "project": row.project,
                "cluster_name": row.cluster_name,
                "status": row.status.as_str(),
                "reason": row.error.as_ref().map(|error| error.reason.as_str()),
                "error_code": row.error_code,
                "error": row.error.as_ref().map(|error| &error.text),
                "hint": row.hint,
                "details": Some(&row.collectors).filter(|collectors| !collectors.is_empty()),
            })
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let json = format!(
            "{:#}\n",
            json!({
                "ok": self.is_ok(),
                "rows": rows,
                "proxy": self.proxy.as_ref().map(ToString::to_string),
                "proxy_variable": self.proxy.as_ref().map(Proxy::variable),
                "warnings": self.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        );
        escape_json(&json).into_owned()
    }
}

fn table(lines: &[[String; 5]], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["PROJECT", "CLUSTER", "STATUS", "ERROR CODE", "HINT"]);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for line in lines {
        table.add_row(line.each_ref().map(|text| if text.is_empty() { "-" } else { text }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // A color must end on the line on which it begins.
    if let Some(statuses) = table.column_mut(2) {
        statuses.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.trim_fmt() + "\n"
}

fn list(lines: &[[String; 5]], width: usize) -> String {
    let mut list = String::new();
    for [project, cluster, status, code, hint] in lines {
        let cluster = if cluster.is_empty() { String::new() } else { format!(" / {cluster}") };
        let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
        wrap(&mut list, &format!("{project}{cluster}: {status}{code}"), width, [0, 2 * INDENT]);
        if !hint.is_empty() {
            wrap(&mut list, hint, width, [INDENT, INDENT]);
        }
    }
    list
}

/// Appends `text` in lines of at most `width` columns, with the indents of the first and of further
/// lines.
///
/// Lines break at spaces only, so that URLs and paths stay whole; texts in backticks do as well.
fn wrap(out: &mut String, text: &str, width: usize, [first, further]: [usize; 2]) {
    // A text of Atlas can hold a single backtick.
    let has_pairs = text.matches('`').count().is_multiple_of(2);
    let mut is_whole = false;
    let words = text.split(|c| {
        match c {
            '`' => is_whole ^= has_pairs,
            END_OF_COLOR => is_whole = false,
            _ if STATUSES.iter().any(|(_, mark, _)| *mark == c) => is_whole = true,
            _ => {}
        }
        c == ' ' && !is_whole
    });
    let (mut column, mut indent) = (0, first);
    for word in words.filter(|word| !word.is_empty()) {
        if column > 0 && column + 1 + word.width() > width {
            out.push('\n');
            (column, indent) = (0, further);
        }
        let space = if column == 0 { indent } else { 1 };
        out.extend(std::iter::repeat_n(' ', space));
        out.push_str(word);
        column += space + word.width();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests;
