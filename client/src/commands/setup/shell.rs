//! Shells: `cloud_env ACCOUNT`, which puts an account's variables into the shell itself.

use std::env;
use std::path::PathBuf;

use super::{Edit, Plan, block, mask};
use crate::places::{config_home, directory, home, unusable};
use crate::report::Failure;

/// For sh and its kin. The status is that of the question, which `eval "$(…)"` would hide.
const SH: &str = r#"# cloud_env ACCOUNT: its variables, in this shell
cloud_env() {
    _cloud_env=$(cloud-token "$@" -o env) || return
    eval "$_cloud_env"
    unset _cloud_env
}
"#;

/// For fish.
const FISH: &str = r"# cloud_env ACCOUNT: its variables, in this shell
function cloud_env
    set -l lines (cloud-token $argv -o env --shell fish)
    or return
    printf '%s\n' $lines | source
end
";

#[cold]
pub(super) fn plan(remove: bool) -> Result<Plan, Failure> {
    let shell = env::var("SHELL").unwrap_or_default();
    let name = shell.rsplit('/').next().unwrap_or_default();
    let (path, lines) = place(name)?;
    let mut edit = Edit::of(&path, 0o644, mask::sh).map_err(|e| unusable(&path, &e))?;
    if remove {
        block::take(&mut edit, "")?;
    } else {
        block::put(&mut edit, lines)?;
    }
    let note = "`cloud_env ACCOUNT` is there in every new shell";
    Ok(Plan { edits: vec![edit], notes: if remove { Vec::new() } else { vec![note.to_owned()] } })
}

/// What a shell of that name reads when somebody types into it, and what it is to read there.
fn place(shell: &str) -> Result<(PathBuf, &'static str), Failure> {
    let home = home()?;
    Ok(match shell {
        "bash" => (home.join(".bashrc"), SH),
        "zsh" => (directory("ZDOTDIR").unwrap_or(home).join(".zshrc"), SH),
        "fish" => (config_home()?.join("fish/conf.d/cloud-agent.fish"), FISH),
        _ => (home.join(".profile"), SH),
    })
}
