//! Status of clusters in the dashboard, compared with the alerts and with the status page.

use std::fmt::Write as _;
use std::path::Path;

use atlas_backup_exporter::status;

use super::promtool::{Expectations, expect};
use super::scenario::{PROJECT, Scenario};

/// Query of the dashboard, whose severity must be at least that of the alerts, and none without
/// alerts.
pub(crate) struct DashboardStatus(String);

/// Value of the query of the overview for each alert.
const VALUES: [(&str, u8); 10] = [
    ("AtlasBackupExportFailed", 13),
    ("AtlasBackupExportFailureUnresolved", 13),
    ("AtlasBackupAutoExportFailed", 12),
    ("AtlasBackupExportMissing", 12),
    ("AtlasBackupExportOverdue", 11),
    ("AtlasBackupExportNeverSucceeded", 10),
    ("AtlasBackupExportBucketMissing", 9),
    ("AtlasBackupExportStalled", 7),
    ("AtlasBackupExportQueuedTooLong", 6),
    ("AtlasBackupAutoExportDisabled", 5),
];
const POLLS_FAILING: u8 = 8;
const MIN_TROUBLE: u8 = 5;
/// Number of checks of each scenario.
const CHECKS: i64 = 5;

impl DashboardStatus {
    pub(crate) fn load() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/overview.json");
        let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let panels = json["panels"].as_array().unwrap();
        let table = panels.iter().find(|panel| panel["title"] == "Clusters, worst first").unwrap();
        let mut query = table["targets"][0]["expr"].as_str().unwrap().to_owned();
        assert_eq!((&table["targets"][0]["refId"], query.starts_with("13 * ")), (&"A".into(), true));
        // Matchers that match everything only take time.
        let all = r#"job=~"$job", instance=~"$instance", project_id=~"$project", cluster_name=~"$cluster""#;
        for matchers in [all, r#"job=~"$job", instance=~"$instance""#] {
            query = query.replace(&format!("{matchers}, "), "").replace(matchers, "");
        }
        assert!(!query.contains('$'), "{query}");
        // Scenarios are shorter than thirty days, which take long to evaluate.
        query = query.replace("[30d:1h]", "[1d:1h]");
        Self(query)
    }
}

impl Expectations for DashboardStatus {
    fn write(&self, scenario: &Scenario, yaml: &mut String) {
        let on = "on (project_id, cluster_name)";
        let times: Vec<_> = (1..=CHECKS)
            .map(|part| scenario.minutes * part / CHECKS / scenario.step * scenario.step)
            .collect();
        let statuses = scenario.page_statuses(&times);
        for minute in times {
            // The status page must agree. Its constants then replace the query, which takes longer.
            let status = statuses.get(&minute).map_or_else(
                || self.0.clone(),
                |statuses| {
                    expect(yaml, &self.0, minute);
                    for (cluster, status) in statuses {
                        let labels = format!("{{cluster_name=\"{cluster}\",project_id=\"{PROJECT}\"}}");
                        writeln!(yaml, "    - {{labels: '{labels}', value: {}}}", code(*status)).unwrap();
                    }
                    let constants = statuses.iter().map(|(cluster, status)| constant(cluster, *status));
                    constants.collect::<Vec<_>>().join(" or ")
                },
            );
            // The worst firing alert as a value.
            let fires = VALUES.map(|(alert, code)| {
                let alerts = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
                format!("{code} * max by (project_id, cluster_name) ({alerts})")
            });
            let fires = fires.join(" or ");
            // The dashboard may be ahead of an alert, and shows failing polls instead of the last
            // status.
            expect(
                yaml,
                &format!("(({fires}) > {on} ({status})) unless {on} ({status}) == {POLLS_FAILING}"),
                minute,
            );
            if scenario.firing.is_empty() {
                expect(yaml, &format!("({status}) >= {MIN_TROUBLE}"), minute);
            }
        }
    }
}

/// Returns the value of a status in the query of the dashboard, where the worst is the largest.
fn code(status: status::ClusterStatus) -> u8 {
    status::ClusterStatus::Healthy as u8 - status as u8
}

/// Returns a status as a constant query.
fn constant(cluster: &str, status: status::ClusterStatus) -> String {
    let labelled =
        format!("label_replace(vector({}), \"cluster_name\", \"{cluster}\", \"\", \"\")", code(status));
    format!("label_replace({labelled}, \"project_id\", \"{PROJECT}\", \"\", \"\")")
}
