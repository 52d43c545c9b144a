//! The fake Keystone against the real one: whatever one answers, the other does.

use std::time::Duration;

use cloud_agent_tests::fake::keystone::{Keystone, PREFIX, PROJECTS, TOKENS};
use cloud_agent_tests::http::{self, Answer};
use cloud_agent_tests::lab;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

const PASSWORD: &str = "pw-of-alice-0123456789";
const SECRET: &str = "s3cr3t-of-the-application-0123456789";
const SEED: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// Both, with the same user.
struct Pair {
    real: lab::Keystone,
    fake: Keystone,
    /// The ids of the application credential, the real one first.
    credentials: [String; 2],
}

/// One of both.
#[derive(Clone, Copy)]
struct End<'a> {
    url: &'a str,
    credential: &'a str,
    code: &'a str,
}

impl Pair {
    fn start(what: &str, life: Duration) -> Option<Self> {
        let real = lab::Keystone::start(what, life)?;
        let fake = Keystone::with(life);
        real.add_user("alice", PASSWORD, "demo");
        fake.add_user("alice", PASSWORD, "demo");
        let credentials = [real.add_credential("alice", "demo", SECRET), fake.add_credential("alice", SECRET)];
        Some(Self { real, fake, credentials })
    }

    #[track_caller]
    fn agree(&self, case: &str, ask: impl Fn(End) -> Answer) {
        self.agree_with(case, ["", ""], ask);
    }

    #[track_caller]
    fn agree_with(&self, case: &str, codes: [&str; 2], ask: impl Fn(End) -> Answer) {
        let urls = [self.real.url(), self.fake.prefixed()];
        let [real, fake] = [0, 1].map(|at| {
            let end = End { url: &urls[at], credential: &self.credentials[at], code: codes[at] };
            shape(&ask(end), end)
        });
        assert_eq!(fake, real, "{case}: the fake (left) and the real server (right) differ");
    }
}

/// All of an answer that is the same each time: ids, moments and texts of libraries are replaced by what they are.
fn shape(answer: &Answer, end: End) -> (u16, Vec<(&'static str, String)>, Value) {
    // `Allow` is left out: its order is another with every start.
    let names = ["content-type", "www-authenticate", "vary"];
    let mut headers: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((name, answer.header(name)?.replace(end.url, "URL").replace(end.credential, "ID"))))
        .collect();
    for name in ["x-subject-token", "openstack-auth-receipt"] {
        if let Some(value) = answer.header(name) {
            assert!(value.starts_with("gAAAAAB"), "{value}");
            headers.push((name, "a Fernet token".into()));
        }
    }
    let mut body = answer.json();
    if body.is_null() {
        body = json!(answer.text());
    }
    flatten("", &mut body, end);
    (answer.status, headers, body)
}

fn flatten(name: &str, value: &mut Value, end: End) {
    match value {
        Value::Object(members) => {
            // The links are the server's own business, and so are the names of what it serves.
            members.remove("links");
            for (name, member) in members.iter_mut() {
                flatten(name, member, end);
            }
        }
        Value::Array(elements) if name == "required_auth_methods" => {
            // In random order.
            for rule in elements.iter_mut().filter_map(Value::as_array_mut) {
                rule.sort_by_key(Value::to_string);
            }
        }
        Value::Array(elements) => {
            for element in elements.iter_mut() {
                flatten(name, element, end);
            }
            // In random order, too.
            elements.sort_by_key(Value::to_string);
        }
        Value::String(text) => {
            let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if hex || ["audit_ids", "region", "region_id"].contains(&name) {
                *text = "an id".into();
            } else if name.ends_with("_at") {
                assert!(text.len() == 27 && text.ends_with(".000000Z"), "{text}");
                *text = "a moment".into();
            } else if name == "message" {
                // Below its first line, the schema library prints its schema.
                *text = text.lines().next().unwrap_or_default().replace(end.credential, "ID");
            }
        }
        _ => {}
    }
}

fn post(end: End, body: &Value) -> Answer {
    http::post_json(&format!("{}{TOKENS}", end.url), body).unwrap()
}

fn user(extra: (&str, &str)) -> Value {
    json!({"user": {"name": "alice", "domain": {"name": "Default"}, extra.0: extra.1}})
}

fn with_password(password: &str, scope: Option<Value>) -> Value {
    let mut auth = json!({"identity": {"methods": ["password"], "password": user(("password", password))}});
    if let Some(scope) = scope {
        auth["scope"] = scope;
    }
    json!({"auth": auth})
}

