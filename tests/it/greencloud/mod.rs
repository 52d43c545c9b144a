//! Green Cloud: a refresh token that works once, an API key without one, an hour that the documentation calls 90 days, and a
//! second factor that the agent can answer for.

mod actions;
mod codes;
mod tokens;

use cloud_agent_protocol::v1::{Login, Request};
use cloud_agent_tests::dialogue::{self, Dialogue};
use cloud_agent_tests::fake::greencloud::{GreenCloud, Options};
use cloud_agent_tests::sandbox::{Agent, Run, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::Value;

use crate::support::{sandbox, token};

const EMAIL: &str = "richard.hill@example.com";

struct Given {
    cloud: GreenCloud,
    password: String,
    sandbox: Sandbox,
    agent: Agent,
}

fn given(options: Options) -> Given {
    let cloud = GreenCloud::with(options);
    let password = cloud.add_user(EMAIL);
    let sandbox = sandbox();
    let agent = sandbox.agent();
    Given { cloud, password, sandbox, agent }
}

impl Given {
    fn login(&self) -> Run<'_> {
        let (url, set) = (self.cloud.url(), format!("email={EMAIL}"));
        self.sandbox
            .command(TOKEN)
            .args(["login", "green", "--cloud", "greencloud", "--url", &url, "--set", &set])
            .args(["--secret", "password=env:IT_SECRET"])
            .env("IT_SECRET", &self.password)
    }

    fn login_with_key(&self) -> Run<'_> {
        let (url, key) = (self.cloud.url(), self.cloud.api_key(EMAIL));
        self.sandbox
            .command(TOKEN)
            .args(["login", "green", "--cloud", "greencloud", "--method", "api-key", "--url", &url])
            .args(["--secret", "api-key=env:IT_SECRET"])
            .env("IT_SECRET", key)
    }

    /// A login with somebody at the terminal.
    fn at_terminal(&self) -> Dialogue {
        let login = dialogue::login("green", &self.cloud.url(), &[("email", EMAIL)], &[("password", &self.password)]);
        Dialogue::begin(self.sandbox.raw(), &Request::Login(Login { cloud: Some("greencloud".into()), ..login }))
    }

    #[track_caller]
    fn token(&self) -> String {
        token(&self.sandbox, "green")
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(self.sandbox.token(["green", "-o", "json"]).ok()).expect("it is JSON")
    }

    /// The names of what the agent holds.
    #[track_caller]
    fn holds(&self) -> Vec<String> {
        let status: Value = serde_json::from_str(self.sandbox.token(["status", "--json"]).ok()).expect("it is JSON");
        let names = status["accounts"][0]["holds"].as_array().expect("there is an account").iter();
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }

    #[track_caller]
    fn wait_until_refused(&self, token: &str) {
        assert!(until(PATIENCE, || !self.cloud.accepts(token)), "the token does not expire");
    }

    /// What stands in `field` of every request to `path`.
    fn sent(&self, path: &str, field: &str) -> Vec<Value> {
        self.cloud.requests_to(path).iter().filter_map(|request| request.field(field)).collect()
    }

    fn reject(&self, token: &str) {
        self.sandbox.command(TOKEN).args(["reject", "green"]).stdin(token).finish().ok();
    }

    /// That none of the cloud's secrets is where others can read.
    #[track_caller]
    fn assert_silent(&self, said: &str) {
        let mut said = format!("{said}\n{}", self.agent.log());
        for (path, bytes) in self.sandbox.files() {
            said.extend(["\n", &path.to_string_lossy(), ": ", &String::from_utf8_lossy(&bytes)]);
        }
        for secret in self.cloud.secrets() {
            assert!(!said.contains(&secret), "`{secret}` is in:\n{said}");
        }
    }
}
