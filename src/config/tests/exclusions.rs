//! `exclude_projects` and `exclude_clusters`.

use super::*;

const ORGANIZATION: &str = "\n[[organizations]]\nid = \"5f0e5a3b9c1d4e6f8a7b0000\"\n";

fn id(last: char) -> ProjectId {
    ProjectId::parse(&format!("32b6e34b3d91647abb20e7b{last}")).unwrap()
}

#[test]
fn exclusions_are_ids_names_and_patterns() {
    let toml = format!(
        "{GOOD}exclude_clusters = []\n{ORGANIZATION}exclude_projects = [\"32b6e34b3d91647abb20e7b9\", \"My Sandbox\", \"test-*\"]\nexclude_clusters = [\"scratch\", \"tmp-?\"]\n"
    );
    let config = load(&toml, &[]).unwrap();
    assert!(!config.projects[0].clusters.excludes("prod"), "an empty list excludes nothing");
    let organization = &config.organizations[0];
    for (last, name, excluded) in [
        ('9', Some("payments"), true),
        ('9', None, true),
        ('a', Some("My Sandbox"), true),
        ('a', Some("test-1"), true),
        ('a', Some("a test-1"), false),
        ('a', Some("32b6e34b3d91647abb20e7b9"), false),
        ('a', None, false),
    ] {
        assert_eq!(organization.excludes(&id(last), name), excluded, "{last} {name:?}");
    }
    let all = load(&toml.replace("\"test-*\"", "\"*\""), &[]).unwrap();
    assert!(all.organizations[0].excludes(&id('a'), Some("x")));
    assert!(!all.organizations[0].excludes(&id('a'), None), "a name that is unknown matches no pattern");
    let names: Vec<_> = organization.exclude_clusters.iter().map(glob::Pattern::as_str).collect();
    assert_eq!(names, ["scratch", "tmp-?"]);
}

#[test]
fn exclusions_that_cannot_be_meant_are_refused() {
    for (key, place) in [
        ("projects[0].exclude_clusters", GOOD.to_owned()),
        ("organizations[0].exclude_clusters", format!("{GOOD}{ORGANIZATION}")),
        ("organizations[0].exclude_projects", format!("{GOOD}{ORGANIZATION}")),
    ] {
        let name = key.rsplit('.').next().unwrap();
        for (value, problem) in [
            ("\"test\"", "is \"test\"; it should be a list of"),
            ("[\"\"]", "is [\"\"]; it should be a list of"),
            ("[7]", "is [7]; it should be a list of"),
            ("[\"a\", \"a\"]", "names \"a\" twice"),
            ("[\"a-[\"]", "cannot be read"),
            ("[\"{a,b}\"]", "one for each"),
        ] {
            refused(&format!("{place}{name} = {value}\n"), &[], &[&format!("{key} "), problem]);
        }
    }
    refused(&format!("{GOOD}exclude_projects = [\"x\"]\n"), &[], &["projects[0].exclude_projects is no key"]);
}

#[test]
fn cluster_named_and_excluded_is_refused() {
    for excluded in ["prod", "pr*"] {
        refused(
            &format!("{GOOD}exclude_clusters = [\"{excluded}\"]\n"),
            &[],
            &["projects[0].clusters names \"prod\", which exclude_clusters excludes"],
        );
    }
    let toml = GOOD.replace("\"prod\"", "\"prod\", \"test-*\"") + "exclude_clusters = [\"test-old\"]\n";
    let clusters = &load(&toml, &[]).unwrap().projects[0].clusters;
    assert!(clusters.matches("test-old") && clusters.excludes("test-old") && !clusters.excludes("test-new"));
}
