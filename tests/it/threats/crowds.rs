//! Too many clients, silent ones, and agents that do not answer.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use cloud_agent_protocol::hello;
use cloud_agent_protocol::v1::{Get, ListClouds, Request, Response};
use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::REFRESH;
use cloud_agent_tests::process;
use cloud_agent_tests::raw::Raw;
use cloud_agent_tests::sandbox::{AGENT, Agent, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use super::{Scene, sandbox};

/// Of each kind. The agent may hold more than both together.
const CROWD: usize = 500;
/// What one of the crowd may at most be given: five seconds for a request, and as much again for a busy machine.
const REAPED: Duration = Duration::from_secs(15);

/// Connects without waiting for room in the queue.
pub(super) fn connect_at_once(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(fd))
}

/// Both ends of every connection are in processes of this test.
fn room_for_a_crowd() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(8192, |hard| hard.min(8192));
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).unwrap();
    }
}

fn crowd(path: &Path, size: usize) -> Vec<UnixStream> {
    let stream = || {
        let stream = UnixStream::connect(path).expect("the agent listens");
        stream.set_nonblocking(true).unwrap();
        stream
    };
    (0..size).map(|_| stream()).collect()
}

/// The processor time that it has used, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
}

/// T15
#[test]
fn silent_and_slow_clients_delay_nobody_and_are_closed_in_time() {
    if !skip::unless_root("counting the files of the agent") {
        return;
    }
    room_for_a_crowd();
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let calm = agent.open_files();
    let silent = crowd(&scene.sandbox.socket(), CROWD);
    let mut slow = crowd(&scene.sandbox.socket(), CROWD);
    let begun = Instant::now();
    // A byte of a request that would be right in the end, to each, in every round.
    let get = Request::Get(Get {
        account: "ecHome".into(),
        min_valid: None,
        fresh: false,
        environment: false,
        deadline_ms: 5000,
    });
    let bytes = get.encode().unwrap().encode_after(&hello::encode(hello::VERSIONS));
    let mut worst = Duration::ZERO;
    let mut asked = 0;
    for byte in bytes.iter().take(bytes.len() - 1) {
        slow.retain_mut(|stream| stream.write_all(&[*byte]).is_ok());
        let started = Instant::now();
        assert!(matches!(scene.sandbox.raw().answer(&get), Response::Credential(_)));
        worst = worst.max(started.elapsed());
        asked += 1;
        let _ = until(Duration::from_millis(400), || slow.is_empty());
        if slow.is_empty() || begun.elapsed() > REAPED {
            break;
        }
    }
    assert!(slow.is_empty(), "{} slow clients are still connected", slow.len());
    assert!(begun.elapsed() > Duration::from_secs(4), "a client on a bad day is given its time");
    // A thousand others must not be felt; a bound by the clock only tells "waits for them" from "does not".
    assert!(asked > 3 && worst < Duration::from_secs(1), "the slowest of {asked} answers took {worst:?}");
    assert!(until(REAPED, || agent.open_files() <= calm), "{} files open, {calm} before", agent.open_files());
    drop(silent);
    assert_eq!(scene.get().code(), 0);
}

