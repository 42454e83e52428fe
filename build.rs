//! What `build_info` says of the build: the compiler, and the revision where it can be known.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=BUILD_REVISION");
    // The log of HEAD changes with every commit; a file that is not there would make every build a new one.
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

/// The revision that a package of cargo was made of; around its folder may be the repository of something else.
fn packaged() -> Option<String> {
    let told = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    told.split("\"sha1\": \"").nth(1)?.split('"').next().map(str::to_owned)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
