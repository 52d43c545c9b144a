//! What consumers are told where an account answers and has no token: each stops there, at once, and nowhere else.

use std::fs;
use std::sync::Arc;

use cloud_agent_tests::fake::{Authority, Certificate, Fault, Sabotage, Saboteur};
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::skip;
use serde_json::{Value, json};

use super::git::Repository;
use super::kubectl::{Cluster, exec};
use super::{Stage, is_silent, own, registries};
use crate::support::{login, put_script, sandbox};

impl Stage {
    /// Breaks the cloud for an account whose token is gone.
    fn away(&self, fault: Fault) {
        self.token();
        self.cloud.break_always("*", fault);
        self.sandbox.token(["reject", "ecHome"]).ok();
    }

    fn lock(&self) {
        let lock = self.sandbox.command(TOKEN).args(["lock", "--passphrase", "env:IT_LOCK"]);
        lock.env("IT_LOCK", "a passphrase").finish().ok();
    }

    fn asked(&self) -> usize {
        self.cloud.requests().len()
    }
}

/// That every line of ours says whose token is missing, and when there may be one.
#[track_caller]
fn says_whose_and_when(text: &str, runs: usize) {
    let ours: Vec<_> = text.lines().filter(|line| line.contains("cloud-token: ")).collect();
    assert_eq!(ours.len(), runs, "one line for each run: {text}");
    assert!(ours.iter().all(|line| line.contains("`ecHome`") && line.contains("next try: 20")), "{text}");
}

#[test]
fn a_locked_agent_stops_git_at_its_accounts_hosts_and_at_no_other() {
    let what = "a_locked_agent_stops_git_at_its_accounts_hosts_and_at_no_other";
    if skip::unless_tool(what, "git").is_none() {
        return;
    }
    let stage = Stage::serving("https://git.acme.example");
    stage.lock();
    put_script(&stage.sandbox.path("home/askpass"), "#!/bin/sh\necho typed\n");
    let fill = |text: &str| {
        let git = stage.sandbox.command("git").args(["-c", "credential.helper=cloud-token", "credential", "fill"]);
        git.env("GIT_ASKPASS", stage.sandbox.path("home/askpass")).env("GIT_CONFIG_NOSYSTEM", "1").stdin(text).finish()
    };
    for foreign in
        ["protocol=https\nhost=github.example\n\n", "protocol=https\nhost=github.example\nusername=ecHome\n\n"]
    {
        let asked = fill(foreign);
        assert!(asked.ok().contains("password=typed") && asked.stderr.is_empty(), "{asked:?}");
    }
    // Whichever name is guessed, nothing tells whether there is such an account.
    for user in ["", "username=ecHome\n", "username=nobody\n"] {
        let stopped = fill(&format!("protocol=https\nhost=git.acme.example\n{user}\n"));
        assert_eq!(stopped.code(), 128, "{stopped:?}");
        assert!(stopped.stderr.contains("the agent is locked") && stopped.stderr.contains("`cloud-token unlock`"));
        assert!(!stopped.stderr.contains("ecHome"), "{}", stopped.stderr);
    }
    is_silent(&stage.helper("git erase").stdin("protocol=https\nhost=github.example\npassword=x\n\n").finish());
}

