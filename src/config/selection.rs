//! The selected clusters of a project and projects of an organization: names in full, and patterns.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use glob::Pattern;

use crate::model::ProjectId;

/// `clusters` and `exclude_clusters` of a project. Left out, it is every cluster that can be exported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Names in full: watched whether Atlas lists them or not.
    pub names: BTreeSet<String>,
    /// Patterns: what they match is watched if it can be exported. `None` matches everything.
    pub patterns: Option<Vec<Pattern>>,
    /// `exclude_clusters`: what one of these matches is not watched.
    pub excluded: Vec<Pattern>,
}

impl Selection {
    /// Reads names and patterns; an error is a sentence about the entry that is wrong, and continues the key's name.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let (mut names, mut patterns, mut seen) = (BTreeSet::new(), Vec::new(), HashSet::new());
        for entry in entries {
            let pattern = pattern(entry, &mut seen)?;
            if entry.contains(['*', '?', '[', ']']) {
                patterns.push(pattern);
            } else {
                names.insert(entry.to_owned());
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
}

/// Reads the entries of `exclude_clusters`. A name in full is a pattern that matches itself.
pub(super) fn cluster_patterns(entries: &[String]) -> Result<Vec<Pattern>, String> {
    let mut seen = HashSet::new();
    entries.iter().map(|entry| pattern(entry, &mut seen)).collect()
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
        let patterns = cluster_patterns(entries)?;
        let parse = |(entry, pattern): (&String, Pattern)| {
            ProjectId::parse(entry).map_or(Self::Name(pattern), Self::Id)
        };
        Ok(entries.iter().zip(patterns).map(parse).collect())
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

/// Parses an entry that is not among those `seen`.
fn pattern<'a>(entry: &'a str, seen: &mut HashSet<&'a str>) -> Result<Pattern, String> {
    if entry.contains(['{', '}']) {
        return Err(format!("has {entry:?}; patterns know *, ? and [abc], so write one for each"));
    }
    if !seen.insert(entry) {
        return Err(format!("names {entry:?} twice; once is enough"));
    }
    Pattern::new(entry)
        .map_err(|error| format!("has {entry:?}, a pattern that cannot be read: {}", error.msg))
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
        assert!(selection.names.iter().eq(["prod"]));
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
