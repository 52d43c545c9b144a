//! A test that cannot run here says so where people look, and fails where it must run.
//!
//! `cargo test` hides what a passing test prints, so a silent skip would look like a pass. Hence the words go around the
//! capture, and into a file which `tests/run` sums up.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

/// Names the file that collects what was skipped.
pub const ENV_REPORT: &str = "CLOUD_AGENT_TESTS_SKIPPED";

/// Reports that `what` is skipped because of `why`.
///
/// # Panics
/// Under `CI=true`: there, everything has to run.
pub fn skip(what: &str, why: &str) {
    assert!(!on_ci(), "cannot run `{what}`: {why}");
    report(what, why);
}

fn report(what: &str, why: &str) {
    let line = format!("SKIPPED {what}: {why}\n");
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(path) = env::var_os(ENV_REPORT)
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = file.write_all(line.as_bytes());
    }
}

/// Where the program `name` is, or a report that `what` is skipped without it.
///
/// # Panics
/// As [`skip`].
#[must_use]
pub fn unless_tool(what: &str, name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        skip(what, &format!("there is no `{name}` on PATH"));
    }
    found
}

/// Programs that Debian has no package of, and that `tests/run` cannot fetch, or not everywhere: these may be missing even where
/// everything has to run. What of them is not played with the program itself is held otherwise: Terraform by a transcript,
/// mdBook by a check of the pages that it renders.
const OPTIONAL: [&str; 2] = ["terraform", "mdbook"];

/// Where such a program is, or a report that `what` is skipped without it.
///
/// # Panics
/// For a program that may not be missing.
#[must_use]
pub fn unless_optional_tool(what: &str, name: &str) -> Option<PathBuf> {
    assert!(OPTIONAL.contains(&name), "`{name}` is not optional: `unless_tool`");
    let found = find(name);
    if found.is_none() {
        report(what, &format!("there is no `{name}` on PATH, and Debian has none"));
    }
    found
}

/// Whether this is root, or a report that `what` is skipped.
///
/// # Panics
/// As [`skip`].
#[cfg(unix)]
#[must_use]
pub fn unless_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(what, "only root can become other users");
    }
    root
}

/// Whether everything has to run.
#[must_use]
pub fn on_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// The program `name` on `PATH`.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}
