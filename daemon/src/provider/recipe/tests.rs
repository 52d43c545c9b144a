//! The engine against made-up clouds with every oddity that real ones were seen to have.

mod acting;
mod clocks;
mod optional;
mod refreshing;
mod second_factor;
mod tokens;
mod verdicts;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use cloud_agent_protocol::v1::{Question, Show};
use cloud_agent_protocol::{AccountName, ExpirySource, Secret};
use zeroize::Zeroizing;

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::cloud::Cloud;
use crate::http::{NoReply, Replied, Reply, Request};

const NOW: i64 = 1_795_305_600;

/// Answers in order, and keeps what was sent.
#[derive(Default)]
struct Net {
    replies: Mutex<VecDeque<Result<Reply, Fault>>>,
    sent: Mutex<Vec<String>>,
    clock: Mutex<Option<(Arc<ManualClock>, std::time::Duration)>>,
}

impl Transport for Net {
    fn send(&self, request: Request) -> Replied<'_> {
        let headers: Vec<String> = request
            .headers
            .iter()
            .filter(|(name, _)| name != "Accept")
            .map(|(name, value)| format!(" [{name}: {}]", value.expose()))
            .collect();
        let headers = headers.concat();
        let body = request.body.map(|body| format!(" {}", String::from_utf8_lossy(&body.bytes))).unwrap_or_default();
        self.sent.lock().unwrap().push(format!("{} {}{headers}{body}", request.method, request.url));
        if let Some((clock, delay)) = &*self.clock.lock().unwrap() {
            clock.advance(*delay);
        }
        let reply = self.replies.lock().unwrap().pop_front().expect("a request that was not foreseen");
        Box::pin(std::future::ready(reply.map_err(NoReply::from)))
    }
}

/// Answers questions by name; nobody is there for the others.
struct Person(Vec<(&'static str, &'static str)>);

impl Ask for Person {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        let answer = self.0.iter().find(|(name, _)| *name == question.name).map(|(_, answer)| Secret::from(*answer));
        let nobody = Fault::new(FaultKind::NeedsHuman, "nobody is there");
        Box::pin(std::future::ready(answer.ok_or(nobody)))
    }

    fn is_anyone_there(&self) -> bool {
        !self.0.is_empty()
    }

    fn show(&self, _: Show) -> Boxed<'_, ()> {
        unreachable!("a login shows nothing")
    }
}

/// What was kept in the middle of a renewal, in turn.
#[derive(Default)]
struct Shelf(Mutex<Vec<String>>);

impl Keep for Shelf {
    fn keep(&self, held: Held) -> Boxed<'_, ()> {
        self.0.lock().unwrap().push(shown(&held));
        Box::pin(std::future::ready(Ok(())))
    }
}

struct World {
    net: Arc<Net>,
    clock: Arc<ManualClock>,
    recipe: Recipe,
    account: Account,
}

impl World {
    fn new(cloud: &str, method: &str) -> Self {
        let cloud = Arc::new(Cloud::parse("acme", "acme.toml", cloud, false).unwrap());
        let net = Arc::new(Net::default());
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(NOW)));
        let account = Account {
            name: AccountName::parse("work").unwrap(),
            origins: cloud
                .origins
                .iter()
                .map(|o| (o.name.clone(), format!("https://{}api.acme.example", o.name)))
                .collect(),
            cloud,
            method: method.to_owned(),
            settings: BTreeMap::from([("login".to_owned(), "me@acme".to_owned())]),
            allow_plaintext: false,
            ca_file: None,
            lifetime: None,
        };
        Self { recipe: Recipe::new(net.clone(), clock.clone()), net, clock, account }
    }

    fn replies(&self, status: u16, body: &str) -> &Self {
        self.replies_with(status, &[], body)
    }

    fn replies_with(&self, status: u16, headers: &[(&str, &str)], body: &str) -> &Self {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), Secret::from(*v))).collect();
        let reply = Reply { status, headers, body: Zeroizing::new(body.as_bytes().to_vec()) };
        self.net.replies.lock().unwrap().push_back(Ok(reply));
        self
    }

    async fn login(&self, secrets: &[(&str, &str)], person: &[(&'static str, &'static str)]) -> Result<Grant, Fault> {
        Provider::login(&self.recipe, &self.account, &held(secrets), false, &Person(person.to_vec())).await
    }

    async fn renew(&self, secrets: &[(&str, &str)]) -> Result<Grant, Fault> {
        self.renew_keeping(secrets, &Shelf::default()).await
    }

    async fn renew_keeping(&self, secrets: &[(&str, &str)], kept: &Shelf) -> Result<Grant, Fault> {
        Provider::renew(&self.recipe, &self.account, &held(secrets), kept).await
    }

    fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.net.sent.lock().unwrap())
    }
}

