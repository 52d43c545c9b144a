//! Whoever meets a locked agent, or makes it forget: what is sealed is not there to be found, and guessing costs the guesser.

use cloud_agent_protocol::v1::{Get, GetFor, Lock, Request, Response};
use cloud_agent_tests::fake::echome::{Options, REFRESH};
use cloud_agent_tests::fake::{Fault, greencloud};
use cloud_agent_tests::sandbox::{Agent, Run, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::memory::{BODIES, hits, nothing_is_left};
use super::{Scene, sandbox};

/// What locks, and is looked for afterwards like any other secret.
const PASSPHRASE: &str = "a-passphrase-0123456789-to-lock-with";

fn with_passphrase<'a>(scene: &'a Scene, command: &str, passphrase: &str) -> Run<'a> {
    scene.sandbox.command(TOKEN).args([command, "--passphrase", "env:IT_LOCK"]).env("IT_LOCK", passphrase)
}

#[track_caller]
fn lock(scene: &Scene) {
    let locked = with_passphrase(scene, "lock", PASSPHRASE).finish();
    assert_eq!(locked.code(), 0, "{locked:?}");
}

#[track_caller]
fn unlock(scene: &Scene) {
    let unlocked = with_passphrase(scene, "unlock", PASSPHRASE).finish();
    assert_eq!(unlocked.code(), 0, "{unlocked:?}");
}

/// That nothing is to be had, in the words that mend it.
#[track_caller]
fn is_locked(scene: &Scene) {
    let get = scene.get();
    let said = get.fails(4);
    assert!(said.contains("the agent is locked") && said.contains("hint: `cloud-token unlock`"), "{said}");
}

fn logged_in(scene: &Scene, flags: &[&str]) -> Agent {
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().args(flags.iter().copied()).finish().code(), 0);
    let _ = scene.get().ok();
    agent
}

#[track_caller]
fn no_secret_is_in(agent: &Agent, scene: &Scene) {
    let mut all: Vec<String> = scene.cloud.secrets().into_iter().collect();
    all.extend(BODIES.map(str::to_owned));
    all.push(PASSPHRASE.to_owned());
    nothing_is_left(agent.pid(), &all, &all);
}

/// T10, T8
#[test]
fn a_lock_destroys_what_is_in_memory_and_an_unlock_brings_it_back() {
    if !skip::unless_root("reading the agent's memory") {
        return;
    }
    let scene = Scene::new();
    let agent = logged_in(&scene, &["--remember"]);
    lock(&scene);
    no_secret_is_in(&agent, &scene);
    is_locked(&scene);
    unlock(&scene);
    assert!(scene.cloud.accepts(scene.get().ok()));
    assert_eq!(scene.cloud.logins(), 1, "nobody had to log in again");
    lock(&scene);
    no_secret_is_in(&agent, &scene);
}

/// T8: whoever comes to the desk later.
#[test]
fn what_is_held_no_longer_is_not_in_memory() {
    if !skip::unless_root("reading the agent's memory") {
        return;
    }
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().args(["--remember", "--set", "hold-for=2s"]).finish().code(), 0);
    assert!(until(PATIENCE, || scene.get().code() == 4), "{:?}", scene.get());
    let mut all: Vec<String> = scene.cloud.secrets().into_iter().collect();
    all.extend(BODIES.map(str::to_owned));
    nothing_is_left(agent.pid(), &all, &all);
}

/// T10: a dump of it all, by root, who may.
#[test]
fn a_core_of_a_locked_agent_holds_no_secret() {
    let what = "a core of the agent";
    if !skip::unless_root(what) || skip::unless_tool(what, "gcore").is_none() {
        return;
    }
    let scene = Scene::new();
    let agent = logged_in(&scene, &["--remember"]);
    lock(&scene);
    no_secret_is_in(&agent, &scene);
    let core = scene.sandbox.path("home/core");
    let dumped = scene.sandbox.command("gcore").arg("-o").arg(&core).arg(agent.pid().to_string()).finish();
    assert_eq!(dumped.code(), 0, "{dumped:?}");
    let bytes = std::fs::read(format!("{}.{}", core.display(), agent.pid())).unwrap();
    let mut secrets: Vec<String> = scene.cloud.secrets().into_iter().collect();
    secrets.push(PASSPHRASE.to_owned());
    assert!(super::contains(&bytes, b"cloud-agent"), "there is something in it");
    assert_eq!(super::found([("the core".to_owned(), bytes.as_slice())], &secrets), None);
}

