//! Whoever gets to the socket's path first.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cloud_agent_tests::raw::Raw;
use cloud_agent_tests::sandbox::{AGENT, Sandbox, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::{ALICE, MALLORY, as_user, sandbox};

/// How often the racing attacker gets its chance.
const RACES: usize = 60;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn make(path: &Path, bits: u32) {
    fs::DirBuilder::new().mode(bits).create(path).unwrap();
    mode(path, bits);
}

/// Everything below `dir`, so that a change shows.
fn picture(dir: &Path) -> Vec<(PathBuf, u32, u64, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|entry| {
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            let bytes = if meta.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
            (entry.path(), meta.mode(), meta.ino(), bytes)
        })
        .collect();
    all.sort();
    all
}

/// The agent refuses the place with exit code 2, and says all of `words`.
#[track_caller]
fn refuses(sandbox: &Sandbox, socket: &Path, words: &[&str]) {
    let outcome = sandbox.command(AGENT).args(["--vault", "memory", "--socket"]).arg(socket).finish();
    let said = outcome.fails(2);
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

/// T3
#[test]
fn whatever_is_at_the_path_and_no_dead_socket_of_ours_stays_as_it_is() {
    let sandbox = sandbox();
    let dir = sandbox.path("run/cloud-agent");
    make(&dir, 0o700);
    let (socket, victim) = (sandbox.socket(), sandbox.path("home/victim"));
    fs::write(&victim, "precious").unwrap();
    let obstacles: [(&str, &dyn Fn()); 4] = [
        ("a file", &|| fs::write(&socket, "precious").unwrap()),
        ("a link", &|| symlink(&victim, &socket).unwrap()),
        ("a dangling link", &|| symlink(sandbox.path("home/absent"), &socket).unwrap()),
        ("a directory", &|| make(&socket, 0o700)),
    ];
    for (name, put) in obstacles {
        put();
        let before = fs::symlink_metadata(&socket).unwrap().ino();
        refuses(&sandbox, &socket, &["is in the way", "not a socket", "hint:"]);
        assert_eq!(fs::symlink_metadata(&socket).unwrap().ino(), before, "{name}");
        fs::remove_file(&socket).or_else(|_| fs::remove_dir(&socket)).unwrap();
    }
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(!sandbox.path("home/absent").exists(), "a dangling link makes no file elsewhere");
}

/// T3: the lock file is opened for writing, so a link there must lead nowhere.
#[test]
fn a_link_in_the_place_of_the_lock_file_is_not_followed() {
    let sandbox = sandbox();
    make(&sandbox.path("run/cloud-agent"), 0o700);
    let victim = sandbox.path("home/victim");
    fs::write(&victim, "precious").unwrap();
    let lock = sandbox.path("run/cloud-agent/agent.sock.lock");
    for target in [&victim, &sandbox.path("home/absent")] {
        symlink(target, &lock).unwrap();
        refuses(&sandbox, &sandbox.socket(), &["cannot listen", "lock file"]);
        fs::remove_file(&lock).unwrap();
    }
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(!sandbox.path("home/absent").exists());
}

/// T3
#[test]
fn a_directory_that_others_may_enter_or_that_is_a_link_is_refused() {
    let sandbox = sandbox();
    let refused = |name: &str, words: &[&str]| refuses(&sandbox, &sandbox.path(name).join("agent.sock"), words);
    for bits in [0o777, 0o1777, 0o770, 0o755, 0o701] {
        let name = format!("d{bits:o}");
        make(&sandbox.path(&name), bits);
        // Of a directory that is meant for everybody, nobody must be told to close it.
        let mend = if bits & 0o1002 == 0 { "chmod 700" } else { "set CLOUD_AGENT_SOCK" };
        refused(&name, &["cannot be trusted", &format!("{:04o}", bits & 0o777), mend]);
        assert!(picture(&sandbox.path(&name)).is_empty());
    }
    make(&sandbox.path("real"), 0o700);
    symlink(sandbox.path("real"), sandbox.path("link")).unwrap();
    refused("link", &["cannot be trusted", "symbolic link"]);
    assert!(picture(&sandbox.path("real")).is_empty());
    fs::write(sandbox.path("file"), "precious").unwrap();
    refused("file", &["error: "]);
    assert_eq!(fs::read(sandbox.path("file")).unwrap(), b"precious");
}

/// T3: a directory above that others may write is one in which ours can be renamed and replaced.
#[test]
fn a_directory_below_one_that_others_may_change_is_refused_unless_it_is_sticky() {
    let sandbox = sandbox();
    make(&sandbox.path("open"), 0o777);
    make(&sandbox.path("open/ours"), 0o700);
    refuses(&sandbox, &sandbox.path("open/ours/agent.sock"), &["cannot be trusted", "above it", "0777"]);
    assert!(picture(&sandbox.path("open/ours")).is_empty());
    mode(&sandbox.path("open"), 0o1777);
    let socket = sandbox.path("open/ours/agent.sock");
    let mut agent = sandbox.command(AGENT).args(["--vault", "memory", "--socket"]).arg(&socket).spawn();
    assert!(until(PATIENCE, || Raw::connect(&socket).is_ok() || !agent.runs()));
    assert!(agent.runs(), "like below /tmp");
}

/// T3
#[test]
fn a_place_of_another_user_is_refused_with_their_uid() {
    if !skip::unless_root("another user's directory") {
        return;
    }
    let sandbox = sandbox();
    let theirs = sandbox.path("theirs");
    make(&theirs, 0o700);
    chown(&theirs, Some(MALLORY), Some(MALLORY)).unwrap();
    refuses(&sandbox, &theirs.join("agent.sock"), &["cannot be trusted", "owned by uid 4002"]);
    make(&theirs.join("ours"), 0o700);
    refuses(&sandbox, &theirs.join("ours/agent.sock"), &["cannot be trusted", "owned by uid 4002"]);
    let ours = sandbox.path("run/cloud-agent");
    make(&ours, 0o700);
    drop(UnixListener::bind(sandbox.socket()).unwrap());
    chown(sandbox.socket(), Some(MALLORY), Some(MALLORY)).unwrap();
    refuses(&sandbox, &sandbox.socket(), &["is in the way", "owned by uid 4002"]);
    assert!(sandbox.socket().exists());
}

/// T38: where a socket has no mode of its own, as on macOS, or where somebody opens it, its directory keeps others out.
#[test]
fn a_socket_that_everybody_may_open_is_in_a_directory_that_nobody_else_may_enter() {
    if !skip::unless_root("another user at an open socket") {
        return;
    }
    let sandbox = sandbox();
    sandbox.give_to(ALICE);
    let _agent = sandbox.agent_from(sandbox.command(AGENT).args(["--vault", "memory"]).as_user(ALICE));
    let socket = sandbox.socket();
    mode(&socket, 0o666);
    let place = socket.parent().unwrap();
    for above in place.ancestors().skip(1).take_while(|above| above.starts_with(sandbox.path(""))) {
        mode(above, 0o755);
    }
    let refused = as_user(MALLORY, || UnixStream::connect(&socket).unwrap_err().kind());
    assert_eq!(refused, ErrorKind::PermissionDenied);
    assert!(as_user(ALICE, || UnixStream::connect(&socket).is_ok()), "and its owner comes in");
}

/// T3: in a sticky directory, which is the worst place where an agent agrees to be.
#[test]
fn an_attacker_who_races_with_the_start_of_the_agent_gains_nothing() {
    if !skip::unless_root("a race with another user") {
        return;
    }
    let sandbox = sandbox();
    let (shared, victim) = (sandbox.path("shared"), sandbox.path("victim"));
    make(&shared, 0o1777);
    make(&victim, 0o700);
    fs::write(victim.join("agent.sock"), "precious").unwrap();
    fs::write(victim.join("agent.sock.lock"), "precious").unwrap();
    for path in [victim.clone(), victim.join("agent.sock"), victim.join("agent.sock.lock")] {
        chown(path, Some(ALICE), Some(ALICE)).unwrap();
    }
    let before = picture(&victim);
    let (dir, over) = (shared.join("ca"), AtomicBool::new(false));
    let (mut served, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            as_user(MALLORY, || {
                while !over.load(Ordering::Relaxed) {
                    mischief(&shared, &victim);
                }
            });
        });
        for _ in 0..RACES {
            let run = sandbox.command(AGENT).args(["--vault", "memory", "--socket"]).arg(dir.join("agent.sock"));
            let mut agent = run.as_user(ALICE).spawn();
            let ours = || fs::symlink_metadata(dir.join("agent.sock")).is_ok_and(|meta| meta.file_type().is_socket());
            assert!(until(PATIENCE, || !agent.runs() || ours()));
            if agent.runs() && ours() {
                let meta = fs::symlink_metadata(&dir).unwrap();
                assert!(meta.is_dir() && meta.uid() == ALICE && meta.mode() & 0o777 == 0o700, "{meta:?}");
                served += 1;
                agent.signal(rustix::process::Signal::KILL);
                let _ = agent.finish();
            } else {
                let outcome = agent.finish();
                let _ = outcome.fails(2);
                refused += 1;
            }
            as_user(ALICE, || drop(fs::remove_dir_all(&dir)));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(picture(&victim), before);
    assert_eq!(served + refused, RACES);
}

/// One round of all that somebody can do in a directory that is everybody's.
fn mischief(shared: &Path, victim: &Path) {
    let (dir, aside) = (shared.join("ca"), shared.join("aside"));
    let _ = fs::DirBuilder::new().mode(0o777).create(&dir);
    let _ = symlink(victim.join("agent.sock"), dir.join("agent.sock"));
    let _ = fs::rename(&dir, &aside);
    let _ = symlink(victim, &dir);
    let _ = fs::rename(&aside, &dir);
    let _ = fs::remove_file(&dir);
    let _ = fs::remove_dir_all(&aside);
    let _ = fs::remove_dir_all(&dir);
}

/// T14
#[test]
fn a_path_that_no_socket_address_holds_is_refused_by_both_programs_with_the_limit() {
    let sandbox = sandbox();
    let long = format!("{}/{}", sandbox.path("run").display(), "x".repeat(120));
    let by_variable = [("CLOUD_AGENT_SOCK", format!("{long}/agent.sock")), ("XDG_RUNTIME_DIR", long.clone())];
    for (name, value) in by_variable {
        for (program, arguments) in [(AGENT, &["--vault", "memory"][..]), (TOKEN, &["ecHome"]), (TOKEN, &["status"])] {
            let outcome = sandbox.command(program).args(arguments.iter().copied()).env(name, &value).finish();
            let said = outcome.fails(2);
            assert!(said.contains(&long) && said.contains("107"), "{said}");
        }
    }
    let outcome = sandbox.command(AGENT).args(["--socket", &format!("{long}/agent.sock")]).finish();
    assert!(outcome.fails(2).contains("107"));
}
