//! Sealed files with a passphrase.

use std::fs;
use std::time::Duration;

use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::terminal::Terminal;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::{PASSPHRASE, Scene};

#[test]
fn a_login_outlives_the_agent_and_its_crash() {
    let scene = Scene::new();
    scene.passphrase_in_a_file();
    let agent = scene.agent();
    scene.login();
    let first = scene.working_token();
    agent.crash();
    let agent = scene.agent();
    let second = scene.working_token();
    assert_ne!(first, second, "tokens themselves are in no file");
    assert!(agent.stop(Duration::from_secs(5)).success());
    let _agent = scene.agent();
    scene.working_token();
    assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 2));
}

#[test]
fn nothing_that_is_secret_is_in_any_file_in_plain_text() {
    let scene = Scene::new();
    let passphrase = scene.passphrase_in_a_file();
    let _agent = scene.agent();
    scene.login();
    scene.sandbox.token(["ecHome", "--fresh"]).ok();
    let mut secrets: Vec<String> = scene.cloud.secrets().into_iter().collect();
    secrets.push(PASSPHRASE.into());
    for (path, bytes) in scene.sandbox.files().into_iter().filter(|(path, _)| *path != passphrase) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{}", path.display());
    }
}

#[test]
fn a_locked_vault_is_exit_4_with_the_command_and_unlocking_heals_everything() {
    let scene = Scene::new();
    let vault = ["--vault", "passphrase"];
    let agent = scene.sandbox.agent_with(vault);
    let locked = scene.sandbox.token(["login", "ecHome", "--no-input", "--url", &scene.cloud.url()]);
    assert!(locked.fails(4).contains("`cloud-token unlock`"), "{locked:?}");
    let unlock = |passphrase: &str| {
        scene.sandbox.command(TOKEN).args(["unlock", "--passphrase", "env:PW"]).env("PW", passphrase).finish()
    };
    assert!(unlock(PASSPHRASE).ok().is_empty());
    scene.login();
    agent.crash();

    let _agent = scene.sandbox.agent_with(vault);
    for _ in 0..2 {
        let locked = scene.sandbox.token(["ecHome", "--no-input"]);
        assert!(locked.fails(4).contains("hint: `cloud-token unlock`"), "{locked:?}");
    }
    let status = scene.sandbox.token(["status"]);
    assert!(status.ok().contains("vault passphrase") && status.ok().contains("echome  locked"), "{status:?}");
    assert_eq!(status.ok().matches("warning: the vault is locked").count(), 1, "{status:?}");
    assert!(scene.sandbox.token(["vault"]).ok().starts_with("passphrase (locked)"));
    assert!(scene.sandbox.token(["unlock", "--no-input"]).fails(4).contains("locked"));
    let wrong = unlock("wrong");
    assert!(wrong.fails(1).contains("not the passphrase") && !wrong.stderr.contains("wrong\n"), "{wrong:?}");
    unlock(PASSPHRASE).ok();
    scene.working_token();
    assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 1));
}

#[test]
fn the_passphrase_is_asked_for_hidden_and_twice_when_it_is_new() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent_with(["--vault", "passphrase"]);
    let unlock_at_a_terminal = |prompts: &[&str]| {
        let terminal = Terminal::open();
        let running = terminal.run(&scene.sandbox, TOKEN, &["unlock"]).spawn();
        for prompt in prompts {
            terminal.shows(prompt);
            assert!(until(PATIENCE, || !terminal.echoes()), "what is typed is shown");
            terminal.types(&format!("{PASSPHRASE}\n"));
        }
        assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
        assert!(!terminal.shown().contains(PASSPHRASE), "{}", terminal.shown());
    };
    unlock_at_a_terminal(&["New passphrase for the vault", "The same again"]);
    agent.crash();
    let _agent = scene.sandbox.agent_with(["--vault", "passphrase"]);
    unlock_at_a_terminal(&["Passphrase of the vault"]);
}

#[test]
fn whoever_mistypes_the_passphrase_is_asked_again_and_after_three_times_told_what_to_type() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent_with(["--vault", "passphrase"]);
    let given = scene.sandbox.command(TOKEN).args(["unlock", "--passphrase", "env:PW"]).env("PW", PASSPHRASE);
    given.finish().ok();
    agent.crash();
    let _agent = scene.sandbox.agent_with(["--vault", "passphrase"]);
    for (said, code) in [(["one", "two", "three"], 1), (["one", "two", PASSPHRASE], 0)] {
        let terminal = Terminal::open().of_width(200);
        let running = terminal.run(&scene.sandbox, TOKEN, &["unlock"]).spawn();
        for (before, said) in said.into_iter().enumerate() {
            let prompts = || terminal.shown().matches("Passphrase of the vault").count();
            assert!(until(PATIENCE, || prompts() > before), "{}", terminal.shown());
            assert!(until(PATIENCE, || !terminal.echoes()), "what is typed is shown");
            terminal.types(&format!("{said}\n"));
        }
        assert_eq!(running.finish().code(), code, "{}", terminal.shown());
        let shown = terminal.shown();
        assert_eq!(
            shown.matches("not accepted: that is not the passphrase of the vault; ^D gives up").count(),
            2,
            "{shown}"
        );
        assert_eq!(shown.contains("hint: `cloud-token unlock`"), code == 1, "{shown}");
    }
}

