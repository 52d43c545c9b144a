//! cargo, Terraform and Bazel: each is told the name of a program, which is a link to this one, and has to find it.

use std::path::{Path, PathBuf};

use cloud_agent_protocol::v1::{Finding, Level};

use super::{Facts, bad, found, lines, ready};
use crate::places;

#[cold]
pub(super) fn cargo(_: &Facts) -> Vec<Finding> {
    const PROGRAM: &str = "cargo-credential-cloud-token";
    let Some(home) = places::directory("CARGO_HOME").or_else(|| below_home(".cargo")) else { return Vec::new() };
    let files = [home.join("config.toml"), home.join("config")];
    look("cargo", PROGRAM, &files, |line| line.contains(PROGRAM), || found(PROGRAM).is_some())
}

#[cold]
pub(super) fn terraform(_: &Facts) -> Vec<Finding> {
    const PROGRAM: &str = "terraform-credentials-cloud-token";
    let files: Vec<PathBuf> = match places::directory("TF_CLI_CONFIG_FILE") {
        Some(file) => vec![file],
        None => [".terraformrc", ".tofurc"].into_iter().filter_map(below_home).collect(),
    };
    let plugins = || {
        let plugins = below_home(".terraform.d/plugins").unwrap_or_default();
        let of_system = std::fs::read_dir(&plugins).into_iter().flatten().flatten().map(|entry| entry.path());
        of_system.chain([plugins.clone()]).any(|directory| directory.join(PROGRAM).is_file())
    };
    let names = |line: &str| line.starts_with("credentials_helper") && line.contains("\"cloud-token\"");
    look("terraform", PROGRAM, &files, names, plugins)
}

#[cold]
pub(super) fn bazel(_: &Facts) -> Vec<Finding> {
    const PROGRAM: &str = "bazel-credential-cloud-token";
    let files: Vec<PathBuf> = below_home(".bazelrc").into_iter().collect();
    let names = |line: &str| line.contains("--credential_helper") && line.contains(PROGRAM);
    look("bazel", PROGRAM, &files, names, || found(PROGRAM).is_some())
}

/// Whether a consumer whose files name `program` finds it.
fn look(
    consumer: &str,
    program: &str,
    files: &[PathBuf],
    names: impl Fn(&str) -> bool,
    is_there: impl Fn() -> bool,
) -> Vec<Finding> {
    let (mut naming, mut findings) = (None, Vec::new());
    for file in files {
        match lines(consumer, file) {
            Ok(lines) if lines.iter().any(|line| names(line)) => naming = naming.or(Some(file)),
            Ok(_) => {}
            Err(found) => findings.push(found),
        }
    }
    let Some(file) = naming else { return findings };
    let evidence = format!("`{}` names it", file.display());
    if is_there() {
        findings.push(ready(consumer, evidence));
        return findings;
    }
    let place = if consumer == "terraform" { "~/.terraform.d/plugins" } else { "~/.local/bin" };
    let what = format!("{consumer} looks for `{program}`, which is not there");
    let mend = format!("`ln -sf \"$(command -v cloud-token)\" {place}/{program}`");
    findings.push(bad(&format!("{consumer}.program"), Level::Error, what, evidence, mend));
    findings
}

fn below_home(path: &str) -> Option<PathBuf> {
    Some(places::home().ok()?.join(Path::new(path)))
}
