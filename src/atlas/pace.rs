//! The pacer: what Atlas told of each project's budget of requests, and what follows from it.
//!
//! It follows the headers and knows no limit of its own. Where Atlas asks to wait, nothing is sent before that; where less than
//! a tenth of a budget is left, polls are stretched, so that others who use the project are not starved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::Error;
use super::endpoint::{Endpoint, EndpointSet, Route};
use super::error::wait_asked_for;
use crate::model::{Budget, ProjectId};

/// Polls slow down when less than this part of a budget is left.
const SCARCE: f64 = 0.1;

/// Polls are never stretched more than this.
const MOST_STRETCH: f64 = 10.0;

/// Longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The paces of every project and organization, by id; clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Pacer(Arc<Mutex<Paces>>);

#[derive(Debug, Default)]
struct Paces {
    budgets: BTreeMap<(String, EndpointSet), Pace>,
    /// Resources that are out of service, and until when. Others of the same budget may well be in order.
    out_of_service: BTreeMap<(String, Endpoint), Instant>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    budget: Option<Budget>,
    /// Until when it is used up.
    closed: Option<Instant>,
}

impl Pacer {
    /// Whether a request may be sent at `now`; if not, the error says how long to wait.
    pub(super) fn admit(&self, route: &Route, now: Instant) -> Result<(), Error> {
        let Some(owner) = &route.owner else { return Ok(()) };
        let out_of_service = self.paces().out_of_service.get(&(owner.clone(), route.endpoint)).copied();
        for (until, limited) in
            [(self.pace(owner, route.endpoint.set()).closed, true), (out_of_service, false)]
        {
            if let Some(until) = until.filter(|until| now < *until) {
                return Err(Error::Paced { left: until - now, limited });
            }
        }
        Ok(())
    }

    /// Takes in what an answer tells of the budget it was taken from.
    pub(super) fn observe(&self, route: &Route, status: StatusCode, headers: &HeaderMap, now: Instant) {
        let Some(owner) = route.owner.clone() else { return };
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let (limit, remaining) = (number("ratelimit-limit"), number("ratelimit-remaining"));
        let limited = status == StatusCode::TOO_MANY_REQUESTS;
        let wait = (limited || status == StatusCode::SERVICE_UNAVAILABLE)
            .then(|| wait_asked_for(headers, SystemTime::now()))
            .flatten();
        if remaining.is_none() && wait.is_none() {
            return;
        }
        let mut paces = self.paces();
        let until = wait.map(|wait| now + wait.min(LONGEST_WAIT));
        if let (Some(until), false) = (until, limited) {
            paces.out_of_service.insert((owner.clone(), route.endpoint), until);
        }
        let pace = paces.budgets.entry((owner, route.endpoint.set())).or_default();
        // A limit of nothing says nothing, and one that was told before still holds.
        let limit = limit.or(pace.budget.map(|budget| budget.limit)).filter(|limit| *limit > 0);
        if let (Some(limit), Some(remaining)) = (limit, remaining) {
            pace.budget = Some(Budget { limit, remaining: remaining.min(limit) });
        }
        if limited && until.is_some() {
            pace.closed = until;
        }
    }

    /// What is left of the budget that a project's polls are taken from.
    pub(super) fn budget(&self, project: &ProjectId) -> Option<Budget> {
        self.pace(project.as_str(), EndpointSet::CloudBackups).budget
    }

    fn pace(&self, owner: &str, set: EndpointSet) -> Pace {
        self.paces().budgets.get(&(owner.to_owned(), set)).copied().unwrap_or_default()
    }

