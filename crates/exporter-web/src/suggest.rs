/// Minimum similarity of a suggestion, from 0 to 1.
const MIN_SIMILARITY: f64 = 0.8;

/// Returns the candidate that is most similar to a misspelled `name`, ignoring case.
///
/// ```
/// assert_eq!(exporter_web::suggest("intervall", ["interval", "burst"]), Some("interval"));
/// assert_eq!(exporter_web::suggest("PROD-US", ["prod-eu", "prod-us"]), Some("prod-us"));
/// assert_eq!(exporter_web::suggest("warehouse", ["prod-eu", "reporting"]), None);
/// ```
#[must_use]
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}
