//! The real kubectl, over TLS, against a cluster that takes the account's token.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cloud_agent_tests::fake::{Fault, Reply, Request, Server};
use cloud_agent_tests::sandbox::{Outcome, Run, TOKEN};
use cloud_agent_tests::skip;
use serde_json::{Value, json};

use super::{Stage, is_authorised, own, site};
use crate::support::sandbox;
use crate::terminal::Terminal;

/// The oldest kubectl that speaks both versions and knows `interactiveMode` and `provideClusterInfo`.
const OLDEST: u32 = 26;

/// A newer kubectl. Where the Cloud SDK has put a dispatcher in its place, those that it chooses from lie beside it.
pub(super) fn kubectl(what: &str) -> Option<PathBuf> {
    let found = skip::find("kubectl").map(|path| path.canonicalize().unwrap_or(path));
    let beside = |path: &Path| {
        let names = fs::read_dir(path.parent()?).ok()?.flatten();
        let minor = |path: &PathBuf| path.extension()?.to_str()?.parse::<u32>().ok();
        let versioned =
            names.map(|entry| entry.path()).filter(|path| path.file_stem().is_some_and(|n| n == "kubectl.1"));
        versioned.filter_map(|path| Some((minor(&path)?, path))).max().map(|(_, path)| path)
    };
    let program = found.map(|path| beside(&path).unwrap_or(path)).filter(|path| minor_version(path) >= Some(OLDEST));
    if program.is_none() {
        skip::skip(what, &format!("there is no `kubectl` 1.{OLDEST} or newer"));
    }
    program
}

fn minor_version(kubectl: &Path) -> Option<u32> {
    let output = Command::new(kubectl).args(["version", "--client", "--output=json"]).output().ok()?;
    let version: Value = serde_json::from_slice(&output.stdout).ok()?;
    version["clientVersion"]["minor"].as_str()?.trim_end_matches('+').parse().ok()
}

/// A cluster, and kubectl configured for it.
pub(super) struct Cluster {
    pub(super) stage: Stage,
    pub(super) kubectl: PathBuf,
    pub(super) server: Server,
}

impl Cluster {
    pub(super) fn new(what: &str) -> Option<Self> {
        let kubectl = kubectl(what)?;
        let stage = Stage::new();
        let cloud = Arc::clone(&stage.cloud);
        let server = site(true, move |request| {
            if is_authorised(&cloud, request) {
                return api(request);
            }
            let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401,
                "reason": "Unauthorized", "message": "Unauthorized"});
            Reply::json(401, &refusal)
        });
        stage.serve(&server.url());
        Some(Self { stage, kubectl, server })
    }

    /// kubectl with this user in its kubeconfig; its plug-in leaves a line in a file at each run.
    fn kubectl(&self, exec: &Value, arguments: &[&str]) -> Run<'_> {
        self.kubectl_at(exec, None, arguments)
    }

    /// The same at a cluster whose entry names an account.
    pub(super) fn kubectl_at(&self, exec: &Value, account: Option<&str>, arguments: &[&str]) -> Run<'_> {
        let mut exec = exec.clone();
        let script = format!(
            "#!/bin/sh\necho >> '{}'\nexec cloud-token \"$@\"\n",
            self.stage.sandbox.path("home/runs").display()
        );
        let plugin = self.stage.sandbox.path("home/plugin");
        if !plugin.exists() {
            crate::support::put_script(&plugin, &script);
        }
        exec["command"] = json!(plugin);
        let mut cluster = json!({"server": self.server.url(), "certificate-authority": self.server.ca()});
        if let Some(account) = account {
            let extension = json!({"account": account});
            cluster["extensions"] = json!([{"name": "client.authentication.k8s.io/exec", "extension": extension}]);
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"exec": exec}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        let path = self.stage.sandbox.path("home/kubeconfig");
        fs::write(&path, config.to_string()).unwrap();
        let run = self.stage.sandbox.command(&self.kubectl).arg("--kubeconfig").arg(path);
        run.args(arguments.iter().copied())
    }

    pub(super) fn get(&self, exec: &Value) -> Outcome {
        self.kubectl(exec, &["get", "pods", "-o", "name"]).finish()
    }

    pub(super) fn runs(&self) -> usize {
        fs::read_to_string(self.stage.sandbox.path("home/runs")).unwrap_or_default().lines().count()
    }
}

