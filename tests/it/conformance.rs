//! The fake ecHome against the real packages: whatever one answers, the other does.

use cloud_agent_tests::fake::echome::{EcHome, MACHINES, Options, REFRESH, TOKEN, VERIFY, Version};
use cloud_agent_tests::fake::jwt;
use cloud_agent_tests::http::{self, Answer, post_form, post_json};
use cloud_agent_tests::lab;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};
use std::time::Duration;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Both, with the same key.
struct Pair {
    real: lab::EcHome,
    fake: EcHome,
    secret: String,
}

impl Pair {
    fn start(what: &str, blacklist: bool, seconds: u64) -> Option<Self> {
        let (access, refresh) = (Duration::from_secs(seconds), Duration::from_secs(seconds));
        let real = lab::EcHome::start(what, &lab::echome::Options { blacklist, access, refresh })?;
        let fake = EcHome::with(Options { version: Version::V5_5, blacklist, access, refresh, ..Options::default() });
        let secret = fake.add_key("AKIA1");
        real.add_key("AKIA1", &secret);
        Some(Self { real, fake, secret })
    }

    /// Both URLs, the real one first.
    fn urls(&self) -> [String; 2] {
        [self.real.url().to_owned(), self.fake.url()]
    }

    fn login(&self, url: &str) -> Value {
        let body = json!({"username": "AKIA1", "password": self.secret});
        post_json(&format!("{url}{TOKEN}"), &body).unwrap().json()
    }

    #[track_caller]
    fn agree(&self, case: &str, ask: impl Fn(&str) -> Answer) {
        let [real, fake] = self.urls().map(|url| shape(&ask(&url)));
        assert_eq!(fake, real, "{case}: the fake (left) and the real stack (right) differ");
    }
}

/// All of an answer that is the same each time: tokens are replaced by what they claim.
fn shape(answer: &Answer) -> (u16, Option<String>, Option<String>, Value) {
    let header = |name: &str| answer.header(name).map(str::to_owned);
    let mut body = answer.json();
    if body.is_null() {
        body = json!(answer.text());
    }
    if let Some(object) = body.as_object_mut() {
        for (name, value) in object.iter_mut().filter(|(name, _)| *name == "access" || *name == "refresh") {
            if let Some(claims) = value.as_str().and_then(jwt::payload) {
                let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
                *value = json!(format!("{name}: a {} token for {life} s", claims["token_type"].as_str().unwrap()));
            }
        }
        // The words after the dash are those of Python's JSON parser.
        if let Some(detail) = object.get_mut("detail") {
            let words = detail.as_str().unwrap_or_default();
            *detail = json!(words.split(" - ").next());
        }
    }
    (answer.status, header("content-type"), header("www-authenticate"), body)
}

#[test]
fn the_fake_answers_logins_as_the_real_stack_does() {
    let Some(pair) = Pair::start("the_fake_answers_logins_as_the_real_stack_does", false, 3600) else { return };
    let secret = pair.secret.as_str();
    let bodies = [
        json!({"username": "AKIA1", "password": secret}).to_string(),
        json!({"username": "AKIA1", "password": "wrong"}).to_string(),
        json!({"username": "nobody", "password": "wrong"}).to_string(),
        json!({"username": "AKIA1"}).to_string(),
        json!({"username": "AKIA1", "password": ""}).to_string(),
        json!({"username": "AKIA1", "password": null}).to_string(),
        json!({"username": ["AKIA1"], "password": true}).to_string(),
        json!({"username": 1, "password": 2}).to_string(),
        "{}".into(),
        "[]".into(),
        "[[[[".into(),
        "\"text\"".into(),
        String::new(),
        "{".into(),
        format!("username=AKIA1&password={secret}"),
    ];
    for body in &bodies {
        for content_type in [JSON, FORM, ("Content-Type", "text/plain")] {
            pair.agree(&format!("{content_type:?} {body}"), |url| {
                http::request("POST", &format!("{url}{TOKEN}"), &[content_type], body.as_bytes()).unwrap()
            });
        }
    }
    for path in [TOKEN, REFRESH, VERIFY] {
        pair.agree(path, |url| http::get(&format!("{url}{path}"), None).unwrap());
        pair.agree(path, |url| post_json(&format!("{url}{path}/"), &json!({})).unwrap());
    }
    pair.agree("a POST to the API", |url| post_json(&format!("{url}{MACHINES}"), &json!({})).unwrap());
}

