//! `cargo install`, as README has it.

use std::path::Path;
use std::process::Command;

use super::{root, said, version};

/// Installs from `--path PACKAGE` and says what the program that comes of it is.
fn installed(package: &str, program: &str, flags: &[&str], target: &Path) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["install", "--quiet", "--locked", "--offline", "--no-track", "--path"]).arg(root().join(package));
    cargo.args(flags).arg("--root").arg(home.path()).arg("--target-dir").arg(target);
    // What the caller's cargo set for the tests must not make another program of it.
    said(cargo.env_remove("RUSTFLAGS").current_dir(home.path()));
    said(Command::new(home.path().join("bin").join(program)).arg("--version"))
}

#[test]
fn cargo_installs_the_client_from_its_directory() {
    // Where `gates.rs` has built it: a release, as anybody gets it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gates");
    assert_eq!(installed("client", "cloud-token", &[], &target), format!("cloud-token {}\n", version()));
}

#[test]
fn cargo_installs_the_agent_from_its_directory() {
    // A debug build, where most of it is built already: what a release of it takes is of no interest here.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a directory of cargo's");
    assert_eq!(installed("daemon", "cloud-agent", &["--debug"], target), format!("cloud-agent {}\n", version()));
}
