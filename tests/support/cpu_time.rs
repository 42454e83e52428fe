//! CPU time of tests, which does not depend on other load.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Returns how many times as much CPU time `work` takes for `large` as for `small`.
pub(crate) fn ratio(work: impl Fn(usize), large: usize, small: usize) -> f64 {
    let seconds = |size| {
        let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap()).as_secs_f64();
        let start = now();
        work(size);
        now() - start
    };
    seconds(large) / seconds(small)
}