#[test]
fn the_fake_answers_refreshes_as_the_real_stack_does() {
    for blacklist in [false, true] {
        let what = "the_fake_answers_refreshes_as_the_real_stack_does";
        let Some(pair) = Pair::start(what, blacklist, 3600) else { return };
        let [real, fake] = pair.urls().map(|url| (url.clone(), pair.login(&url)));
        let tokens = |url: &str| if url == real.0 { real.1.clone() } else { fake.1.clone() };
        let refresh = |url: &str, token: &str| post_form(&format!("{url}{REFRESH}"), &[("refresh", token)]).unwrap();
        let verify = |url: &str, token: &str| post_json(&format!("{url}{VERIFY}"), &json!({"token": token})).unwrap();
        let text = |url: &str, kind: &str| tokens(url)[kind].as_str().unwrap().to_owned();
        pair.agree("a refresh", |url| refresh(url, &text(url, "refresh")));
        pair.agree("the old one again", |url| refresh(url, &text(url, "refresh")));
        pair.agree("an access token as refresh token", |url| refresh(url, &text(url, "access")));
        pair.agree("garbage", |url| refresh(url, "garbage"));
        pair.agree("nothing", |url| refresh(url, ""));
        pair.agree("no field", |url| post_json(&format!("{url}{REFRESH}"), &json!({})).unwrap());
        pair.agree("a bad signature", |url| refresh(url, &format!("{}AAAA", text(url, "refresh"))));
        pair.agree("verify garbage", |url| verify(url, "garbage"));
        pair.agree("verify the old one", |url| verify(url, &text(url, "refresh")));
        pair.agree("verify a good one", |url| verify(url, &text(url, "access")));
        pair.real.set_active("AKIA1", false);
        pair.fake.set_active("AKIA1", false);
        pair.agree("a login with a disabled key", |url| {
            let body = json!({"username": "AKIA1", "password": pair.secret});
            post_json(&format!("{url}{TOKEN}"), &body).unwrap()
        });
        let fresh = pair.urls().map(|url| refresh(&url, &text(&url, "refresh")).status);
        assert_eq!(fresh[0], fresh[1], "a refresh of a disabled key");
    }
}

#[test]
fn the_fake_judges_access_tokens_as_the_real_stack_does() {
    let Some(pair) = Pair::start("the_fake_judges_access_tokens_as_the_real_stack_does", false, 2) else { return };
    let [real, fake] = pair.urls().map(|url| (url.clone(), pair.login(&url)));
    let token =
        |url: &str, kind: &str| if url == real.0 { &real.1 } else { &fake.1 }[kind].as_str().unwrap().to_owned();
    let call = |url: &str, value: &str| http::get(&format!("{url}{MACHINES}"), Some(value)).unwrap();
    pair.agree("a good token", |url| call(url, &format!("Bearer {}", token(url, "access"))));
    pair.agree("no header", |url| http::get(&format!("{url}{MACHINES}"), None).unwrap());
    pair.agree("another case", |url| call(url, &format!("bearer {}", token(url, "access"))));
    pair.agree("no scheme", |url| call(url, &token(url, "access")));
    pair.agree("a word too many", |url| call(url, &format!("Bearer {} x", token(url, "access"))));
    pair.agree("garbage", |url| call(url, "Bearer garbage"));
    pair.agree("a refresh token", |url| call(url, &format!("Bearer {}", token(url, "refresh"))));
    pair.real.set_active("AKIA1", false);
    pair.fake.set_active("AKIA1", false);
    pair.agree("a disabled key", |url| call(url, &format!("Bearer {}", token(url, "access"))));
    assert!(until(PATIENCE, || pair.urls().iter().all(|url| {
        let answer = call(url, &format!("Bearer {}", token(url, "access")));
        answer.json()["code"] == "token_not_valid"
    })));
    pair.agree("an expired token", |url| call(url, &format!("Bearer {}", token(url, "access"))));
    pair.agree("an expired refresh token", |url| {
        post_form(&format!("{url}{REFRESH}"), &[("refresh", &token(url, "refresh"))]).unwrap()
    });
}
