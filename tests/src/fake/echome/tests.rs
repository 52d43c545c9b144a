//! Every row of the table of recorded answers.

use super::*;
use crate::http::{self, Answer, get, post_form, post_json};
use crate::wait::{PATIENCE, until};
use serde_json::{Value, json};

struct Given {
    cloud: EcHome,
    secret: String,
}

fn given(options: Options) -> Given {
    let cloud = EcHome::with(options);
    let secret = cloud.add_key("AKIA1");
    Given { cloud, secret }
}

impl Given {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.cloud.url())
    }

    fn login(&self) -> (String, String) {
        let answer = post_json(&self.url(TOKEN), &json!({"username": "AKIA1", "password": self.secret})).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        pair(&answer)
    }

    fn refresh(&self, token: &str) -> Answer {
        post_form(&self.url(REFRESH), &[("refresh", token)]).unwrap()
    }

    fn call(&self, authorization: &str) -> Answer {
        get(&self.url(MACHINES), Some(authorization)).unwrap()
    }
}

/// Access and refresh token.
fn pair(answer: &Answer) -> (String, String) {
    let body = answer.json();
    (body["access"].as_str().unwrap().to_owned(), body["refresh"].as_str().unwrap().to_owned())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, body: &Value) {
    assert_eq!((answer.status, &answer.json()), (status, body));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    if status == 401 {
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"api\""));
    }
}

fn not_valid(detail: &str) -> Value {
    json!({"detail": detail, "code": "token_not_valid"})
}

#[test]
fn a_login_gives_two_tokens_of_the_real_shape_and_length() {
    let it = given(Options::default());
    let (access, refresh) = it.login();
    assert_eq!((access.len(), refresh.len()), (247, 248));
    for (token, kind, life) in [(access, "access", 3600), (refresh, "refresh", 86400)] {
        let claims = jwt::payload(&token).unwrap();
        assert_eq!(claims["token_type"], kind);
        let span = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert_eq!(span, life);
        assert_eq!(claims["jti"].as_str().unwrap().len(), 32);
        assert!(it.cloud.secrets().contains(&token), "every issued token is remembered");
    }
    assert!(it.cloud.secrets().contains(&it.secret));
}

#[test]
fn a_login_may_be_a_form_and_may_carry_nonsense_as_authorization() {
    let it = given(Options::default());
    let fields = [("username", "AKIA1"), ("password", it.secret.as_str())];
    assert_eq!(post_form(&it.url(TOKEN), &fields).unwrap().status, 200);
    let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer None")];
    let body = json!({"username": "AKIA1", "password": it.secret}).to_string();
    assert_eq!(http::request("POST", &it.url(TOKEN), &headers, body.as_bytes()).unwrap().status, 200);
}

#[test]
fn four_bad_logins_get_one_answer() {
    let it = given(Options::default());
    it.cloud.add("marcus", "persons-password", Kind::Person);
    let off = it.cloud.add_key("OFF");
    it.cloud.set_active("OFF", false);
    for (name, secret) in [("AKIA1", "wrong"), ("nobody", "x"), ("marcus", "persons-password"), ("OFF", off.as_str())] {
        let answer = post_json(&it.url(TOKEN), &json!({"username": name, "password": secret})).unwrap();
        refused(&answer, 401, &json!({"detail": "No active account found with the given credentials"}));
    }
}

#[test]
fn an_incomplete_login_is_told_what_is_missing() {
    let it = given(Options::default());
    let post = |body: &Value| post_json(&it.url(TOKEN), body).unwrap();
    refused(&post(&json!({"username": "a"})), 400, &json!({"password": ["This field is required."]}));
    refused(
        &post(&json!({"username": "a", "password": ""})),
        400,
        &json!({"password": ["This field may not be blank."]}),
    );
    let both = json!({"username": ["This field is required."], "password": ["This field is required."]});
    refused(&post(&json!({})), 400, &both);
    let list = json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]});
    refused(&post(&json!([])), 400, &list);
    let broken = http::request("POST", &it.url(TOKEN), &[("Content-Type", "application/json")], b"{").unwrap();
    assert_eq!(broken.status, 400);
    assert!(broken.json()["detail"].as_str().unwrap().starts_with("JSON parse error - "));
}

