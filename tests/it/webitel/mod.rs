//! Webitel: two headers, moments in milliseconds, a second factor by a redirect, and a 401 that is none.

mod codes;
mod tokens;

use cloud_agent_protocol::v1::Request;
use cloud_agent_tests::dialogue::{self, Dialogue};
use cloud_agent_tests::fake::webitel::{LOGIN, Options, ROOT, Webitel};
use cloud_agent_tests::sandbox::{Agent, Run, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::Value;

use crate::support::sandbox;

const USER: &str = "100@mydomain.com";

struct Given {
    cloud: Webitel,
    password: String,
    sandbox: Sandbox,
    agent: Agent,
}

fn given(options: Options) -> Given {
    let cloud = Webitel::with(options);
    let password = cloud.add_user(USER);
    let sandbox = sandbox();
    let agent = sandbox.agent();
    Given { cloud, password, sandbox, agent }
}

impl Given {
    fn login_as(&self, username: &str, password: &str) -> Run<'_> {
        let (url, set) = (self.cloud.url(), format!("username={username}"));
        self.sandbox
            .command(TOKEN)
            .args(["login", "pbx", "--cloud", "webitel", "--url", &url, "--set", &set])
            .args(["--secret", "password=env:IT_SECRET"])
            .env("IT_SECRET", password)
    }

    fn login(&self) -> Run<'_> {
        self.login_as(USER, &self.password)
    }

    /// The headers that callers get.
    #[track_caller]
    fn headers(&self) -> Vec<(String, String)> {
        let outcome = self.sandbox.token(["pbx", "-o", "headers"]);
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        outcome.ok().lines().map(|line| pair(line).expect("a line is a header")).collect()
    }

    fn accepts(&self, headers: &[(String, String)]) -> bool {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.cloud.accepts(&headers)
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(self.sandbox.token(["pbx", "-o", "json"]).ok()).expect("it is JSON")
    }

    #[track_caller]
    fn wait_until_refused(&self, headers: &[(String, String)]) {
        assert!(until(PATIENCE, || !self.accepts(headers)), "the token does not expire");
    }

    /// A login of `root` with somebody at the terminal.
    fn at_terminal(&self, password: &str) -> Dialogue {
        let login = dialogue::login("webitel", &self.cloud.url(), &[("username", ROOT)], &[("password", password)]);
        Dialogue::begin(self.sandbox.raw(), &Request::Login(login))
    }

    fn queries(&self) -> Vec<String> {
        self.cloud.requests_to(LOGIN).into_iter().map(|request| request.query).collect()
    }
}
