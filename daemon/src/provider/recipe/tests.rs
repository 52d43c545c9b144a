//! The engine against made-up clouds with every oddity that real ones were seen to have.

mod acting;
mod clocks;
mod optional;
mod second_factor;
mod tokens;

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

#[tokio::test]
async fn each_status_says_what_the_caller_should_do() {
    for (status, kind) in [
        (400, FaultKind::MalformedReply),
        (401, FaultKind::Refused),
        (403, FaultKind::Refused),
        (404, FaultKind::Config),
        (405, FaultKind::Config),
        (408, FaultKind::Unreachable),
        (410, FaultKind::Config),
        (415, FaultKind::MalformedReply),
        (419, FaultKind::MalformedReply),
        (425, FaultKind::Unreachable),
        (429, FaultKind::Unreachable),
        (500, FaultKind::Unreachable),
        (503, FaultKind::Unreachable),
        (301, FaultKind::MalformedReply),
        (307, FaultKind::MalformedReply),
    ] {
        let world = two_factor();
        world.replies(status, r#"{"detail":"because"}"#);
        let fault = world.login(&[("password", "pw")], &[]).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{status}: {fault}");
        assert!(fault.to_string().contains(&format!("status {status}")), "{fault}");
    }
}

#[tokio::test]
async fn a_redirect_shows_the_host_it_leads_to_and_no_more() {
    let world = two_factor();
    world.replies_with(307, &[("location", "https://evil.example/steal?password=pw")], "");
    let fault = world.login(&[("password", "pw")], &[]).await.unwrap_err();
    assert!(fault.message.contains("`https://evil.example`") && !fault.to_string().contains("steal"), "{fault}");
}

#[tokio::test]
async fn the_time_to_try_again_is_read_from_seconds_and_dates_and_capped() {
    let date = "Sun, 22 Nov 2026 10:00:00 GMT";
    for (headers, wait) in [
        (vec![("retry-after", "30")], Some(30)),
        (vec![("retry-after", "99999999")], Some(900)),
        (vec![("retry-after", "0")], Some(0)),
        (vec![("retry-after", "Sun, 22 Nov 2026 10:02:00 GMT"), ("date", date)], Some(120)),
        (vec![("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT"), ("date", date)], Some(0)),
        (vec![("retry-after", "Mon, 23 Nov 2026 10:00:00 GMT"), ("date", date)], Some(900)),
        (vec![("retry-after", "soon")], None),
        (vec![("retry-after", "-5")], None),
        (vec![], None),
    ] {
        let world = two_factor();
        world.replies_with(503, &headers, "");
        let fault = world.login(&[("password", "pw")], &[]).await.unwrap_err();
        assert_eq!(fault.retry_at, wait.map(|wait| NOW + wait), "{headers:?}");
    }
}

#[tokio::test]
async fn the_clouds_own_words_are_shown_without_secrets_or_tricks() {
    let world = two_factor();
    let long = "a".repeat(500);
    for (detail, want) in [
        ("wrong password s3cr3t/+ for me", "wrong password … for me"),
        ("at /x?p=s3cr3t%2F%2B", "at /x?p=…"),
        (r"line\none\u001b[31mred\u202e", "line one [31mred"),
        (long.as_str(), &format!("{}…", "a".repeat(199))),
    ] {
        world.replies(401, &format!(r#"{{"error":{{"message":"{detail}"}}}}"#));
        let fault = world.login(&[("password", "s3cr3t/+")], &[]).await.unwrap_err();
        assert_eq!(fault.causes.last().unwrap(), want, "{detail}");
    }
    world.replies_with(401, &[("content-type", "text/plain")], "Unauthorized\n");
    assert_eq!(world.login(&[("password", "s3cr3t")], &[]).await.unwrap_err().causes.last().unwrap(), "Unauthorized");
}

#[tokio::test]
async fn an_address_that_was_edited_by_hand_is_judged_before_anything_is_sent() {
    for origin in ["http://api.acme.example", "https://me:pw@api.acme.example", "https://api.acme.example/?x="] {
        let mut world = two_factor();
        world.account.origins.insert(String::new(), origin.to_owned());
        let fault = world.login(&[("password", "pw")], &[]).await.expect_err(origin);
        assert_eq!((fault.kind, world.sent().len()), (FaultKind::Config, 0), "{fault}");
    }
    let mut world = two_factor();
    world.account.origins.insert(String::new(), "https://api.acme.example/prefix/".to_owned());
    world.replies(401, "");
    world.login(&[("password", "pw")], &[]).await.unwrap_err();
    assert!(world.sent()[0].starts_with("POST https://api.acme.example/prefix/tokens "));
}

#[tokio::test]
async fn revoking_presents_the_credential_and_a_dead_one_is_no_error() {
    let world = two_factor();
    world.replies(200, r#"{"result":"ok","token":"t0k"}"#);
    let credential = world.login(&[("password", "pw")], &[]).await.unwrap().credential;
    world.sent();
    let none = Held::default();
    world.replies(204, "").replies(403, r#"{"error":{"message":"Invalid token"}}"#).replies(500, "");
    let revoke = |credential| Provider::revoke(&world.recipe, &world.account, &none, credential);
    assert_eq!(revoke(Some(&credential)).await.unwrap(), Revocation::Revoked);
    assert_eq!(world.sent(), ["DELETE https://api.acme.example/tokens [X-Login: me@acme] [X-Token: t0k]"]);
    assert_eq!(revoke(Some(&credential)).await.unwrap(), Revocation::AlreadyDead);
    assert_eq!(revoke(Some(&credential)).await.unwrap_err().kind, FaultKind::Unreachable);
    assert_eq!(revoke(None).await.unwrap(), Revocation::NothingLeft);
}

/// A code in the query after a redirect that leads nowhere; moments in milliseconds; a failure that is transient though it
/// says 401.
const ODD: &str = r#"
[[fault]]
status = 401
when   = { "/info" = "connect error" }
kind   = "unreachable"
[[method]]
name    = "password"
title   = "Password"
headers = ["X-Access-Token: {token}", "X-Key: {key}"]
token   = "token"
expiry  = [{ epoch = "expires" }, { jwt = "token" }]
ask     = [
    { name = "password", prompt = "Password", secret = true },
    { name = "code", prompt = "Code", secret = true, at-login = true, digits = true },
]
[[method.login]]
request = "POST /login"
json    = { password = "{password}" }
take    = { token = "/token", key = "/key", expires = "/expires" }
reply   = [{ when = { status = 301 }, next = "with-code" }, { grant = true }]
[[method.login]]
name    = "with-code"
request = "POST /login"
query   = { code = "{code}" }
json    = { password = "{password}" }
take    = { token = "/token", key = "/key", expires = "/expires" }
"#;

#[tokio::test]
async fn a_status_that_a_reply_names_is_no_fault_but_a_question() {
    let world = World::new(&format!("{HEAD}{ODD}"), "password");
    let body = format!(r#"{{"token":"t","key":"k","expires":{}}}"#, (NOW + 100) * 1000 + 250);
    world.replies(301, r#"{"info":"Set security code"}"#).replies(200, &body);
    let grant = world.login(&[("password", "pw")], &[("code", "06 93")]).await.unwrap();
    assert_eq!(
        world.sent(),
        [
            r#"POST https://api.acme.example/login {"password":"pw"}"#,
            r#"POST https://api.acme.example/login?code=0693 {"password":"pw"}"#,
        ]
    );
    assert_eq!(grant.expires_at, Some(Timestamp::from_millis((NOW + 100) * 1000 + 250)));
    assert_eq!(grant.credential.expiry_source, ExpirySource::Epoch);
}

#[tokio::test]
async fn a_cloud_file_can_make_a_401_transient() {
    let world = World::new(&format!("{HEAD}{ODD}"), "password");
    world.replies_with(401, &[("retry-after", "5")], r#"{"info":"connect error"}"#);
    let fault = world.login(&[("password", "pw")], &[]).await.unwrap_err();
    assert_eq!((fault.kind, fault.retry_at), (FaultKind::Unreachable, Some(NOW + 5)));
}

/// A bare body at another origin; what is held is spent and replaced; several sources of an expiry.
const REFRESHED: &str = r#"
[[origin]]
name    = "iam"
default = "https://iam.acme.example"
[[method]]
name    = "client"
title   = "Client"
hold    = ["refresh", "key?"]
headers = ["Authorization: bearer {access}"]
token   = "access"
expiry  = [{ seconds = "expires_in" }, { jwt = "access" }]
environment = ["ACME_TOKEN={access}", "ACME_PROJECT={project}", "ACME_URL={origin}", "ACME_IAM={origin-iam}"]
ask     = [
    { name = "project", prompt = "Project", optional = true },
    { name = "secret", prompt = "Secret", secret = true },
]
[[method.login]]
origin  = "iam"
request = "POST /oauth/token"
form    = { grant_type = "client_credentials", client_secret = "{secret}", scope = "{project}" }
headers = ["X-Project: {project}"]
take    = { access = "/access", refresh = "/refresh", expires_in = "/expires_in?", key = "/key?" }
fault   = [{ status = 400, kind = "refused", message = "unknown client", hint = "`cloud-token login {account}` with another" }]
[[method.refresh]]
origin  = "iam"
request = "POST /oauth/refresh"
json    = { refresh = "{refresh}", scope = { project = "{project}" }, key = ["{key}"] }
take    = { access = "/access", refresh = "/refresh?", expires_in = "/expires_in?" }
"#;

fn refreshed() -> World {
    World::new(&format!("{HEAD}{REFRESHED}"), "client")
}

#[tokio::test]
async fn what_is_absent_disappears_with_all_that_was_made_for_it() {
    let mut world = refreshed();
    world.replies(200, r#"{"access":"a","refresh":"r"}"#).replies(200, r#"{"access":"a"}"#);
    let grant = world.login(&[("secret", "s&=%")], &[]).await.unwrap();
    world.renew(&[("refresh", "r")]).await.unwrap();
    let environment: Vec<_> = grant.credential.environment.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(environment, ["ACME_TOKEN", "ACME_URL", "ACME_IAM"]);
    assert_eq!(
        world.sent(),
        [
            "POST https://iamapi.acme.example/oauth/token client_secret=s%26%3D%25&grant_type=client_credentials",
            r#"POST https://iamapi.acme.example/oauth/refresh {"refresh":"r"}"#,
        ]
    );
    world.account.settings.insert("project".to_owned(), "p".to_owned());
    world.replies(200, r#"{"access":"a"}"#);
    world.renew(&[("refresh", "r"), ("key", "k")]).await.unwrap();
    assert_eq!(
        world.sent(),
        [r#"POST https://iamapi.acme.example/oauth/refresh {"key":["k"],"refresh":"r","scope":{"project":"p"}}"#]
    );
}

#[tokio::test]
async fn a_refresh_token_is_replaced_if_there_is_a_new_one_and_kept_if_not() {
    let world = refreshed();
    world.replies(200, r#"{"access":"a2","refresh":"r2"}"#).replies(200, r#"{"access":"a3"}"#);
    let secrets = [("refresh", "r1"), ("key", "k"), ("secret", "s")];
    assert_eq!(shown(&world.renew(&secrets).await.unwrap().held), "key=k refresh=r2 secret=s");
    assert_eq!(shown(&world.renew(&secrets).await.unwrap().held), "key=k refresh=r1 secret=s");
}

#[tokio::test]
async fn a_refused_refresh_logs_in_again_with_what_is_remembered_and_drops_the_rest() {
    let world = refreshed();
    world.replies(401, "{}").replies(200, r#"{"access":"a","refresh":"r2"}"#);
    let grant = world.renew(&[("refresh", "r1"), ("key", "old"), ("secret", "s")]).await.unwrap();
    assert_eq!(shown(&grant.held), "refresh=r2 secret=s");
}

#[tokio::test]
async fn a_refused_refresh_with_nothing_remembered_needs_the_human_and_says_why() {
    let world = refreshed();
    world.replies(401, r#"{"detail":"token r1 has ended"}"#);
    let fault = world.renew(&[("refresh", "r1")]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert!(fault.to_string().contains("token … has ended"), "{fault}");
}

#[tokio::test]
async fn a_refresh_that_fails_for_now_spends_no_password() {
    let world = refreshed();
    world.replies(503, "");
    let fault = world.renew(&[("refresh", "r1"), ("secret", "s")]).await.unwrap_err();
    assert_eq!((fault.kind, world.sent().len()), (FaultKind::Unreachable, 1));
}

#[tokio::test]
async fn a_fault_rule_of_a_step_words_the_fault() {
    let world = refreshed();
    world.replies_with(400, &[("content-type", "text/plain")], "Bad Request\n");
    let fault = world.login(&[("secret", "s3")], &[]).await.unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Refused, "unknown client"));
    assert_eq!(fault.hint.as_deref(), Some("`cloud-token login work` with another"));
    assert_eq!(fault.causes, ["Bad Request"]);
}

#[tokio::test]
async fn the_earliest_end_wins_and_seconds_count_from_the_sending() {
    use base64::Engine as _;
    let world = refreshed();
    let jwt = |exp: i64| {
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{exp}}}"#));
        format!("e30.{claims}.c2ln")
    };
    for (access, expires_in, end, source) in [
        (jwt(NOW + 3600), "3590", Some(3590), ExpirySource::Relative),
        (jwt(NOW + 100), "3590", Some(100), ExpirySource::Jwt),
        ("opaque".to_owned(), r#""60""#, Some(60), ExpirySource::Relative),
        ("opaque".to_owned(), "0.5", Some(0), ExpirySource::Relative),
        ("opaque".to_owned(), "-1", None, ExpirySource::Unknown),
        ("opaque".to_owned(), "1e30", None, ExpirySource::Unknown),
        ("opaque".to_owned(), r#""soon""#, None, ExpirySource::Unknown),
        ("opaque".to_owned(), "null", None, ExpirySource::Unknown),
    ] {
        world.replies(200, &format!(r#"{{"access":"{access}","expires_in":{expires_in}}}"#));
        let grant = world.renew(&[("refresh", "r")]).await.unwrap();
        assert_eq!(grant.credential.expires_at, end.map(|end| NOW + end), "{access} {expires_in}");
        assert_eq!(grant.credential.expiry_source, source, "{access} {expires_in}");
    }
    *world.net.clock.lock().unwrap() = Some((world.clock.clone(), std::time::Duration::from_secs(9)));
    world.replies(200, r#"{"access":"a","expires_in":60}"#);
    let grant = world.renew(&[("refresh", "r")]).await.unwrap();
    assert_eq!(grant.obtained_at, Timestamp::from_seconds(NOW));
    assert_eq!(grant.credential.expires_at, Some(NOW + 60));
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

/// Plays a login to its end without a runtime: the fake network answers at once.
fn login_now(world: &World) -> Result<Grant, Fault> {
    let future = std::pin::pin!(world.login(&[("password", "hunter2")], &[]));
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => unreachable!("nothing here waits"),
    }
}

proptest::proptest! {
    #[test]
    fn whatever_a_cloud_answers_is_a_grant_or_a_fault_without_the_password(
        status in 200_u16..600,
        body in proptest::prop_oneof![
            ".{0,200}",
            r#"\{"(token|key|expires|info|detail|exp)":("[ -~]{0,40}hunter2[ -~]{0,9}"|-?[0-9]{1,20}|null|\[\]|\{\})\}"#,
            r#"\{"token":"[!-~&&[^"\\]]{1,30}","key":"k","expires":-?[0-9.]{1,25}\}"#,
        ],
        retry in "[ -~]{0,30}",
    ) {
        let world = World::new(&format!("{HEAD}{ODD}"), "password");
        world.replies_with(status, &[("retry-after", &retry), ("location", &retry), ("date", &retry)], &body);
        match login_now(&world) {
            Ok(grant) => proptest::prop_assert!(grant.credential.headers.len() == 2),
            Err(fault) => {
                let words = format!("{fault:?}");
                proptest::prop_assert!(!words.contains("hunter2"), "{}", words);
                proptest::prop_assert!(fault.retry_at.is_none_or(|at| (NOW..=NOW + 900).contains(&at)));
            }
        }
    }

    #[test]
    fn no_claims_make_an_end_beyond_the_calendar(claims in r#"\{"exp":"?-?[0-9]{1,30}(\.[0-9]{1,5})?(e[0-9]{1,4})?"?\}"#) {
        use base64::Engine as _;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        if let Some(end) = super::expiry::end_of(&format!("e30.{claims}.x")) {
            proptest::prop_assert!((0..=253_402_300_799).contains(&end.seconds()));
        }
    }
}
