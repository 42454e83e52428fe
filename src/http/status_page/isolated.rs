//! Texts from outside the program.

use atlas_client::redact::escape;
use maud::{Markup, html};

/// A text from outside the program. Its direction does not reorder what stands around it, and no character of it is hidden.
pub(super) fn isolated(text: &str) -> Markup {
    html! { bdi { (escape(text)) } }
}
