//! What was found, as a table for people and as JSON for scripts.

use std::collections::BTreeMap;
use std::fmt::Write;

use atlas_client::{
    Error, OrganizationId, ProjectId, Proxy,
    redact::{escape, escape_json},
};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::json;

use crate::config::Warning;
use crate::model::ReadError;

/// Characters around a status until the whole text is rendered: the table counts no width for
/// them, which it would for escape sequences. Texts of Atlas cannot contain them, since hidden
/// characters are escaped.
const END_OF_COLOUR: char = '\u{2060}';

/// A terminal that is narrower gets a list: a table would break ids and codes, which people copy.
const TABLE_WIDTH: u16 = 120;

/// What is to be said of an organization, a project or a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// Set where an organization could not be listed.
    pub organization_id: Option<OrganizationId>,
    pub project_id: Option<ProjectId>,
    pub project: Option<String>,
    /// The cluster, or a pattern that matches none; `None` for the project itself.
    pub cluster_name: Option<String>,
    pub status: CheckStatus,
    pub error: Option<ReadError>,
    pub error_code: Option<String>,
    /// What to do, or what to know.
    pub hint: String,
    /// Whether `cluster_name` is a pattern that matches no cluster.
    pub is_pattern: bool,
    /// On the row of a project: whether each detail can be read.
    pub collectors: BTreeMap<&'static str, bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckStatus {
    #[default]
    Ok,
    /// It can be watched, but something is not as it seems to be meant.
    Warning,
    /// It cannot be exported, and nobody named it.
    Excluded,
    /// It can be watched, but its exports cannot succeed.
    Problem,
    Failed,
}

/// The word of each status in the order of the enum, the character before it, and what becomes of
/// that: ANSI's green, yellow, faint and red, since people choose what these look like.
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
    /// Characters of a line; `None` where it is no terminal.
    pub width: Option<u16>,
    pub colour: bool,
}

impl Row {
    pub(super) fn of_organization(id: &OrganizationId) -> Self {
        Self { organization_id: Some(id.clone()), ..Self::default() }
    }

    pub(super) fn of_project(id: &ProjectId, name: Option<&str>) -> Self {
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

    /// Whether a row after this one says the same.
    fn is_repeated_by(&self, next: &Self) -> bool {
        let said = |row: &Self| (row.status, row.error_code.clone(), row.hint.clone());
        self.status == CheckStatus::Failed && said(self) == said(next)
    }
}

/// The cells of a row as people read them, with escapes; empty where there is nothing to say.
fn cells(row: &Row, is_repeated: bool) -> [String; 5] {
    let project = match (&row.organization_id, &row.project, &row.project_id) {
        (Some(id), ..) => format!("organization {id}"),
        (None, Some(name), _) => name.clone(),
        (None, None, Some(id)) => id.to_string(),
        (None, None, None) => "credentials".to_owned(),
    };
    let cluster = row.cluster_name.as_deref().unwrap_or_default();
    let code = row.error_code.as_deref().unwrap_or_default();
    // Wrong credentials fail every project in the same way, which is said once.
    let hint = if is_repeated { "as above" } else { &row.hint };
    let [project, cluster, code, hint] =
        [&project, cluster, code, hint].map(|text| escape(text).into_owned());
    let status = row.error.as_ref().map_or(row.status.as_str(), |error| error.reason.as_str());
    let (_, start, _) = STATUSES[row.status as usize];
    [project, cluster, format!("{start}{}{END_OF_COLOUR}", status.replace('_', " ")), code, hint]
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Credentials first, organizations, then projects by id, their clusters by name.
    pub rows: Vec<Row>,
    pub proxy: Option<Proxy>,
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Returns true if everything can be watched, and no problem was found.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.rows.iter().all(|row| !matches!(row.status, CheckStatus::Problem | CheckStatus::Failed))
            && self.watched().next().is_some()
    }

