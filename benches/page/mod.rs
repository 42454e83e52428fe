//! Pages of export jobs for benchmarks.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

pub(crate) const JOBS: usize = 500;

const EXPORT_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

const BASE: &str = "https://cloud.mongodb.com/api/atlas/v2/groups/32b6e34b3d91647abb20e7b8";

/// Returns the first page of a listing of 1,234 jobs.
#[allow(dead_code)] // not all benchmarks use it
pub(crate) fn page() -> String {
    of(0, JOBS, 1234)
}

/// Returns `jobs` jobs of a listing of `total`, starting with number `first`.
///
/// The jobs are in Atlas's format, newest first. One in 25 has failed, and four are active. Ids are
/// as random as those of Atlas, since they are most of what gzip cannot compress.
pub(crate) fn of(first: usize, jobs: usize, total: usize) -> String {
    let listing = format!("{BASE}/clusters/payments-production/backup/exports");
    let newest: Timestamp = "2026-11-01T03:04:05Z".parse().unwrap();
    let mut text = String::new();
    for number in first..first + jobs {
        if number > first {
            text.push(',');
        }
        let created = newest - EXPORT_INTERVAL * i32::try_from(number).unwrap();
        let (date, finished) = (created.strftime("%Y-%m-%d"), created + SignedDuration::from_secs(4652));
        let id = |of: u64| {
            let random = (number as u64 * 2 + of + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{:08x}{random:016x}", created.as_second())
        };
        let (id, snapshot) = (id(0), id(1));
        let (state, end, reason) = match number {
            0 | 1 => ("Queued", false, ""),
            2 | 3 => ("InProgress", false, ""),
            _ if number % 25 == 7 => (
                "Failed",
                true,
                concat!(
                    r#","stateReason":{"errorCode":"EXPORT_BUCKET_ACCESS_DENIED","#,
                    r#""message":"The IAM role could not write to the export bucket: access denied."}"#
                ),
            ),
            _ if number % 50 == 11 => ("Cancelled", true, ""),
            _ => ("Successful", true, ""),
        };
        let finished = if end { format!(r#""finishedAt":"{finished}","#) } else { String::new() };
        let exported = if end { 184 } else { 21 };
        let folder = "exported_snapshots/65a0aaaaaaaaaaaaaaaaaaaa/32b6e34b3d91647abb20e7b8";
        let prefix = format!("{folder}/payments-production/{date}T0304/{}", created.as_second());
        for part in [
            format!(r#"{{"id":"{id}","snapshotId":"{snapshot}","#),
            format!(r#""exportBucketId":"65a0c0ffee0123456789abcd","createdAt":"{created}",{finished}"#),
            format!(r#""state":"{state}"{reason},"exportStatus":{{"exportedCollections":{exported},"#),
            r#""totalCollections":184},"#.to_owned(),
            r#""customData":[{"key":"exported by","value":"atlas backup policy"},"#.to_owned(),
            r#"{"key":"environment","value":"production"}],"#.to_owned(),
            format!(r#""prefix":"{prefix}","links":[{{"rel":"self","href":"{listing}/{id}"}},"#),
            format!(r#"{{"rel":"https://cloud.mongodb.com/group","href":"{BASE}"}}]}}"#),
        ] {
            text.push_str(&part);
        }
    }
    let mut links = format!(r#"{{"rel":"self","href":"{listing}?itemsPerPage=500&pageNum=1"}}"#);
    if first + jobs < total {
        write!(links, r#",{{"rel":"next","href":"{listing}?itemsPerPage=500&pageNum=2"}}"#).unwrap();
    }
    format!(r#"{{"links":[{links}],"results":[{text}],"totalCount":{total}}}"#)
}
