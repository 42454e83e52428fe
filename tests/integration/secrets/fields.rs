//! Fields of responses that repeat secrets.

use serde_json::{Value, json};

/// Resource of a field; each field has its own cluster or project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Of {
    Exports,
    Schedule,
    Snapshots,
    Project,
    Clusters,
    Buckets,
    Events,
    Projects,
    /// Token requests, each with its own service account, which are repeated from the start.
    Token,
}

/// Resource, and a response with a text in one of its fields.
pub(super) type Field = (Of, fn(&str) -> Vec<u8>);

pub(super) const NOW: &str = "2026-01-02T03:04:05Z";
pub(super) const ID: &str = "65a1f0b2c3d4e5f60718293a";

/// Every field that is read or might be repeated.
pub(super) const FIELDS: &[Field] = &[
    (Of::Exports, |text| failed("errorCode", text)),
    (Of::Exports, |text| failed("message", text)),
    (Of::Exports, |text| list(json!({"id": text, "state": "Failed", "createdAt": recent()}))),
    (Of::Exports, |text| {
        list(json!({"id": ID, "snapshotId": text, "state": "Failed", "createdAt": recent()}))
    }),
    (Of::Exports, |text| list(json!({"id": ID, "createdAt": text}))),
    (Of::Exports, |text| list(json!({"id": ID, "createdAt": NOW, "finishedAt": text}))),
    (Of::Exports, |text| list(json!({"id": ID, "createdAt": NOW, "state": text}))),
    (Of::Exports, |text| list(json!({"id": ID, "exportStatus": text}))),
    (Of::Exports, |text| ok(&json!({"results": text}))),
    (Of::Exports, |text| ok(&json!({"results": [], "totalCount": text}))),
    (Of::Exports, |text| ok(&json!({"results": [], text: [text], "links": [{"rel": text}]}))),
    (Of::Exports, |text| refused(&json!({"errorCode": text}))),
    (Of::Exports, |text| refused(&json!({"errorCode": "E", "detail": text, "parameters": [text]}))),
    (Of::Exports, |text| refused(&json!({"message": text}))),
    (Of::Exports, |text| refused(&json!({"reason": text}))),
    (Of::Exports, |text| refused(&json!({"error": text, "error_description": text}))),
    (Of::Exports, |text| raw("400 Bad Request", &[("x-error-code", text)], "")),
    (Of::Exports, |text| raw(&format!("400 {}", visible(text)), &[], text)),
    (Of::Exports, |text| raw(&format!("4x0 {}", visible(text)), &[], text)),
    (Of::Exports, |text| raw("302 Found", &[("location", text)], text)),
    (Of::Exports, |text| raw("401 Unauthorized", &[("www-authenticate", text)], text)),
    (Of::Exports, |text| {
        raw(
            "401 Unauthorized",
            &[(
                "www-authenticate",
                &format!(
                    "Digest realm=\"{}\", nonce=\"n\", algorithm=\"{}\"",
                    text.replace('"', ""),
                    text.replace('"', "")
                ),
            )],
            "",
        )
    }),
    (Of::Exports, |text| raw("429 Too Many Requests", &[("retry-after", text)], text)),
    (Of::Exports, |text| raw("200 OK", &[("content-encoding", text)], "{\"results\": []}")),
    (Of::Exports, |text| {
        raw("200 OK", &[("content-type", text), ("sunset", text), ("deprecation", text)], text)
    }),
    (Of::Exports, |text| {
        raw("200 OK", &[(&text.replace([':', '\r', '\n'], " "), text)], "{\"results\": []}")
    }),
    (Of::Schedule, |text| {
        ok(&json!({"autoExportEnabled": true, "export": {"frequencyType": text, "exportBucketId": ID}}))
    }),
    (Of::Schedule, |text| {
        ok(&json!({"autoExportEnabled": true, "export": {"frequencyType": "daily", "exportBucketId": text}}))
    }),
    (Of::Schedule, |text| ok(&json!({"autoExportEnabled": text}))),
    (Of::Schedule, |text| {
        ok(&json!({
            "autoExportEnabled": true, "export": {"frequencyType": "daily"},
            "policies": [{"policyItems": [{"id": text, "frequencyType": text}]}],
        }))
    }),
    (Of::Snapshots, |text| list(json!({"id": text, "createdAt": NOW, "status": "completed"}))),
    (Of::Snapshots, |text| list(json!({"id": ID, "createdAt": text, "status": "completed"}))),
    (Of::Snapshots, |text| {
        list(json!({
            "id": ID, "createdAt": NOW, "status": "completed", "frequencyType": text, "policyItems": [text],
        }))
    }),
    (Of::Snapshots, |text| list(json!({"id": ID, "createdAt": NOW, "status": [text]}))),
    (Of::Project, |text| ok(&json!({"id": ID, "name": text}))),
    (Of::Project, |text| ok(&json!({"id": ID, "name": [text]}))),
    (Of::Clusters, |text| list(json!({"name": text, "backupEnabled": true}))),
    (Of::Clusters, |text| list(json!({"name": "other", "paused": text}))),
    (Of::Clusters, |text| {
        list(json!({
            "name": "other", "createDate": text, "clusterType": text, "stateName": text,
            "replicationSpecs": [{"regionConfigs": [{"providerName": text}]}],
        }))
    }),
    (Of::Buckets, |text| list(json!({"_id": text, "bucketName": text, "cloudProvider": text}))),
    (Of::Buckets, |text| list(json!({"_id": ID, "bucketName": [text]}))),
    (Of::Events, |text| {
        list(
            json!({"id": text, "created": "2099-01-01T00:00:00Z", "eventTypeName": "CPS_AUTO_EXPORT_FAILED"}),
        )
    }),
    (Of::Events, |text| list(json!({"id": text, "created": text, "eventTypeName": text}))),
    (Of::Projects, |text| list(json!({"id": text, "name": text}))),
    (Of::Projects, |text| list(json!({"id": "5f0e5a3b9c1d4e6f8a7bffff", "name": text}))),
    (Of::Token, |text| {
        raw("401 Unauthorized", &[], &json!({"error": text, "error_description": text}).to_string())
    }),
    (Of::Token, |text| refused(&json!({"errorCode": "E", "detail": text}))),
    (Of::Token, |text| raw("403 Forbidden", &[("x-error-code", text)], text)),
    (Of::Token, |text| raw("200 OK", &[], text)),
    (Of::Token, |text| ok(&json!({"access_token": [text], "expires_in": text}))),
    (Of::Token, |text| ok(&json!({"access_token": text, "expires_in": 3600}))),
];