#[test]
fn other_media_types_and_methods_are_refused() {
    let it = given(Options::default());
    let plain = http::request("POST", &it.url(TOKEN), &[("Content-Type", "text/plain")], b"x").unwrap();
    refused(&plain, 415, &json!({"detail": "Unsupported media type \"text/plain\" in request."}));
    refused(&get(&it.url(TOKEN), None).unwrap(), 405, &json!({"detail": "Method \"GET\" not allowed."}));
}

#[test]
fn a_slash_at_the_end_is_no_path() {
    let it = given(Options::default());
    for path in [TOKEN, REFRESH, VERIFY] {
        let answer = post_json(&it.url(&format!("{path}/")), &json!({})).unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    }
    assert_eq!(it.cloud.violations().len(), 3);
}

#[test]
fn a_refresh_rotates_whatever_the_authorization_and_the_encoding() {
    let it = given(Options::default());
    let (access, refresh) = it.login();
    let (bearer, body) = (format!("Bearer {access}"), format!("refresh={refresh}"));
    for authorization in [None, Some(bearer.as_str()), Some("garbage")] {
        let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded")];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        let answer = http::request("POST", &it.url(REFRESH), &headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200);
        let (new_access, new_refresh) = pair(&answer);
        assert!(new_access != access && new_refresh != refresh);
    }
    assert_eq!(post_json(&it.url(REFRESH), &json!({"refresh": refresh})).unwrap().status, 200);
}

#[test]
fn an_old_refresh_token_stays_good_without_the_blacklist() {
    let it = given(Options::default());
    let (access, refresh) = it.login();
    assert_eq!(it.refresh(&refresh).status, 200);
    assert_eq!(it.refresh(&refresh).status, 200);
    assert!(it.cloud.accepts(&access), "an old access token lives until its end");
}

#[test]
fn an_old_refresh_token_is_refused_with_the_blacklist() {
    let it = given(Options { blacklist: true, ..Options::default() });
    let (access, refresh) = it.login();
    let (_, newer) = pair(&it.refresh(&refresh));
    refused(&it.refresh(&refresh), 401, &not_valid("Token is blacklisted"));
    assert_eq!(it.refresh(&newer).status, 200);
    let verify = |token: &str| post_json(&it.url(VERIFY), &json!({"token": token})).unwrap();
    refused(&verify(&refresh), 400, &json!({"non_field_errors": ["Token is blacklisted"]}));
    assert_eq!(verify(&access).json(), json!({}));
}

#[test]
fn an_old_refresh_token_is_taken_within_the_grace() {
    let it = given(Options { blacklist: true, grace: PATIENCE, ..Options::default() });
    let (_, refresh) = it.login();
    assert_eq!(it.refresh(&refresh).status, 200);
    assert_eq!(it.refresh(&refresh).status, 200);
}

#[test]
fn bad_refresh_tokens_are_refused_in_the_words_of_their_version() {
    for (version, invalid) in [(Version::V5_0, "Token is invalid or expired"), (Version::V5_5, "Token is invalid")] {
        let it = given(Options { version, ..Options::default() });
        let (access, refresh) = it.login();
        refused(&it.refresh("garbage"), 401, &not_valid(invalid));
        refused(&it.refresh(&format!("{}x", &refresh[..refresh.len() - 1])), 401, &not_valid(invalid));
        refused(&it.refresh(&access), 401, &not_valid("Token has wrong type"));
        refused(&it.refresh(""), 400, &json!({"refresh": ["This field may not be blank."]}));
        refused(
            &post_json(&it.url(REFRESH), &json!({})).unwrap(),
            400,
            &json!({"refresh": ["This field is required."]}),
        );
        it.cloud.revoke_refresh_tokens();
        refused(&it.refresh(&refresh), 401, &not_valid(invalid));
    }
}

#[test]
fn tokens_end_when_they_say() {
    for (version, words) in [(Version::V5_0, "Token is invalid or expired"), (Version::V5_5, "Token is expired")] {
        let second = Duration::from_secs(1);
        let it = given(Options { version, access: second, refresh: second, ..Options::default() });
        let (access, refresh) = it.login();
        assert!(until(PATIENCE, || !it.cloud.accepts(&access)));
        let answer = it.call(&format!("Bearer {access}"));
        assert_eq!(answer.json()["messages"][0]["message"], words);
        assert!(until(PATIENCE, || it.refresh(&refresh).status == 401));
        refused(&it.refresh(&refresh), 401, &not_valid(words));
    }
}

