//! Resource usage of this process, read from `/proc/self`.

use std::fs;

/// Clock ticks per second in `/proc` (`USER_HZ`): 100 on all Linux targets of Rust's tiers 1 and 2.
const TICKS_PER_SECOND: f64 = 100.0;

/// Values of the `process_*` metrics; `None` if a value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessStats {
    /// User and system CPU time.
    pub cpu_seconds: Option<f64>,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub open_fds: Option<u64>,
    /// Soft limit of open file descriptors; `None` also if unlimited.
    pub max_fds: Option<u64>,
    pub threads: Option<u64>,
}

impl ProcessStats {
    /// Reads the values of this process; `None` without `/proc`.
    #[must_use]
    pub fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let kibibytes = |key| number_after(&status, key)?.checked_mul(1024);
        let limit = rlimit::getrlimit(rlimit::Resource::NOFILE).ok();
        Some(Self {
            cpu_seconds: fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat)),
            resident_bytes: kibibytes("VmRSS:"),
            virtual_bytes: kibibytes("VmSize:"),
            // The directory itself is open while it is read.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|fds| (fds.count() as u64).saturating_sub(1)),
            max_fds: limit.map(|(soft, _)| soft).filter(|soft| *soft != rlimit::INFINITY),
            threads: number_after(&status, "Threads:"),
        })
    }
}

/// Returns the first number on the line that begins with `key`.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Returns the sum of fields 14 and 15 of `stat`, user and system time.
///
/// The process name before them may contain spaces and parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_after_a_name_with_parentheses() {
        let stat = "7 (a) S 9 (b) R 1 7 7 0 -1 4194560 900 0 0 0 123 77 0 0 20 0 5 0 4242 2097152 256 1\n";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (a) S 9"), None);
    }

    #[test]
    fn number_after_key_is_parsed() {
        let status = "Name:\tx\nVmRSS:\t    1024 kB\nThreads:\t5\n";
        assert_eq!(
            ["VmRSS:", "Threads:", "VmSize:"].map(|key| number_after(status, key)),
            [Some(1024), Some(5), None]
        );
    }
}
