//! What is left in the agent's memory once it should have forgotten. Root reads it all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use cloud_agent_protocol::hello;
use cloud_agent_protocol::v1::{Login, NamedSecret, Request, Response, Setting};
use cloud_agent_tests::fake::Certificate;
use cloud_agent_tests::fake::echome::Options;
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::Scene;

/// Long enough not to be found by chance, short enough to find what was only partly wiped.
const PIECE: usize = 16;

/// Every distinctive piece of `secrets`: none that is in two of `all`, or in the examples of the cloud's own file.
fn pieces(secrets: &[String], all: &[String]) -> BTreeSet<Vec<u8>> {
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/clouds/echome.toml")).unwrap();
    let distinctive = |piece: &&str| {
        let shared = all.iter().filter(|secret| secret.contains(*piece)).count();
        shared < 2 && !example.contains(*piece)
    };
    let pieces = |secret: &'_ str| {
        let starts = (0..=secret.len().saturating_sub(PIECE)).step_by(PIECE / 2);
        let pieces = starts.filter_map(|at| secret.get(at..at + PIECE)).filter(distinctive);
        pieces.map(|piece| piece.as_bytes().to_vec()).collect::<Vec<_>>()
    };
    secrets.iter().flat_map(|secret| pieces(secret)).collect()
}

/// The writable memory of a process: where it is called what, and what is in it.
fn memory(pid: u32) -> Vec<(String, Vec<u8>)> {
    let memory = File::open(format!("/proc/{pid}/mem")).expect("root may read it");
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let writable = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")));
    writable
        .filter_map(|line| {
            let (from, to) = line.split(' ').next()?.split_once('-')?;
            let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
            let mut bytes = vec![0; usize::try_from(to - from).ok()?];
            memory.read_exact_at(&mut bytes, from).ok()?;
            Some((line.to_owned(), bytes))
        })
        .collect()
}

/// Where pieces of `secrets`, which are some of `all`, are in a process, with what is around them.
pub(super) fn hits(pid: u32, secrets: &[String], all: &[String]) -> Vec<String> {
    let wanted = pieces(secrets, all);
    assert!(wanted.len() >= secrets.len(), "there is something to look for");
    let mut found = Vec::new();
    for (name, bytes) in memory(pid) {
        for (at, window) in bytes.windows(PIECE).enumerate() {
            // Most of memory is zeros; the set is asked only about what could be text.
            if window[0] != 0 && wanted.contains(window) {
                let around = &bytes[at.saturating_sub(24)..(at + PIECE + 8).min(bytes.len())];
                found.push(format!("{name} +{at:#x}: {}", String::from_utf8_lossy(around).escape_debug()));
            }
        }
    }
    found
}

/// How the bodies of requests and replies begin around their secrets, where they would lie if a buffer were not wiped.
pub(super) const BODIES: [&str; 6] = [
    "{\"refresh\":\"eyJh",
    "\",\"access\":\"eyJh",
    "{\"access\":\"eyJhb",
    "\",\"refresh\":\"eyJ",
    "refresh=eyJhbGci",
    "\"password\":\"s3c",
];

fn secrets(scene: &Scene) -> Vec<String> {
    scene.cloud.secrets().into_iter().collect()
}

/// That nothing is left once the connection to the cloud has closed behind the answer, which a busy machine may put off.
#[track_caller]
pub(super) fn nothing_is_left(pid: u32, secrets: &[String], all: &[String]) {
    let mut left = Vec::new();
    let gone = until(PATIENCE, || {
        left = hits(pid, secrets, all);
        left.is_empty()
    });
    assert!(gone, "{} left:\n{}", left.len(), left.join("\n"));
}

fn nothing_is_left_after_a_logout(scene: &Scene, trust: &[String]) {
    let agent = scene.sandbox.agent();
    let logged_in = scene.login().args(trust.iter().cloned()).finish();
    assert_eq!(logged_in.code(), 0, "{logged_in:?}");
    for format in ["token", "headers", "json", "env", "curl"] {
        let _ = scene.sandbox.token(["ecHome", "-o", format]).ok();
    }
    let first = scene.get().ok().to_owned();
    assert!(
        !hits(agent.pid(), std::slice::from_ref(&first), &secrets(scene)).is_empty(),
        "what is cached is found: the scan works"
    );
    assert_ne!(scene.renew().ok(), first);
    let _ = scene.sandbox.token(["status"]).ok();
    assert_eq!(scene.sandbox.token(["logout", "ecHome"]).code(), 0);
    let mut secrets = secrets(scene);
    assert!(secrets.len() >= 5, "two tokens each of two kinds, and the key's secret");
    secrets.extend(BODIES.map(str::to_owned));
    nothing_is_left(agent.pid(), &secrets, &secrets);
}

