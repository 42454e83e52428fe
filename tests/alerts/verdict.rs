//! What the dashboard says of a cluster in one word, against the alerts and against what the status page says.

use std::fmt::Write as _;
use std::path::Path;

use atlas_backup_exporter::status;

use super::promtool::{Questions, ask};
use super::scenario::{PROJECT, Scenario};

/// Whether the dashboard's verdict is no calmer than the alerts, and calm where none fires.
pub(crate) struct Verdict(String);

/// What the verdict of the overview's table is called in its query.
const TROUBLE: [(&str, u8); 10] = [
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
const LEAST_TROUBLE: u8 = 5;
/// How often each story is looked at.
const LOOKS: i64 = 5;

impl Verdict {
    pub(crate) fn of_the_overview() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/overview.json");
        let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let panels = json["panels"].as_array().unwrap();
        let table = panels.iter().find(|panel| panel["title"] == "Clusters, worst first").unwrap();
        let mut query = table["targets"][0]["expr"].as_str().unwrap().to_owned();
        assert_eq!((&table["targets"][0]["refId"], query.starts_with("13 * ")), (&"A".into(), true));
        // Everything is looked at; matchers that say so would only cost time.
        let all = r#"job=~"$job", instance=~"$instance", project_id=~"$project", cluster_name=~"$cluster""#;
        for matchers in [all, r#"job=~"$job", instance=~"$instance""#] {
            query = query.replace(&format!("{matchers}, "), "").replace(matchers, "");
        }
        assert!(!query.contains('$'), "{query}");
        // The stories are shorter, and thirty days take their time.
        query = query.replace("[30d:1h]", "[1d:1h]");
        Self(query)
    }
}

impl Questions for Verdict {
    fn write(&self, story: &Scenario, yaml: &mut String) {
        let on = "on (project_id, cluster_name)";
        let looks: Vec<_> =
            (1..=LOOKS).map(|part| story.minutes * part / LOOKS / story.step * story.step).collect();
        let verdicts = story.verdicts(&looks);
        for minute in looks {
            // The page says the same. From there on its word is as good, and takes less time.
            let verdict = verdicts.get(&minute).map_or_else(
                || self.0.clone(),
                |said| {
                    ask(yaml, &self.0, minute);
                    for (cluster, verdict) in said {
                        let labels = format!("{{cluster_name=\"{cluster}\",project_id=\"{PROJECT}\"}}");
                        writeln!(yaml, "    - {{labels: '{labels}', value: {}}}", code(*verdict)).unwrap();
                    }
                    let said = said.iter().map(|(cluster, verdict)| constant(cluster, *verdict));
                    said.collect::<Vec<_>>().join(" or ")
                },
            );
            // The worst that fires, as a number.
            let fires = TROUBLE.map(|(alert, code)| {
                format!("{code} * max by (project_id, cluster_name) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})")
            });
            let fires = fires.join(" or ");
            // The verdict may be ahead of an alert, and says that a cluster is not seen instead of what it was last seen in.
            ask(
                yaml,
                &format!("(({fires}) > {on} ({verdict})) unless {on} ({verdict}) == {POLLS_FAILING}"),
                minute,
            );
            if story.firing.is_empty() {
                ask(yaml, &format!("({verdict}) >= {LEAST_TROUBLE}"), minute);
            }
        }
    }
}

/// The number of a verdict in the dashboard's query, where the worst is the largest.
fn code(verdict: status::ClusterStatus) -> u8 {
    status::ClusterStatus::Healthy as u8 - verdict as u8
}

/// A verdict as a query.
fn constant(cluster: &str, verdict: status::ClusterStatus) -> String {
    let labelled =
        format!("label_replace(vector({}), \"cluster_name\", \"{cluster}\", \"\", \"\")", code(verdict));
    format!("label_replace({labelled}, \"project_id\", \"{PROJECT}\", \"\", \"\")")
}