/// T9: of an open agent, what it keeps for long, and a dump that root has taken of it.
#[test]
fn what_stays_lies_in_locked_pages_that_no_dump_holds() {
    let what = "the pages of secrets";
    if !skip::unless_root(what) || skip::unless_tool(what, "gcore").is_none() {
        return;
    }
    let scene = Scene::new();
    let agent = logged_in(&scene, &["--remember"]);
    let all: Vec<String> = scene.cloud.secrets().into_iter().collect();
    let flagged = |range: &str| {
        let smaps = std::fs::read_to_string(format!("/proc/{}/smaps", agent.pid())).unwrap();
        let of_it =
            smaps.split_once(range).map(|(_, rest)| rest.split_once("VmFlags:").unwrap().1.lines().next().unwrap());
        of_it.is_some_and(|flags| [" lo", " dd", " wf"].iter().all(|flag| flags.contains(flag)))
    };
    let mut elsewhere = Vec::new();
    let settled = until(PATIENCE, || {
        let found = hits(agent.pid(), &all, &all);
        assert!(!found.is_empty(), "what is held and cached is somewhere");
        elsewhere = found.into_iter().filter(|hit| !flagged(hit.split(' ').next().unwrap())).collect();
        elsewhere.is_empty()
    });
    assert!(settled, "{}", elsewhere.join("\n"));
    let core = scene.sandbox.path("home/core");
    let dumped = scene.sandbox.command("gcore").arg("-o").arg(&core).arg(agent.pid().to_string()).finish();
    assert_eq!(dumped.code(), 0, "{dumped:?}");
    let bytes = std::fs::read(format!("{}.{}", core.display(), agent.pid())).unwrap();
    assert_eq!(super::found([("the core".to_owned(), bytes.as_slice())], &all), None);
    let _ = scene.get().ok();
}

/// T10
#[test]
fn a_locked_agent_tells_no_account_and_does_nothing_but_unlock_and_end() {
    let scene = Scene::new();
    let agent = logged_in(&scene, &[]);
    let seen = scene.cloud.requests().len();
    lock(&scene);
    let Response::Status(old) = scene.sandbox.raw().answer(&Request::Status) else { panic!("older clients ask so") };
    assert!(old.accounts.is_empty());
    let status = scene.sandbox.token(["status"]);
    assert!(status.ok().contains("the agent is locked (`cloud-token unlock`)"), "{status:?}");
    assert!(!status.stdout.to_lowercase().contains("echome"), "{status:?}");
    for command in [
        &["ecHome", "--fresh"][..],
        &["check", "ecHome"],
        &["logout", "ecHome"],
        &["reject", "ecHome"],
        &["vault"],
        &["clouds"],
        &["vault", "move", "memory"],
    ] {
        let outcome = scene.sandbox.token(command.iter().copied());
        assert!(outcome.fails(4).contains("the agent is locked"), "{command:?}: {outcome:?}");
    }
    assert!(scene.login().finish().fails(4).contains("the agent is locked"));
    let for_address = GetFor {
        url: scene.cloud.url(),
        account: None,
        consumer: "git".into(),
        min_valid: None,
        repeat_rejects: false,
        environment: false,
        deadline_ms: 5000,
    };
    let get = Get { account: "nobody".into(), min_valid: None, fresh: false, environment: false, deadline_ms: 5000 };
    for request in [Request::GetFor(for_address), Request::ListServed, Request::Get(get)] {
        let Response::Fault(fault) = scene.sandbox.raw().answer(&request) else { panic!("{request:?} was answered") };
        assert_eq!(fault.message, "the agent is locked", "{request:?}");
    }
    assert_eq!(scene.cloud.requests().len(), seen, "the cloud was left alone");
    let again = with_passphrase(&scene, "lock", "another").finish();
    assert!(again.code() == 0 && again.stderr.contains("already"), "{again:?}");
    assert_eq!(scene.sandbox.token(["drop"]).code(), 0);
    assert_eq!(scene.sandbox.token(["stop"]).code(), 0);
    assert!(until(PATIENCE, || scene.sandbox.agents().is_empty()));
    drop(agent);
}

