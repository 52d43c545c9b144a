//! `--wait`: callers are parked at the agent until a login, an unlock or an answered code serves them all.

#[cfg(target_os = "linux")]
use std::os::unix::fs::DirBuilderExt as _;
use std::time::Duration;

use cloud_agent_protocol::v1::{AwaitHuman, Login, Request, Response};
use cloud_agent_tests::dialogue::{Dialogue, login as dialogue_login};
use cloud_agent_tests::fake::cleura::{Cleura, Second};
use cloud_agent_tests::process;
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::{LONG, Scene, sandbox};

#[test]
fn fifty_parked_callers_and_one_login_are_one_notice_one_login_at_the_cloud_and_fifty_tokens() {
    let scene = Scene::new();
    scene.lose();
    let parked = scene.parked(50);
    let leaves = scene.caller(LONG);
    scene.is_told();
    // Whoever leaves cancels nothing.
    leaves.signal(Signal::KILL);
    assert_eq!(leaves.finish().code(), -1);
    scene.log_in();
    for caller in parked {
        let outcome = caller.finish();
        assert!(scene.cloud.accepts(outcome.ok()), "{outcome:?}");
    }
    assert_eq!(scene.cloud.logins(), 2, "with the one before");
    assert_eq!(scene.told(), ["ecHome: cloud-token login ecHome"]);
}

#[test]
fn a_wait_in_vain_is_exit_code_4_and_what_to_type() {
    let scene = Scene::new();
    scene.lose();
    let outcome = scene.caller("300ms").finish();
    assert!(outcome.fails(4).contains("hint: `cloud-token login ecHome`"), "{outcome:?}");
    let exec = scene.sandbox.command(TOKEN).args(["exec", "ecHome", "--no-input", "--", "true"]);
    let outcome = exec.env("CLOUD_AGENT_WAIT", "300ms").finish();
    assert!(outcome.fails(4).contains("waiting for up to 0 s"), "{outcome:?}");
}