/// As much of an API server as `kubectl get pods` looks at.
fn api(request: &Request) -> Reply {
    let body = match request.path.as_str() {
        "/api" => json!({"kind": "APIVersions", "versions": ["v1"]}),
        "/apis" => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}),
        "/api/v1" => json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["get", "list"]}]}),
        "/api/v1/namespaces/default/pods" => json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [
            {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "one", "namespace": "default"}}]}),
        _ => return Reply::json(404, &json!({"kind": "Status", "status": "Failure", "code": 404})),
    };
    Reply::json(200, &body)
}

pub(super) fn exec(version: &str, arguments: &[&str]) -> Value {
    json!({
        "apiVersion": format!("client.authentication.k8s.io/{version}"), "args": arguments,
        "interactiveMode": "Never", "provideClusterInfo": true,
    })
}

#[test]
fn kubectl_gets_a_token_in_both_versions_for_a_named_account_and_for_the_clusters_own() {
    let what = "kubectl_gets_a_token_in_both_versions_for_a_named_account_and_for_the_clusters_own";
    let Some(it) = Cluster::new(what) else { return };
    for version in ["v1", "v1beta1"] {
        for arguments in [&["helper", "kubectl", "ecHome"][..], &["helper", "kubectl"]] {
            assert_eq!(it.get(&exec(version, arguments)).ok(), "pod/one", "{version} {arguments:?}");
        }
    }
    let bearer = format!("Bearer {}", it.stage.token());
    assert!(it.server.requests().iter().all(|request| request.header("authorization") == Some(&bearer)));
    assert_eq!(it.stage.cloud.refreshes(), 0, "ordinary commands renew nothing");
    // A cluster that no account answers for, and none is named.
    it.stage.serve("none");
    let outcome = it.get(&exec("v1", &["helper", "kubectl"]));
    assert!(outcome.stderr.contains("no account answers for that address"), "{}", outcome.stderr);
}

#[test]
fn after_a_refusal_the_token_is_renewed_once_and_the_next_command_works() {
    let what = "after_a_refusal_the_token_is_renewed_once_and_the_next_command_works";
    let Some(it) = Cluster::new(what) else { return };
    let user = exec("v1", &["helper", "kubectl"]);
    it.get(&user).ok();
    it.get(&user).ok();
    assert_eq!(it.stage.cloud.refreshes(), 0);
    let before = it.runs();
    it.stage.cloud.revoke_access_tokens();
    let refused = it.get(&user);
    assert!(it.runs() - before >= 2, "kubectl asks again: {refused:?}");
    assert_eq!(it.stage.cloud.refreshes(), 1, "one renewal, however often it asked");
    assert_eq!(it.get(&user).ok(), "pod/one");
    assert_eq!(it.stage.cloud.refreshes(), 1);
}

#[test]
fn a_cluster_that_refuses_every_token_does_not_cost_the_account() {
    let Some(it) = Cluster::new("a_cluster_that_refuses_every_token_does_not_cost_the_account") else { return };
    it.server.break_always("*", Fault::status(401, &json!({"kind": "Status", "status": "Failure", "code": 401})));
    for _ in 0..3 {
        assert_ne!(it.get(&exec("v1", &["helper", "kubectl"])).code(), 0);
    }
    assert_eq!(it.stage.cloud.refreshes(), 1, "a guess is made once in ten seconds");
    assert!(it.stage.cloud.accepts(&it.stage.token()));
}

