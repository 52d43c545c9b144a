//! The manual pages and what teaches a shell to complete: both are made of the command lines themselves.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use cloud_agent_tests::fake::echome::{EcHome, Options};
use cloud_agent_tests::sandbox::{Sandbox, TOKEN};
use cloud_agent_tests::skip;

use crate::support::sandbox;

/// Set it to write the pages instead of comparing them.
const UPDATE: &str = "UPDATE_PAGES";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages of a program: its own, and one for each command that people type.
fn pages(program: Command) -> Vec<(String, String)> {
    let name = program.get_name().to_owned();
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let of_commands: Vec<_> = commands
        .map(|command| {
            let title = format!("{name}-{}", command.get_name());
            let name: &'static str = title.clone().leak();
            // One word, as the file is called: by it `whatis` finds the page.
            (title, command.name(name).display_name(name))
        })
        .collect();
    std::iter::once((name, program.clone()))
        .chain(of_commands)
        .map(|(title, command)| {
            let mut text = Vec::new();
            let page =
                Man::new(command).title(title.to_uppercase()).date("").source("cloud-agent").manual("User Commands");
            page.render(&mut text).unwrap();
            (title, String::from_utf8(text).unwrap())
        })
        .collect()
}

#[test]
fn the_manual_pages_say_what_the_help_says() {
    let mut stale = Vec::new();
    for (directory, program) in [("client/man", cloud_token::command()), ("daemon/man", cloud_agent_daemon::command())]
    {
        let directory = root().join(directory);
        let pages = pages(program);
        let names: Vec<String> = pages.iter().map(|(title, _)| format!("{title}.1")).collect();
        for there in fs::read_dir(&directory).unwrap().flatten() {
            let name = there.file_name().into_string().unwrap();
            if !names.contains(&name) {
                stale.push(name);
                if std::env::var_os(UPDATE).is_some() {
                    fs::remove_file(there.path()).unwrap();
                }
            }
        }
        for ((_, text), name) in pages.iter().zip(names) {
            if fs::read_to_string(directory.join(&name)).ok().as_ref() != Some(text) {
                if std::env::var_os(UPDATE).is_some() {
                    fs::write(directory.join(&name), text).unwrap();
                }
                stale.push(name);
            }
        }
    }
    assert!(stale.is_empty(), "{stale:?}: `{UPDATE}=1 cargo test -p cloud-agent-tests --test it pages` writes them");
}

#[test]
fn every_command_has_a_page_in_the_program_and_no_other_word_has() {
    let sandbox = sandbox();
    for command in cloud_token::command().get_subcommands() {
        let page = sandbox.token(["man", command.get_name()]);
        assert!(page.ok().starts_with(".ie"), "{}: {}", command.get_name(), page.stdout);
    }
    assert!(sandbox.token(["man"]).ok().contains("CLOUD_AGENT_SOCK"));
    let said = sandbox.token(["man", "lgoin"]);
    assert!(said.fails(2).contains("login"), "{}", said.stderr);
}

#[test]
fn man_shows_a_page_without_a_warning() {
    let what = "man_shows_a_page_without_a_warning";
    let Some(_) = skip::unless_tool(what, "groff") else { return };
    let sandbox = sandbox();
    for directory in ["client/man", "daemon/man"] {
        for page in fs::read_dir(root().join(directory)).unwrap().flatten() {
            let run = sandbox.command("groff").args(["-k", "-man", "-Tutf8", "-wall"]).arg(page.path());
            let outcome = run.finish();
            assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, ""), "{}", page.path().display());
        }
    }
}

/// A shell that has read the completions, and is asked for what follows `line`.
fn completed(sandbox: &Sandbox, shell: &str, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let (program, script) = match shell {
        "bash" => (
            "bash",
            format!(
                "source <(cloud-token completions bash)\nCOMP_WORDS=({})\nCOMP_CWORD={}\nCOMP_TYPE=9\n\
                 _clap_complete_cloud_token cloud-token '{}' ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
                words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
                words.len() - 1,
                words.last().unwrap(),
            ),
        ),
        _ => ("fish", format!("cloud-token completions fish | source\ncomplete -C '{line}'")),
    };
    let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").unwrap());
    sandbox.command(program).args(["-c", &script]).env("PATH", path).finish().ok().to_owned()
}

#[test]
fn shells_complete_commands_options_and_the_names_of_accounts_and_clouds() {
    let what = "shells_complete_commands_options_and_the_names_of_accounts_and_clouds";
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let cloud = EcHome::with(Options::default());
    let login = sandbox.command(TOKEN).args(["login", "ecHome", "--no-input", "--url", &cloud.url()]);
    let login =
        login.args(["--set", "access-id=AKIA1", "--secret", "secret=env:KEY"]).env("KEY", cloud.add_key("AKIA1"));
    login.finish().ok();
    for shell in ["bash", "fish"] {
        if skip::unless_tool(what, shell).is_none() {
            continue;
        }
        for (line, wanted) in [
            ("cloud-token log", "logout"),
            ("cloud-token ec", "ecHome"),
            ("cloud-token logout ", "ecHome"),
            ("cloud-token ecHome --min", "--min-valid"),
            ("cloud-token ecHome -o he", "headers"),
            ("cloud-token login x --cloud web", "webitel"),
            ("cloud-token setup k", "kubectl"),
            ("cloud-token forward --only e", "ecHome"),
        ] {
            let shown = completed(&sandbox, shell, line);
            let first = shown.lines().map(|line| line.split('\t').next().unwrap().trim());
            assert!(first.clone().any(|candidate| candidate == wanted), "{shell}: {line}: {shown}");
        }
    }
    // The others are not asked here, but answered as they ask.
    for (shell, typed, answer) in [("zsh", "ec", "ecHome"), ("powershell", ":ec", "ecHome\tecHome\techome")] {
        let ask = sandbox.command(TOKEN).args(["--", "cloud-token", "logout", typed]);
        let ask = ask.env("CLOUD_TOKEN_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2");
        assert!(ask.finish().ok().contains(answer), "{shell}");
        assert!(sandbox.token(["completions", shell]).ok().contains("CLOUD_TOKEN_COMPLETE"), "{shell}");
    }
    if skip::unless_tool(what, "zsh").is_some() {
        let script = sandbox.path("home/_cloud-token");
        fs::write(&script, sandbox.token(["completions", "zsh"]).ok()).unwrap();
        assert_eq!(sandbox.command("zsh").arg("-n").arg(&script).finish().code(), 0);
    }
}

#[test]
fn a_key_press_starts_no_agent_and_says_nothing_where_there_is_none() {
    let sandbox = sandbox();
    let ask = sandbox.command(TOKEN).args(["--", "cloud-token", "logout", ""]).env("CLOUD_TOKEN_COMPLETE", "bash");
    let outcome = ask.env("_CLAP_COMPLETE_INDEX", "2").finish();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, ""));
    assert!(!outcome.stdout.contains("ecHome") && sandbox.agents().is_empty());
}
