//! Output in a terminal, and completions in bash.

use atlas_simulator::{Cluster, Fault, FaultKind, Simulator};
use tokio::process::Command;

use crate::servers::shipped;
use crate::support::atlas::{atlas_state, exports, simulator};
use crate::support::builder::ExporterBuilder;

const EXPORTER: &str = env!("CARGO_BIN_EXE_atlas-backup-exporter");

/// Returns the output of `check` in a terminal with so many columns, or in a pipe.
async fn check(simulator: &Simulator, columns: Option<u16>, environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    ExporterBuilder::new(simulator).write(&folder);
    let mut command = if let Some(columns) = columns {
        let mut script = Command::new("script");
        script.args([
            "--quiet",
            "--return",
            "--command",
            &format!("stty cols {columns} rows 40; {EXPORTER} check"),
            "/dev/null",
        ]);
        script
    } else {
        let mut command = Command::new(EXPORTER);
        command.arg("check");
        command
    };
    command.current_dir(folder.path()).env_remove("NO_COLOR").env("TERM", "xterm-256color");
    let output = command.envs(environment.iter().copied()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "one cluster cannot be read");
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

#[tokio::test]
#[ignore = "needs Debian's bsdutils for a terminal"]
async fn check_is_colored_in_terminals_only() {
    let mut state = atlas_state([("healthy", Cluster::default()), ("closed", Cluster::default())]);
    state.faults = vec![Fault::lasting(&exports("closed"), FaultKind::error(403, "USER_UNAUTHORIZED"))];
    let simulator = simulator(state).await;
    let wide = check(&simulator, Some(160), &[]).await;
    assert!(wide.contains("\x1b[32mok\x1b[0m") && wide.contains("\x1b[31mforbidden\x1b[0m"), "{wide:?}");
    assert!(wide.starts_with("PROJECT ") && wide.lines().all(|line| line.len() < 180), "{wide}");
    let narrow = check(&simulator, Some(80), &[]).await;
    assert!(
        narrow.contains("payments / closed: \x1b[31mforbidden\x1b[0m (USER_UNAUTHORIZED)\n"),
        "{narrow:?}"
    );
    // https://no-color.org
    let without = check(&simulator, Some(160), &[("NO_COLOR", "1")]).await;
    assert!(without.starts_with("PROJECT ") && without.contains("forbidden"), "{without:?}");
    assert!(!without.contains('\x1b'), "{without:?}");
    let piped = check(&simulator, None, &[]).await;
    assert!(piped.starts_with("PROJECT ") && !piped.contains('\x1b'), "{piped:?}");
    let narrow = check(&simulator, Some(80), &[("NO_COLOR", "1")]).await;
    assert_eq!(check(&simulator, None, &[("COLUMNS", "80")]).await, narrow);
    assert!(narrow.lines().all(|line| line.len() <= 80 && !line.contains('\x1b')), "{narrow:?}");
    let wrapped = "(USER_UNAUTHORIZED)\n    the service account mdb_sa_id_1 needs the role Project Backup Manager in\n    this project, ";
    assert!(narrow.contains(wrapped), "{narrow}");
}

#[tokio::test]
#[ignore = "needs bash"]
async fn bash_completes_commands_flags_and_values() {
    let complete = async |words: &str| {
        // As called by bash for Tab after the last word.
        let script = format!(
            "source {}; words=({words}); COMP_WORDS=(\"${{words[@]}}\"); COMP_CWORD=$((${{#words[@]}} - 1)); \
             set -- $(complete -p atlas-backup-exporter); while [ \"$1\" != -F ]; do shift; done; \
             $2 \"${{words[0]}}\" \"${{words[-1]}}\" \"${{words[-2]}}\"; echo \"${{COMPREPLY[*]}}\"",
            shipped("deploy/completions/atlas-backup-exporter.bash").display()
        );
        let output = Command::new("bash").args(["-c", &script]).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("atlas-backup-exporter ch").await, "check");
    assert_eq!(complete("atlas-backup-exporter --web.l").await, "--web.listen-address");
    assert_eq!(complete("atlas-backup-exporter --log.format ''").await, "logfmt json");
    assert_eq!(complete("atlas-backup-exporter --log.level ''").await, "error warn info debug trace");
    assert_eq!(complete("atlas-backup-exporter check --output ''").await, "table json");
}
