//! One function for each fuzz target, which takes any bytes and panics if an invariant is violated.

mod accept;
mod challenge;
mod config;
mod details;
mod error_body;
mod exposition;
mod inflate;
mod listing;
mod retry_after;
mod text;
mod web;

pub use accept::accept;
pub use challenge::challenge;
pub use config::config;
pub use details::details;
pub use error_body::error_body;
pub use inflate::inflate;
pub use listing::listing;
pub use retry_after::retry_after;
pub use web::web;