#[test]
fn an_unlock_serves_whoever_waits() {
    let scene = Scene::new();
    let passphrase = |command: &str| {
        let run = scene.sandbox.command(TOKEN).args([command, "--passphrase", "stdin", "--no-input"]);
        run.stdin("sesame").finish().ok();
    };
    passphrase("lock");
    let parked = scene.parked(3);
    // Whoever knows an address only is not told before whose that is.
    let url = scene.cloud.url();
    let host = url.strip_prefix("http://").unwrap();
    let git = scene.sandbox.command(TOKEN).args(["helper", "git", "--wait", LONG, "get"]);
    let git = git.stdin(format!("capability[]=authtype\nprotocol=http\nhost={host}\n\n")).spawn();
    scene.is_told();
    assert_eq!(scene.told(), [": cloud-token unlock"], "a locked agent names no account");
    passphrase("unlock");
    for caller in parked {
        assert!(scene.cloud.accepts(caller.finish().ok()));
    }
    let answer = git.finish();
    let credential = answer.ok().lines().find_map(|line| line.strip_prefix("credential="));
    assert!(credential.is_some_and(|token| scene.cloud.accepts(token)), "{answer:?}");
    assert_eq!(scene.cloud.logins(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_restart_takes_whoever_waits_along_and_tells_nobody_again() {
    let scene = Scene::new();
    scene.lose();
    let parked = scene.parked(5);
    scene.is_told();
    scene.sandbox.token(["restart"]).ok();
    assert!(until(PATIENCE, || !scene.agent.runs()), "the old one does not wait for them");
    let [agent] = scene.sandbox.agents()[..] else { panic!("there is not one agent") };
    assert!(until(PATIENCE, || process::open_files(agent).is_some_and(|open| open > 5 + 5)));
    scene.is_refused();
    scene.log_in();
    for caller in parked {
        assert!(scene.cloud.accepts(caller.finish().ok()));
    }
    assert_eq!((scene.told().len(), scene.cloud.logins()), (1, 2));
}

#[test]
fn an_agent_that_is_told_to_end_does_not_wait_for_whoever_waits() {
    let scene = Scene::new();
    scene.lose();
    let parked = scene.parked(2);
    scene.is_told();
    assert!(scene.agent.stop(Duration::from_secs(5)).success());
    for caller in parked {
        let outcome = caller.finish();
        assert!(outcome.fails(4).contains("the agent was told to end"), "{outcome:?}");
    }
    assert_eq!(scene.sandbox.agents(), Vec::<u32>::new(), "nor is another one started");
}

#[cfg(target_os = "linux")]
#[test]
fn callers_who_wait_wake_nobody() {
    let scene = Scene::new();
    scene.lose();
    let _parked = scene.parked(10);
    scene.is_told();
    let agent = scene.agent.pid();
    let calm = || {
        let before = process::voluntary_switches(agent);
        std::thread::sleep(Duration::from_secs(1));
        process::voluntary_switches(agent) == before
    };
    // The command that tells has to end, and code to be let go of.
    assert!(until(PATIENCE, calm), "it is woken every second");
}

#[test]
fn a_forwarded_socket_lets_callers_wait_for_its_own_accounts_only() {
    let scene = Scene::new();
    scene.lose();
    let wait =
        |account: &str| Request::AwaitHuman(AwaitHuman { account: account.into(), wait_ms: 100, deadline_ms: 10_000 });
    let forward = cloud_agent_protocol::v1::Forward {
        accounts: vec!["ecHome".into()],
        lifetime: None,
        confirm: false,
        name: "test".into(),
    };
    let mut owner = scene.sandbox.raw();
    let Response::Forwarding(open) = owner.answer(&Request::Forward(forward)) else { panic!("it is not opened") };
    let mut through = scene.sandbox.raw();
    let forwarded = cloud_agent_protocol::v1::Forwarded { id: open.id };
    assert!(matches!(through.answer(&Request::Forwarded(forwarded)), Response::Done(_)));
    for (account, said) in [("ecHome", "needs a login"), ("other", "this is a forwarded socket")] {
        let Response::Fault(fault) = through.then(&wait(account)) else { panic!("{account}") };
        assert!(fault.message.contains(said), "{account}: {fault}");
    }
}

/// Longer than an agent lives that dies of what it was asked.
#[cfg(target_os = "linux")]
const A_WHILE: Duration = Duration::from_millis(1200);

#[cfg(target_os = "linux")]
#[test]
fn whoever_waits_through_a_forwarded_socket_goes_on_waiting_at_the_next_agent_and_at_the_one_after_it() {
    let scene = Scene::new();
    let socket = scene.sandbox.path("run/forwarded/agent.sock");
    std::fs::DirBuilder::new().mode(0o700).create(socket.parent().unwrap()).unwrap();
    let forward = scene.sandbox.command(TOKEN).args(["forward", "--only", "ecHome"]).arg(&socket);
    let mut forward = forward.deadline(Duration::from_mins(2)).spawn();
    assert!(until(PATIENCE, || socket.exists()));
    scene.lose();
    let caller = scene.sandbox.command(TOKEN).args(["ecHome", "--no-input", "--wait", LONG]);
    let caller = caller.env("CLOUD_AGENT_SOCK", &socket).env("CLOUD_AGENT_NO_AUTOSTART", "1");
    let mut caller = caller.deadline(Duration::from_mins(2)).spawn();
    scene.is_told();
    for _ in 0..2 {
        std::thread::sleep(A_WHILE);
        scene.sandbox.token(["restart"]).ok();
        // The next agent has let its connection in.
        let is_there = || {
            let counts = scene.sandbox.token(["status", "--metrics"]);
            counts.ok().contains("cloud_agent_requests_total{kind=\"forwarded\",outcome=\"ok\"} 1")
        };
        assert!(until(PATIENCE, is_there) && caller.runs() && forward.runs(), "{}", scene.sandbox.log());
    }
    scene.log_in();
    let outcome = caller.finish();
    assert!(scene.cloud.accepts(outcome.ok()), "{outcome:?}");
    assert_eq!(scene.told(), ["ecHome: cloud-token login ecHome"], "nobody is told again");
}

const WHO: &str = "alice@example.com";

#[test]
fn one_text_message_and_one_code_in_either_terminal_serve_two_logins_and_whoever_waits() {
    let cloud = Cleura::start();
    let password = cloud.add(WHO, Second::Sms);
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let settings = [("username", WHO)];
    let begin = || {
        let login = dialogue_login("cleura", &cloud.url(), &settings, &[("password", &password)]);
        Dialogue::begin(sandbox.raw(), &Request::Login(login))
    };
    let _ = begin().answer("sms-code", &cloud.last_code(WHO)).done();
    sandbox.token(["logout", "cleura"]).ok();
    let before = agent.open_files();
    let caller = || sandbox.command(TOKEN).args(["cleura", "--no-input", "--wait", LONG]).spawn();
    let parked: Vec<_> = (0..3).map(|_| caller()).collect();
    assert!(until(PATIENCE, || agent.open_files() >= before + 3), "{}", agent.doing());
    let sent = cloud.messages(WHO).len();
    let first = begin();
    assert_eq!(first.question().name, "sms-code");
    let plain = Login {
        settings: Vec::new(),
        origins: Vec::new(),
        secrets: Vec::new(),
        ..dialogue_login("cleura", "", &[], &[])
    };
    let second = Dialogue::begin(sandbox.raw(), &Request::Login(plain));
    assert!(second.question().detail.as_ref().is_some_and(|detail| detail.contains("another login of `cleura`")));
    let _ = second.answer("sms-code", &cloud.last_code(WHO)).done();
    for caller in parked {
        assert!(cloud.accepts(WHO, caller.finish().ok()));
    }
    // The first terminal still shows its question.
    let _ = first.answer("sms-code", "000000").done();
    assert_eq!((cloud.messages(WHO).len(), cloud.violations()), (sent + 1, Vec::<String>::new()));
}
