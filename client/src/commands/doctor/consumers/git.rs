//! git: the helpers that it would run, as it says itself.

use std::process::Command;

use cloud_agent_protocol::v1::{Finding, Level};

use super::units::standing;
use super::{Facts, bad, found, ready, words};
use crate::commands::doctor::probe::{self, Asked, PATIENCE};
use crate::commands::setup::Target;

const SETUP: &str = "`cloud-token setup git`";
const WHERE: &str = "`git config --show-origin --get-regexp '^credential\\.'` shows where it stands; edit that line";

#[cold]
pub(super) fn look(_: &Facts) -> Vec<Finding> {
    // That it is as it was written says nothing yet of what git makes of it.
    let written = standing("git", Target::Git, SETUP);
    let mut findings: Vec<Finding> = written.into_iter().filter(|found| found.level() > Level::Ok).collect();
    // With its own names for them: `credential.helper`, `credential.https://host.helper`.
    let mut git = Command::new("git");
    git.args(["config", "--null", "--get-regexp", r"^credential\.(.*\.)?helper$"]);
    match probe::ask(&mut git, PATIENCE) {
        Asked::Missing => {}
        Asked::Hung => findings.push(bad(
            "git.hangs",
            Level::Error,
            "git does not say how it is configured",
            format!("`git config` said nothing for {} s", PATIENCE.as_secs()),
            "`git config --list --show-origin` shows which file it waits for",
        )),
        Asked::Failed(why) => findings.push(broken(why)),
        Asked::Said(said) => match said.code {
            // Nothing of the kind is configured.
            Some(1) if said.complaint.is_empty() => {}
            Some(0) => findings.extend(judged(&said.stdout)),
            _ => findings.push(broken(said.complaint)),
        },
    }
    findings
}

fn broken(why: String) -> Finding {
    bad("git.config", Level::Error, "git cannot read its configuration", why, "edit the line that git names")
}

/// What is wrong with the helpers in what `git config --null` says, or that nothing is; nothing if none is ours.
fn judged(said: &str) -> Option<Finding> {
    let helpers: Vec<(&str, &str)> = said.split('\0').filter_map(|entry| entry.split_once('\n')).collect();
    let (at, (key, value)) = helpers.iter().enumerate().rev().find(|(_, (_, value))| value.contains("cloud-token"))?;
    let program = program(value);
    // Neither the address in a key nor what else a shell is to do may be shown: both may hold a password.
    let is_for_all = key.matches('.').count() == 1;
    let named = if is_for_all { "`credential.helper`" } else { "`credential.URL.helper`" };
    let evidence = format!("{named} runs `{program}`");
    if found(&program).is_none() {
        let what = format!("git runs `{program}`, which is not there");
        return Some(bad("git.program", Level::Error, what, evidence, SETUP));
    }
    // An empty one, for the same addresses, makes git forget those before it.
    let forgotten = helpers[at + 1..].iter().any(|(later, value)| value.is_empty() && later == key);
    if forgotten {
        let what = "git forgets this program again: an empty `helper` follows it";
        return Some(bad("git.reset", Level::Error, what, evidence, WHERE));
    }
    Some(ready("git", evidence))
}

/// What git runs for a helper's value (gitcredentials(7)): a path, a shell's command behind `!`, or the end of a program's name.
fn program(value: &str) -> String {
    let (command, named) = match value.strip_prefix('!') {
        Some(command) => (command.trim_start(), false),
        None => (value, !value.starts_with('/')),
    };
    // Before it, a shell takes variables, and those hold what nobody is to see.
    let is_variable = |word: &String| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let word = words(command).into_iter().find(|word| !is_variable(word)).unwrap_or_default();
    if named { format!("git-credential-{word}") } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_runs_is_found_in_each_form() {
        for (value, expected) in [
            ("/usr/bin/cloud-token helper git", "/usr/bin/cloud-token"),
            ("!'/my dir/cloud-token' helper git", "/my dir/cloud-token"),
            (r"!'/Joe'\''s dir/cloud-token' helper git", "/Joe's dir/cloud-token"),
            ("!cloud-token helper git", "cloud-token"),
            ("!TOKEN=secret _X='a b' /my/cloud-token helper git", "/my/cloud-token"),
            ("cloud-token", "git-credential-cloud-token"),
            ("cloud-token --account work", "git-credential-cloud-token"),
        ] {
            assert_eq!(program(value), expected);
        }
    }

    // It names programs as Unix has them.
    #[cfg(unix)]
    #[test]
    fn a_helper_is_forgotten_by_an_empty_one_for_the_same_addresses_only() {
        let id = |said: &str| judged(said).map(|found| found.id);
        let ours = "credential.helper\n!sh cloud-token\0";
        assert_eq!(id("credential.helper\nstore\0"), None);
        // Whatever else may be wrong, a shell is there.
        assert_eq!(id(ours).as_deref(), Some("git.ready"));
        assert_eq!(id(&format!("credential.helper\n\0{ours}")).as_deref(), Some("git.ready"));
        assert_eq!(id(&format!("{ours}credential.https://x.helper\n\0")).as_deref(), Some("git.ready"));
        assert_eq!(id(&format!("{ours}credential.helper\n\0")).as_deref(), Some("git.reset"));
        assert_eq!(id("credential.helper\n/gone/cloud-token helper git\0").as_deref(), Some("git.program"));
    }
}
