//! Moments as they are kept.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// A moment, to the millisecond: Atlas tells none more closely, and no figure is. Eight bytes, and no more where there may be none,
/// since every cluster has two dozen of them; with a [`Timestamp`] they are sixteen and twenty-four.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU64);

/// What is added to milliseconds since 1970, so that none of them is zero, and their order is that of the moments.
const OFFSET: u64 = 1 << 63;

impl Moment {
    /// A moment by its seconds since 1970; `None` if that is not within the years -9999 and 9999.
    #[must_use]
    pub fn from_second(second: i64) -> Option<Self> {
        Timestamp::from_second(second).ok().map(Self::from)
    }

    /// Milliseconds since 1970, negative before.
    #[must_use]
    pub fn as_millisecond(self) -> i64 {
        (self.0.get() ^ OFFSET).cast_signed()
    }

    /// How long after `other` it is; negative if it is before.
    #[must_use]
    pub fn duration_since(self, other: Self) -> SignedDuration {
        SignedDuration::from_millis(self.as_millisecond() - other.as_millisecond())
    }
}

impl From<Timestamp> for Moment {
    /// What is less than a millisecond is left out.
    fn from(at: Timestamp) -> Self {
        // A timestamp has fewer than 2^48 milliseconds, so that nothing is cut off, and the sum is not zero.
        Self(NonZeroU64::MIN.saturating_add((at.as_millisecond().cast_unsigned() ^ OFFSET) - 1))
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        // It was made from one.
        Self::from_duration(SignedDuration::from_millis(moment.as_millisecond())).unwrap_or_default()
    }
}

impl FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|at: Timestamp| at.into())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Timestamp::from(*self).fmt(f)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_timestamp_to_the_millisecond() {
        let ends = [Timestamp::MIN, Timestamp::MAX];
        let near =
            [-1_001, -1_000, -999, -1, 0, 1, 999, 1_000].map(|ms| Timestamp::from_millisecond(ms).unwrap());
        let now = Timestamp::new(1_700_000_000, 123_456_789).unwrap();
        let mut all: Vec<_> = ends.into_iter().chain(near).chain([now]).collect();
        for at in &all {
            assert_eq!(Moment::from(*at).as_millisecond(), at.as_millisecond(), "{at}");
            assert_eq!(Timestamp::from(Moment::from(*at)).as_millisecond(), at.as_millisecond(), "{at}");
        }
        assert_eq!(Moment::from(now).to_string(), "2023-11-14T22:13:20.123Z");
        all.sort();
        assert!(all.iter().map(|at| Moment::from(*at)).is_sorted());
        assert_eq!(Moment::from(all[3]).duration_since(Moment::from(all[2])), SignedDuration::from_millis(1));
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
