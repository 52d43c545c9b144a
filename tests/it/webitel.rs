//! Webitel: two headers, moments in milliseconds, a second factor by a redirect, and a 401 that is none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::Request;
use cloud_agent_tests::dialogue::{self, Dialogue};
use cloud_agent_tests::fake::webitel::{LOGIN, LOGOUT, Options, ROOT, Unit, Webitel};
use cloud_agent_tests::fake::{Fault, Reply, Server};
use cloud_agent_tests::sandbox::{Agent, Run, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::support::{SHORT, assert_fault, sandbox};

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

#[test]
fn a_login_gives_the_two_headers_that_the_api_wants() {
    let it = given(Options::default());
    assert_eq!(it.login().finish().ok(), "");
    let headers = it.headers();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["X-Access-Token", "X-Key"]);
    assert!(it.accepts(&headers) && !it.accepts(&headers[..1]));
    assert_eq!(it.json()["headers"]["X-Key"], headers[1].1.as_str());
    let env = it.sandbox.token(["pbx", "-o", "env"]);
    assert!(headers.iter().all(|(_, value)| env.ok().contains(value.as_str())), "{env:?}");
    assert_eq!(it.cloud.count(LOGIN), 1);
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

/// Case 1 of the provider tests.
#[test]
fn a_moment_is_read_in_milliseconds_and_in_seconds_and_the_earlier_of_two_counts() {
    const DAY: u64 = 24 * 3600;
    let days = |count: u64| Duration::from_secs(count * DAY);
    for (unit, life, jwt_life, wanted) in [
        (Unit::Milliseconds, days(100), None, days(100)),
        (Unit::Seconds, days(100), None, days(100)),
        (Unit::Milliseconds, days(100), Some(days(3)), days(3)),
        (Unit::Milliseconds, days(3), Some(days(100)), days(3)),
        (Unit::Seconds, days(100), Some(days(3)), days(3)),
    ] {
        let it = given(Options { unit, life, jwt_life, ..Options::default() });
        it.login().finish().ok();
        let end = it.json()["expires_at_unix"].as_u64().expect("the end is known");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let off = (now + wanted.as_secs()).abs_diff(end);
        assert!(off < 60, "{unit:?}, {life:?}, {jwt_life:?}: {off} s off");
    }
}

#[test]
fn a_static_domain_token_is_presented_alone_and_never_ended() {
    let it = given(Options::default());
    let token = it.cloud.domain_token("mydomain.com");
    let url = it.cloud.url();
    let login = ["login", "pbx", "--cloud", "webitel", "--method", "token", "--url", &url];
    it.sandbox.command(TOKEN).args(login).args(["--secret", "token=stdin"]).stdin(token.as_str()).finish().ok();
    assert_eq!(it.cloud.requests().len(), 0, "there is nothing to ask the cloud");
    let headers = it.headers();
    assert_eq!(headers, [("X-Access-Token".to_owned(), token)]);
    assert!(it.accepts(&headers));
    assert!(it.sandbox.token(["logout", "pbx"]).status.success());
    assert_eq!(it.cloud.count(LOGOUT), 0, "others use it too");
    assert!(it.accepts(&headers));
}

#[test]
fn a_logout_sends_both_headers_and_ends_its_own_session_alone() {
    let it = given(Options::default());
    it.login().finish().ok();
    let first = it.headers();
    it.login().finish().ok();
    let second = it.headers();
    assert_eq!(it.cloud.sessions(), 2);
    let outcome = it.sandbox.token(["logout", "pbx"]);
    assert!(outcome.status.success() && outcome.stderr.contains("revoked"), "{outcome:?}");
    let sent = &it.cloud.requests_to(LOGOUT)[0];
    assert_eq!(sent.header("x-access-token"), Some(second[0].1.as_str()));
    assert_eq!(sent.header("x-key"), Some(second[1].1.as_str()));
    assert!(!it.accepts(&second) && it.accepts(&first));
    assert!([4, 6].contains(&it.sandbox.token(["pbx"]).code()));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_logout_of_what_the_cloud_has_ended_already_forgets_all_the_same() {
    let it = given(Options::default());
    it.login().finish().ok();
    it.cloud.revoke_tokens();
    let outcome = it.sandbox.token(["logout", "pbx"]);
    assert!(outcome.status.success() && outcome.stderr.contains("already"), "{outcome:?}");
    assert!([4, 6].contains(&it.sandbox.token(["pbx"]).code()));
}

#[test]
fn a_remembered_password_logs_in_again_when_the_token_has_ended() {
    let it = given(Options { life: SHORT, ..Options::default() });
    it.login().arg("--remember").finish().ok();
    let first = it.headers();
    it.wait_until_refused(&first);
    assert_ne!(it.headers(), first);
    assert!(it.agent.runs());
}

#[test]
fn without_a_remembered_password_the_end_of_the_token_needs_the_human() {
    let it = given(Options { life: SHORT, ..Options::default() });
    it.login().finish().ok();
    it.wait_until_refused(&it.headers());
    let outcome = it.sandbox.token(["pbx"]);
    assert!(outcome.fails(4).contains("cloud-token login pbx"), "{outcome:?}");
    assert_eq!(it.cloud.count(LOGIN), 1);
}

#[test]
fn a_rejected_pair_is_replaced() {
    let it = given(Options::default());
    it.login().arg("--remember").finish().ok();
    let first = it.headers();
    it.cloud.revoke_tokens();
    it.sandbox.command(TOKEN).args(["reject", "pbx"]).stdin(first[0].1.as_str()).finish().ok();
    let second = it.headers();
    assert!(second != first && it.accepts(&second));
}

/// Case 19 of the provider tests: the half of it that is Webitel's own.
#[test]
fn a_redirect_that_leads_nowhere_asks_root_for_a_code_which_keeps_its_zeros() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    let login = it.at_terminal(&password).answer("code", " 069 303 ");
    assert!(login.done().contains("logged in"), "{:?}", login.said);
    assert_eq!(it.queries(), ["", "code=069303"]);
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
    assert!(it.sandbox.token(["webitel"]).status.success());
}

#[test]
fn a_code_of_a_real_authenticator_is_taken() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    let seed = it.cloud.enrol_root();
    let code = cloud_agent_tests::fake::totp::code(&seed);
    let login = it.at_terminal(&password).answer("code", &code);
    assert!(login.done().contains("logged in"), "{:?}", login.said);
}