pub(super) fn recent() -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(1)).strftime("%FT%TZ").to_string()
}

/// Returns a new job that failed a moment ago, as each job is logged once.
pub(super) fn failed(field: &str, text: &str) -> Vec<u8> {
    let id = format!("65a1f0b2{:016x}", fastrand::u64(..));
    list(json!({"id": id, "state": "Failed", "createdAt": recent(), "stateReason": {field: text}}))
}

pub(super) fn list(entry: Value) -> Vec<u8> {
    ok(&Value::Object([("results".to_owned(), Value::Array(vec![entry]))].into_iter().collect()))
}

pub(super) fn ok(body: &Value) -> Vec<u8> {
    raw("200 OK", &[], &body.to_string())
}

pub(super) fn refused(body: &Value) -> Vec<u8> {
    raw("400 Bad Request", &[], &body.to_string())
}

/// Replaces control characters by visible ones.
pub(super) fn visible(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

pub(super) fn raw(status: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}\r\n", visible(value))).collect();
    let headers = headers.concat();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Returns the number of a field among those of its resource.
pub(super) fn number(index: usize) -> usize {
    FIELDS[..index].iter().filter(|(of, _)| *of == FIELDS[index].0).count()
}

/// Returns the project of a field by its number; the first has all clusters.
pub(super) fn project(number: usize) -> String {
    format!("5f0e5a3b9c1d4e6f8a7b{number:04x}")
}

pub(super) fn clusters() -> Vec<String> {
    let exports = FIELDS.iter().filter(|(of, _)| *of == Of::Exports).count();
    (0..exports).map(|number| format!("field-{number}")).collect()
}
