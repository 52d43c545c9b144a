//! systemd: a socket that it makes, what it is told, and units that it takes.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::sandbox::{AGENT, Running, Sandbox, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use crate::support::{KEY, login, sandbox, token};

fn private_place(sandbox: &Sandbox) -> PathBuf {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(sandbox.path("run/cloud-agent")).unwrap();
    sandbox.socket()
}

/// The variables of a sandbox, as `systemd-socket-activate` hands them on.
const VARIABLES: [&str; 6] = ["PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "TMPDIR"];

fn activate(sandbox: &Sandbox, flags: &[&str]) -> Running {
    let mut run = sandbox.command("systemd-socket-activate");
    for name in VARIABLES {
        run = run.arg(format!("--setenv={name}"));
    }
    run = run.args(flags.iter().copied()).arg("-l").arg(private_place(sandbox));
    run.arg(sandbox.program(AGENT)).args(["--vault", "memory"]).spawn()
}

#[test]
fn the_first_call_at_a_socket_of_systemds_starts_the_agent_and_is_answered() {
    let what = "socket activation";
    if skip::unless_tool(what, "systemd-socket-activate").is_none() {
        return;
    }
    for flags in [&["--fdname=agent"][..], &[]] {
        let cloud = EcHome::start();
        let secret = cloud.add_key(KEY);
        let sandbox = sandbox();
        sandbox.set("CLOUD_AGENT_NO_AUTOSTART", "1");
        let service = activate(&sandbox, flags);
        assert!(until(PATIENCE, || sandbox.socket().exists()));
        assert_eq!(sandbox.agents(), Vec::<u32>::new(), "nobody has called");
        login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
        assert!(cloud.accepts(&token(&sandbox, "ecHome")));
        let Response::Status(status) = sandbox.raw().answer(&Request::Status) else { panic!("no status") };
        assert_eq!((status.pid, Path::new(&status.socket)), (service.pid(), sandbox.socket().as_path()));
        // A second agent finds this one.
        let second = sandbox.command(AGENT).args(["--vault", "memory"]).finish();
        assert!(second.ok().is_empty() && second.stderr.contains("already running"), "{second:?}");
        service.signal(Signal::TERM);
        assert_eq!(service.finish().code(), 0);
        assert!(sandbox.socket().exists(), "it is systemd's, which listens there still");
    }
}

/// What the agent says of one descriptor that is handed down under `name`.
fn handed(sandbox: &Sandbox, descriptor: impl Into<OwnedFd>, name: &str) -> (Option<i32>, String) {
    let script =
        format!("exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec \"$0\" --vault memory");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(sandbox.program(AGENT)).env_clear().stdin(Stdio::from(descriptor.into()));
    for (name, path) in [("XDG_RUNTIME_DIR", "run"), ("HOME", "home"), ("XDG_CONFIG_HOME", "config")] {
        command.env(name, sandbox.path(path));
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_descriptor_that_is_no_socket_of_ours_is_refused_with_what_it_is() {
    let sandbox = sandbox();
    let dir = private_place(&sandbox).with_file_name("");
    let open = sandbox.path("open");
    fs::DirBuilder::new().mode(0o755).create(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    let cases: [(OwnedFd, &str, &str); 6] = [
        (fs::File::open("/dev/null").unwrap().into(), "agent", "not a Unix socket"),
        (std::net::TcpListener::bind("127.0.0.1:0").unwrap().into(), "agent", "not a Unix socket"),
        (UnixDatagram::bind(dir.join("datagram")).unwrap().into(), "agent", "not a stream socket that listens"),
        (UnixListener::bind(dir.join("other")).unwrap().into(), "other", "none of them is called `agent`: `other`"),
        (UnixListener::bind(open.join("agent.sock")).unwrap().into(), "agent", "which lets others in"),
        (abstract_listener().into(), "agent", "it has no path"),
    ];
    for (descriptor, name, why) in cases {
        let (code, said) = handed(&sandbox, descriptor, name);
        assert!(code == Some(2) && said.contains(why) && said.contains("hint: "), "{why}: {code:?} {said}");
    }
}

fn abstract_listener() -> UnixListener {
    use std::os::linux::net::SocketAddrExt as _;

    let name = format!("cloud-agent-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    UnixListener::bind_addr(&address).unwrap()
}

#[test]
fn what_was_handed_to_another_process_is_none_of_the_agents_business() {
    let sandbox = sandbox();
    let run = sandbox.command(AGENT).args(["--vault", "memory"]);
    let agent = sandbox.agent_from(run.env("LISTEN_FDS", "1").env("LISTEN_PID", "1").env("LISTEN_FDNAMES", "agent"));
    assert!(agent.runs());
    assert_eq!(sandbox.token(["status"]).code(), 0);
}

#[test]
fn a_program_that_the_agent_runs_is_told_nothing_of_what_was_meant_for_the_agent() {
    let sandbox = sandbox();
    fs::create_dir_all(sandbox.config()).unwrap();
    let (program, seen) = (sandbox.path("home/vault"), sandbox.path("home/seen"));
    crate::support::put_script(&program, &format!("#!/bin/sh\nenv >>'{}'\nexit 1\n", seen.display()));
    let toml = format!("kind = \"command\"\n[command]\nprogram = [{:?}]\n", program.display().to_string());
    fs::write(sandbox.config().join("vault.toml"), toml).unwrap();
    fs::write(sandbox.config().join("accounts.toml"), "[account.a]\ncloud = \"echome\"\nmethod = \"access-key\"\n")
        .unwrap();
    let mut run = sandbox.command(AGENT);
    for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"] {
        run = run.env(name, "1");
    }
    let _agent = sandbox.agent_from(run.env("KEPT", "1"));
    let _ = sandbox.token(["status"]);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("KEPT=1"), "{seen}");
    assert!(!["LISTEN_", "NOTIFY_", "WATCHDOG_"].iter().any(|name| seen.contains(name)), "{seen}");
}

/// A service manager that listens.
pub(super) struct Manager(UnixDatagram);

impl Manager {
    pub(super) fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub(super) fn hears(&self) -> String {
        let mut buffer = [0; 512];
        let count = self.0.recv(&mut buffer).expect("the agent says something in time");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }
}

#[test]
fn a_service_manager_is_told_when_the_agent_serves_and_when_it_is_about_to_end() {
    let sandbox = sandbox();
    let path = sandbox.path("home/notify");
    let manager = Manager::new(&path);
    let agent = sandbox.agent_from(sandbox.command(AGENT).args(["--vault", "memory"]).env("NOTIFY_SOCKET", &path));
    assert_eq!(manager.hears(), "READY=1");
    agent.signal(Signal::TERM);
    assert_eq!(manager.hears(), "STOPPING=1");
    assert!(agent.wait(PATIENCE).success());
}

#[test]
fn a_watchdog_hears_of_the_agent_as_often_as_it_wants() {
    let sandbox = sandbox();
    let path = sandbox.path("home/notify");
    let manager = Manager::new(&path);
    let run = sandbox.command(AGENT).args(["--vault", "memory"]).env("NOTIFY_SOCKET", &path);
    let _agent = sandbox.agent_from(run.env("WATCHDOG_USEC", "100000"));
    let heard: Vec<_> = (0..5).map(|_| manager.hears()).collect();
    assert_eq!(heard.iter().filter(|words| *words == "WATCHDOG=1").count(), 4, "{heard:?}");
}

/// The units as they are packaged, with programs that there are.
fn units(sandbox: &Sandbox) -> (PathBuf, PathBuf) {
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging/systemd");
    let place = |name: &str| {
        let text = fs::read_to_string(packaged.join(name)).unwrap();
        let path = sandbox.path("home").join(name);
        let agent = sandbox.program(AGENT).display().to_string();
        fs::write(&path, text.replace("/usr/bin/cloud-agent", &agent)).unwrap();
        path
    };
    (place("cloud-agent.socket"), place("cloud-agent.service"))
}

#[test]
fn the_packaged_units_are_in_order_and_leave_the_agent_little_to_misuse() {
    if skip::unless_tool("units", "systemd-analyze").is_none() {
        return;
    }
    let sandbox = sandbox();
    let (socket, service) = units(&sandbox);
    let verify = sandbox.command("systemd-analyze").args(["verify", "--user"]).arg(&socket).arg(&service).finish();
    verify.ok();
    assert_eq!(verify.stderr, "", "not even a warning");
    let security = ["security", "--user", "--offline=yes", "--no-pager", "--threshold=40"];
    let judged = sandbox.command("systemd-analyze").args(security).arg(&service).finish();
    assert!(judged.ok().contains("OK"), "{judged:?}");
}

/// The system calls of a set, with those of the sets in it.
fn calls(sandbox: &Sandbox, set: &str) -> BTreeSet<String> {
    let listed = sandbox.command("systemd-analyze").args(["syscall-filter", set]).finish();
    let words: Vec<_> =
        listed.ok().lines().map(str::trim).filter(|line| !line.starts_with('#')).skip(1).map(str::to_owned).collect();
    let (sets, mut calls): (Vec<_>, BTreeSet<_>) = {
        let (sets, calls): (Vec<_>, Vec<_>) =
            words.into_iter().filter(|word| !word.is_empty()).partition(|word| word.starts_with('@'));
        (sets, calls.into_iter().collect())
    };
    for set in sets {
        calls.extend(self::calls(sandbox, &set));
    }
    calls
}

#[test]
fn the_agent_makes_no_system_call_that_its_unit_forbids() {
    let what = "the unit's filter of system calls";
    if skip::unless_tool(what, "systemd-analyze").is_none() || skip::unless_tool(what, "strace").is_none() {
        return;
    }
    let sandbox = sandbox();
    let (_, service) = units(&sandbox);
    let unit = fs::read_to_string(service).unwrap();
    let (mut allowed, mut forbidden) = (BTreeSet::new(), BTreeSet::new());
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (into, sets) = line.strip_prefix('~').map_or((&mut allowed, line), |sets| (&mut forbidden, sets));
        sets.split(' ').for_each(|set| into.extend(calls(&sandbox, set)));
    }
    assert!(allowed.len() > 200 && forbidden.len() > 20);

    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let trace = sandbox.path("home/trace");
    let run = sandbox.command("strace").args(["-f", "-qq", "-o"]).arg(&trace);
    let agent = run.arg(sandbox.program(AGENT)).args(["--vault", "memory"]).spawn();
    assert!(until(PATIENCE, || sandbox.socket().exists()));
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    sandbox.command(TOKEN).args(["ecHome", "--fresh"]).finish().ok();
    sandbox.token(["restart"]).ok();
    sandbox.token(["logout", "ecHome"]).ok();
    sandbox.token(["stop"]).ok();
    assert_eq!(agent.finish().code(), 0);
    let traced = fs::read_to_string(trace).unwrap();
    let made: BTreeSet<&str> = traced
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
        .collect();
    assert!(made.contains("connect") && made.contains("accept4") && made.contains("execve"), "{made:?}");
    let beyond: Vec<_> = made.iter().filter(|name| !allowed.contains(**name) || forbidden.contains(**name)).collect();
    assert!(beyond.is_empty(), "{beyond:?}");
}
