//! `cloud-token ACCOUNT`, from the arguments to the exit code, against an agent of the test's own.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloud_agent_protocol::v1::{Done, Request, Response};
use cloud_agent_protocol::{Credential, Fault, FaultKind, Frame};
use common::{Sandbox, credential, outcome, until};

fn done() -> Response {
    Response::Done(Done { notes: vec!["it is done".into()] })
}

#[test]
fn a_get_prints_the_token_and_nothing_else() {
    let sandbox = Sandbox::new();
    let requests = sandbox.answer(|_| Response::Credential(credential("t0k")));
    let out = sandbox.run(&["work"]);
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), "t0k\n", ""));
    let [Request::Get(get)] = &requests.all()[..] else { panic!("{:?}", requests.all()) };
    assert_eq!((get.account.as_str(), get.min_valid, get.fresh, get.environment), ("work", None, false, false));
    assert!((29_000..30_000).contains(&get.deadline_ms), "{}", get.deadline_ms);
}

#[test]
fn a_get_is_one_connection_and_one_write_with_the_hello_in_front() {
    let sandbox = Sandbox::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let bytes = Arc::clone(&seen);
    sandbox.serve(move |conversation| {
        let mut chunk = [0; 4096];
        let n = conversation.stream.read(&mut chunk).unwrap();
        bytes.lock().unwrap().push(chunk[..n].to_vec());
        conversation.respond(&Response::Credential(credential("t")));
    });
    assert_eq!(sandbox.run(&["work"]).code, Some(0));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].starts_with(b"CAGT\x01\x01\x00"), "{:?}", seen[0]);
    assert!(Frame::read(&mut &seen[0][7..], 4096).is_ok(), "the whole request came in the first read");
}

#[test]
fn every_option_reaches_the_agent_on_the_hot_path_and_through_clap() {
    let sandbox = Sandbox::new();
    let requests = sandbox.answer(|_| Response::Credential(credential("t")));
    let options = ["--min-valid", "5m", "--fresh", "-o", "env", "--timeout", "2s", "--no-input", "--shell", "sh"];
    for prefix in [&["work"][..], &["token", "work"]] {
        let out = sandbox.run(&[prefix, &options].concat());
        assert_eq!((out.code, out.stdout.as_str()), (Some(0), "export ACME_TOKEN='t'\n"), "{}", out.stderr);
    }
    for request in requests.all() {
        let Request::Get(get) = request else { panic!("{request:?}") };
        assert!(get.fresh && get.environment && get.min_valid == Some(300) && get.deadline_ms < 2000);
    }
}

#[test]
fn a_fault_becomes_words_on_stderr_and_an_exit_code() {
    for (kind, code) in [
        (FaultKind::Refused, 1),
        (FaultKind::Usage, 2),
        (FaultKind::NeedsHuman, 4),
        (FaultKind::Unreachable, 5),
        (FaultKind::UnknownAccount, 6),
        (FaultKind::Other(77), 1),
    ] {
        let sandbox = Sandbox::new();
        let fault = Fault::new(kind, "it\x1b failed").because("why").hint("`do this`");
        sandbox.answer(move |_| Response::Fault(fault.clone()));
        let out = sandbox.run(&["work"]);
        assert_eq!(out.code, Some(code), "{kind:?}");
        assert_eq!(out.stdout, "");
        assert_eq!(out.stderr, "error: it\u{fffd} failed\ncaused by: why\nhint: `do this`\n");
    }
}

#[test]
fn a_credential_without_a_token_says_how_to_get_its_headers() {
    let sandbox = Sandbox::new();
    sandbox.answer(|_| Response::Credential(Credential { token: None, ..credential("t") }));
    let out = sandbox.run(&["work"]);
    assert_eq!((out.code, out.stdout.as_str()), (Some(1), ""));
    assert!(out.stderr.contains("hint: `cloud-token work -o headers`"), "{}", out.stderr);
}

#[test]
fn a_connection_that_dies_before_the_answer_is_tried_once_more_and_not_twice() {
    for (deaths, code, connections) in [(1, 0, 2), (9, 3, 2)] {
        let sandbox = Sandbox::new();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        sandbox.serve(move |conversation| {
            let request = conversation.request();
            if counted.fetch_add(1, Ordering::SeqCst) >= deaths && request.is_some() {
                conversation.respond(&Response::Credential(credential("t")));
            }
        });
        let out = sandbox.run(&["work"]);
        assert_eq!((out.code, count.load(Ordering::SeqCst)), (Some(code), connections), "{}", out.stderr);
    }
}

