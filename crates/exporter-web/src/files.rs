//! The files of a web configuration, and the detection of changes.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use crate::text;

/// Maximum size of a file in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Files, and hashes of their content as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files(BTreeMap<PathBuf, u64>);

impl Files {
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let content = read_file(path);
        let mut hasher = DefaultHasher::new();
        content.as_ref().map_err(io::Error::kind).hash(&mut hasher);
        self.0.insert(path.to_owned(), hasher.finish());
        content
    }

    /// Reads the files again; `None` if they are unchanged.
    pub(crate) fn changed(&self) -> Option<Self> {
        let mut now = Self::default();
        for path in self.0.keys() {
            // An error has a hash as well.
            let _ = now.read(path);
        }
        Some(now).filter(|now| now != self)
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Pipes, for example, would block until they are written.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    text::read(path, MAX_FILE_BYTES)
}
