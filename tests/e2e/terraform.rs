//! Service account by Terraform.
//!
//! `python-hcl2` parses the syntax. The provider, which has the schema, cannot be installed.

use serde_json::Value;

use crate::deployed::{read, run};

/// Returns the block of a kind with this name.
fn block(terraform: &Value, kind: &str, name: &str) -> Value {
    let found = terraform[kind].as_array().unwrap().iter().find_map(|block| block.get(name));
    found.unwrap_or_else(|| panic!("no {kind} {name}: {terraform}")).clone()
}

#[test]
#[ignore = "needs python-hcl2; tests/run installs it"]
fn terraform_creates_the_documented_roles() {
    let json = run("hcl2tojson", &["-q", "--strip-string-quotes", "deploy/terraform/main.tf"]);
    let terraform: Value = serde_json::from_str(&json).unwrap();
    let document = read("docs/service-account.md");
    for (resource, place) in [
        ("mongodbatlas_service_account", "organization"),
        ("mongodbatlas_service_account_project_assignment", "each project"),
    ] {
        let roles = block(&terraform, "resource", resource)["exporter"]["roles"].clone();
        let role = roles[0].as_str().unwrap();
        let row = document.lines().find(|line| line.starts_with(&format!("| {place} |"))).unwrap();
        assert!(row.contains(&format!("| `{role}` |")), "{resource} has {role}: {row}");
        assert_eq!(roles.as_array().unwrap().len(), 1, "{resource}");
    }
    let account = &block(&terraform, "resource", "mongodbatlas_service_account")["exporter"];
    // A year: Atlas allows no more.
    assert_eq!(account["secret_expires_after_hours"], 24 * 365);
    assert_eq!(block(&terraform, "output", "client_secret")["sensitive"], true);
    for variable in ["org_id", "project_ids"] {
        block(&terraform, "variable", variable);
        assert!(document.contains(&format!("{variable}=")), "no command sets {variable}");
    }
    assert!(document.contains("terraform output -raw client_secret >"));
}