#[test]
fn a_human_who_is_needed_is_told_in_one_line_and_the_cloud_is_left_alone() {
    let what = "a_human_who_is_needed_is_told_in_one_line_and_the_cloud_is_left_alone";
    let Some(it) = Cluster::new(what) else { return };
    it.stage.log_out();
    let before = it.stage.cloud.requests().len();
    let outcome = it.get(&exec("v1", &["helper", "kubectl"]));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    let ours: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("cloud-token: `ecHome`")).collect();
    assert_eq!(ours.len(), it.runs(), "a line for each of its runs: {}", outcome.stderr);
    assert!(ours.iter().all(|line| line.contains("`cloud-token login ecHome`")), "{ours:?}");
    assert_eq!(it.stage.cloud.requests().len(), before);
    it.stage.sandbox.set("CLOUD_AGENT_NO_AUTOSTART", "1");
    it.stage.sandbox.token(["stop"]).ok();
    let outcome = it.get(&exec("v1", &["helper", "kubectl", "ecHome"]));
    assert!(outcome.stderr.contains("cloud-token: no agent answers"), "{}", outcome.stderr);
}

/// What client-go puts into the environment.
fn info(version: &str, interactive: bool) -> String {
    let spec = json!({"interactive": interactive});
    json!({"kind": "ExecCredential", "apiVersion": format!("client.authentication.k8s.io/{version}"), "spec": spec})
        .to_string()
}

#[test]
fn the_answer_is_one_object_of_the_version_that_was_asked_for() {
    let stage = Stage::serving("none");
    for version in ["v1", "v1beta1"] {
        let outcome = stage.helper("kubectl ecHome").env("KUBERNETES_EXEC_INFO", info(version, false)).finish();
        let answer: Value = serde_json::from_str(outcome.ok()).unwrap();
        assert_eq!(answer["apiVersion"], format!("client.authentication.k8s.io/{version}"));
        assert_eq!((answer["kind"].as_str(), outcome.stderr.as_str()), (Some("ExecCredential"), ""));
        assert_eq!(answer["status"]["token"], stage.token());
        let end = answer["status"]["expirationTimestamp"].as_str().unwrap();
        assert!(end.len() == 20 && end.ends_with('Z') && end.contains('T'), "{end}");
    }
    for wrong in [info("v2", false), "{}".to_owned(), String::new()] {
        let outcome = stage.helper("kubectl ecHome").env("KUBERNETES_EXEC_INFO", wrong).finish();
        assert_eq!(outcome.fails(2).lines().count(), 1, "{}", outcome.stderr);
    }
    let nobody = stage.helper("kubectl").finish();
    assert!(nobody.fails(2).contains("provideClusterInfo"));
}

#[test]
fn whoever_may_be_asked_is_and_who_may_not_is_not_even_at_a_terminal() {
    let stage = Stage::serving("none");
    stage.log_out();
    let ask = |terminal: &Terminal, interactive| {
        let run = terminal.run(&stage.sandbox, TOKEN, &["helper", "kubectl", "ecHome"]);
        run.env("KUBERNETES_EXEC_INFO", info("v1", interactive)).spawn()
    };
    let silent = Terminal::open();
    assert_eq!(ask(&silent, false).finish().code(), 4);
    silent.shows("cloud-token login ecHome");
    assert!(!silent.shown().contains("Secret of the access key"));
    let asked = Terminal::open();
    let running = ask(&asked, true);
    asked.shows("Secret of the access key");
    asked.types(&format!("{}\n", stage.secret));
    assert_eq!(running.finish().code(), 0, "{}", asked.shown());
    asked.shows(&stage.token());
}

#[test]
fn two_headers_are_told_what_carries_them() {
    let sandbox = sandbox();
    let cloud = own::cloud(&sandbox, 3600);
    let stage = Stage::in_sandbox(sandbox);
    own::login(&stage.sandbox, &cloud.url(), "");
    let outcome = stage.helper("kubectl keyed").finish();
    let said = outcome.fails(1);
    assert!(said.contains("`X-Keyed-Id` and `X-Keyed-Token`") && said.contains("cloud-token curl keyed"), "{said}");
}
