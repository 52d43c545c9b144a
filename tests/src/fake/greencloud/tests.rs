//! Every request of the documentation, and what it says nothing about.

use super::*;
use crate::http::{self, Answer, post_json};
use serde_json::{Value, json};

const EMAIL: &str = "richard.hill@example.com";

struct Given {
    cloud: GreenCloud,
    password: String,
}

fn given(options: Options) -> Given {
    let cloud = GreenCloud::with(options);
    let password = cloud.add_user(EMAIL);
    Given { cloud, password }
}

impl Given {
    fn post(&self, path: &str, body: &Value) -> Answer {
        post_json(&format!("{}{path}", self.cloud.url()), body).unwrap()
    }

    fn login(&self, code: Option<&str>) -> Answer {
        match code {
            None => self.post(LOGIN, &json!({"email": EMAIL, "password": self.password})),
            Some(code) => self.post(LOGIN, &json!({"email": EMAIL, "password": self.password, "twofa": code})),
        }
    }

    fn access(&self) -> String {
        text(&self.login(None), "accessToken")
    }

    fn with_token(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let url = format!("{}{path}", self.cloud.url());
        let mut headers = vec![("Authorization", token)];
        headers.extend((!body.is_empty()).then_some(("Content-Type", "application/json")));
        http::request(method, &url, &headers, body.as_bytes()).unwrap()
    }
}

fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

fn code(code: &str) -> String {
    json!({"code": code}).to_string()
}

#[test]
fn a_login_gives_what_the_sample_shows() {
    let it = given(Options::default());
    let answer = it.login(None);
    assert_eq!((answer.status, &answer.json()["expiresIn"]), (200, &json!(3590)));
    let claims = jwt::payload(&text(&answer, "accessToken")).unwrap();
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    assert_eq!(claims["iss"], "greenclound.dev");
    let refresh = text(&answer, "refreshToken");
    assert!(refresh.len() == 512 && refresh.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(it.cloud.accepts(&text(&answer, "accessToken")));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_refresh_token_is_good_once() {
    let it = given(Options::default());
    let old = text(&it.login(None), "refreshToken");
    let new = text(&it.post(REFRESH, &json!({"refreshToken": old})), "refreshToken");
    assert_ne!(old, new);
    assert_eq!(it.post(REFRESH, &json!({"refreshToken": old})).status, 401);
    assert_eq!(it.post(REFRESH, &json!({"refreshToken": new})).status, 200);
}

#[test]
fn an_api_key_gives_no_refresh_token() {
    let it = given(Options::default());
    let key = it.cloud.api_key(EMAIL);
    let answer = it.post(API_KEY, &json!({"key": key}));
    assert_eq!((answer.status, &answer.json()["refreshToken"]), (200, &Value::Null));
    let newer = it.cloud.change_api_key(EMAIL);
    assert_eq!(it.post(API_KEY, &json!({"key": key})).status, 401);
    assert_eq!(it.post(API_KEY, &json!({"key": newer})).status, 200);
}

#[test]
fn the_second_factor_is_switched_on_by_a_code_and_off_by_another() {
    let it = given(Options::default());
    let access = it.access();
    let seed = text(&it.with_token("POST", TWO_FACTOR, &access, ""), "seed");
    assert_eq!(seed.len(), 32);
    assert_eq!(it.with_token("POST", VERIFY, &access, &code("abc")).status, 400);
    assert!(!it.cloud.is_enrolled(EMAIL), "a seed alone changes nothing");
    let now = totp::code(&seed);
    assert_eq!(it.with_token("POST", VERIFY, &access, &code(&now)).status, 200);
    assert!(it.cloud.is_enrolled(EMAIL));
    assert_eq!(it.login(None).status, 401);
    assert_eq!(it.login(Some(&now)).status, 401, "a code is good once, and confirming was that once");
    assert_eq!(it.with_token("DELETE", TWO_FACTOR, &access, &code(&now)).status, 400);
    it.cloud.fix_code(EMAIL, "069303");
    assert_eq!(it.with_token("DELETE", TWO_FACTOR, &access, &code("069303")).status, 204);
    assert_eq!(it.login(None).status, 200);
}

#[test]
fn a_code_is_a_text() {
    let it = given(Options::default());
    it.cloud.fix_code(EMAIL, "069303");
    let number = it.post(LOGIN, &json!({"email": EMAIL, "password": it.password, "twofa": 69303}));
    assert_eq!(number.status, 400);
    assert_eq!(it.login(Some("069303")).status, 200);
    assert_eq!(it.cloud.violations().len(), 1);
}

#[test]
fn an_account_is_registered_and_activated() {
    let it = given(Options::default());
    let body = json!({"name": "Richard", "surname": "Hill", "email": "new@example.com", "password": "Hello123!"});
    assert_eq!(it.post(REGISTER, &body).status, 201);
    let login = json!({"email": "new@example.com", "password": "Hello123!"});
    assert_eq!(it.post(LOGIN, &login).status, 403);
    assert_eq!(it.post(ACTIVATE, &json!({"code": "wrong"})).status, 400);
    let mail = it.cloud.mail("new@example.com").unwrap();
    assert_eq!(mail.len(), 32);
    assert_eq!(it.post(ACTIVATE, &json!({"code": mail})).status, 200);
    assert_eq!(it.post(LOGIN, &login).status, 200);
}

#[test]
fn a_node_has_an_id_and_an_owner() {
    let it = given(Options::default());
    let access = it.access();
    assert_eq!(it.with_token("POST", NODE, &access, &code("1a06")).status, 400, "the table's `code` is a slip");
    assert_eq!(it.with_token("POST", NODE, &access, r#"{"id":"1a06"}"#).status, 200);
    assert_eq!(it.cloud.nodes(EMAIL), ["1a06"]);
}

#[test]
fn the_scheme_is_none_or_bearer_and_never_either() {
    for (scheme, good, bad) in [(Scheme::Raw, "", "Bearer "), (Scheme::Bearer, "Bearer ", "")] {
        let it = given(Options { scheme, ..Options::default() });
        let access = it.access();
        assert_eq!(it.with_token("GET", USER, &format!("{good}{access}"), "").status, 200);
        assert_eq!(it.with_token("GET", USER, &format!("{bad}{access}"), "").status, 401);
        assert_eq!(it.cloud.violations().len(), 1, "{:?}", it.cloud.violations());
    }
}

#[test]
fn an_old_client_is_told_so_where_it_asks_for_a_token() {
    let it = given(Options::default());
    it.cloud.demand_upgrade(true);
    for answer in [it.login(None), it.post(API_KEY, &json!({"key": it.cloud.api_key(EMAIL)}))] {
        assert_eq!((answer.status, answer.json()), (400, json!({"error": "NEEDS_UPGRADE"})));
    }
}
