//! "Did you mean": which of several names another one may be a slip of.

/// How alike two names must be for one to be a slip of the other, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The candidate that is most like `name`, whatever their case, if it is alike enough.
pub(crate) fn meant<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    candidates
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}