#[test]
fn whoever_wants_a_token_of_a_locked_vault_at_a_terminal_is_asked_for_its_passphrase() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent_with(["--vault", "passphrase"]);
    let unlock = scene.sandbox.command(TOKEN).args(["unlock", "--passphrase", "env:PW"]).env("PW", PASSPHRASE);
    unlock.finish().ok();
    scene.login();
    agent.crash();
    let _agent = scene.sandbox.agent_with(["--vault", "passphrase"]);
    let terminal = Terminal::open();
    let running = terminal.run(&scene.sandbox, TOKEN, &["ecHome", "-o", "headers"]).spawn();
    terminal.shows("Passphrase of the vault");
    assert!(until(PATIENCE, || !terminal.echoes()), "what is typed is shown");
    terminal.types(&format!("{PASSPHRASE}\n"));
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    terminal.shows("Authorization: Bearer ");
    assert_eq!(scene.cloud.logins(), 1, "nobody has logged in anew");
}

#[test]
fn the_service_manager_may_hand_the_passphrase_over() {
    let scene = Scene::new();
    let credentials = scene.passphrase_in_a_file().with_file_name("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(scene.sandbox.path("passphrase"), credentials.join("cloud-agent.passphrase")).unwrap();
    scene.configure("kind = \"passphrase\"\n");
    scene.sandbox.set("CREDENTIALS_DIRECTORY", &credentials);
    let agent = scene.agent();
    scene.login();
    agent.crash();
    let _agent = scene.agent();
    scene.working_token();
    assert_eq!(scene.cloud.logins(), 1);
}

/// Both have the same state directory, each its own socket; the cloud takes every refresh token once, and a second time
/// for theft.
#[test]
fn two_agents_over_one_state_directory_use_each_others_rotations() {
    let scene = Scene::new();
    scene.passphrase_in_a_file();
    let _one = scene.agent();
    scene.login();
    let other = scene.sandbox.path("run/other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let socket = other.join("agent.sock");
    let _two = scene.sandbox.command("cloud-agent").arg("--socket").arg(&socket).spawn();
    let get = |socket: Option<&std::path::Path>| {
        let run = scene.sandbox.command(TOKEN).args(["ecHome", "--fresh", "--no-input"]);
        match socket {
            Some(socket) => run.env("CLOUD_AGENT_SOCK", socket).env("CLOUD_AGENT_NO_AUTOSTART", "1"),
            None => run,
        }
    };
    let up = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    assert!(until(PATIENCE, up));
    for _ in 0..3 {
        for who in [None, Some(socket.as_path())] {
            assert!(scene.cloud.accepts(get(who).finish().ok()));
        }
    }
    // At the same moment, too.
    for _ in 0..3 {
        let runs = [get(None).spawn(), get(Some(&socket)).spawn(), get(None).spawn(), get(Some(&socket)).spawn()];
        for run in runs {
            assert!(scene.cloud.accepts(run.finish().ok()));
        }
    }
    assert_eq!(scene.cloud.logins(), 1);
}

#[test]
fn moving_to_another_vault_keeps_every_login_and_leaves_nothing_behind() {
    let scene = Scene::new();
    let agent = scene.agent();
    scene.login();
    scene.sandbox.token(["vault", "move", "memory"]).fails(2);
    scene.sandbox.token(["vault", "move", "cupboard"]).fails(2);
    let unopened = scene.sandbox.token(["vault", "move", "passphrase", "--no-input"]);
    let said = unopened.fails(4);
    assert!(said.contains("the vault `passphrase`, to which all was to be moved, does not open"), "{said}");
    assert!(said.contains("hint: `cloud-token vault move passphrase`") && !said.contains("unlock"), "{said}");
    assert!(scene.sandbox.token(["vault"]).ok().starts_with("memory (open)"));
    let to = |kind: &str| {
        let run = scene.sandbox.command(TOKEN).args(["vault", "move", kind, "--passphrase", "env:PW"]);
        run.env("PW", PASSPHRASE).finish()
    };
    let moved = to("passphrase");
    assert!(moved.ok().is_empty() && moved.stderr.contains("1 account"), "{moved:?}");
    scene.working_token();
    scene.sandbox.token(["ecHome", "--fresh"]).ok();
    agent.crash();

    let _agent = scene.agent();
    scene.sandbox.command(TOKEN).args(["unlock", "--passphrase", "env:PW"]).env("PW", PASSPHRASE).finish().ok();
    scene.working_token();
    let shown = scene.sandbox.token(["vault"]);
    assert!(shown.ok().starts_with("passphrase (open): chosen in") && shown.ok().contains("held: echome"), "{shown:?}");
    to("memory").ok();
    scene.working_token();
    let left: Vec<_> = scene.sandbox.files().into_iter().filter(|(path, _)| path.ends_with("echome.sealed")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(scene.cloud.logins(), 1);
}