#[test]
fn the_other_consumers_go_on_past_a_locked_agent_too() {
    let stage = Stage::serving("https://registry.acme.example");
    stage.lock();
    let run = |program: &str, arguments: &[&str], text: &str| {
        stage.sandbox.command(program).args(arguments.iter().copied()).stdin(text).finish()
    };
    let docker = run("docker-credential-cloud-token", &["get"], "index.docker.io");
    assert_eq!(docker.stdout, "credentials not found in native keychain\n");
    assert_eq!(run("terraform-credentials-cloud-token", &["get", "registry.terraform.io"], "").ok(), "{}");
    let bazel = run("bazel-credential-cloud-token", &["get"], "{\"uri\":\"https://cache.example/\"}");
    assert_eq!(bazel.ok(), "{\"headers\":{}}");
    let cargo = |kind: &str| {
        let line = json!({"v": 1, "kind": kind, "registry": {"index-url": "sparse+https://index.crates.io/"}});
        let answer = run("cargo-credential-cloud-token", &[], &format!("{line}\n"));
        answer.ok().lines().nth(1).map(|line| serde_json::from_str::<Value>(line).unwrap())
    };
    assert_eq!(cargo("get"), Some(json!({"Err": {"kind": "url-not-supported"}})));
    assert_eq!(cargo("login"), cargo("get"));
    let ours = run("docker-credential-cloud-token", &["get"], "registry.acme.example");
    assert!(ours.stdout.contains("the agent is locked") && !ours.stdout.contains("ecHome"), "{ours:?}");
}

#[test]
fn whatever_keeps_the_cloud_from_answering_stops_git_and_asks_nobody() {
    let what = "whatever_keeps_the_cloud_from_answering_stops_git_and_asks_nobody";
    let Some(it) = Repository::new(what) else { return };
    // The second is a fault of the configuration, for all that the agent can tell.
    for fault in [Fault::bad_gateway(503), Fault::status(404, &json!({}))] {
        it.stage.cloud.clear();
        it.stage.serve(&it.server.url());
        it.stage.away(fault);
        let outcome = it.list();
        assert_eq!(outcome.code(), 128, "{outcome:?}");
        assert!(outcome.stderr.contains("told us to quit"), "{}", outcome.stderr);
        let said = outcome.stderr.lines().find(|line| line.starts_with("cloud-token: ")).unwrap_or_default();
        says_whose_and_when(said, 1);
        it.nobody_was_asked();
    }
}

#[test]
fn a_cloud_that_is_gone_is_told_with_the_accounts_name() {
    let sandbox = sandbox();
    let cloud = own::cloud(&sandbox, 1);
    let stage = Stage::in_sandbox(sandbox);
    own::login(&stage.sandbox, &cloud.url(), "");
    own::serve(&stage.sandbox, "https://git.acme.example");
    drop(cloud);
    stage.sandbox.token(["reject", "keyed"]).ok();
    let outcome = stage.helper("git get").stdin("protocol=https\nhost=git.acme.example\n\n").finish();
    assert_eq!(outcome.stdout, "quit=1\n");
    for words in ["`keyed` has no token: ", "refuses connections", "; next try: 20"] {
        assert!(outcome.stderr.contains(words) && outcome.stderr.lines().count() == 1, "{}", outcome.stderr);
    }
}

#[test]
fn what_lies_between_and_is_broken_stops_git_whatever_kind_of_fault_it_is() {
    let what = "what_lies_between_and_is_broken_stops_git_whatever_kind_of_fault_it_is";
    if skip::unless_tool(what, "git").is_none() {
        return;
    }
    let (sandbox, authority) = (sandbox(), Arc::new(Authority::new()));
    sandbox.set("SSL_CERT_FILE", authority.ca());
    let stage = Stage::in_sandbox(sandbox);
    let between = Saboteur::before(stage.cloud.address(), "localhost", &authority);
    put_script(&stage.sandbox.path("home/askpass"), "#!/bin/sh\necho typed\n");
    for sabotage in [
        Sabotage::Certificate(Certificate::Expired),
        Sabotage::Certificate(Certificate::UnknownAuthority),
        Sabotage::Plain,
        Sabotage::Refuse,
    ] {
        between.engage(Sabotage::None);
        let login = login(&stage.sandbox, "ecHome", &between.url(), &stage.secret);
        login.args(["--set", "serves=https://git.acme.example"]).finish().ok();
        between.engage(sabotage);
        stage.sandbox.token(["reject", "ecHome"]).ok();
        let git = stage.sandbox.command("git").args(["-c", "credential.helper=cloud-token", "credential", "fill"]);
        let git = git.env("GIT_ASKPASS", stage.sandbox.path("home/askpass")).env("GIT_CONFIG_NOSYSTEM", "1");
        let outcome = git.stdin("protocol=https\nhost=git.acme.example\n\n").finish();
        assert_eq!((outcome.code(), outcome.stdout.as_str()), (128, ""), "{sabotage:?}: {outcome:?}");
        let said = outcome.stderr.lines().find(|line| line.starts_with("cloud-token: ")).unwrap_or_default();
        says_whose_and_when(said, 1);
    }
}