#[test]
fn a_code_that_was_given_ahead_answers_the_question() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    it.login_as(ROOT, &password).args(["--set", "code=069 303"]).finish().ok();
    assert!(it.accepts(&it.headers()));
}

#[test]
fn a_code_is_not_asked_for_where_nobody_can_answer() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    let outcome = it.login_as(ROOT, &password).finish();
    assert_fault(&outcome, &[4], "no terminal");
    assert!(outcome.stderr.contains("code"), "{outcome:?}");
    let given_up = it.at_terminal(&password).give_up();
    assert_eq!(given_up.fault().kind, FaultKind::NeedsHuman);
    assert_eq!(it.queries(), ["", ""], "and nothing is sent in its place");
}

/// Case 20 of the provider tests.
#[test]
fn a_console_that_is_down_is_try_later_and_keeps_the_password_and_a_wrong_secret_is_final() {
    let it = given(Options { life: SHORT, ..Options::default() });
    it.login().arg("--remember").finish().ok();
    it.cloud.set_console(false);
    it.wait_until_refused(&it.headers());
    let outcome = it.sandbox.token(["pbx"]);
    assert!(outcome.fails(5).contains("Console connect error"), "{outcome:?}");
    let status: Value = serde_json::from_str(it.sandbox.token(["status", "--json"]).ok()).unwrap();
    assert_eq!(status["accounts"][0]["holds"], json!(["password"]), "{status}");
    it.cloud.set_console(true);
    assert!(until(3 * PATIENCE, || it.sandbox.token(["pbx"]).status.success()), "it comes back by itself");

    let old = it.headers();
    let _ = it.cloud.change_password(USER);
    it.wait_until_refused(&old);
    let refused = |fault: &str| fault.contains("secret incorrect");
    assert!(until(PATIENCE, || refused(&it.sandbox.token(["pbx"]).stderr)));
    assert!(refused(it.sandbox.token(["pbx"]).fails(1)));
    let logins = it.cloud.count(LOGIN);
    for _ in 0..5 {
        it.sandbox.token(["pbx"]).fails(1);
    }
    assert_eq!(it.cloud.count(LOGIN), logins, "a refused password is not tried again: that locks logins out");
}

#[test]
fn a_refused_login_says_why_in_either_shape() {
    let it = given(Options::default());
    let outcome = it.login_as(USER, "wrong-1234").finish();
    assert!(outcome.fails(1).contains("secret incorrect") && !outcome.stderr.contains("wrong-1234"), "{outcome:?}");
    assert_eq!(it.cloud.count(LOGIN), 1);
    assert!(it.login_as("200@mydomain.com", "wrong-1234").finish().fails(1).contains("-ERR no such user"));
    let other = json!({"status": 401, "message": "Invalid credentials"});
    it.cloud.break_next(1, LOGIN, Fault::status(401, &other));
    assert!(it.login().finish().fails(1).contains("Invalid credentials"));
    let unparsed = json!({"status": "error", "info": "Unexpected end of JSON input"});
    it.cloud.break_next(1, LOGIN, Fault::status(400, &unparsed));
    assert!(it.login().finish().fails(1).contains("Unexpected end of JSON input"));
}

