//! A restricted socket, as somebody meets it who comes by it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use cloud_agent_protocol::v1::{Forwarded, Request, Response};
use cloud_agent_protocol::{FaultKind, hello};
use cloud_agent_tests::raw::Raw;
use cloud_agent_tests::sandbox::{Outcome, Running, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::{Desk, chain};
use crate::support::login;

/// What nobody may do through a restricted socket.
pub(super) const FORBIDDEN: [&[&str]; 14] = [
    &["other"],
    &["nobody"],
    &["ecHome", "--fresh"],
    &["status"],
    &["log"],
    &["log", "--verify"],
    &["clouds"],
    &["check", "ecHome"],
    &["do", "ecHome"],
    &["logout", "ecHome"],
    &["drop"],
    &["stop"],
    &["vault"],
    &["reject", "ecHome"],
];

impl Desk {
    /// A directory of our own, and a socket's path in it.
    pub(super) fn private(&self, name: &str) -> PathBuf {
        let dir = self.sandbox.path("home").join(name);
        fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
        dir.join("agent.sock")
    }

    /// `cloud-token forward`, once it listens.
    #[track_caller]
    pub(super) fn forward(&self, path: &Path, arguments: &[&str]) -> Running {
        let run = self.sandbox.command(TOKEN).arg("forward").args(arguments.iter().copied()).arg(path);
        let mut running = run.deadline(std::time::Duration::from_secs(90)).spawn();
        assert!(until(PATIENCE, || path.exists() || !running.runs()));
        assert!(running.runs(), "{:?}", running.finish());
        running
    }

    /// The client of somebody who has that socket only.
    pub(super) fn through(&self, socket: &Path, arguments: &[&str]) -> Outcome {
        let run = self.sandbox.command(TOKEN).args(arguments.iter().copied()).env("CLOUD_AGENT_SOCK", socket);
        run.env("CLOUD_AGENT_NO_AUTOSTART", "1").finish()
    }
}

#[test]
fn a_restricted_socket_hands_out_its_accounts_and_nothing_else() {
    let desk = Desk::new();
    desk.login("other");
    let token = desk.token();
    let socket = desk.private("forward");
    let mut forward = desk.forward(&socket, &["--only", "echome"]);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(desk.through(&socket, &["ecHome"]).ok(), token);
    assert_eq!(desk.through(&socket, &["ECHOME", "-o", "json"]).code(), 0);
    for arguments in FORBIDDEN {
        let outcome = desk.through(&socket, arguments);
        let said = outcome.fails(1);
        assert!(
            said.contains("this is a forwarded socket, which hands out tokens of `ecHome`"),
            "{arguments:?}: {said}"
        );
    }
    for (command, secret) in [("lock", "x"), ("unlock", "x")] {
        let run = desk.sandbox.command(TOKEN).args([command, "--passphrase", "stdin"]).stdin(secret);
        run.env("CLOUD_AGENT_SOCK", &socket).finish().fails(1);
    }
    let login = crate::support::login(&desk.sandbox, "third", &desk.cloud.url(), &desk.secret);
    assert!(login.env("CLOUD_AGENT_SOCK", &socket).finish().fails(1).contains("forwarded socket"));
    desk.sandbox.token(["other"]).ok();
    assert_eq!(desk.token(), token, "nothing was forgotten, renewed or locked");

    let log = desk.log();
    let forwarded: Vec<_> = log.iter().filter(|entry| entry["origin"] == socket.to_str().unwrap()).collect();
    assert!(
        forwarded.iter().any(|entry| entry["outcome"] == "given" && chain(entry)[0].contains("cloud-token")),
        "{log:?}"
    );
    assert!(forwarded.iter().any(|entry| entry["outcome"] == "denied" && entry["account"] == "other"), "{log:?}");
    assert!(log.iter().any(|entry| entry["origin"].is_null()), "the agent's own socket is no origin");
    assert!(forward.runs());
    forward.signal(Signal::TERM);
    assert_eq!(forward.finish().code(), 0);
    assert!(!socket.exists());
}

#[test]
fn an_address_is_answered_for_the_accounts_of_the_socket_only() {
    let desk = Desk::new();
    desk.login("other");
    let socket = desk.private("forward");
    let _forward = desk.forward(&socket, &["--only", "ecHome"]);
    let url = desk.cloud.url();
    let question = format!("protocol=http\nhost={}\n\n", url.strip_prefix("http://").unwrap());
    let git = |socket: &Path| {
        let run = desk.sandbox.command(TOKEN).args(["helper", "git", "get"]).stdin(question.clone());
        run.env("CLOUD_AGENT_SOCK", socket).finish()
    };
    assert!(git(&desk.sandbox.socket()).stderr.contains("several accounts"), "both accounts answer for that address");
    assert!(git(&socket).ok().contains(&format!("password={}", desk.token())), "{:?}", git(&socket));
}

#[test]
fn its_lifetime_ends_it_by_the_agent_s_clock_and_leaves_nothing() {
    let desk = Desk::new();
    let socket = desk.private("forward");
    let forward = desk.forward(&socket, &["--only", "ecHome", "--max-ttl", "2s"]);
    let mut kept = Raw::connect(&socket).unwrap();
    let outcome = forward.finish();
    assert!(outcome.ok().is_empty() && outcome.stderr.contains("lifetime is over"), "{outcome:?}");
    assert!(!socket.exists());
    assert_eq!(kept.closed(PATIENCE), Some(0));
    desk.through(&socket, &["ecHome"]).fails(3);
}

#[test]
fn what_was_allowed_ends_with_its_owner_whoever_kept_the_id() {
    let desk = Desk::new();
    let mut owner = desk.sandbox.raw();
    let forward = cloud_agent_protocol::v1::Forward {
        accounts: vec!["ecHome".into()],
        lifetime: None,
        confirm: false,
        name: "mine".into(),
    };
    let Response::Forwarding(forwarding) = owner.answer(&Request::Forward(forward)) else { panic!("it is opened") };
    let comes_by = || desk.sandbox.raw().answer(&Request::Forwarded(Forwarded { id: forwarding.id.clone() }));
    assert!(matches!(comes_by(), Response::Done(_)));
    drop(owner);
    assert!(until(PATIENCE, || matches!(comes_by(), Response::Fault(fault) if fault.kind == FaultKind::Refused)));
    let strange = desk.sandbox.raw().answer(&Request::Forwarded(Forwarded { id: "guessed".into() }));
    assert!(matches!(strange, Response::Fault(fault) if fault.message.contains("closed")));
}

#[test]
fn a_restricted_connection_stays_restricted() {
    let desk = Desk::new();
    let mut owner = desk.sandbox.raw();
    let forward = |accounts: &[&str]| {
        let accounts = accounts.iter().map(ToString::to_string).collect();
        Request::Forward(cloud_agent_protocol::v1::Forward {
            accounts,
            lifetime: None,
            confirm: false,
            name: String::new(),
        })
    };
    let Response::Forwarding(forwarding) = owner.answer(&forward(&["ecHome"])) else { panic!("it is opened") };
    let mut raw = desk.sandbox.raw();
    let by = Request::Forwarded(Forwarded { id: forwarding.id });
    assert!(matches!(raw.answer(&by), Response::Done(_)));
    // Another hello, as the client behind it sends, changes nothing.
    for request in [Request::Status, by, forward(&["ecHome"]), Request::Stop, Request::VerifyLog] {
        raw.stream().write_all(&hello::encode(hello::VERSIONS)).unwrap();
        assert!(
            matches!(raw.then(&request), Response::Fault(fault) if fault.kind == FaultKind::Unsupported),
            "{request:?}"
        );
    }
    let mut other = desk.sandbox.raw();
    assert!(matches!(other.answer(&forward(&[])), Response::Fault(fault) if fault.kind == FaultKind::Usage));
    assert!(
        matches!(other.then(&forward(&["nobody"])), Response::Fault(fault) if fault.kind == FaultKind::UnknownAccount)
    );
}

#[test]
fn the_human_is_asked_if_the_socket_was_opened_so() {
    let desk = Desk::new();
    let askpass = desk.sandbox.path("home/askpass");
    let asked = desk.sandbox.path("home/asked");
    let script = format!("#!/bin/sh\nprintf %s \"$1\" >'{}'\nexit 1\n", asked.display());
    crate::support::put_script(&askpass, &script);
    desk.rules(&format!("[confirm]\nwith = \"askpass\"\nprogram = \"{}\"\nremember = \"0\"\n", askpass.display()));
    let socket = desk.private("forward");
    let _forward = desk.forward(&socket, &["--only", "ecHome", "--confirm"]);
    // Until the edit counts it is another program that asks, if there is one.
    assert!(until(PATIENCE, || {
        desk.through(&socket, &["ecHome"]).fails(1);
        asked.exists()
    }));
    assert!(desk.through(&socket, &["ecHome"]).fails(1).contains("the answer was no"));
    let asked = fs::read_to_string(asked).unwrap();
    assert!(asked.contains(&format!("through the forwarded socket {}", socket.display())), "{asked}");
    desk.token();
}

#[test]
fn a_locked_agent_hands_out_nothing_through_it_either() {
    let desk = Desk::new();
    let socket = desk.private("forward");
    let mut forward = desk.forward(&socket, &["--only", "ecHome"]);
    let passphrase = |command: &str| {
        desk.sandbox
            .command(TOKEN)
            .args([command, "--passphrase", "stdin"])
            .stdin("open sesame")
            .finish()
            .ok()
            .to_owned()
    };
    login(&desk.sandbox, "other", &desk.cloud.url(), &desk.secret)
        .args(["--set", "serves=https://other.example"])
        .finish()
        .ok();
    passphrase("lock");
    desk.through(&socket, &["ecHome"]).fails(4);
    // What other accounts answer for is nobody's here, locked or not.
    let git = |url: &str| {
        let (scheme, host) = url.split_once("://").unwrap();
        let run = desk.sandbox.command(TOKEN).args(["helper", "git", "get"]).env("CLOUD_AGENT_SOCK", &socket);
        run.stdin(format!("protocol={scheme}\nhost={host}\n\n")).finish()
    };
    let foreign = git("https://other.example");
    assert_eq!((foreign.ok(), foreign.stderr.as_str()), ("", ""));
    assert_eq!(git(&desk.cloud.url()).ok(), "quit=1");
    let second = desk.sandbox.command(TOKEN).args(["forward", "--only", "ecHome"]).arg(desk.private("second"));
    second.finish().fails(4);
    passphrase("unlock");
    desk.through(&socket, &["ecHome"]).ok();
    assert!(forward.runs());
}

#[test]
fn an_agent_that_takes_the_place_of_another_goes_on_with_it_and_with_its_restriction() {
    let desk = Desk::new();
    let socket = desk.private("forward");
    let mut forward = desk.forward(&socket, &["--only", "ecHome", "--max-ttl", "1h"]);
    let mut kept = Raw::connect(&socket).unwrap();
    assert!(matches!(kept.answer(&Request::Status), Response::Fault(_)));
    desk.sandbox.token(["restart"]).ok();
    assert_eq!(
        kept.closed(PATIENCE),
        Some(0),
        "a restricted connection does not move: what it may would not move with it"
    );
    assert!(until(PATIENCE, || desk.through(&socket, &["ecHome"]).code() == 0), "{}", desk.agent.log());
    assert!(desk.through(&socket, &["status"]).fails(1).contains("forwarded socket"));
    assert!(forward.runs());
}

/// As a container does with `-v DIR:DIR --pid host`.
#[test]
fn a_directory_that_is_mounted_elsewhere_brings_the_socket_there_and_one_that_is_made_anew() {
    let what = "a_directory_that_is_mounted_elsewhere_brings_the_socket_there_and_one_that_is_made_anew";
    if !skip::unless_root(what) || skip::unless_tool(what, "unshare").is_none() {
        return;
    }
    let desk = Desk::new();
    let (socket, inside) = (desk.private("outside"), desk.private("inside"));
    let mount =
        "mount --bind \"$1\" \"$2\" && touch \"$3\" && shift 3 && while read -r _; do \"$@\"; echo \"code $?\"; done";
    let (ready, keys) = (desk.sandbox.path("home/ready"), desk.sandbox.path("home/keys"));
    assert!(std::process::Command::new("mkfifo").arg(&keys).status().unwrap().success());
    let run =
        desk.sandbox.command("unshare").args(["-m", "sh", "-c", &format!("exec <'{}'; {mount}", keys.display()), "sh"]);
    let run = run.arg(socket.parent().unwrap()).arg(inside.parent().unwrap()).arg(&ready);
    let run = run.arg(desk.sandbox.program(TOKEN)).arg("ecHome").env("CLOUD_AGENT_SOCK", &inside);
    let container = run.env("CLOUD_AGENT_NO_AUTOSTART", "1").spawn();
    let mut keys = fs::OpenOptions::new().write(true).open(&keys).unwrap();
    assert!(until(PATIENCE, || ready.exists()));
    for _ in 0..2 {
        // Made after the directory was mounted, and made anew.
        let forward = desk.forward(&socket, &["--only", "ecHome"]);
        let before = desk.log().len();
        keys.write_all(b"\n").unwrap();
        assert!(until(PATIENCE, || desk.log().len() > before));
        forward.signal(Signal::TERM);
        assert_eq!(forward.finish().code(), 0);
    }
    drop(keys);
    let token = desk.token();
    assert_eq!(container.finish().ok(), format!("{token}\ncode 0\n{token}\ncode 0"));
}

#[test]
fn it_ends_when_the_agent_ends_and_says_so() {
    let desk = Desk::new();
    let socket = desk.private("forward");
    let forward = desk.forward(&socket, &["--only", "ecHome"]);
    assert!(desk.agent.stop(PATIENCE).success());
    assert!(forward.finish().fails(3).contains("the agent has ended"));
    assert!(!socket.exists());
}

#[test]
fn what_makes_no_sense_is_refused_before_there_is_a_socket() {
    let desk = Desk::new();
    let socket = desk.private("forward");
    let forward = |arguments: &[&str], path: &Path| {
        desk.sandbox.command(TOKEN).arg("forward").args(arguments.iter().copied()).arg(path).finish()
    };
    forward(&[], &socket).fails(2);
    assert!(forward(&["--only", "ecHom"], &socket).fails(6).contains("did you mean `ecHome`?"));
    assert!(forward(&["--only", "ecHome"], &desk.sandbox.path("bin/s")).fails(1).contains("lets others in"));
    fs::write(&socket, "precious").unwrap();
    assert!(forward(&["--only", "ecHome"], &socket).fails(1).contains("in the way"));
    assert_eq!(fs::read(&socket).unwrap(), b"precious");
}

/// T1, at the socket that is forwarded.
#[test]
fn another_user_gets_nothing_through_it_whoever_opened_its_permissions() {
    if !skip::unless_root("another user's call at a forwarded socket") {
        return;
    }
    let desk = Desk::new();
    let socket = desk.private("forward");
    let _forward = desk.forward(&socket, &["--only", "ecHome"]);
    let home = desk.sandbox.path("home");
    for path in [home.as_path(), socket.parent().unwrap(), socket.as_path()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let call = || {
        let mut raw = Raw::connect(&socket).expect("the permissions are open");
        // It may be closed before this is sent.
        let _ = raw.ask(&Request::Status);
        raw.closed(PATIENCE)
    };
    assert_eq!(crate::threats::as_user(4002, call), Some(0), "closed, and nothing said");
    assert!(UnixStream::connect(&socket).is_ok());
}
