//! `cloud-token restart`: another program, the same agent.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cloud_agent_protocol::v1::{Get, Request, Response};
use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{EcHome, Options, REFRESH};
use cloud_agent_tests::process;
use cloud_agent_tests::raw::Raw;
use cloud_agent_tests::sandbox::{AGENT, Agent, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::systemd::Manager;
use crate::support::{KEY, login, sandbox, token};

/// An agent, with an account at a cloud where a refresh token works once: whoever lost one would be found out.
struct Scene {
    cloud: EcHome,
    secret: String,
    sandbox: Sandbox,
    agent: Agent,
}

impl Scene {
    fn new() -> Self {
        Self::with(|sandbox| sandbox.agent())
    }

    fn with(start: impl FnOnce(&Sandbox) -> Agent) -> Self {
        let cloud = EcHome::with(Options { blacklist: true, ..Options::default() });
        let secret = cloud.add_key(KEY);
        let sandbox = sandbox();
        let agent = start(&sandbox);
        login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
        Self { cloud, secret, sandbox, agent }
    }

    /// Who answers now.
    fn pid(&self) -> u32 {
        match self.sandbox.raw().answer(&Request::Status) {
            Response::Status(status) => status.pid,
            other => panic!("no status: {other:?}"),
        }
    }

    /// Restarts it; who answers then.
    #[track_caller]
    fn restart(&self) -> u32 {
        let before = self.pid();
        let outcome = self.sandbox.token(["restart"]);
        assert!(outcome.ok().is_empty() && outcome.stderr.contains("restarted: version "), "{outcome:?}");
        let after = self.pid();
        assert_ne!(before, after);
        assert!(until(PATIENCE, || self.sandbox.agents() == [after]), "the old one leaves");
        after
    }

    fn renew(&self) -> String {
        self.sandbox.token(["ecHome", "--fresh", "--no-input"]).ok().to_owned()
    }
}

fn get(account: &str) -> Request {
    let account = account.to_owned();
    Request::Get(Get { account, min_valid: None, fresh: false, environment: false, deadline_ms: 20_000 })
}

#[test]
fn what_was_in_memory_only_is_there_after_a_restart_and_nobody_logs_in_again() {
    let scene = Scene::new();
    let before = token(&scene.sandbox, "ecHome");
    for _ in 0..3 {
        scene.restart();
        assert_eq!(token(&scene.sandbox, "ecHome"), before, "the cached token");
    }
    let renewed = scene.renew();
    assert!(scene.cloud.accepts(&renewed) && renewed != before);
    scene.restart();
    assert!(scene.cloud.accepts(&scene.renew()), "with what the renewal brought");
    assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 2));
    scene.sandbox.token(["logout", "ecHome"]).ok();
    scene.restart();
    assert_eq!(scene.sandbox.token(["ecHome", "--no-input"]).code(), 4, "what was forgotten stays so");
}

