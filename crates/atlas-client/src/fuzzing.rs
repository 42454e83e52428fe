//! What must hold of responses, whatever Atlas sends. For the fuzzers and for replays of what they
//! found; each function panics if it does not hold.

#![allow(clippy::missing_panics_doc)]

use url::Url;

pub use crate::auth::fuzzing::challenge;
pub use crate::error::fuzzing::{error_body, is_tidy, retry_after};
pub use crate::inflate::fuzzing::inflate;
pub use crate::pagination::fuzzing::{Details, details};
use crate::{endpoint, redact};

/// The variables that name proxies.
pub const PROXY_VARIABLES: [&[&str]; 3] = crate::proxy::NAMES;

/// A text of others, as it goes to a log, is one line.
#[track_caller]
pub fn is_a_line(text: &str) {
    assert!(!text.contains(redact::is_hidden), "{text:?}");
}

/// A cluster that is called `name` is requested under that name, and nowhere else.
#[track_caller]
pub fn leads_to(name: &str) {
    let base: Url = "https://localhost/below/".parse().expect("a URL");
    let url = endpoint::api_url(&base, &["clusters", name, "backup"]).expect("a base that can have a path");
    let segments: Vec<_> = url.path_segments().into_iter().flatten().collect();
    let ["below", "api", "atlas", "v2", "clusters", segment, "backup"] = segments[..] else {
        panic!("{name:?} leads to {url}");
    };
    assert_eq!(percent_encoding::percent_decode_str(segment).decode_utf8().as_deref(), Ok(name));
}
