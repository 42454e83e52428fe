//! The systemd unit, as far as it can be judged without a systemd that runs.

use tokio::process::Command;

use crate::servers::shipped;

/// Of ten; what remains is the network, which an exporter cannot do without.
const MOST_EXPOSED: f64 = 1.5;

#[tokio::test]
#[ignore = "needs Debian's systemd; tests/run installs it"]
async fn the_unit_leaves_little_to_attack() {
    let mut judge = Command::new("systemd-analyze");
    judge
        .args(["security", "--offline=true", "--no-pager"])
        .arg(shipped("deploy/systemd/atlas-backup-exporter.service"));
    let output = judge.output().await.unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let level = said
        .split("Overall exposure level for")
        .nth(1)
        .and_then(|rest| rest.split(": ").nth(1)?.split(' ').next()?.parse().ok());
    assert!(level.is_some_and(|level: f64| level < MOST_EXPOSED), "{said}");
    // Nothing that it does not understand.
    assert!(!said.contains("Unknown") && !said.contains("ignoring"), "{said}");
}
