//! Texts from outside the program.

use atlas_client::redact::escape;
use maud::{Markup, html};

/// A text from outside the program. It does not reorder what is around it, and hides no character.
pub(super) fn isolated(text: &str) -> Markup {
    html! { bdi { (escape(text)) } }
}
