//! `OpenvCloud`: a portal and the itsyou.online that issues its tokens; JWTs that are more than tokens, and sessions that
//! are less than headers.

mod own;
mod sessions;

use cloud_agent_tests::fake::openvcloud::{ACCESS_TOKEN, Form, OpenvCloud, WHOAMI};
use cloud_agent_tests::fake::{Fault, Reply, Server, jwt};
use cloud_agent_tests::http;
use cloud_agent_tests::sandbox::{Agent, Run, Sandbox, TOKEN};
use serde_json::json;

use crate::support::{sandbox, token};

const ID: &str = "client-1";
const ACCOUNT: &str = "ovc";

/// Both servers, and an agent.
struct Given {
    cloud: OpenvCloud,
    sandbox: Sandbox,
    agent: Agent,
}

fn given() -> Given {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    Given { cloud: OpenvCloud::start(), sandbox, agent }
}

impl Given {
    fn login(&self, method: &str) -> Run<'_> {
        let iam = format!("iam={}", self.cloud.iam.url());
        let run = self.sandbox.command(TOKEN).args(["login", ACCOUNT, "--cloud", "openvcloud", "--no-input"]);
        run.args(["--url", &self.cloud.portal.url(), "--url", &iam, "--method", method])
    }

    fn with_key(&self, secret: &str) -> Run<'_> {
        let run = self.login("client-credentials").args(["--set", "client-id=client-1"]);
        run.args(["--secret", "client-secret=env:IT_SECRET"]).env("IT_SECRET", secret)
    }

    fn token(&self) -> String {
        token(&self.sandbox, ACCOUNT)
    }

    fn fresh(&self) -> String {
        self.sandbox.token([ACCOUNT, "--fresh"]).ok().to_owned()
    }

    /// Everything that the programs print of the account, in every form.
    fn outputs(&self) -> String {
        let formats = ["token", "headers", "curl", "json", "env"].map(|format| vec![ACCOUNT, "-o", format]);
        let all = formats.into_iter().chain([vec!["status", "--json"], vec!["status"]]);
        all.map(|arguments| self.sandbox.token(arguments)).map(|run| run.stdout + &run.stderr).collect()
    }

    #[track_caller]
    fn is_well(&self) {
        assert_eq!(self.cloud.violations(), Vec::<String>::new());
        assert!(self.agent.runs());
    }
}

/// Whether anything that was sent to `server` holds `secret`.
fn saw(server: &Server, secret: &str) -> bool {
    server.requests().iter().any(|request| {
        request.query.contains(secret)
            || request.headers.iter().any(|(_, value)| value.contains(secret))
            || String::from_utf8_lossy(&request.body).contains(secret)
    })
}

/// Case 10: the portal's own clients spell the scheme like this.
#[test]
fn an_api_key_gives_a_token_that_the_portal_takes() {
    let it = given();
    let secret = it.cloud.add_key(ID, "alice");
    assert_eq!(it.with_key(&secret).finish().ok(), "");
    let token = it.token();
    assert_eq!(it.sandbox.token([ACCOUNT, "-o", "headers"]).ok(), format!("Authorization: bearer {token}"));
    let url = format!("{}{WHOAMI}", it.cloud.portal.url());
    let authorization = format!("bearer {token}");
    let who = http::request("POST", &url, &[("Authorization", &authorization)], b"").unwrap();
    assert_eq!(who.text(), "alice@itsyouonline");
    let asked = it.cloud.iam.requests_to(ACCESS_TOKEN)[0].form();
    assert!(asked.contains(&("validity".into(), "3600".into())) && !asked.iter().any(|(name, _)| name == "scope"));
    it.is_well();
}

/// Case 11.
#[test]
fn a_jwt_is_read_bare_with_a_line_end_and_in_json() {
    for form in [Form::ByAccept, Form::Bare, Form::Line, Form::Json] {
        let it = given();
        let secret = it.cloud.add_key(ID, "alice");
        it.cloud.answer_in(form);
        it.with_key(&secret).finish().ok();
        assert!(it.cloud.accepts(&it.token()), "{form:?}");
        it.is_well();
    }
}

