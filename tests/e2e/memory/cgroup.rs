//! Control group with a memory limit.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::support::exporter::command_of;

/// Control group with a memory limit, which includes buffers of sockets and files.
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    /// Creates a group; `None` if the system does not allow it.
    pub(super) fn new(mib: u64) -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (parent, limit) = if v1.is_dir() {
            (v1, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let folder = tempfile::Builder::new().prefix("atlas-backup-exporter-").tempdir_in(parent).ok()?;
        let cgroup = Self(folder.keep());
        // Fails without a memory controller.
        let file = std::fs::OpenOptions::new().write(true).open(cgroup.0.join(limit));
        file.ok()?.write_all((mib << 20).to_string().as_bytes()).ok()?;
        Some(cgroup)
    }

    /// Returns a command that runs in the group.
    pub(super) fn command(&self, binary: &str) -> Command {
        let mut command = command_of("/bin/sh");
        // Some systems refuse: the peak is asserted nevertheless.
        command.args(["-c", "echo $$ >\"$0\"; exec \"$@\""]).arg(self.0.join("cgroup.procs")).arg(binary);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The group cannot be removed before its process has ended.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
