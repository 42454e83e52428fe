use std::fs;

use crate::WebConfigWatcher;
use crate::tests::{HASH, assert_refused, folder, load, tls};

mod accepted;
mod refused;
mod secrets;