fn with_credential(id: &str, secret: &str) -> Value {
    let shown = json!({"id": id, "secret": secret});
    json!({"auth": {"identity": {"methods": ["application_credential"], "application_credential": shown}}})
}

fn project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"name": "Default"}}})
}

fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.header("x-subject-token").expect("the token").to_owned()
}

/// Asks about the token `subject` with the token `own`.
fn about(method: &str, end: End, own: Option<&str>, subject: Option<&str>) -> Answer {
    let headers: Vec<_> = [("X-Auth-Token", own), ("X-Subject-Token", subject)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    http::request(method, &format!("{}{TOKENS}", end.url), &headers, b"").unwrap()
}

#[test]
fn the_fake_answers_logins_as_the_real_server_does() {
    let what = "the_fake_answers_logins_as_the_real_server_does";
    let Some(pair) = Pair::start(what, Duration::from_hours(1)) else { return };
    let whole = json!({"methods": ["password"], "password": {"user": {"name": "alice", "password": PASSWORD}}});
    let silent = json!({"methods": ["password"], "password": {"user": {"name": "alice", "domain": {"id": "default"}}}});
    for body in [
        with_password(PASSWORD, Some(project("demo"))),
        with_password(PASSWORD, None),
        with_password("wrong", Some(project("demo"))),
        with_password("wrong", None),
        with_password(PASSWORD, Some(project("other"))),
        with_password(PASSWORD, Some(json!({"project": {"name": "demo"}}))),
        with_password(PASSWORD, Some(json!({"project": {"name": "demo", "domain": {"name": "Other"}}}))),
        with_credential("0123", SECRET),
        json!({"auth": {"identity": whole}}),
        json!({"auth": {"identity": silent}}),
        json!({}),
        json!([]),
        json!("text"),
        json!({"auth": {}}),
        json!({"auth": {"identity": {}}}),
        json!({"auth": {"identity": {"methods": []}}}),
        json!({"auth": {"identity": {"methods": "password"}}}),
        json!({"auth": {"identity": {"methods": ["nonsense"]}}}),
        json!({"auth": {"identity": {"methods": ["password"]}}}),
        json!({"auth": {"identity": {"methods": ["password"], "password": {}}}}),
        json!({"auth": {"identity": {"methods": ["totp"], "totp": {}}}}),
    ] {
        pair.agree(&body.to_string(), |end| post(end, &body));
    }
    pair.agree("a credential", |end| post(end, &with_credential(end.credential, SECRET)));
    pair.agree("a credential's wrong secret", |end| post(end, &with_credential(end.credential, "wrong")));
    let url = |end: End, rest: &str| format!("{}{rest}", end.url);
    pair.agree("without the catalog", |end| {
        let body = with_password(PASSWORD, Some(project("demo")));
        http::post_json(&url(end, &format!("{TOKENS}?nocatalog=true")), &body).unwrap()
    });
    pair.agree("a broken body", |end| {
        http::request("POST", &url(end, TOKENS), &[("Content-Type", "application/json")], b"{").unwrap()
    });
    pair.agree("another type", |end| {
        http::request("POST", &url(end, TOKENS), &[("Content-Type", "text/plain")], b"{}").unwrap()
    });
    pair.agree("a slash at the end", |end| http::post_json(&url(end, &format!("{TOKENS}/")), &json!({})).unwrap());
    pair.agree("the version twice", |end| http::post_json(&url(end, "/v3/v3/auth/tokens"), &json!({})).unwrap());
    pair.agree("no version", |end| http::post_json(&url(end, "/auth/tokens"), &json!({})).unwrap());
    pair.agree("another verb", |end| http::request("PUT", &url(end, TOKENS), &[], b"").unwrap());
    assert!(pair.real.url().ends_with(PREFIX));
}

#[test]
fn the_fake_judges_tokens_as_the_real_server_does() {
    let what = "the_fake_judges_tokens_as_the_real_server_does";
    let Some(pair) = Pair::start(what, Duration::from_secs(6)) else { return };
    let demo = with_password(PASSWORD, Some(project("demo")));
    let issued = |end: End| token(&post(end, &demo));
    let of_credential = |end: End| token(&post(end, &with_credential(end.credential, SECRET)));
    pair.agree("shown", |end| about("GET", end, Some(&issued(end)), Some(&issued(end))));
    pair.agree("shown, of a credential", |end| {
        let own = of_credential(end);
        about("GET", end, Some(&own), Some(&own))
    });
    pair.agree("no subject", |end| about("GET", end, Some(&issued(end)), None));
    pair.agree("no token", |end| about("GET", end, None, Some("x")));
    pair.agree("garbage by a good one", |end| about("GET", end, Some(&issued(end)), Some("garbage")));
    pair.agree("garbage revoked", |end| about("DELETE", end, Some(&issued(end)), Some("garbage")));
    pair.agree("a good one by garbage", |end| about("GET", end, Some("garbage"), Some(&issued(end))));
    pair.agree("revoked", |end| {
        let own = issued(end);
        about("DELETE", end, Some(&own), Some(&own))
    });
    pair.agree("shown after that", |end| {
        let own = issued(end);
        about("DELETE", end, Some(&own), Some(&own));
        about("GET", end, Some(&own), Some(&own))
    });
    let projects = |end: End, own: &str| {
        http::request("GET", &format!("{}{PROJECTS}", end.url), &[("X-Auth-Token", own)], b"").unwrap()
    };
    pair.agree("the API", |end| projects(end, &issued(end)));
    pair.agree("the API without a token", |end| http::get(&format!("{}{PROJECTS}", end.url), None).unwrap());
    pair.agree("the API after the end", |end| {
        let own = issued(end);
        assert!(until(PATIENCE, || projects(end, &own).status != 200));
        projects(end, &own)
    });
}

#[test]
fn the_fake_loses_users_and_credentials_as_the_real_server_does() {
    let what = "the_fake_loses_users_and_credentials_as_the_real_server_does";
    let Some(pair) = Pair::start(what, Duration::from_hours(1)) else { return };
    let demo = with_password(PASSWORD, Some(project("demo")));
    let set_active = |end: End, active: bool| {
        if end.url == pair.fake.prefixed() {
            pair.fake.set_active("alice", active);
        } else {
            pair.real.set_active("alice", active);
        }
    };
    pair.agree("a token of a disabled user", |end| {
        let own = token(&post(end, &demo));
        set_active(end, false);
        about("GET", end, Some(&own), Some(&own))
    });
    pair.agree("a login of a disabled user", |end| post(end, &demo));
    pair.agree("a credential of a disabled user", |end| post(end, &with_credential(end.credential, SECRET)));
    pair.agree("a wrong secret of a disabled user", |end| post(end, &with_credential(end.credential, "wrong")));
    pair.agree("the same user again", |end| {
        set_active(end, true);
        post(end, &demo)
    });
    pair.agree("a token of a deleted credential", |end| {
        let own = token(&post(end, &with_credential(end.credential, SECRET)));
        if end.url == pair.fake.prefixed() {
            pair.fake.delete_credential(end.credential);
        } else {
            pair.real.delete_credential(end.credential);
        }
        about("GET", end, Some(&own), Some(&own))
    });
    pair.agree("a deleted credential", |end| post(end, &with_credential(end.credential, SECRET)));
}

#[test]
fn the_fake_wants_second_factors_as_the_real_server_does() {
    let what = "the_fake_wants_second_factors_as_the_real_server_does";
    let Some(pair) = Pair::start(what, Duration::from_hours(1)) else { return };
    pair.real.want_code("alice", SEED);
    pair.fake.want_code("alice", "012345");
    let demo = with_password(PASSWORD, Some(project("demo")));
    let both = |code: &str| {
        let identity = json!({
            "methods": ["password", "totp"], "password": user(("password", PASSWORD)), "totp": user(("passcode", code)),
        });
        json!({"auth": {"identity": identity, "scope": project("demo")}})
    };
    pair.agree("a password alone", |end| post(end, &demo));
    pair.agree("a wrong password", |end| post(end, &with_password("wrong", None)));
    pair.agree("a credential", |end| post(end, &with_credential(end.credential, SECRET)));
    pair.agree("a wrong code", |end| post(end, &both("no-code")));
    let code = pair.real.code(SEED);
    pair.agree_with("both", [&code, "012345"], |end| post(end, &both(end.code)));
    pair.real.want_factors("alice", "application_credential");
    pair.fake.want_factors("alice", "application_credential");
    pair.agree("a rule of a credential alone", |end| post(end, &with_credential(end.credential, SECRET)));
    pair.agree("a password that no rule names", |end| post(end, &demo));
}
