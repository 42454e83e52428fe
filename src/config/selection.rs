//! The selected clusters of a project and projects of an organization: names in full, and patterns.

use std::fmt;

use glob::Pattern;

use crate::model::ProjectId;

/// `clusters` and `exclude_clusters` of a project. Left out, it is every cluster that can be exported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Names in full: watched whether Atlas lists them or not.
    pub names: Vec<String>,
    /// Patterns: what they match is watched if it can be exported. `None` matches everything.
    pub patterns: Option<Vec<Pattern>>,
    /// `exclude_clusters`: what one of these matches is not watched.
    pub excluded: Vec<Pattern>,
}

impl Selection {
    /// Reads names and patterns; an error is a sentence about the entry that is wrong, and continues the key's name.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let (mut names, mut patterns) = (Vec::new(), Vec::new());
        for entry in entries {
            let pattern = pattern(entry)?;
            if entry.contains(['*', '?', '[', ']']) {
                push_once(&mut patterns, pattern, entry)?;
            } else {
                push_once(&mut names, entry.to_owned(), entry)?;
            }
        }
        Ok(Self { names, patterns: Some(patterns), excluded: Vec::new() })
    }

    /// Returns true if `exclude_clusters` matches `name`.
    #[must_use]
    pub fn excludes(&self, name: &str) -> bool {
        self.excluded.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a pattern matches `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(name)))
    }

    /// Whether `name` stands here in full.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}

/// Reads the entries of `exclude_clusters`. A name in full is a pattern that matches itself.
pub(super) fn cluster_patterns(entries: &[String]) -> Result<Vec<Pattern>, String> {
    let mut patterns = Vec::new();
    for entry in entries {
        push_once(&mut patterns, pattern(entry)?, entry)?;
    }
    Ok(patterns)
}

/// An entry of `exclude_projects`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectPattern {
    /// An id.
    Id(ProjectId),
    /// A name or a pattern of names.
    Name(Pattern),
}

impl ProjectPattern {
    /// Reads the entries of `exclude_projects`: what looks like an id is one.
    pub(super) fn parse_all(entries: &[String]) -> Result<Vec<Self>, String> {
        let mut patterns = Vec::new();
        for entry in entries {
            let parsed = match ProjectId::parse(entry) {
                Some(id) => Self::Id(id),
                None => Self::Name(pattern(entry)?),
            };
            push_once(&mut patterns, parsed, entry)?;
        }
        Ok(patterns)
    }

    /// Returns true if it matches a project. A project without a readable name is matched by its id alone, so that no pattern hides
    /// a project by mistake.
    #[must_use]
    pub fn matches(&self, id: &ProjectId, name: Option<&str>) -> bool {
        match self {
            Self::Id(excluded) => excluded == id,
            Self::Name(pattern) => name.is_some_and(|name| pattern.matches(name)),
        }
    }
}

impl fmt::Display for ProjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(pattern) => pattern.fmt(f),
        }
    }
}

fn pattern(entry: &str) -> Result<Pattern, String> {
    if entry.contains(['{', '}']) {
        return Err(format!("has {entry:?}; patterns know *, ? and [abc], so write one for each"));
    }
    Pattern::new(entry)
        .map_err(|error| format!("has {entry:?}, a pattern that cannot be read: {}", error.msg))
}

fn push_once<T: PartialEq>(known: &mut Vec<T>, parsed: T, entry: &str) -> Result<(), String> {
    if known.contains(&parsed) {
        return Err(format!("names {entry:?} twice; once is enough"));
    }
    known.push(parsed);
    Ok(())
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.patterns.iter().flatten().map(Pattern::as_str);
        let all: Vec<_> = self.names.iter().map(String::as_str).chain(patterns).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_watched_in_full_and_patterns_match() {
        let selection = Selection::parse(["prod", "report-*", "shard-[0-9]", "x?"]).unwrap();
        assert_eq!(selection.names, ["prod"]);
        for (name, matches) in [
            ("report-", true),
            ("report-eu", true),
            ("my-report-eu", false),
            ("shard-7", true),
            ("shard-x", false),
            ("xy", true),
            ("x", false),
            ("prod", false),
            ("Report-eu", false),
        ] {
            assert_eq!(selection.matches(name), matches, "{name}");
        }
        assert!(Selection::default().matches("anything"));
        assert!(!Selection::parse(["prod"]).unwrap().matches("anything"));
    }
}
