//! Rate limits of Atlas: the quota of each project, and the pauses that Atlas requests.
//!
//! Limits are known from the headers of responses only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::endpoint::{Endpoint, EndpointSet, RequestContext};
use crate::error::{Error, requested_pause};
use crate::types::ProjectId;

/// Fraction of a quota below which polls slow down.
const MIN_REMAINING: f64 = 0.1;

const MAX_INTERVAL_MULTIPLIER: f64 = 10.0;

/// Maximum pause that is respected.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// Request quota of a project, as of the last response that reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Maximum number of requests that accumulate, at least 1 (`RateLimit-Limit`).
    pub limit: u64,
    /// Number of requests left, at most `limit` (`RateLimit-Remaining`).
    pub remaining: u64,
}

/// Rate limits of projects and organizations, by id. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RateLimiter(Arc<Mutex<Limits>>);

#[derive(Debug, Default)]
struct Limits {
    quotas: BTreeMap<(String, EndpointSet), Quota>,
    paused_until: BTreeMap<(String, Scope), Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// All endpoints of a quota, after a 429.
    Quota(EndpointSet),
    /// One endpoint, after a 503. Other endpoints of the same quota can work.
    Resource(Endpoint),
}

impl RateLimiter {
    /// Returns an error with the rest of the pause if requests are paused at `now`.
    pub(crate) fn try_acquire(&self, context: &RequestContext, now: Instant) -> Result<(), Error> {
        let Some(owner) = &context.owner else { return Ok(()) };
        let limits = self.limits();
        for scope in [Scope::Quota(context.endpoint.set), Scope::Resource(context.endpoint)] {
            let until = limits.paused_until.get(&(owner.clone(), scope));
            if let Some(until) = until.filter(|until| now < **until) {
                let limited = matches!(scope, Scope::Quota(_));
                return Err(Error::RateLimited { left: *until - now, limited });
            }
        }
        Ok(())
    }

    /// Updates the quota and the pause from the headers of a response.
    pub(crate) fn update_from_headers(
        &self,
        context: &RequestContext,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) {
        let Some(owner) = context.owner.clone() else { return };
        let set = context.endpoint.set;
        let scope = match status {
            StatusCode::TOO_MANY_REQUESTS => Some(Scope::Quota(set)),
            StatusCode::SERVICE_UNAVAILABLE => Some(Scope::Resource(context.endpoint)),
            _ => None,
        };
        let mut limits = self.limits();
        if let (Some(scope), Some(pause)) = (scope, requested_pause(headers, SystemTime::now())) {
            limits.paused_until.insert((owner.clone(), scope), now + pause.min(MAX_PAUSE));
        }
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let key = (owner, set);
        // A limit of 0 is ignored, and a missing limit is the previous one.
        let before = limits.quotas.get(&key).map(|quota| quota.limit);
        let limit = number("ratelimit-limit").or(before).filter(|limit| *limit > 0);
        if let (Some(limit), Some(remaining)) = (limit, number("ratelimit-remaining")) {
            limits.quotas.insert(key, Quota { limit, remaining: remaining.min(limit) });
        }
    }

