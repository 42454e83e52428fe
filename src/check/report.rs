//! What was found, as a table for people and as JSON for scripts.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use crate::atlas::Error;
use crate::config::{Proxy, Warning};
use crate::model::{Detail, OrganizationId, PollError, ProjectId, Unexportable};
use crate::redact::{escape, escape_json};

/// Stands before a verdict in a table until its colour does: no terminal shows it, so it takes no room, which is all that the table knows of
/// text.
const MARK: char = '\u{2061}';

/// A terminal that is narrower gets a list: a table would break ids and codes, which people copy.
const TABLE_WIDTH: u16 = 120;

/// What is to be said of an organization, a project or a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// Set where an organization could not be listed.
    pub organization_id: Option<OrganizationId>,
    /// The project.
    pub project_id: Option<ProjectId>,
    /// Its name, where that could be read.
    pub project: Option<String>,
    /// The cluster, or a pattern that matches none; `None` for the project itself.
    pub cluster_name: Option<String>,
    /// How it stands.
    pub verdict: Verdict,
    /// What went wrong.
    pub error: Option<PollError>,
    /// Atlas's own code.
    pub error_code: Option<String>,
    /// What to do, or what to know.
    pub advice: String,
    /// Whether `cluster_name` is a pattern that matches no cluster.
    pub is_pattern: bool,
    /// On the row of a project: whether each detail can be read.
    pub details: BTreeMap<Detail, bool>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// It can be watched.
    #[default]
    Ok,
    /// It can be watched, but something is not as it seems to be meant.
    Warning,
    /// It cannot be exported, and nobody named it.
    LeftOut,
    /// It can be watched, but its exports cannot succeed.
    Problem,
    /// It cannot be watched.
    Failed,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::LeftOut => "left_out",
            Self::Problem => "problem",
            Self::Failed => "failed",
        }
    }
}

/// Where a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Characters of a line; `None` where it is no terminal.
    pub width: Option<u16>,
    /// Whether verdicts are coloured.
    pub colour: bool,
}

