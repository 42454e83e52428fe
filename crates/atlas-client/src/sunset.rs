//! Warnings about API versions that Atlas is going to retire.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderMap;

use crate::endpoint::Endpoint;
use crate::error::tidy;

/// Endpoints with a logged warning; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SunsetWarnings(Arc<Mutex<BTreeSet<Endpoint>>>);

impl SunsetWarnings {
    /// Logs a warning, once for each endpoint, if a response announces the end of its version.
    pub(crate) fn observe(&self, endpoint: Endpoint, headers: &HeaderMap) {
        let header =
            |name: &str| headers.get(name).map(|value| tidy(&String::from_utf8_lossy(value.as_bytes())));
        let (sunset, deprecation) = (header("sunset"), header("deprecation"));
        if sunset.is_none() && deprecation.is_none() {
            return;
        }
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint) {
            tracing::warn!(
                resource = endpoint.name,
                version = endpoint.media_type,
                sunset,
                deprecation,
                "Atlas will retire an API version that is in use; install a newer release"
            );
        }
    }
}
