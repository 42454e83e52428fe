//! The files of a web configuration, and how a change of them is noticed.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Larger files are refused.
pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Paths of files, and a hash of their content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    paths: Vec<PathBuf>,
    hash: u64,
}

impl Fingerprint {
    /// Returns the hash of the files as they are now, if it differs.
    pub(crate) fn changed_hash(&self) -> Option<u64> {
        let mut files = Files::default();
        for path in &self.paths {
            // An error is part of the hash.
            let _ = files.read(path);
        }
        Some(files.fingerprint().hash).filter(|hash| *hash != self.hash)
    }
}

/// Reads files, and fingerprints them.
#[derive(Debug, Default)]
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    hasher: DefaultHasher,
}

impl Files {
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let content = read_file(path);
        content.as_ref().map_err(io::Error::kind).hash(&mut self.hasher);
        self.paths.push(path.to_owned());
        content
    }

    pub(crate) fn fingerprint(self) -> Fingerprint {
        Fingerprint { paths: self.paths, hash: self.hasher.finish() }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Others, such as pipes, block until they are written.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    // What is cut off could be what restricts access.
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    Ok(content)
}