#[test]
fn a_version_refusal_names_both_versions_and_the_command() {
    let sandbox = Sandbox::new();
    sandbox.serve(|conversation| {
        conversation.request();
        let _ = conversation.stream.write_all(&Frame::version_refused(&[7, 6]).encode());
    });
    let out = sandbox.run(&["work"]);
    assert_eq!(out.code, Some(1));
    for part in ["version 7, 6", "version 1", "pkill -x cloud-agent"] {
        assert!(out.stderr.contains(part), "{part}: {}", out.stderr);
    }
}

#[test]
fn garbage_is_an_error_and_not_a_token() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\xff\xff\xff\xff\x01\x00\x01\x80",
        b"\x06\x00\x00\x00\x01\x00\x01\x80\xff\xff",
    ] {
        let sandbox = Sandbox::new();
        sandbox.serve(move |conversation| {
            conversation.request();
            let _ = conversation.stream.write_all(garbage);
        });
        let out = sandbox.run(&["work"]);
        assert!(matches!(out.code, Some(1 | 3)) && out.stdout.is_empty(), "{:?} {}", out.code, out.stderr);
    }
}

#[test]
fn an_agent_that_says_nothing_ends_at_the_deadline_with_no_agent() {
    let sandbox = Sandbox::new();
    sandbox.serve(|conversation| {
        let _ = conversation.stream.read_to_end(&mut Vec::new());
    });
    let start = Instant::now();
    let out = sandbox.run(&["work", "--timeout", "300ms"]);
    assert_eq!(out.code, Some(3), "{}", out.stderr);
    assert!(out.stderr.contains("did not answer within 300 ms"), "{}", out.stderr);
    assert!((Duration::from_millis(290)..Duration::from_secs(5)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn an_answer_that_stops_halfway_ends_at_the_deadline_too() {
    let sandbox = Sandbox::new();
    sandbox.serve(|conversation| {
        conversation.request();
        let bytes = Response::Credential(credential("t")).encode().unwrap().encode();
        let _ = conversation.stream.write_all(&bytes[..bytes.len() - 1]);
        let _ = conversation.stream.read_to_end(&mut Vec::new());
    });
    assert_eq!(sandbox.run(&["work", "--timeout", "300ms"]).code, Some(3));
}

#[test]
fn a_full_backlog_is_waited_for_and_never_taken_for_success() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};

    let sandbox = Sandbox::new();
    let address = SocketAddrUnix::new(&sandbox.socket).unwrap();
    let socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    let listener = socket();
    bind(&listener, &address).unwrap();
    listen(&listener, 1).unwrap();
    // Two connections fill a backlog of one.
    let fill: Vec<_> = (0..2)
        .map(|_| {
            let stream = socket();
            connect(&stream, &address).unwrap();
            stream
        })
        .collect();

    let out = sandbox.run(&["work", "--timeout", "200ms"]);
    assert_eq!(out.code, Some(3), "{}", out.stderr);
    assert!(out.stderr.contains("more callers than it takes"), "{}", out.stderr);

    // And as soon as there is room, it goes through.
    let client = sandbox.client(&["work"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(fill);
    let listener = UnixListener::from(listener);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut conversation = common::Conversation::new(stream.unwrap());
            if conversation.request().is_some() {
                conversation.respond(&Response::Credential(credential("t")));
            }
        }
    });
    let out = outcome(client.wait_with_output().unwrap());
    assert_eq!((out.code, out.stdout.as_str()), (Some(0), "t\n"));
}

#[test]
fn no_agent_is_exit_3_and_says_so() {
    let sandbox = Sandbox::new();
    let out = sandbox.run(&["work"]);
    assert_eq!((out.code, out.stdout.as_str()), (Some(3), ""));
    assert!(out.stderr.contains("CLOUD_AGENT_NO_AUTOSTART"), "{}", out.stderr);
    // A socket that nobody listens on any more is the same.
    drop(UnixListener::bind(&sandbox.socket).unwrap());
    assert_eq!(sandbox.run(&["work"]).code, Some(3));
}

#[test]
fn a_socket_path_that_is_too_long_is_a_usage_error() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.client(&["work"]);
    command.env("CLOUD_AGENT_SOCK", format!("/{}", "x".repeat(120)));
    let out = outcome(command.output().unwrap());
    assert_eq!(out.code, Some(2));
    assert!(out.stderr.contains("107"), "{}", out.stderr);
}

