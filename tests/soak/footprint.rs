//! Memory and file descriptors of the exporter.

use std::fmt::{self, Display};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Footprint {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: u64,
    /// Time until every metric was right.
    recovered_in: Duration,
}

impl Footprint {
    pub(crate) fn of(pid: u32, recovered_in: Duration) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64,
            recovered_in,
        }
    }
}

impl Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kib, descriptors, recovered_in } = self;
        write!(f, "{resident_kib} KiB, {descriptors} descriptors, recovered in {recovered_in:.1?}")
    }
}