    /// Returns the quota of a project for backup requests.
    pub(crate) fn quota(&self, project: &ProjectId) -> Option<Quota> {
        self.limits().quotas.get(&(project.as_str().to_owned(), EndpointSet::CloudBackups)).copied()
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns 1 while at least a tenth of the quota is left, and up to 10 below that.
pub(crate) fn interval_multiplier(quota: Option<Quota>) -> f64 {
    let Some(quota) = quota else { return 1.0 };
    #[allow(clippy::cast_precision_loss)] // a ratio needs no more digits
    let left = quota.remaining as f64 / quota.limit as f64;
    (MIN_REMAINING / left).clamp(1.0, MAX_INTERVAL_MULTIPLIER)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    const PROJECT: &str = "32b6e34b3d91647abb20e7b8";

    fn context(endpoint: Endpoint) -> RequestContext {
        RequestContext { endpoint, owner: Some(PROJECT.to_owned()) }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn interval_grows_when_little_quota_is_left() {
        let check = |remaining, limit, expected: f64| {
            let multiplier = interval_multiplier(Some(Quota { limit, remaining }));
            assert!((multiplier - expected).abs() < 1e-9, "{remaining}/{limit}: {multiplier}");
        };
        assert!((interval_multiplier(None) - 1.0).abs() < 1e-9);
        check(1200, 1200, 1.0);
        check(120, 1200, 1.0);
        check(60, 1200, 2.0);
        check(12, 1200, 10.0);
        check(1, 1200, 10.0);
        check(0, 1200, 10.0);
    }

    #[test]
    fn quota_is_what_the_headers_say() {
        let limiter = RateLimiter::default();
        let exports = context(Endpoint::EXPORTS);
        let quota = |pairs: &[(&'static str, &str)]| {
            limiter.update_from_headers(&exports, StatusCode::OK, &headers(pairs), Instant::now());
            limiter.quota(&ProjectId::parse(PROJECT).unwrap()).map(|quota| (quota.remaining, quota.limit))
        };
        assert_eq!(quota(&[]), None);
        assert_eq!(quota(&[("ratelimit-remaining", "7")]), None, "no limit is known");
        assert_eq!(quota(&[("ratelimit-limit", "0"), ("ratelimit-remaining", "0")]), None);
        assert_eq!(quota(&[("ratelimit-limit", "1200"), ("ratelimit-remaining", "7")]), Some((7, 1200)));
        assert_eq!(quota(&[]), Some((7, 1200)));
        assert_eq!(quota(&[("ratelimit-remaining", "6")]), Some((6, 1200)));
        assert_eq!(quota(&[("ratelimit-remaining", "-5"), ("ratelimit-limit", "many")]), Some((6, 1200)));
        assert_eq!(quota(&[("ratelimit-remaining", "9999")]), Some((1200, 1200)));
    }

    #[test]
    fn pause_applies_to_its_own_quota_only() {
        let (limiter, start) = (RateLimiter::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        let respond = |endpoint, status, pairs: &[(&'static str, &str)], seconds| {
            limiter.update_from_headers(&context(endpoint), status, &headers(pairs), later(seconds));
        };
        // Returns `limited` and the seconds left.
        let paused = |endpoint, seconds| match limiter.try_acquire(&context(endpoint), later(seconds)) {
            Err(Error::RateLimited { left, limited }) => Some((limited, left.as_secs())),
            outcome => outcome.map(|()| None).unwrap(),
        };
        let pause = [("retry-after", "20")];
        respond(Endpoint::EXPORTS, StatusCode::TOO_MANY_REQUESTS, &pause, 0);
        assert_eq!(paused(Endpoint::EXPORTS, 5), Some((true, 15)));
        assert_eq!(paused(Endpoint::SCHEDULE, 5), Some((true, 15)));
        assert_eq!(paused(Endpoint::CLUSTERS, 5), None);
        // A successful response to an earlier request does not end the pause.
        let good = [("ratelimit-remaining", "5"), ("ratelimit-limit", "9")];
        respond(Endpoint::EXPORTS, StatusCode::OK, &good, 1);
        assert!(paused(Endpoint::EXPORTS, 5).is_some());
        assert_eq!(paused(Endpoint::EXPORTS, 20), None);
        // A successful response requests no pause.
        respond(Endpoint::CLUSTERS, StatusCode::OK, &pause, 0);
        assert_eq!(paused(Endpoint::CLUSTERS, 5), None);
        // A 503 pauses its endpoint, but not its quota.
        respond(Endpoint::CLUSTERS, StatusCode::SERVICE_UNAVAILABLE, &pause, 0);
        assert_eq!(paused(Endpoint::CLUSTERS, 5), Some((false, 15)));
        respond(Endpoint::EXPORT_BUCKETS, StatusCode::SERVICE_UNAVAILABLE, &pause, 20);
        assert!(paused(Endpoint::EXPORT_BUCKETS, 25).is_some());
        assert_eq!(paused(Endpoint::EXPORTS, 25), None);
        respond(
            Endpoint::EXPORTS,
            StatusCode::TOO_MANY_REQUESTS,
            &[("retry-after", "99999999999999999999")],
            0,
        );
        assert_eq!(paused(Endpoint::EXPORTS, 3600), None);
    }
}