#[test]
fn kubectls_six_runs_ask_a_cloud_that_is_away_once_and_say_why_each_time() {
    let what = "kubectls_six_runs_ask_a_cloud_that_is_away_once_and_say_why_each_time";
    let Some(it) = Cluster::new(what) else { return };
    it.stage.away(Fault::bad_gateway(503));
    let before = it.stage.asked();
    let outcome = it.get(&exec("v1", &["helper", "kubectl"]));
    assert_ne!(outcome.code(), 0);
    assert!(it.runs() > 1, "one run proves nothing");
    says_whose_and_when(&outcome.stderr, it.runs());
    assert_eq!(it.stage.asked() - before, 1, "however often kubectl asked");
}

#[test]
fn a_cloud_that_says_nothing_is_asked_once_by_all_of_kubectls_runs() {
    let Some(it) = Cluster::new("a_cloud_that_says_nothing_is_asked_once_by_all_of_kubectls_runs") else { return };
    it.stage.away(Fault::Hang);
    let before = it.stage.asked();
    let outcome = it.get(&exec("v1", &["helper", "kubectl", "--timeout", "3s"]));
    assert_ne!(outcome.code(), 0);
    assert!(it.runs() > 1, "{outcome:?}");
    assert_eq!(it.stage.asked() - before, 1);
}

#[test]
fn docker_goes_without_a_token_while_the_cloud_is_away_and_its_helper_says_why() {
    let what = "docker_goes_without_a_token_while_the_cloud_is_away_and_its_helper_says_why";
    if skip::unless_tool(what, "docker").is_none() {
        return;
    }
    let stage = Stage::new();
    let registry = registries::image_registry(&stage);
    stage.serve(&registry.url());
    let host = registry.address().to_string();
    let config = stage.sandbox.path("home/.docker");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("config.json"), json!({"credHelpers": {&host: "cloud-token"}}).to_string()).unwrap();
    stage.away(Fault::bad_gateway(503));
    let before = stage.asked();
    let image = format!("{host}/thing:latest");
    let seen = stage.sandbox.command("docker").args(["manifest", "inspect", "--insecure", &image]).finish();
    assert_ne!(seen.code(), 0);
    assert!(registry.requests().iter().all(|sent| sent.header("authorization").is_none()));
    // docker itself keeps to itself what its helper says.
    let helper = stage.sandbox.command("docker-credential-cloud-token").arg("get").stdin(host).finish();
    assert_eq!(helper.code(), 1);
    says_whose_and_when(&helper.stdout, 1);
    assert_eq!(stage.asked() - before, 1, "docker asked twice, and somebody else once");
}

#[test]
fn cargo_says_whose_cloud_is_away() {
    if skip::unless_tool("cargo_says_whose_cloud_is_away", "cargo").is_none() {
        return;
    }
    let stage = Stage::new();
    let registry = registries::crate_registry(&stage);
    stage.serve(&registry.url());
    stage.away(Fault::bad_gateway(503));
    let before = stage.asked();
    let config = format!(
        "[registries.mine]\nindex = \"sparse+{}/index/\"\ncredential-provider = [\"{}\"]\n",
        registry.url(),
        stage.sandbox.program("cargo-credential-cloud-token").display(),
    );
    let outcome = registries::generate_lockfile(&stage, &config);
    assert_ne!(outcome.code(), 0);
    assert!(outcome.stderr.contains("`ecHome`") && outcome.stderr.contains("next try: 20"), "{}", outcome.stderr);
    assert_eq!(stage.asked() - before, 1);
}
