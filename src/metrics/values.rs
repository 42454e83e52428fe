//! Conversions to sample values.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeGaugeValue, GaugeValueEncoder};

/// A gauge value. Integers are written as `1`, not as `1.0`.
#[derive(Debug)]
pub(super) struct Plain(pub(super) f64);

impl EncodeGaugeValue for Plain {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match whole(self.0) {
            Some(whole) => whole.encode(encoder),
            None => self.0.encode(encoder),
        }
    }
}

/// Returns a number as an integer; `None` if the conversion is not exact.
// The comparison with the original detects an inexact cast.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::float_cmp)]
pub(super) fn whole(number: f64) -> Option<i64> {
    let whole = number as i64;
    (whole as f64 == number && whole.unsigned_abs() < 1 << 53).then_some(whole)
}

/// Returns seconds since the epoch with millisecond precision: more digits compress badly.
#[allow(clippy::cast_precision_loss)] // exact up to 2^53 milliseconds
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// Returns the seconds of a duration, rounded to milliseconds.
pub(super) fn length(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_have_millisecond_precision() {
        let time = |nanosecond| seconds(Timestamp::new(1_700_000_000, nanosecond).unwrap()).to_string();
        assert_eq!(time(123_999_999), "1700000000.123", "not later than it was");
        assert_eq!(time(300_000_000), "1700000000.3");
        assert_eq!(time(999_999), "1700000000");
        let length = |nanoseconds| length(Duration::from_nanos(nanoseconds)).to_string();
        assert_eq!(length(123_499_999), "0.123");
        assert_eq!(length(299_500_001), "0.3");
        assert_eq!(length(29_999_999_999), "30");
    }
}
