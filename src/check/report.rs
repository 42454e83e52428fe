//! What was found, as a table for people and as JSON for scripts.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use crate::atlas::Error;
use crate::model::{OrganizationId, PollError, ProjectId, Unexportable};

/// Projects with the same trouble that are named; the rest is counted.
const MOST_NAMED: usize = 3;

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
    /// It cannot be watched.
    Failed,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::LeftOut => "left_out",
            Self::Failed => "failed",
        }
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
            (None, Some(name), _) => name.clone(),
            (None, None, Some(id)) => id.to_string(),
            (None, None, None) => String::new(),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Organizations first, then projects by id, their clusters by name.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether everything can be watched.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.rows.iter().all(|row| row.verdict != Verdict::Failed) && self.watched().next().is_some()
    }

    fn watched(&self) -> impl Iterator<Item = &Row> {
        let watched = |row: &&Row| row.cluster_name.is_some() && row.verdict != Verdict::LeftOut;
        // A pattern without a match is no cluster.
        self.rows.iter().filter(watched).filter(|row| row.verdict != Verdict::Warning || !is_pattern(row))
    }

    /// A table, `width` characters wide at most where that is known, and a sentence.
    #[must_use]
    pub fn table(&self, width: Option<u16>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["PROJECT", "CLUSTER", "VERDICT", "ATLAS SAYS", "WHAT TO DO"]);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        let mut rows = self.rows.iter().peekable();
        while let Some(row) = rows.next() {
            let mut projects = vec![row.project_called()];
            // Wrong credentials fail every project in the same way, which is said once.
            while row.cluster_name.is_none()
                && let Some(next) =
                    rows.next_if(|next| next.cluster_name.is_none() && same_trouble(row, next))
            {
                projects.push(next.project_called());
            }
            let more = projects.len().saturating_sub(MOST_NAMED);
            projects.truncate(MOST_NAMED);
            let mut project = projects.join(", ");
            if more > 0 {
                let _ = write!(project, " and {more} more");
            }
            let cluster = row.cluster_name.as_deref().unwrap_or("-");
            let code = row.error_code.as_deref().unwrap_or("-");
            table.add_row([&project, cluster, &row.verdict_called(), code, &row.advice]);
        }
        let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>();
        format!("{lines}\n{}\n", self.sentence())
    }

    fn sentence(&self) -> String {
        let (all, failed) =
            (self.watched().count(), self.watched().filter(|row| row.verdict == Verdict::Failed).count());
        let unread =
            self.rows.iter().filter(|row| row.cluster_name.is_none() && row.verdict == Verdict::Failed);
        let unread = match unread.count() {
            0 => String::new(),
            1 => "One project or organization cannot be read. ".to_owned(),
            count => format!("{count} projects or organizations cannot be read. "),
        };
        match (all, failed) {
            (0, _) => format!("{unread}There is no cluster to watch."),
            (1, 0) => format!("{unread}The one cluster can be watched."),
            (1, 1) => format!("{unread}The one cluster cannot be watched."),
            (all, 0) => format!("{unread}All {all} clusters can be watched."),
            (all, failed) => format!("{unread}{failed} of {all} clusters cannot be watched."),
        }
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
            })
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        format!("{:#}\n", json!({"ok": self.is_well(), "rows": rows}))
    }
}

fn is_pattern(row: &Row) -> bool {
    row.cluster_name.as_ref().is_some_and(|name| name.contains(['*', '?', '[']))
}

fn same_trouble(one: &Row, other: &Row) -> bool {
    one.verdict == Verdict::Failed
        && (one.verdict, &one.error_code, &one.advice) == (other.verdict, &other.error_code, &other.advice)
}