impl Terminal {
    /// A verdict, coloured where that is wanted: ANSI's green, yellow and red, since people choose what these look like.
    fn paint(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Ok => 32,
            Verdict::Warning => 33,
            Verdict::LeftOut => 2,
            Verdict::Problem | Verdict::Failed => 31,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
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

    pub(super) fn note(self, advice: &str) -> Self {
        Self { advice: advice.to_owned(), ..self }
    }

    pub(super) fn warn(self, advice: &str) -> Self {
        Self { verdict: Verdict::Warning, ..self.note(advice) }
    }

    pub(super) fn problem(self, advice: &str) -> Self {
        Self { verdict: Verdict::Problem, ..self.note(advice) }
    }

    pub(super) fn pattern(self) -> Self {
        Self { is_pattern: true, ..self }
    }

    pub(super) fn leave_out(self, reason: Unexportable) -> Self {
        Self { verdict: Verdict::LeftOut, ..self.note(&format!("the cluster {}", reason.phrase())) }
    }

    pub(super) fn refuse(self, advice: String) -> Self {
        Self { verdict: Verdict::Failed, advice, ..self }
    }

    pub(super) fn fail(self, error: &Error, advice: String) -> Self {
        let error_code = error.code().map(str::to_owned);
        Self { error: Some(error.clone().into()), error_code, ..self.refuse(advice) }
    }

    /// The project as people call it.
    fn project_called(&self) -> String {
        match (&self.organization_id, &self.project, &self.project_id) {
            (Some(id), ..) => format!("organization {id}"),
            (None, Some(name), _) => escape(name).into_owned(),
            (None, None, Some(id)) => id.to_string(),
            (None, None, None) => "credentials".to_owned(),
        }
    }

    fn verdict_called(&self) -> String {
        match (&self.error, self.verdict) {
            (Some(error), _) => error.reason.as_str().replace('_', " "),
            (None, Verdict::LeftOut) => "left out".to_owned(),
            (None, verdict) => verdict.as_str().to_owned(),
        }
    }
}

/// Everything that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Credentials first, organizations, then projects by id, their clusters by name.
    pub rows: Vec<Row>,
    /// The proxy that was asked through.
    pub proxy: Option<Proxy>,
    /// Variables of the environment without effect.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Returns true if everything can be watched, and no problem was found.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.rows.iter().all(|row| !matches!(row.verdict, Verdict::Problem | Verdict::Failed))
            && self.watched().next().is_some()
    }

    /// Clusters that are to be watched.
    fn watched(&self) -> impl Iterator<Item = &Row> {
        let watched =
            |row: &&Row| row.cluster_name.is_some() && !row.is_pattern && row.verdict != Verdict::LeftOut;
        self.rows.iter().filter(watched)
    }

    /// A table and a sentence; a list where the terminal is too narrow for a table.
    #[must_use]
    pub fn text(&self, terminal: Terminal) -> String {
        let narrow = terminal.width.is_some_and(|width| width < TABLE_WIDTH);
        let rows = if narrow { self.list(terminal) } else { self.table(terminal) };
        format!("{rows}\n{}{}\n", self.surroundings(), self.sentence())
    }

    /// The lines below the rows: one for the proxy, and one for each warning about the environment.
    fn surroundings(&self) -> String {
        let proxy = self.proxy.as_ref().map(|proxy| format!("Proxy: {proxy} ({})\n", proxy.variable()));
        let warnings = self.warnings.iter().map(|warning| format!("Warning: {warning}\n"));
        proxy.into_iter().chain(warnings).collect()
    }

    fn table(&self, terminal: Terminal) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["PROJECT", "CLUSTER", "VERDICT", "ATLAS SAYS", "WHAT TO DO"]);
        if let Some(width) = terminal.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        let mut above: Option<&Row> = None;
        for row in &self.rows {
            let cluster = escape(row.cluster_name.as_deref().unwrap_or("-"));
            let code = escape(row.error_code.as_deref().unwrap_or("-"));
            // Wrong credentials fail every project in the same way, which is said once.
            let same = above.is_some_and(|above| same_trouble(above, row));
            let advice = escape(if same { "as above" } else { &row.advice });
            let verdict = format!("{MARK}{}", row.verdict_called());
            table.add_row([&*row.project_called(), &cluster, &verdict, &code, &advice]);
            above = Some(row);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut rows = self.rows.iter();
        let mut text = String::new();
        for line in table.lines() {
            let line = line.trim_end();
            match line.split_once(MARK) {
                Some((before, rest)) => {
                    // Columns are two spaces apart, and no verdict has two in a row.
                    let end = rest.find("  ").unwrap_or(rest.len());
                    let (verdict, rest) = rest.split_at(end);
                    let painted =
                        rows.next().map(|row| terminal.paint(row.verdict, verdict)).unwrap_or_default();
                    let _ = writeln!(text, "{before}{painted}{rest}");
                }
                None => {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        text
    }

    fn list(&self, terminal: Terminal) -> String {
        let mut list = String::new();
        let mut above: Option<&Row> = None;
        for row in &self.rows {
            let cluster = row.cluster_name.as_ref().map(|name| format!(" / {name}")).unwrap_or_default();
            let code = row.error_code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
            let same = above.is_some_and(|above| same_trouble(above, row));
            let advice = if same { "as above" } else { &row.advice };
            let advice = if advice.is_empty() { String::new() } else { format!("    {}\n", escape(advice)) };
            let verdict = terminal.paint(row.verdict, &row.verdict_called());
            let (cluster, code) = (escape(&cluster), escape(&code));
            let _ = write!(list, "{}{cluster}: {verdict}{code}\n{advice}", row.project_called());
            above = Some(row);
        }
        list
    }

    fn sentence(&self) -> String {
        let failed = |row: &&Row| row.verdict == Verdict::Failed;
        let (all, bad) = (self.watched().count(), self.watched().filter(failed).count());
        let unread = self.rows.iter().filter(|row| row.cluster_name.is_none()).filter(failed).count();
        let problems = self.rows.iter().filter(|row| row.verdict == Verdict::Problem).count();
        let warnings =
            self.rows.iter().filter(|row| row.verdict == Verdict::Warning).count() + self.warnings.len();
        let is_cluster = |row: &Row| row.cluster_name.is_some() && !row.is_pattern;
        let no_project_has_one = unread == 0
            && self.rows.iter().any(|row| row.project_id.is_some())
            && !self.rows.iter().any(is_cluster);
        let known = if unread > 0 { " that are known" } else { "" };
        let mut sentence = match (all, bad) {
            (0, _) if no_project_has_one => "No project has a cluster: there is nothing to watch.".to_owned(),
            (0, _) => "There is no cluster to watch.".to_owned(),
            (1, 0) => format!("1 cluster{}, and it can be watched.", known.replace("are", "is")),
            (all, 0) => format!("{all} clusters{known}, and all can be watched."),
            (all, bad) => format!("{bad} of {all} clusters{known} cannot be watched."),
        };
        let mut add = |count: usize, one: &str, many: &str| match count {
            0 => {}
            1 => sentence.push_str(one),
            count => {
                let _ = write!(sentence, " {count} {many}");
            }
        };
        add(
            unread,
            " 1 project or organization cannot be read.",
            "projects or organizations cannot be read.",
        );
        add(problems, " 1 problem.", "problems.");
        add(warnings, " 1 warning.", "warnings.");
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
                "verdict": row.verdict.as_str(),
                "reason": row.error.as_ref().map(|error| error.reason.as_str()),
                "error_code": row.error_code,
                "error": row.error.as_ref().map(|error| &error.text),
                "advice": row.advice,
                "details": (!row.details.is_empty()).then(|| {
                    row.details.iter().map(|(detail, up)| (detail.as_str(), *up)).collect::<BTreeMap<_, _>>()
                }),
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

/// Whether a row that follows another says the same.
fn same_trouble(one: &Row, other: &Row) -> bool {
    one.verdict == Verdict::Failed
        && (one.verdict, &one.error_code, &one.advice) == (other.verdict, &other.error_code, &other.advice)
}

#[cfg(test)]
mod tests;
