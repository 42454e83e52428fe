//! Variables of the environment that are meant for a key and do not reach it.

use config::Map;

use super::read::TABLES;
use super::{ConfigError, ENV_PREFIX, Warning};
use crate::{likeness, redact};

/// Names that Kubernetes gives to the variables of a service that is called like the exporter.
const KUBERNETES: [&str; 3] = ["SERVICE_HOST", "SERVICE_PORT", "PORT"];

/// Warns of variables that look like a key, but lack an underscore of [`ENV_PREFIX`].
///
/// One that has these and lacks another would be an unknown key; the error says which key is meant.
pub(super) fn warnings(environment: &Map<String, String>) -> Result<Vec<Warning>, ConfigError> {
    let known: Vec<_> = TABLES
        .iter()
        .flat_map(|(table, keys)| keys.iter().map(move |key| format!("{table}.{key}")))
        .map(|path| (path.replace('.', "_").to_uppercase(), path.replace('.', "__").to_uppercase()))
        .collect();
    let mut warnings = Vec::new();
    for (variable, _) in environment.iter().filter(|(_, value)| !value.is_empty()) {
        let Some(rest) = variable.to_uppercase().strip_prefix(ENV_PREFIX).map(str::to_owned) else {
            continue;
        };
        let Some(name) = rest.strip_prefix('_') else { continue };
        let has_prefix = name.starts_with('_');
        let squeezed = name.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_");
        if has_prefix && known.iter().any(|(_, right)| name[1..] == *right)
            || KUBERNETES.iter().any(|part| squeezed.starts_with(part))
        {
            continue;
        }
        let exact = known.iter().find(|(short, _)| *short == squeezed);
        let likely = || {
            let meant = likeness::meant(&squeezed, known.iter().map(|(short, _)| short.as_str()))?;
            known.iter().find(|(short, _)| short == meant)
        };
        // Behind the whole prefix, other slips have an error of their own.
        let meant = if has_prefix { exact } else { exact.or_else(likely) };
        let Some((_, right)) = meant else { continue };
        let problem = format!("not a key; did you mean {ENV_PREFIX}__{right}?");
        if has_prefix {
            return Err(ConfigError::new(&format!("{variable}: {problem}")));
        }
        warnings.push(Warning { variable: redact::line(variable), problem });
    }
    warnings.sort_by(|one, other| one.variable.cmp(&other.variable));
    Ok(warnings)
}
