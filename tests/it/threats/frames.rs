//! Hostile bytes from a client of the same user, and ends that speak other versions.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::thread;

use cloud_agent_protocol::frame::{KIND_VERSION_REFUSED, MAX_REQUEST};
use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{FaultKind, Frame, hello};
use cloud_agent_tests::process;
use cloud_agent_tests::raw::Raw;
use cloud_agent_tests::wait::PATIENCE;

use super::{Scene, sandbox};

/// Connections that bring nothing but garbage, and frames over connections that stay.
const GARBAGE_CONNECTIONS: u64 = 10_000;
const UNKNOWN_FRAMES: usize = 90_000;
/// In KiB.
const GROWTH: u64 = 2048;

fn header(len: u32, version: u16, kind: u16) -> Vec<u8> {
    [&len.to_le_bytes()[..], &version.to_le_bytes(), &kind.to_le_bytes()].concat()
}

fn frame(kind: u16, body: &[u8]) -> Vec<u8> {
    [header(u32::try_from(body.len()).unwrap() + 4, 1, kind), body.to_vec()].concat()
}

fn greeted(bytes: &[u8]) -> Vec<u8> {
    [&hello::encode(hello::VERSIONS)[..], bytes].concat()
}

/// A generator that needs no dependency and gives the same bytes in every run.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// T18: each alone, and whether the agent says why before it closes.
#[test]
fn every_malformed_request_is_told_so_and_closed() {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let kinds = || 1..=8_u16;
    let cap = u32::try_from(MAX_REQUEST).unwrap();
    let status = Request::Status.encode().unwrap().encode().to_vec();
    let mut cases = vec![
        ("a length of 4 GiB", greeted(&header(u32::MAX, 1, 1))),
        ("a length of 2 GiB", greeted(&header(1 << 31, 1, 1))),
        ("one above the cap", greeted(&header(cap - 3, 1, 1))),
        ("no room for a header", greeted(&header(3, 1, 1))),
        ("no length", greeted(&header(0, 1, 1))),
        ("no hello", status.clone()),
        ("a web browser", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a TLS client", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("a hello of no versions", b"CAGT\0".to_vec()),
        ("a hello of too many", b"CAGT\xff".to_vec()),
    ];
    for kind in kinds() {
        // The nine bytes that end an unlimited decoder: a length of 64 GiB.
        cases.push(("a bomb", greeted(&frame(kind, &[0xfd, 0, 0, 0, 0, 16, 0, 0, 0]))));
        cases.push(("a bomb of bombs", greeted(&frame(kind, &[0xfd; 64]))));
        cases.push(("brackets", greeted(&frame(kind, &[1; 10_000]))));
    }
    for request in [Request::Status, Request::Stop] {
        let encoded = request.encode().unwrap();
        cases.push(("trailing bytes", greeted(&frame(encoded.kind, &[&encoded.body[..], b"\0"].concat()))));
    }
    for (name, bytes) in cases {
        let mut raw = sandbox.raw();
        raw.send(&bytes).unwrap();
        let answer = raw.frame().unwrap_or_else(|error| panic!("{name}: {error}"));
        let Response::Fault(fault) = Response::decode(&answer).unwrap() else { panic!("{name}: {answer:?}") };
        assert_eq!(fault.kind, FaultKind::Usage, "{name}: {fault}");
        assert_eq!(raw.closed(PATIENCE), Some(0), "{name}");
    }
    assert!(agent.runs());
    assert!(matches!(sandbox.raw().answer(&Request::Status), Response::Status(_)));
}

/// T18
#[test]
fn a_request_of_an_unknown_kind_is_answered_and_the_connection_goes_on() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let mut raw = sandbox.raw();
    raw.send(&greeted(&frame(0x7777, b"from the future"))).unwrap();
    let Response::Fault(fault) = Response::decode(&raw.frame().unwrap()).unwrap() else { panic!("no fault") };
    assert_eq!(fault.kind, FaultKind::Unsupported);
    assert!(matches!(raw.answer(&Request::Status), Response::Status(_)));
}

/// T18
#[test]
fn a_hundred_thousand_hostile_frames_leave_the_agent_as_it_was() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let noisy = |rounds: std::ops::Range<u64>| {
        for round in rounds {
            let body = noise(round, usize::try_from(round % 300).unwrap());
            let kind = u16::try_from(round % 12).unwrap();
            let bytes = match round % 4 {
                0 => body,
                1 => greeted(&body),
                2 => greeted(&frame(kind, &body)),
                _ => greeted(&header(u32::try_from(round % 40_000).unwrap(), 1, kind)),
            };
            let mut raw = scene.sandbox.raw();
            // Refused and closed while this is written, as likely as not.
            let _ = raw.send(&bytes);
            let _ = raw.stream().shutdown(std::net::Shutdown::Write);
            // One after the other: what a thousand connections at once take is another question.
            assert!(raw.closed(PATIENCE).is_some(), "round {round}: {}", agent.doing());
        }
    };
    let unknown = |count: usize| {
        let mut raw = scene.sandbox.raw();
        raw.send(&greeted(&frame(0x7777, &[]))).unwrap();
        let _ = raw.frame().unwrap();
        let batch = frame(0x7777, &noise(7, 40)).repeat(100);
        for _ in 0..count / 100 {
            raw.send(&batch).unwrap();
            let mut answers = 0;
            while answers < 100 {
                answers += drain(&raw);
            }
        }
    };
    // What a first crowd costs once (buffers of the allocator and of the log) is no leak.
    noisy(0..200);
    unknown(1000);
    // Of its own: pages of the program are read in as they are first used.
    let own = || process::status(agent.pid(), "RssAnon").unwrap();
    let before = own();
    noisy(200..GARBAGE_CONNECTIONS);
    unknown(UNKNOWN_FRAMES);
    let grown = own().saturating_sub(before);
    assert!(agent.runs() && grown < GROWTH, "{grown} KiB more than {before}");
    assert_eq!(scene.get().code(), 0);
}

