#![doc = include_str!("../README.md")]

mod basic_auth;
mod client_cert;
mod config;
mod error;
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guarded_body;
pub mod listeners;
mod middleware;
pub mod pem;
mod rate_limit;
mod server;
mod suggest;
#[cfg(test)]
mod tests;
pub mod text;
mod timeouts;
mod tls;
mod tls_params;
mod watcher;
mod yaml;

pub use error::ConfigError;
pub use guarded_body::GuardedBody;
pub use server::{ServeOptions, serve};
pub use suggest::suggest;
pub use watcher::{ReloadTrigger, WebConfigWatcher};
