//! Every call of the documentation and of the vendor's client, and every way in which it is refused.

use serde_json::{Value, json};

use super::*;
use crate::http::{self, Answer, post_json};

const WHO: &str = "alice";

fn given(second: Second) -> (Cleura, String) {
    let cloud = Cleura::start();
    let password = cloud.add(WHO, second);
    (cloud, password)
}

fn post(cloud: &Cleura, path: &str, body: &Value) -> Answer {
    post_json(&format!("{}{path}", cloud.url()), body).unwrap()
}

fn present(cloud: &Cleura, method: &str, path: &str, login: &str, token: &str) -> Answer {
    let headers = [("X-AUTH-LOGIN", login), ("X-AUTH-TOKEN", token)];
    http::request(method, &format!("{}{path}", cloud.url()), &headers, b"").unwrap()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, message: &str) {
    assert_eq!((answer.status, answer.json()), (status, json!({"error": {"code": status, "message": message}})));
}

fn token(answer: &Answer) -> String {
    answer.json()["token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

fn v1(password: &str) -> Value {
    json!({"auth": {"login": WHO, "password": password}})
}

fn v1_sms(password: &str) -> Value {
    json!({"auth": {"login": WHO, "password": password, "twofa_method": "sms"}})
}

#[test]
fn v1_wraps_and_answers_200_and_v2_is_flat_and_answers_201() {
    let (cloud, password) = given(Second::None);
    let first = post(&cloud, TOKENS, &v1(&password));
    assert_eq!((first.status, &first.json()["result"]), (200, &json!("login_ok")));
    let second = post(&cloud, TOKENS_V2, &json!({"login": WHO, "password": password}));
    assert_eq!((second.status, &second.json()["result"]), (201, &json!("login_ok")));
    // Whether a login ends an older token is not known; here it does not, unless it is asked for.
    assert!(cloud.accepts(WHO, &token(&first)) && cloud.accepts(WHO, &token(&second)));
    assert!(cloud.secrets().contains(&token(&first)) && cloud.violations().is_empty());
    assert_eq!(cloud.logins(), 2);
    refused(&post(&cloud, TOKENS, &json!({"login": WHO, "password": password})), 400, "Malformed request");
    refused(&post(&cloud, TOKENS_V2, &v1(&password)), 400, "Missing parameter");
    assert_eq!(cloud.violations().len(), 2);
}

#[test]
fn a_login_is_read_under_all_three_media_types_that_are_in_use() {
    let (cloud, password) = given(Second::None);
    let url = format!("{}{TOKENS}", cloud.url());
    let body = v1(&password).to_string();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let json = [("Content-Type", "application/json; charset=utf-8")];
    for headers in [&form[..], &json[..], &[]] {
        assert_eq!(http::request("POST", &url, headers, body.as_bytes()).unwrap().status, 200, "{headers:?}");
    }
    let text = [("Content-Type", "text/plain")];
    refused(&http::request("POST", &url, &text, body.as_bytes()).unwrap(), 415, "Unsupported media type");
}

#[test]
fn three_steps_of_v1_take_a_code_that_is_an_integer() {
    let (cloud, password) = given(Second::Sms);
    cloud.next_code(WHO, "012345");
    let first = post(&cloud, TOKENS, &v1_sms(&password)).json();
    assert_eq!((&first["result"], &first["type"]), (&json!("twofactor_required"), &json!("sms")));
    let verification = &first["verification"];
    assert!(cloud.messages(WHO).is_empty(), "a challenge alone sends no text message");
    let asked = post(&cloud, REQUEST_CODE, &json!({"request2fa": {"login": WHO, "verification": verification}}));
    assert_eq!((asked.status, asked.body.len()), (204, 0));
    assert_eq!(cloud.messages(WHO), ["012345"]);
    let verify = |code: Value| {
        post(&cloud, VERIFY, &json!({"verify2fa": {"login": WHO, "verification": verification, "code": code}}))
    };
    refused(&verify(json!("012345")), 400, "Code must be an integer");
    refused(&verify(json!(54321)), 400, "Invalid code");
    let last = verify(json!(12345));
    assert_eq!((last.status, &last.json()["result"]), (200, &json!("login_ok")));
    assert!(cloud.accepts(WHO, &token(&last)));
    refused(&verify(json!(12345)), 400, "Invalid verification");
}

#[test]
fn three_steps_of_v2_are_flat_and_the_last_has_no_result() {
    let (cloud, password) = given(Second::Both);
    let first = post(&cloud, TOKENS_V2, &json!({"login": WHO, "password": password}));
    assert_eq!(first.json(), json!({"result": "twofactor_options", "options": ["sms", "webauthn"]}));
    let second =
        post(&cloud, TOKENS_V2, &json!({"login": WHO, "password": password, "two_factor_method": "sms"})).json();
    let verification = &second["verification"];
    assert_eq!(post(&cloud, REQUEST_CODE_V2, &json!({"login": WHO, "verification": verification})).status, 204);
    let code: u64 = cloud.last_code(WHO).parse().unwrap();
    let last = post(&cloud, VERIFY_V2, &json!({"login": WHO, "verification": verification, "code": code}));
    assert_eq!((last.status, last.json().as_object().unwrap().len()), (200, 1));
    assert!(cloud.accepts(WHO, &token(&last)) && cloud.violations().is_empty());
}

#[test]
fn a_verification_ends_by_time_by_wrong_codes_and_by_the_server() {
    let options = Options { wrong_codes: 1, ..Options::default() };
    let cloud = Cleura::with(options);
    let password = cloud.add(WHO, Second::Sms);
    let challenge = || post(&cloud, TOKENS, &v1_sms(&password)).json()["verification"].clone();
    let ask = |verification: &Value| {
        post(&cloud, REQUEST_CODE, &json!({"request2fa": {"login": WHO, "verification": verification}}))
    };
    let verify = |verification: &Value, code: u64| {
        post(&cloud, VERIFY, &json!({"verify2fa": {"login": WHO, "verification": verification, "code": code}}))
    };
    let one = challenge();
    assert_eq!(ask(&one).status, 204);
    let code = cloud.last_code(WHO).parse().unwrap();
    refused(&verify(&one, code + 1), 400, "Invalid code");
    refused(&verify(&one, code), 400, "Invalid verification");
    let two = challenge();
    cloud.end_verifications();
    refused(&ask(&two), 400, "Invalid verification");
    let short = Cleura::with(Options { verification: Duration::ZERO, ..Options::default() });
    let password = short.add(WHO, Second::Sms);
    let three = post(&short, TOKENS, &v1_sms(&password)).json()["verification"].clone();
    let asked = post(&short, REQUEST_CODE, &json!({"request2fa": {"login": WHO, "verification": three}}));
    refused(&asked, 400, "Invalid verification");
    assert!(short.messages(WHO).is_empty());
}

#[test]
fn a_security_key_alone_is_no_way_in() {
    let (cloud, password) = given(Second::WebAuthn);
    let said = post(&cloud, TOKENS, &v1_sms(&password)).json();
    assert_eq!(said, json!({"result": "twofactor_required", "type": "webauthn"}));
    let said = post(&cloud, TOKENS_V2, &json!({"login": WHO, "password": password})).json();
    assert_eq!(said, json!({"result": "twofactor_options", "options": ["webauthn"]}));
    assert!(cloud.accepts(WHO, &cloud.panel_token(WHO)));
}

#[test]
fn a_wrong_password_is_refused_and_too_many_lock_the_user_out() {
    let (cloud, password) = given(Second::None);
    refused(&post(&cloud, TOKENS_V2, &json!({"login": WHO, "password": "no"})), 400, "Invalid login or password");
    for _ in 0..4 {
        refused(&post(&cloud, TOKENS, &v1("no")), 403, "Invalid login or password");
    }
    refused(&post(&cloud, TOKENS, &v1(&password)), 403, "The account is locked");
    refused(
        &post(&cloud, TOKENS, &json!({"auth": {"login": "bob", "password": "no"}})),
        403,
        "Invalid login or password",
    );
}

#[test]
fn a_token_is_validated_used_and_forgotten_with_both_headers() {
    let (cloud, password) = given(Second::None);
    for (path, validate, dead) in [(TOKENS, VALIDATE, 403), (TOKENS_V2, VALIDATE_V2, 401)] {
        let body = if path == TOKENS { v1(&password) } else { json!({"login": WHO, "password": password}) };
        let token = token(&post(&cloud, path, &body));
        assert_eq!(present(&cloud, "POST", validate, WHO, &token).status, 204);
        refused(&present(&cloud, "POST", validate, "bob", &token), dead, "Invalid token");
        assert_eq!(present(&cloud, "GET", DOMAINS, WHO, &token).json()[0]["area"]["regions"][0]["region"], "Sto2");
        assert_eq!(present(&cloud, "DELETE", path, WHO, &token).status, 204);
        refused(&present(&cloud, "POST", validate, WHO, &token), dead, "Invalid token");
        refused(&present(&cloud, "DELETE", path, WHO, &token), dead, "Invalid token");
    }
}

#[test]
fn a_missing_privilege_has_the_status_of_a_dead_token_and_other_words() {
    let (cloud, _) = given(Second::None);
    let token = cloud.panel_token(WHO);
    cloud.set_privileged(WHO, false);
    refused(&present(&cloud, "GET", DOMAINS, WHO, &token), 403, "No access: openstack");
    assert!(cloud.accepts(WHO, &token));
    cloud.end_tokens();
    refused(&present(&cloud, "GET", DOMAINS, WHO, &token), 403, "Invalid token");
}

#[test]
fn what_no_client_may_send_is_noted() {
    let (cloud, password) = given(Second::None);
    let token = cloud.panel_token(WHO);
    let extra = json!({"auth": {"login": WHO, "password": password, "remember": true}});
    let _ = post(&cloud, TOKENS, &extra);
    let _ = post(&cloud, &format!("{TOKENS}?password=x"), &v1(&password));
    let _ = http::get(&format!("{}{DOMAINS}", cloud.url()), None);
    let headers = [("X-AUTH-TOKEN", token.as_str()), ("Content-Type", "application/json")];
    let url = format!("{}{TOKENS}", cloud.url());
    let _ = http::request("POST", &url, &headers, v1(&password).to_string().as_bytes());
    assert_eq!(cloud.violations().len(), 4, "{:?}", cloud.violations());
    assert!(cloud.saw(&token) && !cloud.saw("never sent"));
}