#[test]
fn the_api_takes_nothing_but_a_valid_access_token_as_bearer() {
    let it = given(Options::default());
    let (access, refresh) = it.login();
    assert_eq!(it.call(&format!("Bearer {access}")).json()["success"], true);
    let anonymous = json!({"detail": "Authentication credentials were not provided."});
    refused(&get(&it.url(MACHINES), None).unwrap(), 401, &anonymous);
    for scheme in ["bearer", "BEARER", "Token"] {
        refused(&it.call(&format!("{scheme} {access}")), 401, &anonymous);
    }
    for (token, message) in [("garbage", "Token is invalid or expired"), (&refresh, "Token has wrong type")] {
        let answer = it.call(&format!("Bearer {token}"));
        let messages = json!([{"token_class": "AccessToken", "token_type": "access", "message": message}]);
        let detail = "Given token not valid for any token type";
        refused(&answer, 401, &json!({"detail": detail, "code": "token_not_valid", "messages": messages}));
    }
    it.cloud.revoke_access_tokens();
    assert!(!it.cloud.accepts(&access));
}

#[test]
fn a_disabled_key_still_refreshes_on_5_0_and_its_tokens_are_refused() {
    let it = given(Options::default());
    let (access, refresh) = it.login();
    it.cloud.set_active("AKIA1", false);
    let (newer, _) = pair(&it.refresh(&refresh));
    for token in [access, newer] {
        refused(
            &it.call(&format!("Bearer {token}")),
            401,
            &json!({"detail": "User is inactive", "code": "user_inactive"}),
        );
    }
}

#[test]
fn a_disabled_key_does_not_refresh_on_5_5() {
    let it = given(Options { version: Version::V5_5, ..Options::default() });
    let (_, refresh) = it.login();
    it.cloud.set_active("AKIA1", false);
    refused(&it.refresh(&refresh), 401, &json!({"detail": "No active account found for the given token."}));
}

#[test]
fn verify_breaks_on_good_tokens_and_refuses_bad_ones() {
    let it = given(Options::default());
    let (access, _) = it.login();
    let verify = |token: &str| post_json(&it.url(VERIFY), &json!({"token": token})).unwrap();
    let broken = verify(&access);
    assert_eq!((broken.status, broken.header("content-type")), (500, Some("text/html; charset=utf-8")));
    refused(&verify("garbage"), 401, &not_valid("Token is invalid or expired"));
    assert!(it.cloud.violations().iter().all(|violation| violation.contains("does not work")));
    assert_eq!(it.cloud.violations().len(), 2, "no agent may use it");
}

#[test]
fn a_changed_secret_leaves_only_the_new_one() {
    let it = given(Options::default());
    let newer = it.cloud.change_secret("AKIA1");
    let login = |secret: &str| post_json(&it.url(TOKEN), &json!({"username": "AKIA1", "password": secret})).unwrap();
    assert_eq!((login(&it.secret).status, login(&newer).status), (401, 200));
}

#[test]
fn sloppy_requests_are_violations_and_good_ones_are_not() {
    let it = given(Options::default());
    let (access, refresh) = it.login();
    it.refresh(&refresh);
    it.call(&format!("Bearer {access}"));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
    let typed = [("Content-Type", "application/json")];
    let good = json!({"username": "AKIA1", "password": it.secret}).to_string();
    for (path, headers, body) in [
        (TOKEN, &[("Content-Type", "text/plain")][..], good.as_str()),
        (TOKEN, &[("Content-Type", "application/json"), ("content-type", "application/json")], good.as_str()),
        (TOKEN, &typed, "{}"),
        ("/api/v1/identity/token?password=x", &typed, good.as_str()),
        ("/elsewhere", &typed, good.as_str()),
    ] {
        let before = it.cloud.violations().len();
        http::request("POST", &it.url(path), headers, body.as_bytes()).unwrap();
        assert_eq!(it.cloud.violations().len(), before + 1, "{path} {headers:?} {body}");
    }
}
