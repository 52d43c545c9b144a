//! The journal of hand-outs, as its commands show it.

use std::fmt::Write as _;
use std::fs;

use cloud_agent_tests::sandbox::{AGENT, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use sha2::{Digest, Sha256};

use super::{Desk, chain, entries, script};

fn fingerprint(token: &str) -> String {
    Sha256::digest(token).iter().take(6).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[test]
fn a_hand_out_is_noted_with_the_token_s_fingerprint_and_whoever_asked() {
    let desk = Desk::new();
    let script = script(&desk.sandbox, "deploy", "ECHOME");
    let token = desk.sandbox.command(&script).finish().ok().to_owned();
    let log = desk.log();
    let [entry] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!((&entry["account"], &entry["outcome"], &entry["n"]), (&"ecHome".into(), &"given".into(), &1.into()));
    assert_eq!(entry["fingerprint"], fingerprint(&token).as_str());
    assert!(entry["at"].as_i64().unwrap() > 1_700_000_000 && entry["origin"].is_null(), "{entry}");
    let chain = chain(entry);
    assert!(chain[0].ends_with("cloud-token") && chain[1].contains("sh"), "{chain:?}");
    assert_eq!(entry["caller"][2]["pid"], std::process::id(), "{entry}");
    let words = desk.sandbox.token(["log"]).ok().to_owned();
    assert!(words.contains("  ecHome  ") && words.contains(" < ") && words.lines().count() == 1, "{words}");
    assert!(!words.contains(&token));
}

#[test]
fn a_refusal_is_noted_and_what_is_asked_again_and_again_is_one_line() {
    let desk = Desk::new();
    desk.sandbox.token(["nobody"]).fails(6);
    let mut raw = desk.sandbox.raw();
    let get = |account: &str| {
        cloud_agent_protocol::v1::Request::Get(cloud_agent_protocol::v1::Get {
            account: account.into(),
            min_valid: None,
            fresh: false,
            environment: false,
            deadline_ms: 10_000,
        })
    };
    let _ = raw.answer(&get("ecHome"));
    for _ in 0..50 {
        let _ = raw.then(&get("ecHome"));
    }
    let log = desk.log();
    assert_eq!((&log[0]["account"], &log[0]["outcome"]), (&"nobody".into(), &"unknown-account".into()));
    assert!(log[0]["fingerprint"].is_null());
    let given: u64 = log[1..].iter().map(|entry| entry["times"].as_u64().unwrap()).sum();
    assert_eq!(given, 51);
    assert!(log.len() < 20, "{log:?}");
}

#[test]
fn a_token_that_was_found_somewhere_is_traced_to_whom_it_was_given() {
    let desk = Desk::new();
    let token = desk.token();
    let other = desk.sandbox.token(["ecHome", "--fresh"]).ok().to_owned();
    assert_ne!(token, other);
    let who =
        |token: &str| desk.sandbox.command(TOKEN).args(["log", "--who", "--json"]).stdin(format!("{token}\n")).finish();
    let found = entries(who(&token).ok());
    assert!(found.len() == 1 && found[0]["fingerprint"] == fingerprint(&token).as_str(), "{found:?}");
    assert!(who("never-given").fails(1).contains("no entry"));
    assert!(who("").fails(2).contains("hint: `printf %s \"$token\" | cloud-token log --who`"));
}

#[test]
fn a_journal_that_somebody_changed_or_cut_is_named_with_the_entry() {
    let desk = Desk::new();
    for _ in 0..3 {
        desk.sandbox.token(["ecHome", "--fresh"]).ok();
        desk.log();
    }
    let verify = || desk.sandbox.token(["log", "--verify"]);
    assert_eq!(verify().ok(), "3 entries, all as they were written");
    let path = desk.sandbox.state().join("journal/handouts");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"outcome\":\"given\"", "\"outcome\":\"taken\"", 1)).unwrap();
    assert!(verify().fails(1).contains("caused by: entry 1 was changed"));
    fs::write(&path, format!("{}\n", text.lines().next().unwrap())).unwrap();
    assert!(verify().fails(1).contains("ends with entry 1") && verify().fails(1).contains("entry 3"));
    fs::write(&path, &text).unwrap();
    verify().ok();
}