fn held(secrets: &[(&str, &str)]) -> Held {
    Held(secrets.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect())
}

fn shown(held: &Held) -> String {
    held.0.iter().map(|(name, secret)| format!("{name}={}", secret.expose())).collect::<Vec<_>>().join(" ")
}

const HEAD: &str = r#"
title   = "Acme"
docs    = "https://docs.acme.example"
message = ["/error/message", "/detail", "text"]
[[origin]]
default = "https://api.acme.example"
"#;

/// A password, then perhaps a text message with a code that has to be a number; two headers; nothing tells an expiry.
const TWO_FACTOR: &str = r#"
[[method]]
name    = "password"
title   = "Password"
headers = ["X-Login: {login}", "X-Token: {token}"]
token   = "token"
expiry  = [{ assume = "20h" }]
ask     = [
    { name = "login", prompt = "Login" },
    { name = "password", prompt = "Password", secret = true },
    { name = "sms-code", prompt = "Code", secret = true, at-login = true, digits = true },
]
[[method.login]]
request = "POST /tokens"
json    = { auth = { login = "{login}", password = "{password}", method = "sms" } }
take    = { result = "/result", token = "/token?", verification = "/verification?" }
reply   = [
    { when = { result = "ok" }, grant = true },
    { when = { result = "2fa", "/type" = "sms" }, next = "send" },
    { when = { result = "2fa" }, fault = { kind = "unsupported", message = "only a text message works" } },
]
[[method.login]]
name    = "send"
request = "POST /tokens/request-code"
json    = { request = { login = "{login}", verification = "{verification}" } }
[[method.login]]
request = "POST /tokens/verify"
json    = { verify = { login = "{login}", verification = "{verification}", code = "{sms-code:int}" } }
take    = { token = "/token" }
[[method.revoke]]
request = "DELETE /tokens"
present = true
"#;

fn two_factor() -> World {
    World::new(&format!("{HEAD}{TWO_FACTOR}"), "password")
}

