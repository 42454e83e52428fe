//! Resource usage of this process, read from `/proc/self`.

use std::path::Path;

/// Clock ticks of a second in `/proc`: `USER_HZ`, which is 100 on every platform that Rust's tier 1 and 2 have Linux for.
const TICKS_PER_SECOND: f64 = 100.0;

/// The values of the `process_*` metrics. One that cannot be read is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessStats {
    /// CPU time in user and kernel mode.
    pub cpu_seconds: Option<f64>,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub open_fds: Option<u64>,
    /// Soft limit of open file descriptors; `None` without a limit, too.
    pub max_fds: Option<u64>,
    pub threads: Option<u64>,
}

impl ProcessStats {
    /// Reads the values of this process; `None` where there is no `/proc`.
    #[must_use]
    pub fn read() -> Option<Self> {
        let limit = rlimit::getrlimit(rlimit::Resource::NOFILE).ok();
        let max_fds = limit.map(|(soft, _)| soft).filter(|soft| *soft != rlimit::INFINITY);
        Some(Self { max_fds, ..Self::read_from(Path::new("/proc/self"))? })
    }

    fn read_from(folder: &Path) -> Option<Self> {
        let read = |file: &str| std::fs::read_to_string(folder.join(file));
        let status = read("status").ok()?;
        let kibibytes = |key| number_after(&status, key)?.checked_mul(1024);
        Some(Self {
            cpu_seconds: read("stat").ok().and_then(|stat| cpu_seconds(&stat)),
            resident_bytes: kibibytes("VmRSS:"),
            virtual_bytes: kibibytes("VmSize:"),
            // The folder itself is open while it is read.
            open_fds: std::fs::read_dir(folder.join("fd"))
                .ok()
                .map(|fds| (fds.count() as u64).saturating_sub(1)),
            threads: number_after(&status, "Threads:"),
            max_fds: None,
        })
    }
}

/// The first number on the line that begins with `key`.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User and kernel time, fields 14 and 15 of `stat`. The name before them may hold spaces and parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_stats_are_read_and_what_is_missing_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ProcessStats::read_from(&folder.path().join("none")), None);
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        write("status", "Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t5\n");
        let some = ProcessStats {
            resident_bytes: Some(1_048_576),
            virtual_bytes: Some(2_097_152),
            threads: Some(5),
            ..ProcessStats::default()
        };
        assert_eq!(ProcessStats::read_from(folder.path()), Some(some));
        write(
            "stat",
            "7 (a) S 9 (b) R 1 7 7 0 -1 4194560 900 0 0 0 123 77 0 0 20 0 5 0 4242 2097152 256 1\n",
        );
        let whole = ProcessStats { cpu_seconds: Some(2.0), ..some };
        assert_eq!(ProcessStats::read_from(folder.path()), Some(whole));
        write("status", "");
        assert_eq!(ProcessStats::read_from(folder.path()).unwrap().threads, None);
    }
}
