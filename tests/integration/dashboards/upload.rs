//! Form in which grafana.com accepts a dashboard: that of "Export for sharing externally".
//!
//! The data source is a variable, so the file has no inputs, and can be imported and provisioned.

use std::collections::BTreeSet;

use serde_json::Value;

use super::dashboards;

#[test]
fn dashboards_can_be_uploaded_and_provisioned() {
    for dashboard in dashboards() {
        let (uid, json) = (&dashboard.uid, &dashboard.json);
        // grafana.com refuses dashboards without these as "Old dashboard JSON format".
        assert_eq!(json["__inputs"], Value::Array(Vec::new()), "{uid}");
        assert_eq!(json["__elements"], Value::Object(serde_json::Map::new()), "{uid}");
        // grafana.com shows it in its list.
        assert!(json["description"].as_str().is_some_and(|text| text.len() > 80), "{uid}");
        assert!(json["revision"].is_u64(), "{uid}");
        // Grafana assigns `id`, and grafana.com `gnetId`.
        assert!(json.get("id").is_none() && json.get("gnetId").is_none(), "{uid}");
        let variable = dashboard.variables().iter().find(|variable| variable["type"] == "datasource");
        // Without a data source of ours.
        assert_eq!(variable.unwrap()["current"], Value::Object(serde_json::Map::new()), "{uid}");
    }
}

#[test]
fn requirements_are_those_of_the_panels() {
    for dashboard in dashboards() {
        let mut used: BTreeSet<_> =
            dashboard.panels().iter().map(|panel| ("panel", panel["type"].as_str().unwrap())).collect();
        used.extend([("grafana", "grafana"), ("datasource", "prometheus")]);
        let required = dashboard.json["__requires"].as_array().unwrap();
        let named: BTreeSet<_> =
            required.iter().map(|one| (one["type"].as_str().unwrap(), one["id"].as_str().unwrap())).collect();
        assert_eq!(named, used, "{}", dashboard.uid);
        assert_eq!(named.len(), required.len(), "{}: something is required twice", dashboard.uid);
        // As docs/dashboards.md says.
        let grafana = required.iter().find(|one| one["type"] == "grafana").unwrap();
        assert_eq!(grafana["version"], "11.0.0", "{}", dashboard.uid);
        for one in required {
            assert!(one["name"].as_str().is_some_and(|name| !name.is_empty()), "{one}");
        }
    }
}