#[test]
fn the_next_agent_writes_the_same_chain_on() {
    let mut desk = Desk::new();
    desk.token();
    assert!(desk.agent.stop(PATIENCE).success());
    desk.agent = desk.sandbox.agent();
    desk.login("ecHome");
    desk.token();
    assert_eq!(desk.log().iter().map(|entry| entry["n"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    desk.sandbox.token(["log", "--verify"]).ok();
}

#[test]
fn a_state_directory_that_cannot_be_written_stops_no_answer() {
    let desk = Desk::new();
    // A file in its place: not even root can make anything below it.
    fs::write(desk.sandbox.state().join("journal"), "")
        .or_else(|_| {
            fs::create_dir_all(desk.sandbox.state())?;
            fs::write(desk.sandbox.state().join("journal"), "")
        })
        .unwrap();
    desk.token();
    assert!(until(PATIENCE, || desk.agent.log().contains("the journal of hand-outs cannot be written")));
    let token = desk.token();
    fs::remove_file(desk.sandbox.state().join("journal")).unwrap();
    desk.token();
    let log = desk.log();
    assert_eq!(log.len(), 3, "{log:?}");
    assert!(log.iter().all(|entry| entry["fingerprint"] == fingerprint(&token).as_str()));
}

#[test]
fn an_agent_that_ends_says_what_it_could_not_write() {
    let desk = Desk::new();
    fs::create_dir_all(desk.sandbox.state()).unwrap();
    fs::write(desk.sandbox.state().join("journal"), "").unwrap();
    desk.token();
    desk.token();
    assert!(desk.agent.stop(PATIENCE).success());
    let log = desk.agent.log();
    assert!(log.contains("the last 2 entries of the journal of hand-outs could not be written"), "{log}");
}

#[test]
fn a_full_disk_stops_no_answer_and_leaves_the_chain_whole() {
    let what = "a_full_disk_stops_no_answer_and_leaves_the_chain_whole";
    if !skip::unless_root(what) || skip::unless_tool(what, "unshare").is_none() {
        return;
    }
    let mut desk = Desk::new();
    desk.agent.stop(PATIENCE);
    let state = desk.sandbox.state();
    fs::create_dir_all(&state).unwrap();
    let mount = format!("mount -t tmpfs -o size=16k,mode=700 none '{}' && exec \"$0\" \"$@\"", state.display());
    let run = desk.sandbox.command("unshare").args(["-m", "sh", "-c", &mount]);
    desk.agent = desk.sandbox.agent_from(run.arg(desk.sandbox.program(AGENT)).args(["--vault", "memory"]));
    desk.login("ecHome");
    let full = || desk.agent.log().contains("the journal of hand-outs cannot be written");
    let filled = until(PATIENCE, || {
        desk.token();
        desk.log();
        full()
    });
    assert!(filled, "{}", desk.agent.log());
    desk.token();
    desk.sandbox.token(["log", "--verify"]).ok();
}

#[test]
fn a_locked_agent_tells_nobody_who_had_what() {
    let desk = Desk::new();
    desk.token();
    desk.sandbox.command(TOKEN).args(["lock", "--passphrase", "stdin"]).stdin("open sesame").finish().ok();
    for arguments in [&["log"][..], &["log", "--verify"]] {
        assert!(desk.sandbox.token(arguments.iter().copied()).fails(4).contains("cloud-token unlock"));
    }
}

#[test]
fn systemd_s_journal_is_told_if_the_file_says_so() {
    let desk = Desk::new();
    let socket = desk.sandbox.path("run/journal");
    let journald = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    journald.set_nonblocking(true).unwrap();
    desk.rules(&format!("[journal]\njournald = \"{}\"\n", socket.display()));
    let mut datagram = vec![0; 1 << 16];
    let mut count = 0;
    assert!(until(PATIENCE, || {
        desk.token();
        desk.log();
        count = journald.recv(&mut datagram).unwrap_or(0);
        count > 0
    }));
    let text = String::from_utf8_lossy(&datagram[..count]).into_owned();
    let expected = fingerprint(&desk.token());
    for field in [
        "MESSAGE=a token of `ecHome` was handed out to ",
        "SYSLOG_IDENTIFIER=cloud-agent",
        "CLOUD_AGENT_ACCOUNT=ecHome",
    ] {
        assert!(text.lines().any(|line| line.starts_with(field)), "{field}: {text}");
    }
    assert!(text.contains(&format!("CLOUD_AGENT_TOKEN={expected}\n")) && text.contains("CLOUD_AGENT_HASH="), "{text}");
}