#[tokio::test]
async fn a_second_factor_is_asked_for_in_the_middle_and_sent_as_a_number() {
    let world = two_factor();
    world
        .replies(200, r#"{"result":"2fa","type":"sms","verification":77}"#)
        .replies(204, "")
        .replies(200, r#"{"token":"t0k"}"#);
    let grant = world.login(&[("password", "p\"w")], &[("sms-code", " 012 345 ")]).await.unwrap();
    assert_eq!(
        world.sent(),
        [
            r#"POST https://api.acme.example/tokens {"auth":{"login":"me@acme","method":"sms","password":"p\"w"}}"#,
            r#"POST https://api.acme.example/tokens/request-code {"request":{"login":"me@acme","verification":"77"}}"#,
            r#"POST https://api.acme.example/tokens/verify {"verify":{"code":12345,"login":"me@acme","verification":"77"}}"#,
        ]
    );
    let headers: Vec<_> = grant.credential.headers.iter().map(|h| (h.name.as_str(), h.value.expose())).collect();
    assert_eq!(headers, [("X-Login", "me@acme"), ("X-Token", "t0k")]);
    assert_eq!(grant.credential.expiry_source, ExpirySource::Assumed);
    assert_eq!(grant.credential.expires_at, Some(NOW + 20 * 3600));
    assert_eq!(shown(&grant.held), "");
}

#[tokio::test]
async fn a_code_that_is_no_number_is_refused_here() {
    let world = two_factor();
    world.replies(200, r#"{"result":"2fa","type":"sms","verification":"v"}"#).replies(204, "");
    let fault = world.login(&[("password", "pw")], &[("sms-code", "12a456")]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage);
    assert!(!format!("{fault:?}").contains("12a456"), "{fault:?}");
}

#[tokio::test]
async fn what_looks_like_success_and_is_none_is_no_grant() {
    for (body, kind, says) in [
        (r#"{"result":"2fa","type":"webauthn"}"#, FaultKind::Unsupported, "only a text message"),
        (r#"{"result":"maintenance"}"#, FaultKind::MalformedReply, "`result` is `maintenance`"),
        (r#"{"result":"ok"}"#, FaultKind::MalformedReply, "`token` (`/token`) of the step `login` is missing"),
        (
            r#"{"result":"ok","token":null}"#,
            FaultKind::MalformedReply,
            "`token` (`/token`) of the step `login` is missing",
        ),
        (
            r#"{"result":"ok","token":""}"#,
            FaultKind::MalformedReply,
            "`token` (`/token`) of the step `login` is missing",
        ),
        (r#"{"result":"ok","token":7}"#, FaultKind::MalformedReply, "a number"),
        (r#"{"result":null}"#, FaultKind::MalformedReply, "`result`"),
        (r#"{"result":["ok"]}"#, FaultKind::MalformedReply, "an array"),
        (r#"{"result":"ok","token":"a","token":"b"}"#, FaultKind::MalformedReply, "`token` (`/token`) of the step"),
        (r#"{"result":"ok","token":"a","x":1,"x":2}"#, FaultKind::MalformedReply, "strict JSON"),
        ("[]", FaultKind::MalformedReply, "`result`"),
        ("", FaultKind::MalformedReply, "empty"),
        ("<!doctype html><title>Wi-Fi</title>", FaultKind::MalformedReply, "web page"),
    ] {
        let world = two_factor();
        world.replies(200, body);
        let fault = world.login(&[("password", "pw")], &[]).await.expect_err(body);
        assert_eq!(fault.kind, kind, "{body}: {fault}");
        assert!(fault.to_string().contains(says), "{body}: {fault}");
    }
}

#[tokio::test]
async fn a_token_that_could_be_a_second_header_is_refused_unquoted() {
    let long = "x".repeat(16 * 1024 + 1);
    for token in [
        "evil\\nhost=x",
        "evil\\r",
        "evil x",
        "evil\\u0000",
        "evil\\u001b[2J",
        "evil\\u2028",
        "ev\u{e9}l",
        "evil\\u007f",
        &long,
    ] {
        let world = two_factor();
        world.replies(200, &format!(r#"{{"result":"ok","token":"{token}"}}"#));
        let fault = world.login(&[("password", "pw")], &[]).await.expect_err(token);
        assert_eq!(fault.kind, FaultKind::MalformedReply);
        assert!(fault.to_string().contains("`token`") && !fault.to_string().contains("evil"), "{fault}");
    }
    let world = two_factor();
    world.replies(200, &format!(r#"{{"result":"ok","token":"{}"}}"#, &long[1..]));
    assert!(world.login(&[("password", "pw")], &[]).await.is_ok());
}

#[tokio::test]
async fn a_remembered_password_logs_in_again_and_stays_remembered() {
    let world = two_factor();
    world.replies(200, r#"{"result":"ok","token":"new"}"#);
    let grant = world.renew(&[("password", "pw")]).await.unwrap();
    assert_eq!((shown(&grant.held).as_str(), grant.credential.token.unwrap().expose()), ("password=pw", "new"));
}

#[tokio::test]
async fn a_renewal_never_has_a_text_message_sent_that_nobody_would_read() {
    let world = two_factor();
    world.replies(200, r#"{"result":"2fa","type":"sms","verification":"v"}"#);
    let fault = world.renew(&[("password", "pw")]).await.unwrap_err();
    assert_eq!((fault.kind, fault.hint.as_deref()), (FaultKind::NeedsHuman, Some("`cloud-token login work`")));
    assert_eq!(world.sent().len(), 1, "only the login itself");
}

#[tokio::test]
async fn with_nothing_held_only_the_human_can_go_on() {
    let world = two_factor();
    let fault = world.renew(&[]).await.unwrap_err();
    assert_eq!((fault.kind, fault.hint.as_deref()), (FaultKind::NeedsHuman, Some("`cloud-token login work`")));
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn a_missing_secret_is_named_with_the_way_to_give_it() {
    let world = two_factor();
    let fault = world.login(&[], &[]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage);
    assert_eq!(fault.hint.as_deref(), Some("`cloud-token login work --secret password=…`"));
}

/// A token in a header of the reply, a date in its body, and a project in nested JSON.
const HEADER_TOKEN: &str = r#"
[[method]]
name    = "password"
title   = "Password"
headers = ["X-Auth-Token: {token}"]
token   = "token"
expiry  = [{ date = "expires_at" }]
ask     = [{ name = "password", prompt = "Password", secret = true }]
[[method.login]]
request = "POST /v3/auth/tokens"
status  = 201
json    = { auth = { identity = { methods = ["password"], password = { user = { password = "{password}" } } } } }
take    = { token = "header X-Subject-Token", expires_at = "/token/expires_at" }
[method.check]
request = "GET /v3/auth/tokens"
headers = ["X-Subject-Token: {token}"]
[[method]]
name    = "bare"
title   = "Bare"
headers = ["Authorization: {token}"]
token   = "token"
hold    = ["token"]
expiry  = [{ jwt = "token" }]
ask     = [{ name = "token", prompt = "Token", secret = true }]
[[method.refresh]]
request = "POST /refresh"
headers = ["Authorization: bearer {token}"]
take    = { token = "text" }
"#;

#[tokio::test]
async fn a_token_may_come_in_a_header_and_its_end_as_a_date() {
    let world = World::new(&format!("{HEAD}{HEADER_TOKEN}"), "password");
    world.replies_with(
        201,
        &[("x-subject-token", "gAAA")],
        r#"{"token":{"expires_at":"2026-11-22T01:00:00.000000Z"}}"#,
    );
    let grant = world.login(&[("password", "pw")], &[]).await.unwrap();
    assert_eq!(grant.credential.token.as_ref().unwrap().expose(), "gAAA");
    assert_eq!(grant.credential.expires_at, Some(NOW + 3600));
    world.sent();
    world.replies(200, "{}").replies(404, "");
    let check = || Provider::check(&world.recipe, &world.account, &grant.held, &grant.credential);
    check().await.unwrap();
    assert_eq!(
        world.sent(),
        ["GET https://api.acme.example/v3/auth/tokens [X-Subject-Token: gAAA] [X-Auth-Token: gAAA]"]
    );
    assert_eq!(check().await.unwrap_err().kind, FaultKind::Config);
}

#[tokio::test]
async fn another_good_status_than_the_described_one_is_no_success() {
    let world = World::new(&format!("{HEAD}{HEADER_TOKEN}"), "password");
    world.replies_with(200, &[("x-subject-token", "gAAA")], r#"{"token":{"expires_at":"2026-11-22T01:00:00Z"}}"#);
    assert_eq!(world.login(&[("password", "pw")], &[]).await.unwrap_err().kind, FaultKind::MalformedReply);
}

#[tokio::test]
async fn a_pasted_token_is_its_own_credential_and_the_whole_body_its_successor() {
    let world = World::new(&format!("{HEAD}{HEADER_TOKEN}"), "bare");
    let grant = world.login(&[("token", "t1")], &[]).await.unwrap();
    assert_eq!((grant.credential.token.unwrap().expose(), shown(&grant.held).as_str()), ("t1", "token=t1"));
    for (body, want) in [("t2\n", "t2"), ("\"t3\"", "t3"), ("  t4  ", "t4")] {
        world.replies(200, body);
        assert_eq!(shown(&world.renew(&[("token", "t1")]).await.unwrap().held), format!("token={want}"));
    }
    for page in ["<html>x</html>", "two words", "", "\"a\\nb\"", "{\"error\":\"no\"} x"] {
        world.replies(200, page);
        let fault = world.renew(&[("token", "t1")]).await.expect_err(page);
        assert_eq!(fault.kind, FaultKind::MalformedReply, "{page}: {fault}");
    }
    for bad in ["t\n1", "t 1", "\u{e9}"] {
        assert_eq!(world.login(&[("token", bad)], &[]).await.unwrap_err().kind, FaultKind::Usage, "{bad:?}");
    }
}