/// T8
#[test]
fn after_a_logout_no_piece_of_any_secret_is_in_the_memory_of_the_agent() {
    if skip::unless_root("reading the agent's memory") {
        nothing_is_left_after_a_logout(&Scene::new(), &[]);
    }
}

/// T8: TLS and its buffers have had it all, too.
#[test]
fn after_a_logout_over_tls_no_piece_of_any_secret_is_in_the_memory_of_the_agent() {
    if skip::unless_root("reading the agent's memory") {
        let scene = Scene::with(Options { tls: Some(Certificate::Valid), ..Options::default() });
        let trust = ["--set".to_owned(), format!("ca-file={}", scene.cloud.ca().display())];
        nothing_is_left_after_a_logout(&scene, &trust);
    }
}

/// T8
#[test]
fn after_a_renewal_neither_the_old_tokens_nor_the_secret_of_the_login_are_in_memory() {
    if !skip::unless_root("reading the agent's memory") {
        return;
    }
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let old = secrets(&scene);
    let _ = scene.renew().ok();
    nothing_is_left(agent.pid(), &old, &secrets(&scene));
}

/// T8: what one agent hands to the next is in the memory of both for a moment.
#[test]
fn after_a_restart_and_a_logout_no_piece_of_any_secret_is_in_the_memory_of_the_new_agent() {
    if !skip::unless_root("reading the agent's memory") {
        return;
    }
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let _ = scene.get().ok();
    scene.sandbox.token(["restart"]).ok();
    assert!(until(PATIENCE, || scene.sandbox.agents().len() == 1), "the old one is gone with all that it had");
    let new = scene.sandbox.agents()[0];
    assert!(!hits(new, &secrets(&scene), &secrets(&scene)).is_empty(), "what is held is found: the scan works");
    assert_ne!(scene.renew().ok(), "");
    assert_eq!(scene.sandbox.token(["logout", "ecHome"]).code(), 0);
    let mut secrets = secrets(&scene);
    secrets.extend(BODIES.map(str::to_owned));
    nothing_is_left(new, &secrets, &secrets);
}

/// T8: of a client that dies, in the middle of its request or before its question was answered.
#[test]
fn a_login_that_breaks_off_leaves_its_secret_nowhere() {
    if !skip::unless_root("reading the agent's memory") {
        return;
    }
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    let canary = "a-canary-0123456789abcdefghijklmnopqrstuvwxyz";
    let login = Login {
        account: "ecHome".into(),
        cloud: None,
        method: None,
        origins: vec![Setting { name: String::new(), value: scene.cloud.url() }],
        settings: Vec::new(),
        secrets: vec![NamedSecret { name: "secret".into(), value: canary.into() }],
        remember: true,
        ephemeral: false,
        interactive: true,
        deadline_ms: 5000,
    };
    let request = Request::Login(login);
    let bytes = request.encode().unwrap().encode_after(&hello::encode(hello::VERSIONS));
    for cut in [bytes.len() - 1, bytes.len() - 8, bytes.len() / 2 + 40] {
        let mut raw = scene.sandbox.raw();
        for chunk in bytes[..cut].chunks(7) {
            raw.send(chunk).unwrap();
        }
    }
    let Response::Question(question) = scene.sandbox.raw().answer(&request) else { panic!("nothing was asked") };
    assert_eq!(question.name, "access-id");
    let calm =
        || matches!(scene.sandbox.raw().answer(&Request::Status), Response::Status(_)) && agent.open_files() < 20;
    assert!(until(PATIENCE, || calm() && hits(agent.pid(), &[canary.to_owned()], &[]).is_empty()));
    assert!(scene.cloud.requests().is_empty());
}

/// T8
#[test]
fn a_login_that_fails_leaves_its_secret_nowhere() {
    if !skip::unless_root("reading the agent's memory") {
        return;
    }
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    let wrong = "not-the-secret-but-a-canary-0123456789abcdef";
    let _ = scene.login().env("ECHOME_SECRET", wrong).finish().fails(1);
    nothing_is_left(agent.pid(), &[wrong.to_owned()], &secrets(&scene));
}
