//! Agents that are killed in the middle of a rotation, at a cloud that takes every refresh token once and ends the session
//! of whoever sends it twice.
//!
//! What may be lost is what nobody can save: between the moment at which the cloud has replaced a token and the moment at
//! which the new one is on the disk, only the reply holds it. A cloud that takes the old one again for some seconds closes
//! that window; one that does not leaves a login to the human, and the agent says so after one single try.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{Options, REFRESH};
use cloud_agent_tests::sandbox::{Agent, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::Scene;

/// A cloud without mercy, and one that takes an old token again for some seconds.
fn strict() -> Options {
    Options { blacklist: true, reuse_is_theft: true, ..Options::default() }
}

fn lenient() -> Options {
    Options { grace: Duration::from_secs(10), ..strict() }
}

/// `strace`, which kills the agent before the system call that it is told.
struct Killer(Child);

impl Killer {
    /// Attaches to every thread of the agent. The `count`th `call` of a thread that touches `file` is never made.
    fn attach(scene: &Scene, agent: &Agent, (call, file, count): (&str, &str, u32)) -> Self {
        let path = match file {
            "" => scene.vault(),
            name => scene.vault().join(name),
        };
        let mut child = Command::new("strace")
            .args(["-f", "-P", path.to_str().unwrap(), "-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:signal=SIGKILL:when={count}"), "-p", &agent.pid().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("attached") {
            line.clear();
            assert!(words.read_line(&mut line).unwrap() > 0, "strace does not attach");
        }
        // It blocks on a pipe that nobody empties.
        thread::spawn(move || std::io::copy(&mut words, &mut std::io::sink()));
        Self(child)
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Scene {
    fn vault(&self) -> std::path::PathBuf {
        self.sandbox.state().join("vault/passphrase")
    }

    /// Asks for a new token, of an agent that will not live to give it.
    fn renew_in_vain(&self) {
        let run = self.sandbox.command(TOKEN).args(["ecHome", "--fresh", "--no-input"]);
        let done = run.env("CLOUD_AGENT_NO_AUTOSTART", "1").finish();
        assert_eq!(done.code(), 3, "the agent was to die: {done:?}");
    }
}

/// Every call that writes down what is about to be spent, in turn: nothing was sent yet, so nothing is lost.
#[test]
fn killed_at_any_write_before_the_request_it_has_lost_nothing() {
    let what = "killed_at_any_write_before_the_request_it_has_lost_nothing";
    if !skip::unless_root(what) || skip::unless_tool(what, "strace").is_none() {
        return;
    }
    let points = [
        ("flock", "echome.lock", 1),
        ("openat", "echome.new", 1),
        ("write", "echome.new", 1),
        ("fsync", "echome.new", 1),
        ("rename", "echome.new", 1),
        ("fsync", "", 1),
        ("openat", "echome.new", 2),
        ("write", "echome.new", 2),
        ("fsync", "echome.new", 2),
        ("rename", "echome.new", 2),
    ];
    for point in points {
        let scene = Scene::with(strict());
        scene.passphrase_in_a_file();
        let agent = scene.agent();
        scene.login();
        let killer = Killer::attach(&scene, &agent, point);
        scene.renew_in_vain();
        drop(killer);
        assert_eq!(scene.cloud.refreshes(), 0, "{point:?}");
        agent.wait(PATIENCE);
        let _agent = scene.agent();
        scene.working_token();
        assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 1), "{point:?}");
    }
}

/// Every call that makes the reply durable, in turn. With a cloud that takes the old token again nothing is lost; with one
/// that does not, it is lost until the new file is in its place, told after one try, and the cloud is left in peace.
#[test]
fn killed_at_any_write_after_the_reply_it_tries_once_and_says_what_it_cannot_save() {
    let what = "killed_at_any_write_after_the_reply_it_tries_once_and_says_what_it_cannot_save";
    if !skip::unless_root(what) || skip::unless_tool(what, "strace").is_none() {
        return;
    }
    let points = [
        ("openat", "echome.spare", 1, true),
        ("write", "echome.spare", 1, true),
        ("fsync", "echome.spare", 1, true),
        ("rename", "echome.spare", 1, true),
        ("fsync", "", 1, false),
    ];
    for options in [lenient(), strict()] {
        for (call, file, count, lost) in points {
            let point = (call, file, count);
            let scene = Scene::with(options.clone());
            scene.passphrase_in_a_file();
            let agent = scene.agent();
            scene.login();
            scene.cloud.break_next(1, REFRESH, Fault::Delay(Duration::from_millis(700)));
            thread::scope(|scope| {
                let renewing = scope.spawn(|| scene.renew_in_vain());
                // What is about to be spent is written down by then: only what follows the reply is seen.
                assert!(until(PATIENCE, || scene.cloud.refreshes() == 1));
                let killer = Killer::attach(&scene, &agent, point);
                renewing.join().unwrap();
                drop(killer);
            });
            agent.wait(PATIENCE);
            let _agent = scene.agent();
            if lost && options.grace.is_zero() {
                for _ in 0..3 {
                    let told = scene.sandbox.token(["ecHome", "--no-input"]);
                    let said = told.fails(4);
                    assert!(
                        said.contains("is lost") && said.contains("hint: `cloud-token login ecHome`"),
                        "{point:?}: {said}"
                    );
                }
                assert_eq!(scene.cloud.refreshes(), 2, "{point:?}: one try, and no more");
                scene.login();
            }
            scene.working_token();
        }
    }
}

/// How many agents die. Each costs a start with a passphrase, so there are fewer where nobody waits for the figure.
fn deaths() -> u32 {
    let given = std::env::var("CLOUD_AGENT_CRASHES").ok().and_then(|count| count.parse().ok());
    given.unwrap_or(if skip::on_ci() { 200 } else { 40 })
}

/// Kills agents at random moments of a rotation; how many had reached the cloud by then, and how many sessions were lost,
/// each of which the cloud had rotated.
fn killed_at_random(options: Options) -> (u32, u32) {
    let scene = Scene::with(options);
    scene.passphrase_in_a_file();
    // Long enough to be hit, and with a reply that takes its time.
    scene.cloud.break_always(REFRESH, Fault::Delay(Duration::from_millis(4)));
    let mut agent = scene.agent();
    scene.login();
    let (mut reached, mut lost) = (0, 0);
    // What a renewal takes on this machine, as it is loaded now, and a little more.
    let takes = (0..3).map(|_| scene.sandbox.token(["ecHome", "--fresh", "--no-input"]).took).max().unwrap_or_default();
    let span = u32::try_from((takes * 5 / 4).as_micros()).unwrap_or(u32::MAX).max(1);
    for number in 0..deaths() {
        let before = scene.cloud.refreshes();
        // Spread over that, in an order that repeats itself nowhere.
        let moment = Duration::from_micros(u64::from(number.wrapping_mul(2_654_435_761) % span));
        thread::scope(|scope| {
            scope.spawn(|| {
                let run = scene.sandbox.command(TOKEN).args(["ecHome", "--fresh", "--no-input"]);
                let _ = run.env("CLOUD_AGENT_NO_AUTOSTART", "1").finish();
            });
            thread::sleep(moment);
            agent.crash();
        });
        agent = scene.agent();
        let next = scene.sandbox.token(["ecHome", "--no-input"]);
        if next.code() == 4 {
            // The request of the one that died had arrived, and its successor tried once.
            assert!(next.stderr.contains("is lost"), "{number}: {next:?}");
            assert_eq!(scene.cloud.refreshes(), before + 2, "{number}: {next:?}");
            lost += 1;
            scene.login();
        } else {
            assert!(scene.cloud.accepts(next.ok()), "{number}");
        }
        // Its successor has renewed once.
        reached += u32::from(scene.cloud.refreshes() > before + 1);
    }
    let aside = scene.sandbox.files().into_iter().filter(|(path, _)| path.to_string_lossy().contains("aside"));
    assert_eq!(aside.count(), 0, "every file was whole, every time");
    eprintln!("of {} agents that were killed, {reached} had reached the cloud; {lost} sessions were lost", deaths());
    (reached, lost)
}

#[test]
fn agents_killed_at_random_instants_lose_nothing_at_a_cloud_with_a_grace() {
    assert_eq!(killed_at_random(lenient()).1, 0);
}

#[test]
fn agents_killed_at_random_instants_lose_only_replies_at_a_cloud_without_a_grace() {
    let (reached, lost) = killed_at_random(strict());
    assert!(lost <= reached, "{lost} of {reached}");
}

/// A reply that never arrives, whatever becomes of the agent: at most one more try, then the human, and no storm.
#[test]
fn a_reply_that_never_arrived_is_one_more_try_and_then_exit_4() {
    for options in [lenient(), strict()] {
        let graceful = !options.grace.is_zero();
        let scene = Scene::with(options);
        scene.passphrase_in_a_file();
        let _agent = scene.agent();
        scene.login();
        scene.sandbox.command(TOKEN).args(["reject", "ecHome"]).finish().ok();
        scene.cloud.break_next(1, REFRESH, Fault::CloseAfter);
        let first = scene.sandbox.token(["ecHome", "--no-input"]);
        if graceful {
            assert!(scene.cloud.accepts(first.ok()));
        } else {
            for told in
                [first, scene.sandbox.token(["ecHome", "--no-input"]), scene.sandbox.token(["ecHome", "--no-input"])]
            {
                assert!(told.fails(4).contains("hint: `cloud-token login ecHome`"));
            }
        }
        assert_eq!(scene.cloud.refreshes(), 2);
    }
}
