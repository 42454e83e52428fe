//! Figures as numbers, and numbers as text.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeGaugeValue, GaugeValueEncoder};

/// Whole numbers of a double are exact up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value that is written as people write it: `1`, not `1.0`.
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

/// Appends a number as people write it.
pub(super) fn push(out: &mut String, number: f64) {
    match whole(number) {
        Some(whole) => out.push_str(itoa::Buffer::new().format(whole)),
        None => out.push_str(dtoa::Buffer::new().format(number)),
    }
}

#[allow(clippy::cast_possible_truncation)] // whole and small enough, as seen before
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53 jobs or collections
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53 seconds
pub(super) fn whole_seconds(number: i64) -> f64 {
    number as f64
}
