//! Pages of export jobs to be read.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

pub(crate) const JOBS: usize = 500;

/// From one export to the next.
const BETWEEN: SignedDuration = SignedDuration::from_hours(1);

/// The first page of a long listing.
#[allow(dead_code)] // not every benchmark reads this one
pub(crate) fn page() -> String {
    of(0, JOBS, 1234)
}

/// The jobs from `first` on of a listing of `total`, as Atlas writes them: newest first, a failure in every 25 jobs, and four that are not
/// done yet. Ids are as random as Atlas's, which is most of what cannot be compressed.
pub(crate) fn of(first: usize, jobs: usize, total: usize) -> String {
    let listing = "https://cloud.mongodb.com/api/atlas/v2/groups/32b6e34b3d91647abb20e7b8/clusters/payments-production/backup/exports";
    let newest: Timestamp = "2026-11-01T03:04:05Z".parse().unwrap();
    let mut text = String::new();
    for number in first..first + jobs {
        if number > first {
            text.push(',');
        }
        let created = newest - BETWEEN * i32::try_from(number).unwrap();
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
                r#","stateReason":{"errorCode":"EXPORT_BUCKET_ACCESS_DENIED","message":"The IAM role could not write to the export bucket: access denied."}"#,
            ),
            _ if number % 50 == 11 => ("Cancelled", true, ""),
            _ => ("Successful", true, ""),
        };
        let finished = if end { format!(r#""finishedAt":"{finished}","#) } else { String::new() };
        write!(
            text,
            r#"{{"id":"{id}","snapshotId":"{snapshot}","exportBucketId":"65a0c0ffee0123456789abcd","createdAt":"{created}",{finished}"state":"{state}"{reason},"exportStatus":{{"exportedCollections":{},"totalCollections":184}},"customData":[{{"key":"exported by","value":"atlas backup policy"}},{{"key":"environment","value":"production"}}],"prefix":"exported_snapshots/65a0aaaaaaaaaaaaaaaaaaaa/32b6e34b3d91647abb20e7b8/payments-production/{date}T0304/{}","links":[{{"rel":"self","href":"{listing}/{id}"}},{{"rel":"https://cloud.mongodb.com/group","href":"https://cloud.mongodb.com/api/atlas/v2/groups/32b6e34b3d91647abb20e7b8"}}]}}"#,
            if end { 184 } else { 21 },
            created.as_second(),
        )
        .unwrap();
    }
    let mut links = format!(r#"{{"rel":"self","href":"{listing}?itemsPerPage=500&pageNum=1"}}"#);
    if first + jobs < total {
        write!(links, r#",{{"rel":"next","href":"{listing}?itemsPerPage=500&pageNum=2"}}"#).unwrap();
    }
    format!(r#"{{"links":[{links}],"results":[{text}],"totalCount":{total}}}"#)
}
