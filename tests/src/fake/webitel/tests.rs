//! Every row of the table of recorded answers.

use super::*;
use crate::http::{self, Answer, post_form, post_json};
use serde_json::{Value, json};

const USER: &str = "100@mydomain.com";

struct Given {
    cloud: Webitel,
    password: String,
}

fn given(options: Options) -> Given {
    let cloud = Webitel::with(options);
    let password = cloud.add_user(USER);
    Given { cloud, password }
}

impl Given {
    fn login(&self, username: &str, password: &str, query: &str) -> Answer {
        let url = format!("{}{LOGIN}{query}", self.cloud.url());
        post_json(&url, &json!({"username": username, "password": password})).unwrap()
    }

    fn pair(&self) -> (String, String) {
        let body = self.login(USER, &self.password, "").json();
        (body["token"].as_str().unwrap().to_owned(), body["key"].as_str().unwrap().to_owned())
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::request(method, &format!("{}{path}", self.cloud.url()), headers, b"").unwrap()
    }
}

#[track_caller]
fn says(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, body));
}

#[test]
fn a_login_gives_a_key_and_a_token_and_both_moments_in_milliseconds() {
    let it = given(Options::default());
    let body = it.login(USER, &it.password, "").json();
    let claims = jwt::payload(body["token"].as_str().unwrap()).unwrap();
    assert_eq!(claims["exp"], body["expires"]);
    assert!(body["expires"].as_u64().unwrap() > 1_000_000_000_000);
    assert_eq!((&body["domain"], &body["username"]), (&json!("mydomain.com"), &json!(USER)));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn the_moments_may_be_seconds_and_may_disagree() {
    let jwt_life = Some(Duration::from_mins(1));
    let it = given(Options { unit: Unit::Seconds, jwt_life, ..Options::default() });
    let body = it.login(USER, &it.password, "").json();
    let exp = jwt::payload(body["token"].as_str().unwrap()).unwrap()["exp"].as_u64().unwrap();
    assert_eq!(body["expires"].as_u64().unwrap() - exp, 100 * 24 * 3600 - 60);
}

#[test]
fn bad_logins_are_told_in_two_shapes() {
    let it = given(Options::default());
    says(&it.login(USER, "wrong-1", ""), 401, r#"{"status":"error","info":"secret incorrect"}"#);
    says(&it.login("nobody", "wrong-1", ""), 401, r#"{"status":"error","info":"-ERR no such user"}"#);
    let other = r#"{"status":401,"message":"Invalid credentials"}"#;
    says(&it.login("", "wrong-1", ""), 401, other);
    let url = format!("{}{LOGIN}", it.cloud.url());
    says(&post_form(&url, &[("username", USER), ("password", &it.password)]).unwrap(), 401, other);
    let broken = http::request("POST", &url, &[("Content-Type", "application/json")], b"{").unwrap();
    says(&broken, 400, r#"{"status":"error","info":"Unexpected end of JSON input"}"#);
    it.cloud.set_console(false);
    says(&it.login(USER, &it.password, ""), 401, r#"{"status":"error","info":"-ERR: Console connect error"}"#);
}

#[test]
fn root_with_a_second_factor_is_told_so_by_a_redirect_that_leads_nowhere() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    let seed = it.cloud.enrol_root();
    let challenge = it.login(ROOT, &password, "");
    says(&challenge, 301, r#"{"status":"error","info":"Set security code"}"#);
    assert_eq!(challenge.header("location"), None);
    says(&it.login(ROOT, &password, "?code=abcdef"), 401, r#"{"status":"error","info":"code incorrect"}"#);
    assert_eq!(it.login(ROOT, &password, &format!("?code={}", totp::code(&seed))).status, 200);
    assert_eq!(it.cloud.violations().len(), 1, "letters are no code");
}

#[test]
fn the_api_wants_both_headers() {
    let it = given(Options::default());
    let (token, key) = it.pair();
    let message = |text: &str| format!(r#"{{"status":401,"message":"{text}"}}"#);
    says(&it.ask("GET", WHOAMI, &[]), 401, &message("Invalid token"));
    says(&it.ask("GET", WHOAMI, &[("Authorization", &format!("Bearer {token}"))]), 401, &message("Invalid token"));
    says(&it.ask("GET", WHOAMI, &[("X-Access-Token", "garbage")]), 401, &message("Invalid token"));
    says(&it.ask("GET", WHOAMI, &[("X-Access-Token", &token)]), 401, &message("Invalid Token or Key"));
    says(&it.ask("GET", WHOAMI, &[("X-Access-Token", &token), ("X-Key", "x")]), 401, &message("Invalid User"));
    let good = it.ask("GET", WHOAMI, &[("X-Access-Token", &token), ("X-Key", &key)]);
    assert!(good.status == 200 && good.json()["expires"].is_u64());
    let expired = given(Options { life: Duration::ZERO, ..Options::default() });
    let (token, key) = expired.pair();
    says(&expired.ask("GET", WHOAMI, &[("X-Access-Token", &token), ("X-Key", &key)]), 401, &message("Token Expired"));
}

#[test]
fn a_logout_ends_its_own_key_alone() {
    let it = given(Options::default());
    let (first, second) = (it.pair(), it.pair());
    says(&it.ask("POST", LOGOUT, &[]), 401, r#"{"status":401,"message":"Invalid credentials"}"#);
    let both = [("X-Access-Token", first.0.as_str()), ("X-Key", first.1.as_str())];
    let wrong = r#"{"status":"error","info":"Invalid credentials."}"#;
    says(&it.ask("POST", LOGOUT, &[("X-Access-Token", "x"), ("X-Key", &first.1)]), 401, wrong);
    says(&it.ask("POST", LOGOUT, &both), 200, r#"{"status":"OK","info":"Successful logout."}"#);
    says(&it.ask("POST", LOGOUT, &both), 401, wrong);
    says(&it.ask("GET", WHOAMI, &both), 401, r#"{"status":401,"message":"Invalid User"}"#);
    assert!(it.cloud.accepts(&[("X-Access-Token", &second.0), ("X-Key", &second.1)]));
}

#[test]
fn a_domain_token_needs_no_key() {
    let it = given(Options::default());
    let token = it.cloud.domain_token("mydomain.com");
    assert!(it.cloud.accepts(&[("X-Access-Token", &token)]));
    assert_eq!(jwt::payload(&token).unwrap()["v"], Value::from(2));
}