#[test]
fn under_load_no_request_fails_and_none_is_answered_by_nobody() {
    let scene = Scene::new();
    let expected = token(&scene.sandbox, "ecHome");
    let (over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let count = |answer: &Response| {
        let Response::Credential(credential) = answer else { panic!("{answer:?}") };
        assert_eq!(credential.token.as_ref().map(cloud_agent_protocol::Secret::expose), Some(expected.as_str()));
        answers.fetch_add(1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                // One connection for all of it.
                let mut raw = scene.sandbox.raw();
                while !over.load(Ordering::Relaxed) {
                    count(&raw.answer(&get("ecHome")));
                }
            });
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    count(&scene.sandbox.raw().answer(&get("ecHome")));
                }
            });
            scope.spawn(|| {
                // What no cache answers.
                let mut raw = scene.sandbox.raw();
                while !over.load(Ordering::Relaxed) {
                    assert!(matches!(raw.answer(&Request::ListServed), Response::Served(_)));
                    assert!(matches!(scene.sandbox.raw().answer(&Request::Status), Response::Status(_)));
                }
            });
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(token(&scene.sandbox, "ecHome"), expected);
            }
        });
        let mut last = 0;
        for _ in 0..5 {
            assert!(until(PATIENCE, || answers.load(Ordering::Relaxed) > last + 50));
            let outcome = scene.sandbox.token(["restart"]);
            last = answers.load(Ordering::Relaxed);
            if outcome.code() != 0 {
                over.store(true, Ordering::Relaxed);
                panic!("{outcome:?}");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(until(PATIENCE, || scene.sandbox.agents().len() == 1));
    assert_eq!(scene.cloud.logins(), 1);
}

#[test]
fn a_renewal_under_way_comes_to_its_end_and_its_result_is_handed_over() {
    let scene = Scene::new();
    let before = token(&scene.sandbox, "ecHome");
    scene.cloud.break_next(1, REFRESH, Fault::Delay(Duration::from_millis(700)));
    let renewing = scene.sandbox.command(TOKEN).args(["ecHome", "--fresh"]).spawn();
    scene.cloud.wait_for(PATIENCE, |requests| requests.iter().any(|request| request.path.contains("refresh")));
    let restarting = scene.sandbox.command(TOKEN).arg("restart").spawn();
    // Whoever needs no cloud is answered meanwhile, by either of the two.
    assert_eq!(token(&scene.sandbox, "ecHome"), before);
    let renewed = renewing.finish().ok().to_owned();
    restarting.finish().ok();
    assert!(renewed != before && scene.cloud.accepts(&renewed));
    assert_eq!(token(&scene.sandbox, "ecHome"), renewed);
    assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 1));
}

#[test]
fn restarts_that_are_wished_for_at_the_same_time_all_come_true() {
    let scene = Scene::new();
    let before = token(&scene.sandbox, "ecHome");
    let wishes: Vec<_> = (0..4).map(|_| scene.sandbox.command(TOKEN).arg("restart").spawn()).collect();
    for wish in wishes {
        let outcome = wish.finish();
        assert!(outcome.ok().is_empty() && outcome.stderr.contains("restarted: version "), "{outcome:?}");
    }
    assert!(until(PATIENCE, || scene.sandbox.agents().len() == 1));
    assert_eq!(token(&scene.sandbox, "ecHome"), before);
}

fn with_passphrase(sandbox: &Sandbox, command: &str, passphrase: &str) -> i32 {
    sandbox.command(TOKEN).args([command, "--passphrase", "stdin", "--no-input"]).stdin(passphrase).finish().code()
}

#[test]
fn locked_stays_locked_and_opens_with_the_same_passphrase() {
    let scene = Scene::new();
    let before = token(&scene.sandbox, "ecHome");
    assert_eq!(with_passphrase(&scene.sandbox, "lock", "sesame"), 0);
    scene.restart();
    let refused = scene.sandbox.token(["ecHome", "--no-input"]);
    assert!(refused.fails(4).contains("the agent is locked"), "{refused:?}");
    assert_eq!(with_passphrase(&scene.sandbox, "unlock", "wrong"), 1);
    assert_eq!(with_passphrase(&scene.sandbox, "unlock", "sesame"), 0);
    let after = token(&scene.sandbox, "ecHome");
    assert!(after != before && scene.cloud.accepts(&after), "a lock forgets what is cached, and keeps what is held");
    assert_eq!(scene.cloud.logins(), 1);
    // An agent that was locked once locks by itself.
    scene.restart();
    scene.sandbox.token(["lock", "--no-input"]).ok();
    assert_eq!(with_passphrase(&scene.sandbox, "unlock", "sesame"), 0);
}

#[test]
fn a_vault_that_somebody_opened_stays_open() {
    let scene = Scene::with(|sandbox| {
        let agent = sandbox.agent_with(["--vault", "passphrase"]);
        assert_eq!(with_passphrase(sandbox, "unlock", "vault-passphrase"), 0);
        agent
    });
    scene.restart();
    assert!(scene.cloud.accepts(&scene.renew()));
    let status = scene.sandbox.token(["status"]);
    assert!(status.ok().contains("vault passphrase (chosen by `--vault`)"), "{status:?}");
    assert_eq!(scene.cloud.logins(), 1);
}

#[test]
fn an_account_that_no_file_knows_is_handed_over() {
    let scene = Scene::new();
    login(&scene.sandbox, "guest", &scene.cloud.url(), &scene.secret).arg("--ephemeral").finish().ok();
    let before = token(&scene.sandbox, "guest");
    scene.restart();
    assert_eq!(token(&scene.sandbox, "guest"), before);
    let renewed = scene.sandbox.token(["guest", "--fresh", "--no-input"]);
    assert!(scene.cloud.accepts(renewed.ok()));
}

