//! Every output is fed to the program that it is for.

use cloud_agent_tests::fake::echome::{EcHome, MACHINES};
use cloud_agent_tests::sandbox::{Agent, Sandbox};
use cloud_agent_tests::skip;
use serde_json::Value;

use crate::support::{KEY, login, sandbox, token};

struct Given {
    cloud: EcHome,
    sandbox: Sandbox,
    token: String,
    _agent: Agent,
}

fn given() -> Given {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let token = token(&sandbox, "ecHome");
    Given { cloud, sandbox, token, _agent: agent }
}

impl Given {
    fn output(&self, format: &str) -> String {
        let outcome = self.sandbox.token(["ecHome", "-o", format]);
        outcome.ok();
        outcome.stdout
    }

    /// The status that the real curl gets.
    fn curl(&self, arguments: &[&str], stdin: &str) -> String {
        let url = format!("{}{MACHINES}", self.cloud.url());
        let run = self.sandbox.command("curl").args(["-q", "-s", "-o", "/dev/null", "-w", "%{http_code}"]);
        run.args(arguments).arg(url).stdin(stdin).finish().ok().to_owned()
    }
}

#[test]
fn the_default_is_the_token_and_one_line_feed() {
    let it = given();
    assert_eq!(it.output("token"), format!("{}\n", it.token));
    assert_eq!(it.sandbox.token(["ecHome"]).stdout, it.output("token"));
}

#[test]
fn headers_are_what_curl_reads_from_a_file() {
    let it = given();
    assert_eq!(it.output("headers"), format!("Authorization: Bearer {}\n", it.token));
    if skip::unless_tool("headers_are_what_curl_reads_from_a_file", "curl").is_some() {
        assert_eq!(it.curl(&["-H", "@-"], &it.output("headers")), "200");
        assert_eq!(it.curl(&[], ""), "401");
    }
}

#[test]
fn a_curl_configuration_is_one_for_curl() {
    let it = given();
    if skip::unless_tool("a_curl_configuration_is_one_for_curl", "curl").is_some() {
        assert_eq!(it.curl(&["-K", "-"], &it.output("curl")), "200");
    }
}

#[test]
fn json_is_one_object_with_token_headers_and_expiry() {
    let it = given();
    let text = it.output("json");
    let value: Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(value.is_object());
    assert_eq!(value["token"], it.token.as_str());
    assert!(text.contains(&format!("Bearer {}", it.token)) && text.contains("Authorization"));
    if skip::unless_tool("json_is_one_object_with_token_headers_and_expiry", "python3").is_some() {
        let script = "import json, sys; print(json.load(sys.stdin)['token'])";
        assert_eq!(it.sandbox.command("python3").args(["-c", script]).stdin(text).finish().ok(), it.token);
    }
}

#[test]
fn an_environment_is_what_a_shell_evaluates() {
    let it = given();
    let script = "eval \"$(cat)\"; env";
    let seen = it.sandbox.command("sh").args(["-c", script]).stdin(it.output("env")).finish();
    assert!(seen.ok().lines().any(|line| line.ends_with(&it.token)), "{}", seen.stdout);
}

#[test]
fn an_unknown_format_is_a_mistake_of_the_callers() {
    let it = given();
    it.sandbox.token(["ecHome", "-o", "yaml"]).fails(2);
}