#[test]
fn a_directory_that_others_may_enter_is_not_trusted_and_gets_nothing() {
    let sandbox = Sandbox::new();
    let requests = sandbox.answer(|_| done());
    std::fs::set_permissions(sandbox.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let out = sandbox.run(&["work"]);
    assert_eq!(out.code, Some(3));
    assert!(out.stderr.contains("cannot be trusted") && out.stderr.contains("chmod 700"), "{}", out.stderr);
    assert!(requests.all().is_empty());
}

#[test]
fn a_socket_planted_by_another_user_gets_not_a_byte() {
    // The directory is the user's, the listener is root's: what a planted socket looks like once the directory was open
    // for a moment.
    if !rustix::process::geteuid().is_root() || !std::path::Path::new("/usr/bin/setpriv").exists() {
        eprintln!("SKIPPED a_socket_planted_by_another_user_gets_not_a_byte: needs root and setpriv");
        return;
    }
    let sandbox = Sandbox::new();
    let bytes = Arc::new(Mutex::new(None));
    let received = Arc::clone(&bytes);
    sandbox.serve(move |conversation| {
        let mut all = Vec::new();
        let _ = conversation.stream.read_to_end(&mut all);
        *received.lock().unwrap() = Some(all);
    });
    std::fs::set_permissions(&sandbox.socket, std::fs::Permissions::from_mode(0o777)).unwrap();
    // A copy that the other user may run, wherever the build directory is.
    let program = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let copy = program.path().join("cloud-token");
    Sandbox::put_client(&copy);
    std::os::unix::fs::chown(sandbox.dir.path(), Some(4001), Some(4001)).unwrap();

    let copy = copy.to_str().unwrap();
    let setpriv = std::path::Path::new("/usr/bin/setpriv");
    let mut command = sandbox.program(setpriv, &["--reuid=4001", "--regid=4001", "--clear-groups", copy, "work"]);
    let out = outcome(command.output().unwrap());
    assert_eq!(out.code, Some(3), "{}", out.stderr);
    assert!(out.stderr.contains("it is owned by uid 0, and you are uid 4001"), "{}", out.stderr);
    until("the planted socket saw the end", || bytes.lock().unwrap().is_some());
    assert_eq!(bytes.lock().unwrap().as_deref(), Some(&[][..]));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let sandbox = Sandbox::new();
    sandbox.answer(|_| Response::Credential(credential(&"t".repeat(900))));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let out = outcome(sandbox.client(&["work"]).stdout(writer).stderr(Stdio::piped()).output().unwrap());
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.answer(|_| Response::Credential(credential("t")));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out = outcome(sandbox.client(&["work"]).stdout(full).stderr(Stdio::piped()).output().unwrap());
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("cannot write to stdout"), "{}", out.stderr);
}

#[test]
fn usage_errors_are_exit_2_and_help_is_exit_0() {
    let sandbox = Sandbox::new();
    for args in [&[][..], &["work", "-o", "yaml"], &["a/b"], &["doctor", "work"], &["login"], &["work", "--shell", "csh"]] {
        let out = sandbox.run(args);
        assert_eq!((out.code, out.stdout.as_str()), (Some(2), ""), "{args:?} {}", out.stderr);
        assert!(!out.stderr.is_empty());
    }
    for args in [&["--help"][..], &["-h"], &["help"], &["login", "--help"], &["work", "--help"], &["--version"]] {
        let out = sandbox.run(args);
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(out.stdout.contains("cloud-token"));
    }
}

#[test]
fn reject_sends_the_token_on_stdin_without_its_line_end() {
    let sandbox = Sandbox::new();
    let requests = sandbox.answer(|_| done());
    for (input, expected) in [("t0k\n", Some("t0k")), ("", None)] {
        let mut child =
            sandbox.client(&["reject", "work"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        let all = requests.all();
        let Some(Request::Reject(reject)) = all.last() else { panic!("{all:?}") };
        assert_eq!(reject.token.as_ref().map(cloud_agent_protocol::Secret::expose), expected);
    }
}

#[test]
fn stop_is_done_when_the_agent_ends_before_it_could_answer() {
    let sandbox = Sandbox::new();
    sandbox.serve(|conversation| {
        conversation.request();
    });
    assert_eq!(sandbox.run(&["stop"]).code, Some(0));
}

#[test]
fn notes_are_words_and_not_data() {
    let sandbox = Sandbox::new();
    sandbox.answer(|_| done());
    let out = sandbox.run(&["logout", "work"]);
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), "", "it is done\n"));
}
