//! What the conformance test does not reach: time, and what the fake minds more than the server.

use serde_json::{Value, json};

use super::auth::date;
use super::*;
use crate::wait::{PATIENCE, until};

fn login(url: &str, secret: &str, id: &str) -> http::Answer {
    let identity =
        json!({"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}});
    http::post_json(&format!("{url}{TOKENS}"), &json!({"auth": {"identity": identity}})).unwrap()
}

#[test]
fn moments_are_those_of_the_calendar() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_400, "2000-02-29T00:00:00.000000Z"),
        (1_795_322_561, "2026-11-22T04:42:41.000000Z"),
        (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
    ] {
        assert_eq!(date(seconds), text);
    }
}

#[test]
fn a_token_ends_with_its_life_its_user_or_its_credential() {
    let cloud = Keystone::with(Duration::from_secs(2));
    cloud.add_user("alice", "pw-of-alice", "demo");
    let id = cloud.add_credential("alice", "s3cr3t");
    let token = || login(&cloud.prefixed(), "s3cr3t", &id).header("x-subject-token").unwrap().to_owned();
    let first = token();
    assert!(cloud.accepts(&first) && cloud.secrets().contains(&first));
    assert!(until(PATIENCE, || !cloud.accepts(&first)));
    let second = token();
    cloud.set_active("alice", false);
    cloud.set_active("alice", true);
    assert!(!cloud.accepts(&second));
    let third = token();
    cloud.delete_credential(&id);
    assert!(!cloud.accepts(&third));
    assert_eq!((cloud.logins(), cloud.violations()), (3, Vec::new()));
}

#[test]
fn sloppy_requests_are_violations() {
    let cloud = Keystone::start();
    let empty_scope: Value =
        json!({"auth": {"identity": {"methods": []}, "scope": {"project": {"domain": {"name": "D"}}}}});
    for (method, path, headers, body) in [
        ("POST", TOKENS, &[("Content-Type", "text/plain")][..], String::new()),
        ("POST", TOKENS, &[("Content-Type", "application/json"), ("X-Auth-Token", "t")], "{}".into()),
        ("POST", TOKENS, &[("Content-Type", "application/json")], empty_scope.to_string()),
        ("POST", "/v3/auth/tokens?secret=x", &[("Content-Type", "application/json")], "{}".into()),
        ("GET", TOKENS, &[("X-Auth-Token", "one"), ("X-Subject-Token", "other")], String::new()),
        ("GET", "/v3/users", &[], String::new()),
    ] {
        let before = cloud.violations().len();
        http::request(method, &format!("{}{path}", cloud.url()), headers, body.as_bytes()).unwrap();
        assert_eq!(cloud.violations().len(), before + 1, "{method} {path} {headers:?} {body}");
    }
}