/// What is found at the program's path in its stead.
fn replace(sandbox: &Sandbox, with: &str) {
    let path = sandbox.program(AGENT);
    fs::remove_file(&path).unwrap();
    crate::support::put_script(&path, with);
}

#[test]
fn if_the_new_program_does_not_come_up_the_old_one_goes_on_and_says_why() {
    let scene = Scene::new();
    let (before, pid) = (token(&scene.sandbox, "ecHome"), scene.pid());
    let broken: [(&str, &[&str]); 4] = [
        (
            "#!/bin/sh\necho 'error: no such library' >&2\necho 'hint: install it' >&2\nexit 3\n",
            &["no such library", "hint: install it", "exit status: 3"],
        ),
        ("#!/bin/sh\necho \"error: unexpected argument $*\" >&2\nexit 2\n", &["unexpected argument", "--successor"]),
        ("#!/bin/sh\nkill -SEGV $$\n", &["signal: 11"]),
        ("\x7fELF and nothing behind it", &["cloud-agent"]),
    ];
    for (program, words) in broken {
        replace(&scene.sandbox, program);
        let outcome = scene.sandbox.token(["restart"]);
        let said = outcome.fails(1);
        assert!(said.contains("was not restarted, and goes on as it was"), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    }
    // One that never says anything.
    replace(&scene.sandbox, "#!/bin/sh\nexec sleep 60\n");
    let outcome = scene.sandbox.token(["restart", "--timeout", "2s"]);
    assert!(outcome.code() != 0 && outcome.stderr.contains("took more than"), "{outcome:?}");
    assert!(outcome.stderr.contains("hint: `cloud-token restart --timeout 5m` waits longer"), "{outcome:?}");
    fs::remove_file(scene.sandbox.program(AGENT)).unwrap();
    assert!(scene.sandbox.token(["restart"]).fails(1).contains("No such file"));
    assert_eq!(scene.pid(), pid);
    assert_eq!(token(&scene.sandbox, "ecHome"), before);
    assert!(scene.cloud.accepts(&scene.renew()));
    assert_eq!(scene.cloud.logins(), 1);
    assert!(process::descendants(pid).is_empty(), "nothing is left of what did not come up");
}

#[test]
fn a_configuration_that_the_new_program_cannot_use_leaves_the_old_one_as_it_was() {
    let scene = Scene::new();
    let (before, pid) = (token(&scene.sandbox, "ecHome"), scene.pid());
    let toml = scene.sandbox.config().join("vault.toml");
    fs::write(&toml, "kind = 1\n").unwrap();
    let outcome = scene.sandbox.token(["restart"]);
    assert!(outcome.fails(1).contains("vault.toml") && outcome.stderr.contains("goes on as it was"), "{outcome:?}");
    assert!(scene.sandbox.socket().exists(), "the new one has taken nothing with it");
    assert_eq!((scene.pid(), token(&scene.sandbox, "ecHome")), (pid, before));
    fs::remove_file(toml).unwrap();
    scene.restart();
    assert!(scene.cloud.accepts(&scene.renew()));
}

#[test]
fn a_restart_runs_what_lies_at_the_path_now() {
    let scene = Scene::new();
    let path = scene.sandbox.program(AGENT);
    let old = fs::metadata(&path).unwrap().ino();
    // An update: another file, renamed over the old one, which the kernel calls `(deleted)` from then on.
    let fresh = scene.sandbox.path("bin/fresh");
    assert!(std::process::Command::new("cp").args([&path, &fresh]).status().unwrap().success());
    fs::rename(&fresh, &path).unwrap();
    let pid = scene.restart();
    let new = fs::metadata(format!("/proc/{pid}/exe")).map(|meta| meta.ino());
    if let Ok(new) = new {
        assert_ne!(new, old);
        assert_eq!(new, fs::metadata(&path).unwrap().ino());
    }
    assert_eq!(process::program(pid).as_deref(), Some(Path::new(&path)));
}

#[test]
fn nothing_that_is_handed_over_is_in_an_argument_a_variable_or_a_file() {
    let scene = Scene::new();
    let mut secrets: Vec<String> = scene.cloud.secrets().into_iter().collect();
    secrets.push(token(&scene.sandbox, "ecHome"));
    let pid = scene.restart();
    let told = process::arguments(pid).join("\n") + &process::environment(pid).join("\n");
    assert!(told.contains("--successor"));
    assert!(!secrets.iter().any(|secret| told.contains(secret)));
    for (path, bytes) in scene.sandbox.files() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{}", path.display());
    }
}