#[test]
fn the_table_of_the_apis_refusals_is_told_to_whoever_checks() {
    let it = given(Options::default());
    it.login().finish().ok();
    it.sandbox.token(["check", "pbx"]).ok();
    it.cloud.revoke_tokens();
    let outcome = it.sandbox.token(["check", "pbx"]);
    assert!(outcome.fails(1).contains("Invalid User"), "{outcome:?}");
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

/// Case 19 of the provider tests.
#[test]
fn a_redirect_to_another_host_is_not_followed_and_carries_no_password() {
    let elsewhere = Server::unvisited();
    let it = given(Options::default());
    for status in [301, 302, 307, 308] {
        it.cloud.break_next(1, LOGIN, Fault::redirect(status, &elsewhere.url()));
        assert_fault(&it.login().finish(), &[1], &status.to_string());
    }
    it.login().finish().ok();
    it.cloud.break_next(1, LOGOUT, Fault::redirect(307, &elsewhere.url()));
    assert!(it.sandbox.token(["logout", "pbx"]).status.success(), "forgotten here in any case");
    assert_eq!(elsewhere.connections(), 0);
}

/// Case 19 of the provider tests: the code stands in the address, and addresses are what logs like best.
#[test]
fn a_code_is_in_no_log_although_it_sits_in_the_address() {
    let cloud = Webitel::start();
    let password = cloud.add_user(ROOT);
    cloud.fix_code("069303");
    let sandbox = sandbox();
    sandbox.set("CLOUD_AGENT_LOG", "trace");
    sandbox.set("RUST_LOG", "trace");
    let agent = sandbox.agent_with(["--vault", "memory", "-vvv"]);
    let it = Given { cloud, password, sandbox, agent };
    let echo = Reply::json(400, &json!({"info": "cannot POST /login?code=069303", "status": "error"}));
    let mut said = String::new();
    for fault in [Fault::Close, Fault::garbage(), Fault::Answer(echo), Fault::bad_gateway(502), Fault::captive_portal()]
    {
        // The first request goes well, and asks for the code.
        it.cloud.break_next(1, LOGIN, Fault::Delay(Duration::ZERO));
        it.cloud.break_next(1, LOGIN, fault);
        let login = it.at_terminal(&it.password).answer("code", "069303");
        said += &login.fault().to_string();
    }
    said += &it.at_terminal(&it.password).answer("code", "069303").done();
    said += &it.sandbox.token(["status", "--json"]).stdout;
    said += &it.agent.log();
    for (path, bytes) in it.sandbox.files() {
        said.extend(["\n", &path.to_string_lossy(), ": ", &String::from_utf8_lossy(&bytes)]);
    }
    assert_eq!(it.queries().iter().filter(|query| *query == "code=069303").count(), 6);
    assert!(!said.contains("069303"), "{said}");
    for secret in it.cloud.secrets() {
        assert!(!said.contains(&secret), "`{secret}` is in:\n{said}");
    }
}

/// Case 15 of the provider tests.
#[test]
fn a_code_of_letters_or_of_other_scripts_digits_is_refused_here() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    for code in ["abcdef", "06930З", "٠٦٩٣٠٣", "069.303", "+69303"] {
        let outcome = it.login_as(ROOT, &password).args(["--set", &format!("code={code}")]).finish();
        assert_fault(&outcome, &[2], code);
    }
    assert!(it.queries().iter().all(String::is_empty), "none of it was sent: {:?}", it.queries());
}

/// Case 16 of the provider tests, as far as it is Webitel's.
#[test]
fn a_wrong_code_is_asked_for_again_and_three_are_enough() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    let asked = it.at_terminal(&password).answer("code", "abcdef");
    let asked = asked.answer("code", "000000");
    let detail = asked.question().detail.clone().unwrap_or_default();
    assert!(detail.contains("code incorrect"), "it says why: {detail}");
    assert!(asked.answer("code", "069303").done().contains("logged in"));
    assert_eq!(it.queries(), ["", "code=000000", "code=069303"], "letters are not sent, and there is no new challenge");

    let refused = it.at_terminal(&password).answer("code", "000000").answer("code", "000001").answer("code", "000002");
    assert_eq!(refused.fault().kind, FaultKind::Refused);
    assert_eq!(it.queries().len(), 7);
    let given_up = it.at_terminal(&password).answer("code", "000000").give_up();
    assert_eq!(given_up.fault().kind, FaultKind::Refused, "why it was asked again says more than that nobody answered");
}