    fn paces(&self) -> MutexGuard<'_, Paces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much longer than configured to wait between two polls: 1 while a tenth of the budget is left, more as it dwindles.
pub(super) fn stretch(budget: Option<Budget>) -> f64 {
    let Some(budget) = budget else { return 1.0 };
    #[allow(clippy::cast_precision_loss)] // a ratio needs no more digits
    let left = budget.remaining as f64 / budget.limit as f64;
    (SCARCE / left).clamp(1.0, MOST_STRETCH)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    const PROJECT: &str = "32b6e34b3d91647abb20e7b8";

    fn route(endpoint: Endpoint) -> Route {
        Route { endpoint, owner: Some(PROJECT.to_owned()) }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn polls_stretch_when_less_than_a_tenth_is_left() {
        let check = |remaining, limit, expected: f64| {
            let stretch = stretch(Some(Budget { limit, remaining }));
            assert!((stretch - expected).abs() < 1e-9, "{remaining}/{limit}: {stretch}");
        };
        assert!((stretch(None) - 1.0).abs() < 1e-9);
        check(1200, 1200, 1.0);
        check(120, 1200, 1.0);
        check(60, 1200, 2.0);
        check(12, 1200, 10.0);
        check(1, 1200, 10.0);
        check(0, 1200, 10.0);
    }

    #[test]
    fn a_budget_is_what_the_headers_say_and_nothing_is_made_up() {
        let pacer = Pacer::default();
        let exports = route(Endpoint::Exports);
        let told = |pairs: &[(&'static str, &str)]| {
            pacer.observe(&exports, StatusCode::OK, &headers(pairs), Instant::now());
            pacer.budget(&ProjectId::parse(PROJECT).unwrap()).map(|budget| (budget.remaining, budget.limit))
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[("ratelimit-remaining", "7")]), None, "of how many?");
        assert_eq!(told(&[("ratelimit-limit", "0"), ("ratelimit-remaining", "0")]), None);
        assert_eq!(told(&[("ratelimit-limit", "1200"), ("ratelimit-remaining", "7")]), Some((7, 1200)));
        assert_eq!(told(&[]), Some((7, 1200)));
        assert_eq!(told(&[("ratelimit-remaining", "6")]), Some((6, 1200)));
        assert_eq!(told(&[("ratelimit-remaining", "-5"), ("ratelimit-limit", "many")]), Some((6, 1200)));
        assert_eq!(told(&[("ratelimit-remaining", "9999")]), Some((1200, 1200)));
    }

    #[test]
    fn a_wait_closes_its_own_budget_and_no_other() {
        let pacer = Pacer::default();
        let now = Instant::now();
        let limited = headers(&[("retry-after", "20")]);
        pacer.observe(&route(Endpoint::Exports), StatusCode::TOO_MANY_REQUESTS, &limited, now);
        let later = |seconds| now + Duration::from_secs(seconds);
        let left = Duration::from_secs(15);
        assert_eq!(
            pacer.admit(&route(Endpoint::Exports), later(5)),
            Err(Error::Paced { left, limited: true })
        );
        assert_eq!(
            pacer.admit(&route(Endpoint::Schedule), later(5)),
            Err(Error::Paced { left, limited: true })
        );
        assert!(pacer.admit(&route(Endpoint::Clusters), later(5)).is_ok());
        // A good answer to what was sent before does not open it again.
        let good = headers(&[("ratelimit-remaining", "5"), ("ratelimit-limit", "9")]);
        pacer.observe(&route(Endpoint::Exports), StatusCode::OK, &good, later(1));
        assert!(pacer.admit(&route(Endpoint::Exports), later(5)).is_err());
        assert!(pacer.admit(&route(Endpoint::Exports), later(20)).is_ok());
        // Only a refusal asks for it.
        pacer.observe(&route(Endpoint::Clusters), StatusCode::OK, &limited, now);
        assert!(pacer.admit(&route(Endpoint::Clusters), later(5)).is_ok());
        // A service that is down asks for it, too.
        pacer.observe(&route(Endpoint::Clusters), StatusCode::SERVICE_UNAVAILABLE, &limited, now);
        assert_eq!(
            pacer.admit(&route(Endpoint::Clusters), later(5)),
            Err(Error::Paced { left, limited: false })
        );
        pacer.observe(&route(Endpoint::ExportBuckets), StatusCode::SERVICE_UNAVAILABLE, &limited, later(20));
        assert!(pacer.admit(&route(Endpoint::ExportBuckets), later(25)).is_err());
        assert!(pacer.admit(&route(Endpoint::Exports), later(25)).is_ok(), "its budget is not used up");
        let for_ever = headers(&[("retry-after", "99999999999999999999")]);
        pacer.observe(&route(Endpoint::Exports), StatusCode::TOO_MANY_REQUESTS, &for_ever, now);
        assert!(pacer.admit(&route(Endpoint::Exports), now + Duration::from_hours(1)).is_ok());
    }
}
