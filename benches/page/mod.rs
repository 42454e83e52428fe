//! A page of export jobs to be read.

use std::fmt::Write;

pub(crate) const JOBS: usize = 500;

/// A page as Atlas writes it: newest first, a failure in every 25 jobs.
pub(crate) fn page() -> String {
    let listing = "https://cloud.mongodb.com/api/atlas/v2/groups/32b6e34b3d91647abb20e7b8/clusters/payments-production/backup/exports";
    let mut jobs = String::new();
    for number in 0..JOBS {
        if number > 0 {
            jobs.push(',');
        }
        let day = JOBS - number;
        let id = format!("65a1f0b2c3d4e5f6{:08x}", 0x071_8293 + day * 0x1b_0053);
        let date = format!("{}-{:02}-{:02}", 2024 + day / 336, 1 + day / 28 % 12, 1 + day % 28);
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
        let finished = if end { format!(r#""finishedAt":"{date}T04:21:37Z","#) } else { String::new() };
        write!(
            jobs,
            r#"{{"id":"{id}","snapshotId":"75{}","exportBucketId":"65a0c0ffee0123456789abcd","createdAt":"{date}T03:04:05Z",{finished}"state":"{state}"{reason},"exportStatus":{{"exportedCollections":{},"totalCollections":184}},"customData":[{{"key":"exported by","value":"atlas backup policy"}},{{"key":"environment","value":"production"}}],"prefix":"exported_snapshots/65a0aaaaaaaaaaaaaaaaaaaa/32b6e34b3d91647abb20e7b8/payments-production/{date}T0304/1705287845","links":[{{"rel":"self","href":"{listing}/{id}"}},{{"rel":"https://cloud.mongodb.com/group","href":"https://cloud.mongodb.com/api/atlas/v2/groups/32b6e34b3d91647abb20e7b8"}}]}}"#,
            &id[2..],
            if end { 184 } else { 21 },
        )
        .unwrap();
    }
    format!(
        r#"{{"links":[{{"rel":"self","href":"{listing}?itemsPerPage=500&pageNum=1"}},{{"rel":"next","href":"{listing}?itemsPerPage=500&pageNum=2"}}],"results":[{jobs}],"totalCount":1234}}"#
    )
}
