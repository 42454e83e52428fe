//! Figures as numbers, and numbers as text.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeGaugeValue, GaugeValueEncoder};

use super::Text;

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
#[inline]
pub(super) fn push(out: &mut Text, number: f64) {
    let Some(whole) = whole(number) else { return push_broken(out, number) };
    match u8::try_from(whole) {
        // Most are states and small counts.
        Ok(digit @ 0..10) => out.push_ascii(b'0' + digit),
        _ => out.push_str(itoa::Buffer::new().format(whole)),
    }
}

fn push_broken(out: &mut Text, number: f64) {
    let Some(thousandths) = thousandths(number) else {
        return out.push_str(dtoa::Buffer::new().format(number));
    };
    let mut digits = itoa::Buffer::new();
    out.push_str(digits.format(thousandths / 1000));
    out.push_ascii(b'.');
    let rest = &digits.format(1000 + thousandths % 1000)[1..];
    out.push_str(rest.trim_end_matches('0'));
}

/// A number as a whole one. To ask for its fraction would be a call, where the processor may be any of its kind.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::float_cmp)] // that is the question
fn whole(number: f64) -> Option<i64> {
    let whole = number as i64;
    (whole as f64 == number && number.abs() < EXACT).then_some(whole)
}

/// A number as thousandths, if it is the double that is nearest to so many of them and no other number of fifteen digits is meant: then
/// their digits are the shortest that stand for it, and found ten times as fast as those of any number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::float_cmp
)]
fn thousandths(number: f64) -> Option<u64> {
    let thousandths = (number * 1000.0 + 0.5) as u64;
    (thousandths as f64 / 1000.0 == number && number < 1e12).then_some(thousandths)
}

/// Seconds since 1970.
#[allow(clippy::cast_precision_loss)] // exact up to 2^53 milliseconds
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// Seconds of a duration, rounded to the millisecond.
pub(super) fn length(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53 jobs or collections
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53 seconds
pub(super) fn whole_seconds(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(number: f64) -> String {
        let mut text = Text::default();
        push(&mut text, number);
        String::from_utf8(text.into()).unwrap()
    }

    #[test]
    fn a_number_is_written_as_people_write_it() {
        for (number, written) in [
            (0.0, "0"),
            (-0.0, "0"),
            (9.0, "9"),
            (10.0, "10"),
            (-3.0, "-3"),
            (0.001, "0.001"),
            (0.25, "0.25"),
            (0.3, "0.3"),
            (1.0 / 3.0, "0.3333333333333333"),
            (-1.5, "-1.5"),
            (1_700_006_000.05, "1700006000.05"),
            (999_999_999_999.999, "999999999999.999"),
            (EXACT - 1.0, "9007199254740991"),
            (EXACT, "9007199254740992.0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(text(number), written);
        }
    }

    #[test]
    fn nothing_below_a_millisecond_is_told() {
        let moment = |nanosecond| seconds(jiff::Timestamp::new(1_700_000_000, nanosecond).unwrap());
        assert_eq!(text(moment(123_999_999)), "1700000000.123", "not later than it was");
        assert_eq!(text(moment(300_000_000)), "1700000000.3");
        assert_eq!(text(moment(999_999)), "1700000000", "a whole number stays one");
        assert_eq!(text(length(Duration::from_nanos(123_499_999))), "0.123");
        assert_eq!(text(length(Duration::from_nanos(299_500_001))), "0.3");
        assert_eq!(text(length(Duration::from_nanos(29_999_999_999))), "30");
        assert_eq!(text(length(Duration::from_mins(1))), "60");
    }

    proptest! {
        #[test]
        fn thousandths_are_written_with_no_digit_too_many(thousandths in 0_u64..1_000_000_000_000_000, off in -2_i64..=2) {
            let number = count(thousandths) / 1000.0;
            prop_assert_eq!(text(number), number.to_string());
            let near = f64::from_bits(number.to_bits().saturating_add_signed(off));
            prop_assert_eq!(text(near).parse(), Ok(near));
        }
    }
}
