//! Names and patterns that select clusters or exclude projects.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use atlas_client::ProjectId;
use glob::Pattern;

/// `clusters` and `exclude_clusters` of a project. The default is every exportable cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterSelector {
    /// Names of clusters, which are polled even if Atlas does not list them.
    pub names: BTreeSet<String>,
    /// Patterns of clusters, which are polled if they can have exports. `None` matches all.
    pub patterns: Option<Vec<Pattern>>,
    /// Patterns of clusters that are never polled.
    pub excluded: Vec<Pattern>,
}

impl ClusterSelector {
    /// Parses names and patterns. The error continues the name of the key.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let is_pattern = |entry: &&str| entry.contains(['*', '?', '[', ']']);
        let (patterns, names): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_pattern);
        Ok(Self {
            names: unique(names, |name| pattern(name).map(|_| name.to_owned()))?.into_iter().collect(),
            patterns: Some(unique(patterns, pattern)?),
            excluded: Vec::new(),
        })
    }

    /// Returns true if `exclude_clusters` matches `name`.
    #[must_use]
    pub fn excludes(&self, name: &str) -> bool {
        self.excluded.iter().any(|pattern| pattern.matches(name))
    }

    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(name)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectPattern {
    Id(ProjectId),
    /// A name, or a pattern of names.
    Name(Pattern),
}

impl ProjectPattern {
    /// Parses an entry; one in the form of an id is an id.
    pub(super) fn parse(entry: &str) -> Result<Self, String> {
        ProjectId::parse(entry).map_or_else(|| pattern(entry).map(Self::Name), |id| Ok(Self::Id(id)))
    }

    /// Returns true if it matches a project. If the name is unknown, only an id matches, so that a
    /// pattern does not hide a project by mistake.
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

/// Parses a pattern; a plain name matches itself.
pub(super) fn pattern(entry: &str) -> Result<Pattern, String> {
    if entry.contains(['{', '}']) {
        return Err(format!("has {entry:?}; braces are not supported, so write one pattern for each"));
    }
    Pattern::new(entry).map_err(|error| format!("has {entry:?}, which is not a valid pattern: {}", error.msg))
}

/// Parses the entries of a list; a duplicate is an error.
pub(super) fn unique<'a, T>(
    entries: impl IntoIterator<Item = &'a str>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let mut seen = HashSet::new();
    let parse = |entry| {
        let parsed = parse(entry)?;
        let is_new = seen.insert(entry);
        is_new.then_some(parsed).ok_or_else(|| format!("has {entry:?} twice"))
    };
    entries.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_patterns_match() {
        let selection = ClusterSelector::parse(["prod", "report-*", "shard-[0-9]", "x?"]).unwrap();
        assert_eq!(selection.names, BTreeSet::from(["prod".to_owned()]));
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
        assert!(ClusterSelector::default().matches("anything"));
        assert!(!ClusterSelector::parse(["prod"]).unwrap().matches("anything"));
    }
}
