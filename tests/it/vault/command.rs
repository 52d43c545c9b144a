//! A program of the user's as the vault: pass, and a store that machines share. The programs are those of the docs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloud_agent_tests::sandbox::{AGENT, Sandbox, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::Scene;
use crate::support::login;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/examples").join(name)
}

fn configured(scene: &Scene, program: &[&str]) {
    scene.configure(&format!("kind = \"command\"\n[command]\nprogram = {program:?}\ntimeout = \"20s\"\n"));
}

/// A script as the vault's program.
fn script(scene: &Scene, text: &str) -> String {
    let path = scene.sandbox.path("vault.sh");
    crate::support::put_script(&path, &format!("#!/bin/sh\n{text}\n"));
    path.to_str().unwrap().to_owned()
}

#[test]
fn pass_keeps_what_is_held_and_a_login_outlives_the_agent() {
    let what = "pass_keeps_what_is_held_and_a_login_outlives_the_agent";
    if ["pass", "gpg"].iter().any(|tool| skip::unless_tool(what, tool).is_none()) {
        return;
    }
    let scene = Scene::new();
    let gnupg = scene.sandbox.path("gnupg");
    fs::create_dir(&gnupg).unwrap();
    fs::set_permissions(&gnupg, fs::Permissions::from_mode(0o700)).unwrap();
    scene.sandbox.set("GNUPGHOME", &gnupg);
    scene.sandbox.set("PASSWORD_STORE_DIR", scene.sandbox.path("store"));
    let made = scene.sandbox.command("gpg").args(["--batch", "--passphrase", "", "--quick-gen-key", "me@example.org"]);
    made.finish().ok();
    scene.sandbox.command("pass").args(["init", "me@example.org"]).finish().ok();
    configured(&scene, &[example("vault-pass").to_str().unwrap()]);

    let agent = scene.agent();
    scene.login();
    let shown = scene.sandbox.command("pass").args(["show", "cloud-agent/echome"]).finish();
    assert!(shown.ok().starts_with("cloud-agent-record 1 "), "{shown:?}");
    agent.crash();
    let _agent = scene.agent();
    scene.working_token();
    let vault = scene.sandbox.token(["vault"]);
    assert!(vault.ok().starts_with("command (open)") && vault.ok().contains("held: echome"), "{vault:?}");
    assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 1));
    scene.sandbox.token(["logout", "ecHome"]).ok();
    assert!(!scene.sandbox.path("store/cloud-agent/echome.gpg").exists());
    let _ = Command::new("gpgconf").args(["--kill", "gpg-agent"]).env("GNUPGHOME", &gnupg).status();
}

/// Two machines, one account, one cloud that takes every refresh token once and a second time for theft.
#[test]
fn two_machines_that_share_a_store_do_not_log_each_other_out() {
    let scene = Scene::new();
    let store = scene.sandbox.path("shared");
    fs::create_dir(&store).unwrap();
    let program = example("vault-shared");
    let program = [program.to_str().unwrap(), store.to_str().unwrap()];
    configured(&scene, &program);
    let other: Sandbox = crate::support::sandbox();
    fs::create_dir_all(other.config()).unwrap();
    for name in ["vault.toml", "accounts.toml"] {
        let _ = fs::copy(scene.sandbox.config().join(name), other.config().join(name));
    }
    let _here = scene.agent();
    scene.login();
    fs::copy(scene.sandbox.config().join("accounts.toml"), other.config().join("accounts.toml")).unwrap();
    let _there = other.agent_with::<[&str; 0]>([]);
    let get = |sandbox: &Sandbox| {
        let run = sandbox.command(TOKEN).args(["ecHome", "--fresh", "--no-input", "--timeout", "40s"]);
        run.env("CLOUD_AGENT_NO_AUTOSTART", "1").spawn()
    };
    for _ in 0..5 {
        // The same moment, on both.
        for run in [get(&scene.sandbox), get(&other)] {
            let token = run.finish();
            assert!(scene.cloud.accepts(token.ok()), "{token:?}");
        }
    }
    assert_eq!(scene.cloud.logins(), 1);
    assert!(scene.cloud.refreshes() >= 10);
    // A login on one is used by the other.
    scene.login();
    assert!(scene.cloud.accepts(get(&other).finish().ok()));
}

#[test]
fn secrets_are_on_its_stdin_and_in_no_argument() {
    let scene = Scene::new();
    let seen = scene.sandbox.path("seen");
    let store = scene.sandbox.path("shared");
    fs::create_dir(&store).unwrap();
    let shared = example("vault-shared");
    let text = format!(
        "echo \"$@\" >>'{}'; env >>'{}'; exec '{}' '{}' \"$@\"",
        seen.display(),
        seen.display(),
        shared.display(),
        store.display()
    );
    configured(&scene, &[&script(&scene, &text)]);
    let _agent = scene.agent();
    scene.login();
    scene.sandbox.token(["ecHome", "--fresh"]).ok();
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("save echome 0") && seen.contains("load echome"), "{seen}");
    for secret in scene.cloud.secrets() {
        assert!(!seen.contains(&secret));
    }
}

#[test]
fn a_program_that_fails_hangs_or_talks_nonsense_is_named_and_costs_nobody_the_token() {
    for (text, says) in [
        ("echo 'no such store' >&2; exit 3", "exit 3: no such store"),
        ("sleep 60", "has not ended within"),
        ("echo nonsense", "is no record"),
        ("kill -9 $$", "a signal ended it"),
    ] {
        let scene = Scene::new();
        let good = script(&scene, "case $1 in load) : ;; esac");
        scene.configure(&format!("kind = \"command\"\n[command]\nprogram = [{good:?}]\ntimeout = \"1s\"\n"));
        let agent = scene.agent();
        scene.login();
        script(&scene, text);
        let token = scene.sandbox.token(["ecHome"]);
        assert!(scene.cloud.accepts(token.ok()), "{says}");
        scene.sandbox.token(["ecHome", "--fresh", "--no-input"]).fails(1);
        let status = scene.sandbox.token(["status"]);
        assert!(status.ok().contains(says), "{says}: {status:?}");
        assert!(agent.runs());
    }
}

#[test]
fn a_program_that_does_not_exist_is_told_at_the_first_use_and_none_at_the_start() {
    let scene = Scene::new();
    configured(&scene, &["/nonexistent/vault"]);
    let _agent = scene.agent();
    let done = login(&scene.sandbox, "ecHome", &scene.cloud.url(), &scene.secret).finish();
    // The token is there all the same; what is held is in memory, and said so.
    assert_eq!(done.code(), 0, "{done:?}");
    assert!(scene.sandbox.token(["status"]).ok().contains("in memory only"));
    scene.configure("kind = \"command\"\n");
    let other = scene.sandbox.path("run/other/agent.sock");
    let started = scene.sandbox.command(AGENT).arg("--socket").arg(other).finish();
    assert!(started.fails(2).contains("has no program"), "{started:?}");
    assert!(until(PATIENCE, || scene.sandbox.token(["ecHome"]).code() == 0));
}
