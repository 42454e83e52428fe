//! Control group with a memory limit.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::support::exporter::command_of;

/// A control group with a limit of memory, buffers of sockets and files included.
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one; `None` where the system does not allow it.
    pub(super) fn new(mib: u64) -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (parent, limit) = if v1.is_dir() {
            (v1, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let folder = tempfile::Builder::new().prefix("atlas-backup-exporter-").tempdir_in(parent).ok()?;
        let cgroup = Self(folder.keep());
        // Without the file there is no controller of memory here.
        let file = std::fs::OpenOptions::new().write(true).open(cgroup.0.join(limit));
        file.ok()?.write_all((mib << 20).to_string().as_bytes()).ok()?;
        Some(cgroup)
    }

    /// The binary in the group.
    pub(super) fn command(&self, binary: &str) -> Command {
        let mut command = command_of("/bin/sh");
        // Some systems let nothing into the group: the peak is asserted all the same.
        command.args(["-c", "echo $$ >\"$0\"; exec \"$@\""]).arg(self.0.join("cgroup.procs")).arg(binary);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The group cannot be removed before its process is gone.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
