//! What fuzzers may call of this room.

use url::Url;

pub use super::auth::fuzzing::challenge;
pub use super::error::fuzzing::{error_body, retry_after};
pub use super::inflate::fuzzing::inflate;
pub use super::listing::fuzzing::{details, listing};

/// A cluster that is called `name` is asked for under that name, and nowhere else.
#[track_caller]
pub(crate) fn leads_to(name: &str) {
    let base: Url = "https://localhost/below/".parse().expect("a URL");
    let url = super::url(&base, &["clusters", name, "backup"]).expect("a base that can have a path");
    let segments: Vec<_> = url.path_segments().into_iter().flatten().collect();
    let ["below", "api", "atlas", "v2", "clusters", segment, "backup"] = segments[..] else {
        panic!("{name:?} leads to {url}");
    };
    assert_eq!(percent_encoding::percent_decode_str(segment).decode_utf8().as_deref(), Ok(name));
}
