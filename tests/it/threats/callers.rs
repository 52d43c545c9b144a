//! Other users and other namespaces at the socket.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_tests::raw::Raw;
use cloud_agent_tests::sandbox::{AGENT, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::{ALICE, MALLORY, as_user, sandbox};

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// T1: whoever opened the permissions, and even root.
#[test]
fn a_caller_of_another_user_is_closed_without_a_byte_and_logged_by_pid_and_uid() {
    if !skip::unless_root("another user's call") {
        return;
    }
    let sandbox = sandbox();
    sandbox.give_to(ALICE);
    let agent = sandbox.agent_from(sandbox.command(AGENT).args(["--vault", "memory"]).as_user(ALICE));
    for path in [sandbox.path("run"), sandbox.path("run/cloud-agent"), sandbox.socket()] {
        open_to_all(&path);
    }
    let call = || {
        let mut raw = Raw::connect(&sandbox.socket()).expect("the permissions are open");
        // The agent may have closed before this is sent.
        let _ = raw.ask(&Request::Status);
        raw.closed(PATIENCE)
    };
    assert_eq!(as_user(MALLORY, call), Some(0), "closed, and nothing said");
    assert_eq!(call(), Some(0), "root is another user, too");
    assert!(matches!(
        as_user(ALICE, || Raw::connect(&sandbox.socket()).unwrap().answer(&Request::Status)),
        Response::Status(_)
    ));
    let own = std::process::id();
    assert!(until(PATIENCE, || agent.log().contains(&format!("uid={MALLORY}"))), "{}", agent.log());
    let line = agent.log().lines().find(|line| line.contains("uid=4002")).unwrap().to_owned();
    assert!(line.contains(&format!("pid={own}")) && line.contains("WARN"), "{line}");
    assert!(agent.runs());
}

/// A listener of Mallory's, which everybody may connect to.
fn plant(socket: &Path) -> UnixListener {
    as_user(MALLORY, || {
        let listener = UnixListener::bind(socket).unwrap();
        open_to_all(socket);
        listener
    })
}

/// How many connections it got, and how many bytes over them.
fn harvest(listener: &UnixListener) -> (usize, usize) {
    listener.set_nonblocking(true).unwrap();
    let mut bytes = Vec::new();
    let mut connections = 0;
    while let Ok((mut stream, _)) = listener.accept() {
        connections += 1;
        stream.set_nonblocking(true).unwrap();
        let _ = stream.read_to_end(&mut bytes);
    }
    (connections, bytes.len())
}

/// T2: in a directory where everybody may put a socket.
#[test]
fn a_planted_socket_in_a_shared_directory_is_not_sent_a_byte() {
    if !skip::unless_root("a socket that another user planted") {
        return;
    }
    let sandbox = sandbox();
    sandbox.give_to(ALICE);
    let (dir, socket) = (sandbox.path("shared"), sandbox.path("shared/agent.sock"));
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).unwrap();
    let planted = plant(&socket);
    for arguments in [&["ecHome"][..], &["login", "ecHome", "--no-input"], &["status"], &["reject", "ecHome"]] {
        let run = sandbox.command(TOKEN).args(arguments.iter().copied()).env("CLOUD_AGENT_SOCK", &socket);
        let outcome = run.as_user(ALICE).finish();
        let said = outcome.fails(3);
        assert!(said.contains("cannot be trusted") && said.contains("owned by uid 0"), "{said}");
    }
    assert_eq!(harvest(&planted), (0, 0));
}

/// T2: in a directory of our own, which was open once.
#[test]
fn a_socket_in_our_own_directory_that_another_user_serves_is_not_sent_a_byte() {
    if !skip::unless_root("a socket that another user planted") {
        return;
    }
    let sandbox = sandbox();
    sandbox.give_to(ALICE);
    let dir = sandbox.path("run/cloud-agent");
    as_user(ALICE, || fs::DirBuilder::new().mode(0o700).create(&dir).unwrap());
    for path in [&sandbox.path("run"), &dir] {
        open_to_all(path);
    }
    let planted = plant(&sandbox.socket());
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    for arguments in [&["ecHome", "--no-input"][..], &["login", "ecHome", "--no-input"], &["stop"]] {
        let outcome = sandbox.command(TOKEN).args(arguments.iter().copied()).as_user(ALICE).finish();
        let said = outcome.fails(3);
        assert!(said.contains("owned by uid 4002") && said.contains("nothing was sent"), "{said}");
    }
    let (connections, bytes) = harvest(&planted);
    assert!(connections >= 3, "the kernel names a listener only to who connects");
    assert_eq!(bytes, 0);
}

/// T12.
#[test]
fn a_client_in_another_process_namespace_is_told_that_it_cannot_know_its_agent() {
    let what = "a client in another process namespace";
    if !skip::unless_root(what) || skip::unless_tool(what, "unshare").is_none() {
        return;
    }
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let token = sandbox.program(TOKEN);
    let run =
        sandbox.command("unshare").args(["-p", "-f", "--mount-proc"]).arg(token).args(["status", "--timeout", "2"]);
    let outcome = run.finish();
    let said = outcome.fails(3);
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("namespace"), "{said}");
    assert!(agent.runs());
    assert_eq!(sandbox.token(["status"]).code(), 0, "who shares the namespace is served");
}

/// T13: a name that is in no directory has no permissions.
#[test]
fn the_agent_listens_at_a_path_and_at_no_abstract_name() {
    if !skip::unless_root("counting the files of the agent") {
        return;
    }
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let links = fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap();
    let inodes: Vec<String> = links
        .filter_map(|entry| {
            fs::read_link(entry.ok()?.path())
                .ok()?
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(str::to_owned)
        })
        .collect();
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    let names: Vec<&str> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns.get(6).is_some_and(|inode| inodes.iter().any(|own| own == inode)))
        .filter_map(|columns| columns.get(7).copied())
        .collect();
    assert!(!names.is_empty());
    assert!(names.iter().all(|name| Path::new(name) == sandbox.socket()), "{names:?}");
}
