//! A cloud of the user's own that wants two headers, names the variables of the AWS tools, and one that may hold anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cloud_agent_tests::fake::{Reply, Server};
use cloud_agent_tests::sandbox::{Sandbox, TOKEN};
use serde_json::json;

use super::site;

const FILE: &str = r#"title = "Keyed"
docs = "https://docs.keyed.example"
[[origin]]
prompt = "Address"
[[method]]
name = "key"
title = "Key"
hold = ["key"]
headers = ["X-Keyed-Id: {id}", "X-Keyed-Token: {session}"]
environment = ["AWS_ACCESS_KEY_ID={id}", "AWS_SECRET_ACCESS_KEY={access}", "AWS_SESSION_TOKEN={session}", "HOSTILE={odd}"]
expiry = [{ seconds = "life" }]
ask = [{ name = "key", prompt = "Key", secret = true }, { name = "odd", prompt = "Anything", optional = true }]
[[method.login]]
request = "POST /login"
json = { key = "{key}" }
take = { id = "/id", access = "/access", session = "/session", life = "/life" }
"#;

/// What the cloud hands out.
pub(super) const ID: &str = "AKIAKEYED0123456789";
pub(super) const ACCESS: &str = "acc3ss-of-the-keyed/0123456789";
pub(super) const SESSION: &str = "s3ss10n-of-the-keyed+0123456789==";

/// The cloud, known to the agent in this sandbox from its next start on. Its tokens live `life` seconds.
pub(super) fn cloud(sandbox: &Sandbox, life: u64) -> Server {
    let clouds = sandbox.config().join("clouds");
    fs::create_dir_all(&clouds).unwrap();
    for directory in [sandbox.config(), clouds.clone()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::write(clouds.join("keyed.toml"), FILE).unwrap();
    fs::set_permissions(clouds.join("keyed.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    site(false, move |_| Reply::json(200, &json!({"id": ID, "access": ACCESS, "session": SESSION, "life": life})))
}

/// Logs the account `keyed` in, with `odd` in its environment.
#[track_caller]
pub(super) fn login(sandbox: &Sandbox, url: &str, odd: &str) {
    let run = sandbox.command(TOKEN).args(["login", "keyed", "--cloud", "keyed", "--url", url, "--no-input"]);
    let run = if odd.is_empty() { run } else { run.args(["--set", &format!("odd={odd}")]) };
    run.args(["--secret", "key=env:IT_SECRET"]).env("IT_SECRET", "k3y-0123456789").finish().ok();
}

/// The same, answering for `serves` from then on.
#[track_caller]
pub(super) fn serve(sandbox: &Sandbox, serves: &str) {
    let run = sandbox.command(TOKEN).args(["login", "keyed", "--no-input", "--set", &format!("serves={serves}")]);
    run.args(["--secret", "key=env:IT_SECRET"]).env("IT_SECRET", "k3y-0123456789").finish().ok();
}
