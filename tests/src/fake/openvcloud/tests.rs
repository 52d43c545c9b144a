//! Every row of what the two servers answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::http::{self, Answer, get, post_form};

const ID: &str = "client-1";
const DAY: Duration = Duration::from_hours(24);

fn iam(cloud: &OpenvCloud, path: &str) -> String {
    format!("{}{path}", cloud.iam.url())
}

fn mint(cloud: &OpenvCloud, secret: &str, more: &[(&str, &str)]) -> Answer {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", ID),
        ("client_secret", secret),
        ("response_type", "id_token"),
        ("validity", "3600"),
    ];
    post_form(&iam(cloud, ACCESS_TOKEN), &[&fields[..], more].concat()).unwrap()
}

fn with_token(cloud: &OpenvCloud, path: &str, token: &str) -> Answer {
    get(&iam(cloud, path), Some(&format!("bearer {token}"))).unwrap()
}

fn portal(cloud: &OpenvCloud, path: &str, fields: &[(&str, &str)]) -> Answer {
    post_form(&format!("{}{path}", cloud.portal.url()), fields).unwrap()
}

fn left(token: &str) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    jwt::payload(token).unwrap()["exp"].as_u64().unwrap().saturating_sub(now)
}

#[track_caller]
fn says(answer: &Answer, status: u16, words: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, words));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn a_key_mints_a_jwt_of_the_life_that_is_asked_for() {
    let cloud = OpenvCloud::start();
    let secret = cloud.add_key(ID, "alice");
    let answer = mint(&cloud, &secret, &[]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jwt")));
    let token = answer.text();
    assert!(cloud.accepts(&token) && (3590..=3600).contains(&left(&token)));
    let claims = jwt::payload(&token).unwrap();
    assert_eq!((&claims["iss"], &claims["azp"]), (&json!("itsyouonline"), &json!(ID)));
    assert_eq!((&claims["username"], &claims["refresh_token"]), (&json!("alice"), &Value::Null));
    assert_eq!(token.rsplit('.').next().unwrap().len(), 128, "ES384");
    assert!(cloud.secrets().contains(&token) && cloud.violations().is_empty());
}

#[test]
fn a_jwt_is_bare_or_json_as_accept_asks_for_it_or_as_the_test_says() {
    let cloud = OpenvCloud::start();
    let secret = cloud.add_key(ID, "alice");
    let body = format!("grant_type=client_credentials&response_type=id_token&client_id={ID}&client_secret={secret}");
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json, */*;q=0.1")];
    let answer = http::request("POST", &iam(&cloud, ACCESS_TOKEN), &headers, body.as_bytes()).unwrap();
    assert!(cloud.accepts(answer.json()["access_token"].as_str().unwrap()));
    assert!(left(answer.json()["access_token"].as_str().unwrap()) > 86_000, "a day, unless one says");
    assert_eq!(cloud.violations().len(), 1, "which no agent may leave unsaid");
    cloud.answer_in(Form::Line);
    assert!(mint(&cloud, &secret, &[]).text().ends_with('\n'));
    cloud.answer_in(Form::Json);
    assert!(mint(&cloud, &secret, &[]).json()["access_token"].is_string());
}

#[test]
fn what_is_wrong_with_a_mint_is_400_in_plain_text_and_only_a_scope_is_401() {
    let cloud = OpenvCloud::start();
    let secret = cloud.add_key(ID, "alice");
    says(&mint(&cloud, "wrong", &[]), 400, "Bad Request\n");
    says(&mint(&cloud, &secret, &[("grant_type", "password")]), 400, "Bad Request\n");
    says(&post_form(&iam(&cloud, ACCESS_TOKEN), &[("client_id", ID)]).unwrap(), 400, "Bad Request\n");
    says(&mint(&cloud, &secret, &[("scope", "organization:owner:other")]), 401, "Unauthorized\n");
}

#[test]
fn id_and_secret_may_be_in_the_query_or_in_basic_authorization() {
    let cloud = OpenvCloud::start();
    let secret = cloud.add_key(ID, "alice");
    let path = format!(
        "{ACCESS_TOKEN}?grant_type=client_credentials&response_type=id_token&client_id={ID}&client_secret={secret}"
    );
    assert_eq!(post_form(&iam(&cloud, &path), &[]).unwrap().status, 200);
    assert!(cloud.violations()[0].contains("in a query"), "{:?}", cloud.violations());
    let basic = STANDARD.encode(format!("{ID}:{secret}"));
    let headers =
        [("Authorization", &*format!("Basic {basic}")), ("Content-Type", "application/x-www-form-urlencoded")];
    let body = b"grant_type=client_credentials&validity=60";
    let opaque = http::request("POST", &iam(&cloud, ACCESS_TOKEN), &headers, body).unwrap().json();
    assert_eq!((&opaque["token_type"], &opaque["info"]["username"]), (&json!("bearer"), &json!("alice")));
}

#[test]
fn an_expired_jwt_refreshes_until_it_has_lain_idle_for_thirty_days() {
    let cloud = OpenvCloud::start();
    let parent = cloud.refreshable("alice", &["user:name"], DAY);
    assert!(!cloud.accepts(&parent));
    let path = format!("{REFRESH}?validity=600");
    let fresh = with_token(&cloud, &path, &parent).text();
    assert!(cloud.accepts(&fresh) && (590..=600).contains(&left(&fresh)));
    let claim = |token: &str| jwt::payload(token).unwrap()["refresh_token"].clone();
    assert_eq!(claim(&fresh), claim(&parent), "it does not rotate");
    assert!(left(&with_token(&cloud, REFRESH, &fresh).text()) > 3600, "a validity that is not repeated is forgotten");
    cloud.lie_idle(29 * DAY);
    assert_eq!(with_token(&cloud, &path, &parent).status, 200);
    cloud.lie_idle(31 * DAY);
    says(&with_token(&cloud, &path, &parent), 401, "Unauthorized\n");
    says(&with_token(&cloud, &path, &cloud.plain("alice")), 401, "Unauthorized\n");
    says(&with_token(&cloud, &path, &format!("{parent}x")), 401, "Unauthorized\n");
    says(&get(&iam(&cloud, &path), Some(&format!("BEARER {parent}"))).unwrap(), 401, "Unauthorized\n");
}

#[test]
fn a_child_cannot_be_refreshed_and_needs_a_living_parent_that_is_a_users() {
    let cloud = OpenvCloud::start();
    let parent = cloud.refreshable("alice", &["user:name", "user:memberof:acme"], Duration::ZERO);
    let child = with_token(&cloud, &format!("{CHILD}?scope=user:memberof:acme"), &parent).text();
    let claims = jwt::payload(&child).unwrap();
    assert_eq!((&claims["scope"], &claims["refresh_token"]), (&json!(["user:memberof:acme"]), &Value::Null));
    let empty = with_token(&cloud, CHILD, &parent).text();
    assert_eq!(jwt::payload(&empty).unwrap()["scope"], json!([]));
    says(&with_token(&cloud, &format!("{CHILD}?scope=user:email"), &parent), 401, "Unauthorized\n");
    let old = cloud.refreshable("alice", &["user:name"], DAY);
    says(&with_token(&cloud, &format!("{CHILD}?scope=user:name"), &old), 401, "Unauthorized\n");
    let organisation = cloud.refreshable_of_organisation("acme", &["user:name"]);
    assert_eq!(with_token(&cloud, &format!("{CHILD}?scope=user:name"), &organisation).status, 500);
}

#[test]
fn a_session_is_quoted_or_bare_and_the_portal_tells_guests_from_those_whose_session_ended() {
    let cloud = OpenvCloud::start();
    let password = cloud.add_user("bob");
    let login = [("username", "bob"), ("password", password.as_str())];
    let session = portal(&cloud, AUTHENTICATE, &login).text();
    assert!(cloud.knows(&session));
    cloud.quote_sessions(true);
    assert!(portal(&cloud, AUTHENTICATE, &login).json().is_string());
    cloud.quote_sessions(false);
    let wrong = portal(&cloud, AUTHENTICATE, &[("username", "bob"), ("password", "no")]);
    assert_eq!((wrong.status, wrong.text().as_str()), (401, "Unauthorized"));
    assert_eq!(portal(&cloud, WHOAMI, &[("authkey", &session)]).text(), "bob");
    assert_eq!(portal(&cloud, WHOAMI, &[]).text(), "guest");
    assert_eq!(portal(&cloud, CLOUDSPACES, &[]).status, 401);
    assert_eq!(portal(&cloud, CLOUDSPACES, &[("authkey", &session)]).status, 200);
    for bad in ["", "unknown"] {
        let answer = portal(&cloud, CLOUDSPACES, &[("authkey", bad)]);
        assert!(answer.status == 419 && answer.text().contains("<html"), "{}", answer.text());
    }
    assert_eq!(cloud.violations().len(), 1, "an empty one: {:?}", cloud.violations());
    assert_eq!(portal(&cloud, WHOAMI, &[("authkey", &session), ("user_logoff_", "1")]).text(), "guest");
    assert!(!cloud.knows(&session));
    cloud.set_upgrading(true);
    assert_eq!(portal(&cloud, AUTHENTICATE, &login).status, 503);
}

#[test]
fn the_portal_takes_jwts_of_any_scheme_spelling_and_notes_one_that_should_not_have_left() {
    let cloud = OpenvCloud::start();
    let token = cloud.plain("alice");
    let ask = |authorization: &str| {
        let url = format!("{}{WHOAMI}", cloud.portal.url());
        http::request("POST", &url, &[("Authorization", authorization)], b"").unwrap()
    };
    for scheme in ["bearer", "Bearer", "BEARER"] {
        assert_eq!(ask(&format!("{scheme} {token}")).text(), "alice@itsyouonline");
    }
    let bad = ask("bearer a.b.c");
    assert!(bad.status == 401 && bad.text().contains("<html"));
    assert!(cloud.violations().is_empty());
    let parent = cloud.refreshable("alice", &[], Duration::ZERO);
    assert_eq!(ask(&format!("bearer {parent}")).status, 200);
    assert_eq!(cloud.violations().len(), 1);
}