/// Case 11.
#[test]
fn a_plain_400_is_a_refusal_and_trouble_is_for_later() {
    let it = given();
    let secret = it.cloud.add_key(ID, "alice");
    let outcome = it.with_key("wrong-secret-1").finish();
    assert!(outcome.fails(1).contains("Bad Request"), "{outcome:?}");
    assert!(outcome.stderr.contains("refused") && !outcome.stderr.contains("wrong-secret-1"), "{outcome:?}");
    assert_eq!(it.cloud.iam.count(ACCESS_TOKEN), 1, "not tried again");
    let text = |status, words: &str| Fault::Answer(Reply::typed(status, "text/plain; charset=utf-8", words));
    let cases = [
        (text(401, "Unauthorized\n"), 1, "scope"),
        (text(500, "Internal Server Error\n"), 5, "Internal Server Error"),
        (text(503, ""), 5, "cannot answer"),
        (Fault::captive_portal(), 1, "web page"),
        (Fault::status(200, &json!({"info": {}})), 1, "`access`"),
        (Fault::status(200, &json!({"access_token": null})), 1, "`access`"),
        (Fault::status(200, &json!({"access_token": ""})), 1, "`access`"),
        (Fault::Duplicate("access_token".into(), json!("first-of-two")), 1, "`access`"),
        (text(200, r#"{"access_token":"first","access_token":"second"}"#), 1, "is there twice"),
        (text(200, r#"{"access_token":"#), 1, "`access`"),
        (text(200, r#"["a.b.c"]"#), 1, "`access`"),
        (text(200, "two words"), 1, "`access`"),
        (text(200, ""), 1, "`access`"),
    ];
    for (fault, code, words) in cases {
        it.cloud.iam.clear();
        it.cloud.iam.break_always(ACCESS_TOKEN, fault);
        let outcome = it.with_key(&secret).finish();
        assert!(outcome.fails(code).contains(words), "{words}: {outcome:?}");
        assert!([4, 6].contains(&it.sandbox.token([ACCOUNT]).code()), "{words}: something was kept");
    }
    it.is_well();
}

/// Case 12: whoever does not say `validity` again gets a token for a day.
#[test]
fn a_token_is_minted_anew_for_an_hour_each_time() {
    let it = given();
    let secret = it.cloud.add_key(ID, "alice");
    it.with_key(&secret).finish().ok();
    let tokens: Vec<String> = (0..3).map(|_| it.fresh()).collect();
    let minted = it.cloud.iam.requests_to(ACCESS_TOKEN);
    assert_eq!(minted.len(), 4);
    assert!(minted.iter().all(|request| request.form().contains(&("validity".into(), "3600".into()))));
    for token in tokens {
        let end = jwt::payload(&token).unwrap()["exp"].as_u64().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(end <= now + 3600, "it lives for {} s", end - now);
    }
    it.is_well();
}

#[test]
fn an_api_key_that_was_withdrawn_needs_the_human_and_is_not_tried_again_by_itself() {
    let it = given();
    let secret = it.cloud.add_key(ID, "alice");
    it.with_key(&secret).finish().ok();
    let _ = it.cloud.add_key(ID, "alice");
    it.sandbox.token(["reject", ACCOUNT]).ok();
    let outcome = it.sandbox.token([ACCOUNT]);
    assert!(outcome.fails(1).contains("cloud-token login ovc"), "{outcome:?}");
    let asked = it.cloud.iam.requests().len();
    for _ in 0..5 {
        assert!(!it.sandbox.token([ACCOUNT]).status.success());
    }
    assert_eq!(it.cloud.iam.requests().len(), asked);
}

#[test]
fn secrets_go_to_the_server_that_they_are_for_and_to_no_other() {
    let it = given();
    let secret = it.cloud.add_key(ID, "alice");
    it.with_key(&secret).finish().ok();
    let _ = it.sandbox.token(["check", ACCOUNT]);
    it.sandbox.token(["logout", ACCOUNT]).ok();
    assert!(saw(&it.cloud.iam, &secret) && !saw(&it.cloud.portal, &secret));
    let password = it.cloud.add_user("bob");
    let run = it.login("password").args(["--set", "username=bob", "--secret", "password=stdin"]);
    run.stdin(password.as_str()).finish().ok();
    let session = it.token();
    it.sandbox.token(["logout", ACCOUNT]).ok();
    for (server, hidden) in [(&it.cloud.iam, &password), (&it.cloud.iam, &session)] {
        assert!(!saw(server, hidden));
    }
    assert!(saw(&it.cloud.portal, &password) && !it.cloud.knows(&session));
    it.is_well();
}

#[test]
fn a_portal_by_another_name_is_nowhere_that_a_held_secret_is_sent() {
    let it = given();
    let secret = it.cloud.add_key(ID, "alice");
    it.with_key(&secret).finish().ok();
    let other = OpenvCloud::start();
    let iam = format!("iam={}", other.iam.url());
    let run = it.sandbox.command(TOKEN).args(["login", ACCOUNT, "--no-input", "--url", &iam]).finish();
    assert!([1, 2, 4].contains(&run.code()), "the secret of the other address is not simply taken along: {run:?}");
    assert_eq!(other.iam.requests().len(), 0);
}

/// Case 19.
#[test]
fn a_redirect_of_itsyou_online_is_not_followed() {
    let it = given();
    let elsewhere = Server::unvisited();
    for status in [302, 307, 308] {
        let to = format!("{}{ACCESS_TOKEN}", elsewhere.url());
        it.cloud.iam.break_next(1, ACCESS_TOKEN, Fault::redirect(status, &to));
        it.with_key("secret-1234").finish().fails(1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_check_asks_the_portal_who_we_are() {
    let guest = Fault::Answer(Reply::typed(200, "text/plain", "guest"));
    let page = Fault::Answer(Reply::html(401, "Unauthorized", "Invalid JWT"));
    for dead in [guest, page] {
        let it = given();
        let secret = it.cloud.add_key(ID, "alice");
        it.with_key(&secret).finish().ok();
        assert!(it.sandbox.token(["check", ACCOUNT]).status.success());
        it.cloud.set_upgrading(true);
        assert_eq!(it.sandbox.token(["check", ACCOUNT]).code(), 5);
        it.cloud.set_upgrading(false);
        it.cloud.portal.break_next(1, WHOAMI, dead);
        let outcome = it.sandbox.token(["check", ACCOUNT]);
        assert!(outcome.code() == 1 && outcome.stdout.starts_with("not alive"), "{outcome:?}");
        it.is_well();
    }
}

#[test]
fn the_documented_call_is_an_action_that_lists_the_cloud_spaces() {
    let it = given();
    let secret = it.cloud.add_key(ID, "alice");
    it.with_key(&secret).finish().ok();
    let printed = it.sandbox.token(["do", ACCOUNT, "cloudspaces"]).ok().to_owned();
    assert!(printed.contains("space") && printed.contains("DEPLOYED"), "{printed}");
    it.is_well();
}
