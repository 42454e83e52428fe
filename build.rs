//! Labels of `build_info`: the version of the compiler, and the revision if it is known.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=BUILD_REVISION");
    // The log of HEAD changes with every commit. A missing file would cause a rebuild every time.
    for file in [".git/HEAD", ".git/logs/HEAD"] {
        if std::path::Path::new(file).exists() {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    // "rustc 1.95.0 (59807616e 2026-04-14)"
    let version = output(&rustc, &["--version"]);
    let version = version.split_whitespace().nth(1).unwrap_or("unknown");
    println!("cargo:rustc-env=BUILD_RUST_VERSION={version}");
    if std::env::var_os("BUILD_REVISION").is_none() {
        let revision = packaged().unwrap_or_else(|| output("git", &["rev-parse", "HEAD"]));
        let revision = revision.trim().get(..12).unwrap_or("unknown");
        println!("cargo:rustc-env=BUILD_REVISION={revision}");
    }
}

/// Returns the revision of a cargo package, whose folder can be in an unrelated repository.
fn packaged() -> Option<String> {
    let info = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    info.split("\"sha1\": \"").nth(1)?.split('"').next().map(str::to_owned)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
