//! Secrets are where they belong and nowhere else.

use std::collections::BTreeSet;
use std::fs;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{EcHome, REFRESH};
use cloud_agent_tests::process;

use crate::support::{KEY, login, sandbox, token};

#[test]
fn no_secret_is_in_a_log_a_file_an_argument_or_an_environment() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    sandbox.set("CLOUD_AGENT_LOG", "trace");
    sandbox.set("RUST_LOG", "trace");
    let agent = sandbox.agent_with(["--vault", "memory", "-vvv"]);
    let mut said = String::new();
    said += &login(&sandbox, "ecHome", &cloud.url(), &secret).finish().stderr;
    token(&sandbox, "ecHome");
    for (_, fault) in Fault::bad_tokens("access").into_iter().chain([("", Fault::captive_portal()), ("", Fault::Close)])
    {
        cloud.break_next(1, REFRESH, fault);
        said += &sandbox.token(["ecHome", "--fresh"]).stderr;
    }
    said += &login(&sandbox, "ecHome", &cloud.url(), "wrong-secret-1234").finish().stderr;
    let status = sandbox.token(["status", "--json"]);
    said += &status.stdout;
    said += &status.stderr;
    said += &agent.log();
    for pid in sandbox.agents() {
        said += &process::arguments(pid).join(" ");
        said += &process::environment(pid).join(" ");
    }
    for (path, bytes) in sandbox.files() {
        said.extend(["\n", &path.to_string_lossy(), ": ", &String::from_utf8_lossy(&bytes)]);
    }
    let secrets: BTreeSet<String> = cloud.secrets();
    assert!(secrets.len() >= 4, "the cloud issued some: {}", secrets.len());
    for secret in &secrets {
        // The signature alone would do for somebody who has the rest from elsewhere.
        let last = secret.rsplit('.').next().unwrap_or(secret);
        assert!(!said.contains(secret.as_str()) && !said.contains(last), "`{secret}` is in:\n{said}");
    }
}

#[test]
fn a_core_of_the_agent_is_not_to_be_had() {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
}
