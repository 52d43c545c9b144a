//! The AWS command line, and the protocol that Bazel and uv share.

use std::fs;
use std::path::Path;

use cloud_agent_tests::fake::{Reply, Server};
use cloud_agent_tests::lab;
use cloud_agent_tests::sandbox::{Outcome, TOKEN};
use serde_json::{Value, json};

use super::{Stage, own, site};
use crate::support::{put_script, sandbox};

fn keyed() -> (Stage, Server) {
    let sandbox = sandbox();
    let cloud = own::cloud(&sandbox, 3600);
    let stage = Stage::in_sandbox(sandbox);
    own::login(&stage.sandbox, &cloud.url(), "");
    (stage, cloud)
}

/// Lets the AWS command line, configured so, ask a service that takes only the account's keys who it is.
pub(super) fn caller_identity(stage: &Stage, aws: &Path, config: &str) -> Outcome {
    let api = site(false, |request| {
        let signed = request.header("authorization").unwrap_or_default();
        let right = signed.contains(&format!("Credential={}/", own::ID))
            && request.header("x-amz-security-token") == Some(own::SESSION);
        let answer = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
            <Arn>arn:aws:iam::1:user/me</Arn><UserId>me</UserId><Account>1</Account></GetCallerIdentityResult>\
            </GetCallerIdentityResponse>";
        if right { Reply::typed(200, "text/xml", answer) } else { Reply::typed(403, "text/xml", "<ErrorResponse/>") }
    });
    fs::create_dir(stage.sandbox.path("home/.aws")).unwrap();
    fs::write(stage.sandbox.path("home/.aws/config"), config).unwrap();
    stage.sandbox.command(aws).args(["sts", "get-caller-identity", "--endpoint-url", &api.url()]).finish()
}

#[test]
fn the_aws_command_line_signs_with_the_accounts_keys_and_runs_the_process_once() {
    let what = "the_aws_command_line_signs_with_the_accounts_keys_and_runs_the_process_once";
    let Some(aws) = lab::program(what, "consumers", "aws") else { return };
    let (stage, _cloud) = keyed();
    let (plugin, runs) = (stage.sandbox.path("home/plugin"), stage.sandbox.path("home/runs"));
    put_script(&plugin, &format!("#!/bin/sh\necho >> '{}'\nexec cloud-token helper aws keyed\n", runs.display()));
    let config = format!("[default]\nregion = eu-north-1\ncredential_process = {}\n", plugin.display());
    let seen: Value = serde_json::from_str(caller_identity(&stage, &aws, &config).ok()).unwrap();
    assert_eq!(seen["Arn"], "arn:aws:iam::1:user/me");
    assert_eq!(fs::read_to_string(runs).unwrap().lines().count(), 1);
}

#[test]
fn aws_is_given_its_three_keys_or_told_why_not() {
    let (stage, _cloud) = keyed();
    stage.serve("none");
    let given: Value = serde_json::from_str(stage.helper("aws keyed").finish().ok()).unwrap();
    assert_eq!((&given["Version"], &given["AccessKeyId"]), (&json!(1), &json!(own::ID)));
    assert_eq!((&given["SecretAccessKey"], &given["SessionToken"]), (&json!(own::ACCESS), &json!(own::SESSION)));
    assert!(given["Expiration"].as_str().unwrap().ends_with('Z'));
    let other = stage.helper("aws ecHome").finish();
    assert!(other.fails(1).contains("holds no AWS keys") && !other.stderr.contains(&stage.token()));
    assert!(stage.helper("aws").finish().fails(2).contains("credential_process"));
    stage.helper("aws nobody").finish().fails(6);
}

#[test]
fn bazels_helper_carries_every_header_and_says_until_when() {
    let (stage, _cloud) = keyed();
    own::serve(&stage.sandbox, "https://cache.example");
    let get = |uri: &str| stage.helper("bazel get").stdin(json!({ "uri": uri }).to_string()).finish();
    let given: Value = serde_json::from_str(get("https://cache.example/ac/1?x=y").ok()).unwrap();
    assert_eq!(given["headers"], json!({"X-Keyed-Id": [own::ID], "X-Keyed-Token": [own::SESSION]}));
    assert!(given["expires"].as_str().unwrap().ends_with('Z'));
    for foreign in [
        "https://other.example/",
        "http://cache.example/",
        "grpcs://cache.example/",
        "https://cache.example.evil.example/",
    ] {
        assert_eq!(get(foreign).ok(), "{\"headers\":{}}", "{foreign}");
    }
    stage.helper("bazel get").stdin("{\"url\":\"https://cache.example\"}").finish().fails(2);
    stage.helper("bazel put").stdin("{}").finish().fails(2);
    stage.sandbox.token(["logout", "keyed"]).ok();
    assert!(get("https://cache.example/").fails(4).contains("cloud-token login keyed"));
}

#[test]
fn uv_answers_the_same_question_in_the_same_form() {
    let what = "uv_answers_the_same_question_in_the_same_form";
    let Some(uv) = lab::program(what, "consumers", "uv") else { return };
    let stage = Stage::serving("https://packages.example");
    let login = stage.sandbox.command(&uv).args(["auth", "login", "https://packages.example", "--username", "me"]);
    login.args(["--password", "-"]).stdin("pw\n").finish().ok();
    let answers = |uri: &str| -> [Value; 2] {
        let question = json!({ "uri": uri }).to_string();
        let theirs = stage.sandbox.command(&uv).args([
            "--preview-features",
            "auth-helper",
            "auth",
            "helper",
            "--protocol=bazel",
            "get",
        ]);
        let theirs = theirs.stdin(question.clone()).finish();
        let ours = stage.sandbox.command(TOKEN).args(["helper", "bazel", "get"]).stdin(question).finish();
        [serde_json::from_str(theirs.ok()).unwrap(), serde_json::from_str(ours.ok()).unwrap()]
    };
    let [theirs, ours] = answers("https://other.example/x");
    assert_eq!(theirs, ours);
    for answer in answers("https://packages.example/simple/thing/") {
        let values = answer["headers"]["Authorization"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert!(values.len() == 1 && values[0].is_string(), "{answer}");
    }
}