/// T16
#[test]
fn an_agent_out_of_file_descriptors_lives_does_not_spin_and_recovers() {
    if skip::unless_tool("an agent with few files", "prlimit").is_none() {
        return;
    }
    room_for_a_crowd();
    let scene = Scene::new();
    let run = scene.sandbox.command("prlimit").arg("--nofile=64:64").arg(scene.sandbox.program(AGENT));
    let agent: Agent = scene.sandbox.agent_from(run.args(["--vault", "memory"]));
    assert_eq!(scene.login().finish().code(), 0);
    let mut held = Vec::new();
    for _ in 0..3000 {
        match connect_at_once(&scene.sandbox.socket()) {
            Ok(stream) => held.push(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(agent.runs() && held.len() > 100);
    let (before, window) = (ticks(agent.pid()), Duration::from_secs(2));
    let _ = until(window, || false);
    let used = ticks(agent.pid()) - before;
    assert!(used < 100, "{used} hundredths of a second of {window:?} were spent");
    // Even in the crowd somebody with a question gets an answer: whoever is silent makes room.
    assert_eq!(scene.get().code(), 0, "{}", agent.log());
    drop(held);
    assert_eq!(scene.get().code(), 0);
    assert!(until(PATIENCE, || agent.open_files() < 40));
    assert!(agent.runs());
}

/// T15: the other way round, a client that asks and asks and takes no answer.
#[test]
fn a_client_that_takes_no_answer_is_closed_in_time_and_costs_no_memory() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let own = || process::status(agent.pid(), "RssAnon").unwrap();
    let (before, begun) = (own(), Instant::now());
    let frame = Request::Clouds(ListClouds { name: None }).encode().unwrap();
    let mut greedy = scene.sandbox.raw();
    greedy.send(&frame.encode_after(&hello::encode(hello::VERSIONS))).unwrap();
    let batch = frame.encode().repeat(1000);
    // Both buffers fill up, and then the agent has had enough.
    while greedy.send(&batch).is_ok() {
        assert!(begun.elapsed() < REAPED, "it is still read from");
        assert_eq!(scene.get().code(), 0, "others are served");
    }
    assert!(begun.elapsed() < REAPED, "{:?}", begun.elapsed());
    assert!(own().saturating_sub(before) < 1024, "{} KiB, {before} before", own());
    assert_eq!(scene.get().code(), 0);
}

/// T16: who was asked to leave while there was no room must not be somebody who came when there was.
#[test]
fn a_burst_that_is_over_costs_no_later_caller_its_connection() {
    let what = "an agent with few files";
    if !skip::unless_root(what) || skip::unless_tool(what, "prlimit").is_none() {
        return;
    }
    let sandbox = sandbox();
    let run = sandbox.command("prlimit").arg("--nofile=64:64").arg(sandbox.program(AGENT));
    let agent = sandbox.agent_from(run.args(["--vault", "memory"]));
    for round in 0..5 {
        // Each brings what it has to say and goes: none of them is idle when room is wanted.
        for _ in 0..200 {
            if let Ok(mut stream) = connect_at_once(&sandbox.socket()) {
                let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
            }
        }
        assert!(until(PATIENCE, || agent.open_files() < 20), "round {round}: {} files", agent.open_files());
        let mut patient = sandbox.raw();
        assert_eq!(patient.closed(Duration::from_millis(200)), None, "round {round}: nobody wants its place");
        assert!(matches!(patient.answer(&Request::Status), Response::Status(_)));
    }
}

/// T15, T16: where there are few files, whoever has been answered makes room for the next.
#[test]
fn a_burst_of_a_thousand_clients_is_answered_without_an_error() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    burst(&scene, &agent);
    drop(agent);
    if skip::unless_tool("an agent with few files", "prlimit").is_none() {
        return;
    }
    let run = scene.sandbox.command("prlimit").arg("--nofile=64:64").arg(scene.sandbox.program(AGENT));
    let agent = scene.sandbox.agent_from(run.args(["--vault", "memory"]));
    burst(&scene, &agent);
    assert!(until(PATIENCE, || agent.open_files() < 40), "{} files are open", agent.open_files());
}

/// T16: the other end of files, where a connection to a cloud is one too.
#[test]
fn files_that_run_out_while_clouds_are_asked_cost_a_moment_and_no_account() {
    if skip::unless_tool("an agent with few files", "prlimit").is_none() {
        return;
    }
    let scene = Scene::new();
    let run = scene.sandbox.command("prlimit").arg("--nofile=64:64").arg(scene.sandbox.program(AGENT));
    let agent = scene.sandbox.agent_from(run.args(["--vault", "memory"]));
    let names: Vec<String> = (0..60).map(|number| format!("ecHome-{number}")).collect();
    for name in &names {
        scene.login_as(name).finish().ok();
    }
    let fresh = |name: &String| scene.sandbox.command(TOKEN).args([name, "--fresh", "--no-input"]);
    scene.cloud.break_always(REFRESH, Fault::Delay(Duration::from_secs(2)));
    let clients: Vec<_> = names.iter().map(|name| fresh(name).spawn()).collect();
    let mut short = 0;
    for client in clients {
        let outcome = client.finish();
        if !outcome.status.success() {
            assert!(outcome.fails(5).contains("Too many open files"), "nobody else is blamed: {outcome:?}");
            short += 1;
        }
    }
    assert!(short > 0, "there were files enough");
    scene.cloud.clear();
    for name in &names {
        assert!(until(PATIENCE, || fresh(name).finish().status.success()), "{name}");
    }
    assert!(until(PATIENCE, || agent.open_files() < 40), "{} files are open", agent.open_files());
    assert!(agent.runs());
}

/// A thousand programs come while the agent is held up, so that it finds all of them at once.
#[track_caller]
fn burst(scene: &Scene, agent: &Agent) {
    room_for_a_crowd();
    assert_eq!(scene.login().finish().code(), 0);
    let token = scene.get().ok().to_owned();
    let requests = scene.cloud.requests().len();
    agent.signal(Signal::STOP);
    let clients: Vec<_> =
        (0..1000).map(|_| scene.sandbox.command(TOKEN).args(["ecHome", "--no-input"]).spawn()).collect();
    agent.signal(Signal::CONT);
    for client in clients {
        assert_eq!(client.finish().ok(), token);
    }
    assert_eq!(scene.cloud.requests().len(), requests, "all of it from memory");
    assert!(agent.runs());
}

/// T17
#[test]
fn a_stopped_agent_costs_a_client_its_timeout_and_no_more() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    agent.signal(Signal::STOP);
    let impatient = || scene.sandbox.command(TOKEN).args(["ecHome", "--no-input", "--timeout", "1"]).finish();
    let outcome = impatient();
    assert!(outcome.fails(3).contains("did not answer within 1 s"), "{outcome:?}");
    assert!(outcome.took >= Duration::from_millis(900) && outcome.took < Duration::from_secs(8), "{outcome:?}");

    let mut queue = Vec::new();
    let full = loop {
        match connect_at_once(&scene.sandbox.socket()) {
            Ok(stream) => queue.push(stream),
            Err(error) => break error,
        }
        if queue.len() > 10_000 {
            break ErrorKind::Other.into();
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "after {} connections", queue.len());
    let outcome = impatient();
    let said = outcome.fails(3);
    assert!(said.contains("did not answer within 1 s") && said.contains("callers"), "{said}");
    assert!(outcome.took < Duration::from_secs(8), "{outcome:?}");

    drop(queue);
    agent.signal(Signal::CONT);
    assert_eq!(scene.get().code(), 0);
}

/// T19
#[test]
fn a_thousand_clients_that_die_in_the_middle_leave_nothing_behind() {
    if !skip::unless_root("counting the files of the agent") {
        return;
    }
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let calm = agent.open_files();
    let get = |fresh| {
        let get = Get { account: "ecHome".into(), min_valid: None, fresh, environment: true, deadline_ms: 60_000 };
        Request::Get(get).encode().unwrap().encode_after(&hello::encode(hello::VERSIONS))
    };
    // After every byte of a request, and after all of it with the answer on its way.
    let bytes = get(false);
    for round in 0..1000 {
        let mut raw = scene.sandbox.raw();
        raw.send(&bytes[..=round % bytes.len()]).unwrap();
    }
    // While the cloud thinks.
    scene.cloud.break_next(1, REFRESH, Fault::Hang);
    for _ in 0..50 {
        scene.sandbox.raw().send(&get(true)).unwrap();
    }
    scene.cloud.wait_for(PATIENCE, |requests| requests.iter().any(|request| request.path == REFRESH));
    for _ in 0..20 {
        let mut client = scene.sandbox.command(TOKEN).args(["ecHome", "--fresh", "--no-input"]).spawn();
        let waits = || process::open_files(client.pid()).is_some_and(|files| files > 3);
        let _ = until(Duration::from_millis(200), waits);
        client.signal(Signal::KILL);
        assert!(until(PATIENCE, || !client.runs()));
    }
    scene.cloud.clear();
    let begun = Instant::now();
    assert!(until(REAPED, || agent.open_files() <= calm), "{} files, {calm} before", agent.open_files());
    assert!(agent.runs() && begun.elapsed() < REAPED);
    assert_eq!(scene.get().code(), 0);
    let mut raw = Raw::connect(&scene.sandbox.socket()).unwrap();
    assert!(matches!(raw.answer(&Request::Status), Response::Status(_)));
}

/// T17: nobody there at all is told at once, not after a timeout.
#[test]
fn no_agent_and_no_leave_to_start_one_is_told_at_once() {
    let sandbox = sandbox();
    let outcome =
        sandbox.command(TOKEN).args(["ecHome", "--timeout", "30"]).env("CLOUD_AGENT_NO_AUTOSTART", "1").finish();
    assert!(outcome.fails(3).contains("no agent answers"), "{outcome:?}");
    assert!(outcome.took < Duration::from_secs(10));
}
