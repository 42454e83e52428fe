//! `rate_limit`: a token bucket over all requests.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use crate::error::shown;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Interval between tokens; zero for no limit.
    #[serde(deserialize_with = "interval")]
    pub(crate) interval: Duration,
    /// Tokens of a full bucket.
    pub(crate) burst: u32,
}

fn interval<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    let Some(text) = Option::<String>::deserialize(value)? else { return Ok(Duration::ZERO) };
    let parsed = if text == "0" { Ok(jiff::SignedDuration::ZERO) } else { text.parse() };
    parsed.ok().and_then(|duration| duration.try_into().ok()).ok_or_else(|| {
        D::Error::custom(format!(
            "is {}; expected a duration with its unit, such as \"1s\", or 0",
            shown(&text)
        ))
    })
}

/// A token bucket, full at first.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket {
    /// Number of missing tokens, and the time of that count.
    missing: Option<(f64, Instant)>,
}

impl TokenBucket {
    pub(crate) fn try_take(&mut self, limit: RateLimit, now: Instant) -> bool {
        let missing = self.missing.map_or(0.0, |(missing, then)| {
            let back = now.duration_since(then).as_secs_f64() / limit.interval.as_secs_f64();
            (missing - back).max(0.0)
        });
        let is_allowed = missing + 1.0 <= f64::from(limit.burst);
        self.missing = Some((if is_allowed { missing + 1.0 } else { missing }, now));
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_bucket_refills_over_time_up_to_burst() {
        let (mut bucket, start) = (TokenBucket::default(), Instant::now());
        let limit = RateLimit { interval: Duration::from_secs(10), burst: 3 };
        let mut taken = |seconds: u64, times: usize| {
            let now = start + Duration::from_secs(seconds);
            (0..times).filter(|_| bucket.try_take(limit, now)).count()
        };
        assert_eq!(taken(0, 5), 3);
        assert_eq!(taken(9, 5), 0);
        assert_eq!(taken(10, 5), 1);
        assert_eq!(taken(30, 5), 2);
        assert_eq!(taken(1000, 5), 3);
    }
}