    /// Clusters that are to be watched.
    fn watched(&self) -> impl Iterator<Item = &Row> {
        let watched =
            |row: &&Row| row.cluster_name.is_some() && !row.is_pattern && row.status != CheckStatus::Excluded;
        self.rows.iter().filter(watched)
    }

    /// A table and a sentence; a list where the terminal is too narrow for a table.
    #[must_use]
    pub fn text(&self, terminal: Terminal) -> String {
        let above = std::iter::once(None).chain(self.rows.iter().map(Some));
        let lines = above
            .zip(&self.rows)
            .map(|(above, row)| cells(row, above.is_some_and(|above| above.is_repeated_by(row))));
        let is_narrow = terminal.width.is_some_and(|width| width < TABLE_WIDTH);
        let mut text = if is_narrow { list(lines) } else { table(lines, terminal.width) };
        text.push('\n');
        if let Some(proxy) = &self.proxy {
            let _ = writeln!(text, "Proxy: {proxy} ({})", proxy.variable());
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "Warning: {warning}");
        }
        text.push_str(&self.sentence());
        text.push('\n');
        for (_, mark, colour) in STATUSES.into_iter().chain([("", END_OF_COLOUR, "\x1b[0m")]) {
            text = text.replace(mark, if terminal.colour { colour } else { "" });
        }
        text
    }

    fn sentence(&self) -> String {
        let is_failed = |row: &&Row| row.status == CheckStatus::Failed;
        let count = |status| self.rows.iter().filter(|row| row.status == status).count();
        let (all, bad) = (self.watched().count(), self.watched().filter(is_failed).count());
        let unread = self.rows.iter().filter(|row| row.cluster_name.is_none()).filter(is_failed).count();
        let known = if unread > 0 { " that are known" } else { "" };
        let mut sentence = match (all, bad) {
            (0, _) => "There is no cluster to watch.".to_owned(),
            (1, 0) => format!("1 cluster{}, and it can be watched.", known.replace("are", "is")),
            (all, 0) => format!("{all} clusters{known}, and all can be watched."),
            (all, bad) => format!("{bad} of {all} clusters{known} cannot be watched."),
        };
        for (count, one, many) in [
            (unread, "project or organization cannot be read", "projects or organizations cannot be read"),
            (count(CheckStatus::Problem), "problem", "problems"),
            (count(CheckStatus::Warning) + self.warnings.len(), "warning", "warnings"),
        ] {
            if count > 0 {
                let _ = write!(sentence, " {count} {}.", if count == 1 { one } else { many });
            }
        }
        sentence
    }

    /// The same for scripts: an object with `ok` and `rows`; what does not apply is null.
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
                "ok": self.is_well(),
                "rows": rows,
                "proxy": self.proxy.as_ref().map(ToString::to_string),
                "proxy_variable": self.proxy.as_ref().map(Proxy::variable),
                "warnings": self.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        );
        escape_json(&json).into_owned()
    }
}

fn table(lines: impl Iterator<Item = [String; 5]>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["PROJECT", "CLUSTER", "STATUS", "ERROR CODE", "HINT"]);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for line in lines {
        table.add_row(line.map(|text| if text.is_empty() { "-".to_owned() } else { text }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // A colour must end on the line on which it begins.
    if let Some(verdicts) = table.column_mut(2) {
        verdicts.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.trim_fmt() + "\n"
}

fn list(lines: impl Iterator<Item = [String; 5]>) -> String {
    let mut list = String::new();
    for [project, cluster, status, code, hint] in lines {
        let cluster = if cluster.is_empty() { cluster } else { format!(" / {cluster}") };
        let code = if code.is_empty() { code } else { format!(" ({code})") };
        let _ = writeln!(list, "{project}{cluster}: {status}{code}");
        if !hint.is_empty() {
            let _ = writeln!(list, "    {hint}");
        }
    }
    list
}

#[cfg(test)]
mod tests;
