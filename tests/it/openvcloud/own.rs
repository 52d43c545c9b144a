//! One's own JWT: whoever has it can refresh it for as long as they like, so it is held, and only children of it go out.

use std::time::Duration;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::jwt;
use cloud_agent_tests::fake::openvcloud::{CHILD, Form, REFRESH};
use cloud_agent_tests::sandbox::Run;
use serde_json::{Value, json};

use super::{ACCOUNT, Given, given, saw};

const DAY: Duration = Duration::from_hours(24);
const SCOPES: [&str; 2] = ["user:memberof:acme", "user:name"];

impl Given {
    fn with_own(&self, token: &str) -> Run<'_> {
        self.login("jwt").args(["--secret", "jwt=env:IT_JWT"]).env("IT_JWT", token)
    }

    fn narrowed(&self, token: &str) -> Run<'_> {
        self.with_own(token).args(["--set", "scope=user:memberof:acme"])
    }
}

fn refresh_token(token: &str) -> String {
    jwt::payload(token).unwrap()["refresh_token"].as_str().unwrap().to_owned()
}

/// Case 12.
#[test]
fn a_jwt_that_ended_yesterday_is_refreshed_and_a_child_of_it_handed_out() {
    for form in [Form::ByAccept, Form::Bare, Form::Line, Form::Json] {
        let it = given();
        it.cloud.answer_in(form);
        let parent = it.cloud.refreshable("alice", &SCOPES, DAY);
        it.narrowed(&parent).finish().ok();
        let child = it.token();
        assert!(it.cloud.accepts(&child), "{form:?}");
        let claims = jwt::payload(&child).unwrap();
        assert_eq!((&claims["scope"], &claims["refresh_token"]), (&json!(["user:memberof:acme"]), &Value::Null));
        it.is_well();
    }
}

/// Case 12.
#[test]
fn no_output_no_log_and_no_portal_ever_has_the_refresh_token() {
    let it = given();
    let parent = it.cloud.refreshable("alice", &SCOPES, Duration::ZERO);
    it.narrowed(&parent).finish().ok();
    let mut said = it.outputs();
    for _ in 0..3 {
        said += &it.fresh();
    }
    let _ = it.sandbox.token(["check", ACCOUNT]);
    said += &it.agent.log();
    for (path, bytes) in it.sandbox.files() {
        said.extend([&path.to_string_lossy(), " ", &*String::from_utf8_lossy(&bytes), "\n"]);
    }
    let refresh = refresh_token(&parent);
    assert!(!said.contains(&refresh));
    for word in said.split(|c: char| c.is_whitespace() || "\"'=;".contains(c)) {
        let claims = jwt::payload(word).unwrap_or_default();
        assert!(claims["refresh_token"].is_null(), "{word}");
    }
    let parents = it
        .cloud
        .iam
        .secrets()
        .into_iter()
        .filter(|secret| jwt::payload(secret).is_some_and(|claims| claims["refresh_token"] == json!(refresh)));
    for parent in parents {
        assert!(!said.contains(&parent) && !saw(&it.cloud.portal, &parent));
    }
    it.is_well();
}

/// Case 12.
#[test]
fn validity_is_said_again_at_each_refresh() {
    let it = given();
    it.narrowed(&it.cloud.refreshable("alice", &SCOPES, DAY)).finish().ok();
    let tokens: Vec<String> = (0..3).map(|_| it.fresh()).collect();
    let asked = it.cloud.iam.requests_to(REFRESH);
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|request| request.form() == [("validity".to_owned(), "3600".to_owned())]));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for token in &tokens {
        assert!(jwt::payload(token).unwrap()["exp"].as_u64().unwrap() <= now + 3600 && it.cloud.accepts(token));
    }
    it.is_well();
}

/// Case 12.
#[test]
fn a_jwt_that_lay_unused_for_a_month_needs_the_human() {
    let it = given();
    it.narrowed(&it.cloud.refreshable("alice", &SCOPES, Duration::ZERO)).finish().ok();
    it.cloud.lie_idle(29 * DAY);
    it.fresh();
    it.cloud.lie_idle(31 * DAY);
    it.sandbox.token(["reject", ACCOUNT]).ok();
    let outcome = it.sandbox.token([ACCOUNT]);
    assert!(outcome.fails(4).contains("unused for 30 days"), "{outcome:?}");
    assert!(outcome.stderr.contains("cloud-token login ovc"), "{outcome:?}");
    let asked = it.cloud.iam.requests().len();
    assert_eq!(it.sandbox.token([ACCOUNT]).code(), 4);
    assert_eq!(it.cloud.iam.requests().len(), asked, "a final answer is remembered");
}

#[test]
fn without_a_scope_a_jwt_that_can_be_refreshed_is_not_handed_out_and_it_is_said_what_to_do() {
    let it = given();
    let outcome = it.with_own(&it.cloud.refreshable("alice", &SCOPES, Duration::ZERO)).finish();
    assert!(outcome.fails(1).contains("--set scope="), "{outcome:?}");
    assert!([4, 6].contains(&it.sandbox.token([ACCOUNT]).code()));
    assert_eq!(it.cloud.iam.count(CHILD), 0, "a token without any scope is of no use to anybody");
}

#[test]
fn a_jwt_that_cannot_be_refreshed_is_handed_out_as_it_is() {
    let it = given();
    let plain = it.cloud.plain("alice");
    it.with_own(&plain).finish().ok();
    assert_eq!(it.token(), plain);
    it.sandbox.token(["reject", ACCOUNT]).ok();
    assert_eq!(it.sandbox.token([ACCOUNT]).code(), 4, "nothing renews it");
    it.is_well();
}

#[test]
fn a_scope_that_the_jwt_does_not_have_is_refused() {
    let it = given();
    let run = it.with_own(&it.cloud.refreshable("alice", &SCOPES, Duration::ZERO));
    let outcome = run.args(["--set", "scope=user:email"]).finish();
    assert!(outcome.fails(1).contains("does not have that scope"), "{outcome:?}");
}

#[test]
fn the_jwt_of_an_organisation_cannot_be_narrowed_and_it_is_said_what_can_be_done() {
    let it = given();
    let outcome = it.narrowed(&it.cloud.refreshable_of_organisation("acme", &SCOPES)).finish();
    assert!(outcome.fails(5).contains("--method client-credentials"), "{outcome:?}");
}

#[test]
fn trouble_at_itsyou_online_costs_no_parent() {
    let it = given();
    it.narrowed(&it.cloud.refreshable("alice", &SCOPES, Duration::ZERO)).finish().ok();
    let good = it.token();
    it.cloud.iam.break_always("*", Fault::bad_gateway(502));
    let _ = it.sandbox.token([ACCOUNT, "--fresh"]);
    assert_eq!(it.token(), good, "what still lives is served");
    // Refreshed, but the child did not come: the parent is none the worse.
    it.cloud.iam.clear();
    it.cloud.iam.break_next(1, CHILD, Fault::Close);
    it.narrowed(&it.cloud.refreshable("alice", &SCOPES, DAY)).finish().fails(5);
    it.cloud.iam.clear();
    assert!(it.cloud.accepts(&it.token()));
    it.is_well();
}