/// T10: ssh-agent lets everybody wait for whoever is wrong.
#[test]
fn a_wrong_passphrase_delays_whoever_said_it_and_nobody_else() {
    let scene = Scene::new();
    let _agent = logged_in(&scene, &[]);
    lock(&scene);
    for _ in 0..4 {
        let wrong = with_passphrase(&scene, "unlock", "not-the-passphrase").finish();
        assert!(wrong.fails(1).contains("that is not the passphrase"), "{wrong:?}");
    }
    let mut wrong = with_passphrase(&scene, "unlock", "not-the-passphrase").spawn();
    let warned = || scene.sandbox.log().matches("a wrong passphrase to unlock with").count() == 5;
    assert!(until(PATIENCE, warned), "{}", scene.sandbox.log());
    // It waits for half a second now. Whoever knows it does not.
    let _ = scene.sandbox.token(["status"]).ok();
    assert!(wrong.runs(), "it is still waiting");
    unlock(&scene);
    assert_eq!(wrong.finish().code(), 1);
    assert!(scene.cloud.accepts(scene.get().ok()));
}

/// T10
#[test]
fn without_a_passphrase_nothing_is_locked() {
    let scene = Scene::new();
    let _agent = logged_in(&scene, &[]);
    let empty = Request::Lock(Lock { passphrase: Some("".into()), interactive: false, deadline_ms: 5000 });
    let Response::Fault(fault) = scene.sandbox.raw().answer(&empty) else { panic!("it was taken") };
    assert_eq!(fault.message, "a passphrase cannot be empty");
    let nobody = scene.sandbox.token(["lock", "--no-input"]);
    assert!(nobody.fails(4).contains("cloud-token drop"), "{nobody:?}");
    let _ = scene.get().ok();
    // Once somebody has said one, a hook need not.
    lock(&scene);
    unlock(&scene);
    assert_eq!(scene.sandbox.token(["lock", "--no-input"]).code(), 0);
    is_locked(&scene);
    unlock(&scene);
    let _ = scene.get().ok();
}

/// T10: the reply may be the only copy of the next refresh token.
#[test]
fn a_renewal_under_way_is_sealed_with_the_rest() {
    let scene = Scene::with(Options { blacklist: true, ..Options::default() });
    let _agent = logged_in(&scene, &[]);
    scene.cloud.break_next(1, REFRESH, Fault::Delay(std::time::Duration::from_secs(4)));
    let renewing = scene.sandbox.command(TOKEN).args(["ecHome", "--no-input", "--fresh"]).spawn();
    scene.cloud.wait_for(PATIENCE, |requests| requests.iter().any(|request| request.path.contains("refresh")));
    lock(&scene);
    let renewed = renewing.finish();
    assert_eq!(renewed.code(), 4, "it came too late: {renewed:?}");
    is_locked(&scene);
    unlock(&scene);
    assert!(scene.cloud.accepts(scene.get().ok()), "the rotated token was not lost");
    assert_eq!(scene.cloud.logins(), 1);
}

/// What is cached at a cloud whose access token is not held: nothing else keeps it then.
struct Green {
    cloud: greencloud::GreenCloud,
    sandbox: cloud_agent_tests::sandbox::Sandbox,
}

impl Green {
    fn new() -> (Self, Agent) {
        let cloud = greencloud::GreenCloud::with(greencloud::Options::default());
        let password = cloud.add_user("alice@example.com");
        let sandbox = sandbox();
        let agent = sandbox.agent();
        let run = sandbox.command(TOKEN).args(["login", "green", "--cloud", "greencloud", "--url", &cloud.url()]);
        let run = run.args(["--set", "email=alice@example.com", "--secret", "password=env:IT_SECRET"]);
        assert_eq!(run.env("IT_SECRET", password).finish().code(), 0);
        (Self { cloud, sandbox }, agent)
    }

    fn get(&self) -> String {
        self.sandbox.token(["green", "--no-input"]).ok().to_owned()
    }
}

/// T8, T10
#[test]
fn drop_and_its_signal_forget_cached_tokens_and_keep_what_renews_them() {
    if !skip::unless_root("reading the agent's memory") {
        return;
    }
    let (green, agent) = Green::new();
    let first = green.get();
    let dropped = green.sandbox.token(["drop"]);
    assert!(
        dropped.code() == 0 && dropped.stderr.contains("the cached token of one account is forgotten"),
        "{dropped:?}"
    );
    nothing_is_left(agent.pid(), std::slice::from_ref(&first), &[]);
    let second = green.get();
    assert_ne!(second, first, "the next use renews it");
    agent.signal(Signal::USR1);
    nothing_is_left(agent.pid(), std::slice::from_ref(&second), &[]);
    assert!(agent.log().contains("cached tokens were forgotten"));
    assert_ne!(green.get(), second);
    drop(green.cloud);
}