#[test]
fn the_next_agent_of_a_service_becomes_its_main_process() {
    let sandbox = sandbox();
    let path = sandbox.path("home/notify");
    let manager = Manager::new(&path);
    let agent = sandbox.agent_from(sandbox.command(AGENT).args(["--vault", "memory"]).env("NOTIFY_SOCKET", &path));
    assert_eq!(manager.hears(), "READY=1");
    sandbox.token(["restart"]).ok();
    let main = manager.hears();
    assert_eq!(manager.hears(), "READY=1", "of the next one");
    assert!(agent.wait(PATIENCE).success(), "the old one ends in good order, and tells of no stop");
    let agents = sandbox.agents();
    assert_eq!(agents.iter().map(|pid| format!("MAINPID={pid}")).collect::<Vec<_>>(), [main]);
    sandbox.token(["stop"]).ok();
    assert_eq!(manager.hears(), "STOPPING=1");
    assert!(until(PATIENCE, || sandbox.agents().is_empty() && !sandbox.socket().exists()));
}

#[test]
fn an_agent_that_lives_for_a_program_still_does_after_a_restart() {
    let sandbox = sandbox();
    let script = "\"$TOKEN\" restart && \"$TOKEN\" status >/dev/null && touch done && exec sleep 60";
    let run = sandbox.command(AGENT).args(["--vault", "memory", "--", "sh", "-c", script]);
    let running = run.env("TOKEN", sandbox.program(TOKEN)).spawn();
    assert!(until(PATIENCE, || sandbox.path("home/done").exists()));
    assert!(until(PATIENCE, || sandbox.agents().len() == 1));
    running.signal(Signal::TERM);
    let _ = running.finish();
    assert!(until(PATIENCE, || sandbox.agents().is_empty() && !sandbox.socket().exists()));
}

#[test]
fn a_forwarded_socket_goes_on_at_the_next_agent_and_holds_up_nobody() {
    let scene = Scene::new();
    let path = scene.sandbox.path("run/forwarded/agent.sock");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    let forward = scene.sandbox.command(TOKEN).args(["forward", "--only", "ecHome"]).arg(&path).spawn();
    assert!(until(PATIENCE, || path.exists()));
    let through = |account: &str| {
        let run = scene.sandbox.command(TOKEN).args([account, "--no-input"]).env("CLOUD_AGENT_SOCK", &path);
        run.env("CLOUD_AGENT_NO_AUTOSTART", "1").finish()
    };
    through("ecHome").ok();
    scene.restart();
    assert!(until(PATIENCE, || through("ecHome").code() == 0));
    assert_ne!(through("other").code(), 0, "as restricted as before");
    forward.signal(Signal::TERM);
    let _ = forward.finish();
    assert!(!path.exists());
}

#[test]
fn a_socket_that_is_removed_is_there_again_under_the_next_agent_too() {
    let scene = Scene::new();
    let pid = scene.restart();
    fs::remove_file(scene.sandbox.socket()).unwrap();
    assert!(until(PATIENCE, || Raw::connect(&scene.sandbox.socket()).is_ok()));
    assert_eq!(scene.pid(), pid);
    let second = scene.sandbox.command(AGENT).args(["--vault", "memory"]).finish();
    assert!(second.stderr.contains("already running"), "the lock has passed on, too: {second:?}");
    assert!(scene.agent.wait(PATIENCE).success());
}

#[test]
fn without_an_agent_there_is_nothing_to_restart() {
    let sandbox = sandbox();
    assert!(sandbox.token(["restart"]).fails(3).contains("no agent answers"));
    assert_eq!(sandbox.agents(), Vec::<u32>::new());
}
