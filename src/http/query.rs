//! Filters and order of clusters: query parameters of the status page and `/api/v1/clusters`.

use std::fmt;

use jiff::Timestamp;
use url::form_urlencoded;

use crate::status::{Cluster, Severity};

/// Maximum length of a search in characters. Each word is searched in each cluster.
pub(super) const MAX_SEARCH: usize = 200;

/// The sort key. Each default order lists clusters with problems first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    #[default]
    Status,
    Cluster,
    Job,
    /// Clusters without a success first, then the oldest success.
    Success,
    Bucket,
    Failures,
    Poll,
}

impl Sort {
    /// All keys in the order of the enum, with query value and column title.
    pub(super) const ALL: [(Self, &str, &str); 7] = [
        (Self::Status, "status", "Status"),
        (Self::Cluster, "cluster", "Cluster"),
        (Self::Job, "job", "Newest job"),
        (Self::Success, "success", "Last success"),
        (Self::Bucket, "bucket", "Exported snapshot"),
        (Self::Failures, "failures", "Failures since success"),
        (Self::Poll, "poll", "Last poll"),
    ];

    fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Returns true if the displayed values increase from row to row by default.
    pub(super) fn ascends(self) -> bool {
        !matches!(self, Self::Job | Self::Failures)
    }

    /// Returns the key of a cluster; smaller keys come first. Unknown keys are last in both orders.
    fn key(self, cluster: &Cluster<'_>) -> Option<i64> {
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        match self {
            Self::Status => Some(i64::from(cluster.status as u8)),
            Self::Cluster => Some(0),
            Self::Job => ms(cluster.newest_job.as_ref().map(|job| job.created_at)).map(|ms| -ms),
            Self::Success => {
                cluster.jobs.as_ref().map(|_| ms(cluster.last_success_finished_at).unwrap_or(-i64::MAX))
            }
            Self::Bucket => ms(cluster.newest_exported_snapshot_at),
            Self::Failures => {
                cluster.failures_since_last_success.map(|count| -count.try_into().unwrap_or(i64::MAX))
            }
            Self::Poll => ms(cluster.last_poll_at),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Query {
    /// Words that must all match, case-insensitively.
    pub(super) search: String,
    pub(super) severity: Option<Severity>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
}

impl Query {
    /// Parses a query string. Unknown parameters are ignored, invalid values are errors.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, String> {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "search" if value.chars().count() > MAX_SEARCH => {
                    return Err(format!("`search` is too long; at most {MAX_SEARCH} characters are allowed"));
                }
                "search" => parsed.search = value.into_owned(),
                // Forms send empty values for parameters that are not set.
                _ if value.is_empty() => {}
                "severity" => {
                    let words = Severity::ALL.map(|severity| (severity.as_str(), severity));
                    parsed.severity = Some(parse_word(&name, &value, &words)?);
                }
                "sort" => {
                    let words = Sort::ALL.map(|(sort, word, _)| (word, sort));
                    parsed.sort = parse_word(&name, &value, &words)?;
                }
                "order" => {
                    parsed.reversed = parse_word(&name, &value, &[("asc", false), ("reversed", true)])?;
                }
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// Returns the parameters that differ from their defaults.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let parameters = [
            ("search", Some(self.search.as_str()).filter(|search| !search.is_empty())),
            ("severity", self.severity.map(Severity::as_str)),
            ("sort", (self.sort != Sort::default()).then(|| self.sort.word())),
            ("order", self.reversed.then_some("reversed")),
        ];
        parameters.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    /// Filters and sorts clusters. Equal ones are sorted by project and name.
    pub(super) fn apply(&self, clusters: &mut Vec<Cluster<'_>>) {
        let search = self.search.to_lowercase();
        let words: Vec<_> = search.split_whitespace().collect();
        clusters.retain(|cluster| {
            self.severity.is_none_or(|severity| cluster.status.severity() == severity)
                && (words.is_empty() || matches_all(cluster, &words))
        });
        clusters.sort_by(|a, b| (a.project, a.cluster_name).cmp(&(b.project, b.cluster_name)));
        if self.reversed && self.sort == Sort::Cluster {
            clusters.reverse();
        }
        clusters.sort_by_key(|cluster| match self.sort.key(cluster) {
            Some(key) => (false, if self.reversed { -key } else { key }),
            None => (true, 0),
        });
    }
}

fn matches_all(cluster: &Cluster<'_>, words: &[&str]) -> bool {
    let text = [
        Some(cluster.project),
        Some(cluster.project_id),
        Some(cluster.cluster_name),
        Some(cluster.status.words()),
        cluster.newest_job.as_ref().map(|job| job.state.as_str()),
        cluster.latest_failure.as_ref().and_then(|failure| failure.error_code),
        cluster.last_poll_error.as_ref().map(|error| error.reason),
    ];
    let text = text.into_iter().flatten().collect::<Vec<_>>().join("\n").to_lowercase();
    words.iter().all(|word| text.contains(word))
}

/// Formats the query string with `?`; `?` alone if all parameters have their defaults.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        f.write_str(&query.extend_pairs(self.parameters()).finish())
    }
}

fn parse_word<T: Copy>(name: &str, value: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == value);
    found.map(|(_, parsed)| *parsed).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("invalid value \"{value}\" of `{name}`; expected one of {}", words.join(", "))
    })
}
