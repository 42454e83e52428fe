//! Changes of the wall clock while the exporter runs.

use super::scenario::{Fault, Injection, Outcome::Succeeds};

const DAY: i64 = 86_400;

pub(super) fn faults() -> Vec<Fault> {
    let clock =
        |name, description, seconds| Fault::new(name, description, Injection::Clock(seconds), Succeeds(&[]));
    vec![
        clock("a clock that is set forward", "a day, and back", DAY),
        clock("a clock that is set back", "a day, and forward", -DAY),
        clock("a clock that is set far forward", "ten years, and back", 3653 * DAY),
        clock("a clock that is set far back", "fifty years, and forward", -50 * 365 * DAY),
        clock("a clock that is set by seconds", "thirteen, and back", 13),
    ]
}
