//! Safe display of texts that come from Atlas.

use atlas_client::redact::escape;
use maud::{Markup, html};

/// Returns a text that cannot reorder the text around it. Invisible characters are escaped.
pub(super) fn isolated(text: &str) -> Markup {
    html! { bdi { (escape(text)) } }
}

/// Returns an isolated text that can break after underscores.
pub(super) fn breakable(text: &str) -> Markup {
    let text = escape(text);
    html! { bdi { @for part in text.split_inclusive('_') { (part) @if part.ends_with('_') { wbr; } } } }
}
