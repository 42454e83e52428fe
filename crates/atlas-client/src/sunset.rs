//! Warnings about resource versions that Atlas is going to retire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::error::tidy;

/// Minimum time between two warnings about one resource: Atlas moves the date.
const WARNING_INTERVAL: Duration = Duration::from_hours(24);

/// The last warning about each resource; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SunsetWarnings(Arc<Mutex<BTreeMap<Endpoint, (String, Instant)>>>);

impl SunsetWarnings {
    /// Logs a warning if the answer announces the end of its version, once for each resource and
    /// date.
    pub(crate) fn observe(&self, endpoint: Endpoint, headers: &HeaderMap) {
        let header =
            |name: &str| headers.get(name).map(|value| tidy(&String::from_utf8_lossy(value.as_bytes())));
        let (sunset, deprecation) = (header("sunset"), header("deprecation"));
        let Some(date) = sunset.as_ref().or(deprecation.as_ref()) else { return };
        if self.is_new(endpoint, date, Instant::now()) {
            tracing::warn!(
                resource = endpoint.name,
                version = endpoint.media_type,
                sunset,
                deprecation,
                "Atlas is going to retire a version of its API that is in use; install a newer release"
            );
        }
    }

    fn is_new(&self, endpoint: Endpoint, date: &str, now: Instant) -> bool {
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = warned
            .get(&endpoint)
            .is_none_or(|(last, at)| last != date && now.duration_since(*at) >= WARNING_INTERVAL);
        if is_new {
            warned.insert(endpoint, (date.to_owned(), now));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_comes_once_for_each_resource_and_date() {
        let warnings = SunsetWarnings::default();
        let start = Instant::now();
        let check = |endpoint, date: &str, hours, expected| {
            let at = start + Duration::from_hours(hours);
            assert_eq!(warnings.is_new(endpoint, date, at), expected, "{endpoint:?} {date} {hours}");
        };
        check(Endpoint::SCHEDULE, "Wed, 1 Jul 2027 00:00:00 GMT", 0, true);
        check(Endpoint::SCHEDULE, "Wed, 1 Jul 2027 00:00:00 GMT", 1, false);
        check(Endpoint::CLUSTERS, "Wed, 1 Jul 2027 00:00:00 GMT", 1, true);
        check(Endpoint::SCHEDULE, "Sat, 30 May 2026 00:00:00 GMT", 23, false);
        check(Endpoint::SCHEDULE, "Sat, 30 May 2026 00:00:00 GMT", 24, true);
        check(Endpoint::SCHEDULE, "Wed, 1 Jul 2027 00:00:00 GMT", 25, false);
        check(Endpoint::SCHEDULE, "Sat, 30 May 2026 00:00:00 GMT", 999, false);
    }
}
