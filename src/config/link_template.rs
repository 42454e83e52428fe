//! Addresses of other pages for each cluster.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer};
use toml::Value;
use url::Url;

use super::value::{FromValue, parsed};

/// Bytes that are encoded: all but the unreserved ones of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An http or https URL with the placeholders `{project_id}` and `{cluster_name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTemplate(String);

impl LinkTemplate {
    /// Returns the template of the address of a cluster in Atlas; `base_url` ends with a slash.
    #[must_use]
    pub fn of_atlas(base_url: &Url) -> Self {
        Self(format!("{base_url}v2/{{project_id}}#/clusters/detail/{{cluster_name}}"))
    }

    /// Returns the address for a cluster, whose id and name are percent-encoded.
    #[must_use]
    pub fn address(&self, project_id: &str, cluster_name: &str) -> String {
        let encoded = |text| utf8_percent_encode(text, ENCODED).to_string();
        self.0.replace("{project_id}", &encoded(project_id)).replace("{cluster_name}", &encoded(cluster_name))
    }
}

impl<'de> Deserialize<'de> for LinkTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl FromValue for LinkTemplate {
    fn from_value(value: &Value) -> Result<Self, String> {
        let text =
            value.as_str().ok_or("expected a URL, such as \"https://example.com/RUNBOOKS.md\"")?.trim();
        let template = Self(text.to_owned());
        let address = template.address("x", "x");
        if let Some((_, rest)) = address.split_once(['{', '}']) {
            let name = rest.split(['{', '}']).next().unwrap_or_default();
            return Err(format!(
                "is {text:?} with the unknown placeholder {{{name}}}; use {{project_id}} and {{cluster_name}}"
            ));
        }
        match Url::parse(&address) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                Err("has a user name or password, which the status page would show; remove it".to_owned())
            }
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(template),
            _ => Err(format!("is {text:?}; use an http or https URL, such as \"https://example.com/\"")),
        }
    }
}
