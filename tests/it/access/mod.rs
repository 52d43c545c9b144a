//! Who may have a token, and who had it.

mod confirm;
mod forward;
mod journal;
mod policy;
mod ssh;

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::sandbox::{Agent, Sandbox, TOKEN};
use serde_json::Value;

use crate::support::{KEY, login, sandbox};

/// An agent with one account.
struct Desk {
    sandbox: Sandbox,
    agent: Agent,
    cloud: EcHome,
    secret: String,
}

impl Desk {
    fn new() -> Self {
        let cloud = EcHome::start();
        let secret = cloud.add_key(KEY);
        let sandbox = sandbox();
        let agent = sandbox.agent();
        let desk = Self { sandbox, agent, cloud, secret };
        desk.login("ecHome");
        desk
    }

    #[track_caller]
    fn login(&self, account: &str) {
        let _ = login(&self.sandbox, account, &self.cloud.url(), &self.secret).finish().ok();
    }

    #[track_caller]
    fn token(&self) -> String {
        self.sandbox.token(["ecHome"]).ok().to_owned()
    }

    /// What the journal holds.
    #[track_caller]
    fn log(&self) -> Vec<Value> {
        entries(self.sandbox.token(["log", "--json"]).ok())
    }
}

/// The entries in what `log --json` printed.
fn entries(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect()
}

/// What the chain of an entry's caller shows, the caller first: the file where it is shown, else the name.
fn chain(entry: &Value) -> Vec<String> {
    let steps = entry["caller"].as_array().expect("an entry has a caller");
    steps.iter().map(|step| step["program"].as_str().or(step["name"].as_str()).expect("a name").to_owned()).collect()
}

/// A script of ours that asks for `account`'s token with the client.
fn script(sandbox: &Sandbox, name: &str, account: &str) -> std::path::PathBuf {
    let path = sandbox.path("home").join(name);
    let text = format!("#!/bin/sh\n'{}' {account}\nexit $?\n", sandbox.program(TOKEN).display());
    crate::support::put_script(&path, &text);
    path
}
