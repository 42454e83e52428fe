//! Which clusters of a project: names in full, and patterns.

use std::fmt;

use glob::Pattern;

/// `clusters` of a project. Left out, it is every cluster that can be exported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Names in full: watched whether Atlas lists them or not.
    pub names: Vec<String>,
    /// Patterns: what they match is watched if it can be exported. `None` matches everything.
    pub patterns: Option<Vec<Pattern>>,
}

impl Selection {
    /// Reads names and patterns; an error is a sentence about the entry that is wrong, and continues the key's name.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let (mut names, mut patterns) = (Vec::new(), Vec::new());
        for entry in entries {
            if entry.contains(['{', '}']) {
                return Err(format!("has {entry:?}; patterns know *, ? and [abc], so write one for each"));
            }
            if entry.contains(['*', '?', '[', ']']) {
                let pattern = Pattern::new(entry).map_err(|error| {
                    format!("has {entry:?}, a pattern that cannot be read: {}", error.msg)
                })?;
                if patterns.contains(&pattern) {
                    return Err(twice(entry));
                }
                patterns.push(pattern);
            } else {
                if names.iter().any(|name| name == entry) {
                    return Err(twice(entry));
                }
                names.push(entry.to_owned());
            }
        }
        Ok(Self { names, patterns: Some(patterns) })
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

fn twice(entry: &str) -> String {
    format!("names {entry:?} twice; once is enough")
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