/// Reads what is there; how many frames were in it. Frames of one connection are all alike here.
fn drain(raw: &Raw) -> usize {
    let mut stream = raw.stream();
    let mut head = [0; 8];
    stream.read_exact(&mut head).expect("an answer");
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let mut body = vec![0; usize::try_from(len).unwrap() - 4];
    stream.read_exact(&mut body).expect("all of it");
    1
}

/// T20
#[test]
fn a_client_of_another_version_is_told_which_are_spoken_and_may_go_on_in_one() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let mut raw = sandbox.raw();
    raw.send(&[hello::encode(&[9]), header(9, 9, 1), b"12345".to_vec()].concat()).unwrap();
    let refusal = raw.frame().unwrap();
    assert_eq!((refusal.version, refusal.kind), (0, KIND_VERSION_REFUSED));
    assert_eq!(refusal.refused_versions(), Some(vec![1]));
    assert!(matches!(raw.answer(&Request::Status), Response::Status(_)), "whoever knows both asks again");
}

/// T20: one version older or newer, and able to speak ours. The agent answers in ours, on the same connection.
#[test]
fn a_client_that_speaks_one_version_more_is_answered_in_ours() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let status = Request::Status.encode().unwrap().encode().to_vec();
    for versions in [&[0, 1][..], &[1, 0], &[1, 2], &[2, 1], &[2, 1, 0]] {
        // Whose first request is in ours already.
        let mut raw = sandbox.raw();
        raw.send(&[hello::encode(versions), status.clone()].concat()).unwrap();
        let answer = raw.frame().unwrap();
        assert_eq!(answer.version, 1, "{versions:?}");
        assert!(matches!(Response::decode(&answer), Ok(Response::Status(_))), "{versions:?}");
        // Whose first request is in its best one, by PROTOCOL.md.
        let best = versions[0];
        let mut raw = sandbox.raw();
        raw.send(&[hello::encode(versions), header(4, best, 5)].concat()).unwrap();
        if best != 1 {
            assert_eq!(raw.frame().unwrap().refused_versions(), Some(vec![1]), "{versions:?}");
            raw.send(&status).unwrap();
        }
        let answer = raw.frame().unwrap();
        assert_eq!((answer.version, answer.kind), (1, 0x8003), "{versions:?}");
    }
}

/// An agent from another time: answers whatever comes with these bytes.
fn with_strange_agent(answer: Vec<u8>, arguments: &[&str]) -> (i32, String) {
    let sandbox = sandbox();
    let dir = sandbox.path("run/cloud-agent");
    fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
    let listener = UnixListener::bind(sandbox.socket()).unwrap();
    fs::set_permissions(sandbox.socket(), fs::Permissions::from_mode(0o600)).unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).unwrap();
        stream.write_all(&answer).unwrap();
        // Kept open: the client has to make up its mind by itself.
        let _ = stream.read(&mut buffer);
    });
    let run = sandbox.command(cloud_agent_tests::sandbox::TOKEN).args(arguments.iter().copied());
    let outcome = run.args(["--timeout", "10"]).finish();
    served.join().unwrap();
    let said = outcome.fails(outcome.code()).to_owned();
    (outcome.code(), said)
}

/// T20
#[test]
fn a_client_names_both_versions_when_the_agent_speaks_another() {
    for arguments in [&["ecHome"][..], &["status"]] {
        let (code, said) = with_strange_agent(Frame::version_refused(&[2]).encode().to_vec(), arguments);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("speaks version 2") && said.contains("speaks version 1"), "{said}");
        assert!(said.contains("hint: "), "{said}");
    }
}

/// T18: from the other side: what a broken agent answers ends a client with words.
#[test]
fn a_client_survives_whatever_is_answered() {
    let answers = [
        header(u32::MAX, 1, 1),
        header(3, 1, 1),
        frame(0x8001, &[0xfd, 0, 0, 0, 0, 16, 0, 0, 0]),
        frame(0x7777, b""),
        frame(1, &[0xff; 100]),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        noise(3, 200),
    ];
    for answer in answers {
        let shown = answer.escape_ascii().to_string();
        let (code, said) = with_strange_agent(answer, &["ecHome"]);
        assert_eq!(code, 1, "{shown}: {said}");
        assert!(said.starts_with("error: ") && !said.contains("panicked"), "{shown}: {said}");
    }
}
