//! Actions: what is asked, sent, shown, said, listed, and held afterwards.

use cloud_agent_protocol::Header;

use super::*;
use crate::provider::{Act, Acted};

const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

const ACTIONS: &str = r#"
[[method]]
name    = "password"
title   = "Password"
headers = ["Authorization: {access}"]
token   = "access"
ask     = [
    { name = "login", prompt = "Login" },
    { name = "password", prompt = "Password", secret = true },
    { name = "code", prompt = "Code", secret = true, at-login = true, digits = true, optional = true, totp = "seed" },
]
[[method.login]]
request = "POST /login"
json    = { login = "{login}", password = "{password}", twofa = "{code}" }
take    = { access = "/access" }

[[action]]
name  = "register"
title = "make a login"
ask   = [
    { name = "login", prompt = "Login" },
    { name = "nick", prompt = "Nick name", optional = true },
    { name = "password", prompt = "Password", secret = true },
]
say   = ["{login} is number {id}", "and is called {nick}"]
[[action.step]]
request = "POST /register"
json    = { login = "{login}", nick = "{nick}", password = "{password}" }
take    = { id = "/id" }

[[action]]
name   = "enrol"
title  = "switch the second factor on"
ask    = [{ name = "code", prompt = "Code", at-login = true, digits = true }]
hold   = ["seed"]
[[action.step]]
request = "POST /2fa"
present = true
take    = { seed = "/seed" }
enrol   = { seed = "seed", issuer = "Acme", label = "{login}" }
[[action.step]]
request = "POST /2fa/verify"
present = true
json    = { code = "{code}" }

[[action]]
name   = "drop"
title  = "switch the second factor off"
ask    = [{ name = "code", prompt = "Code", at-login = true, digits = true, totp = "seed" }]
forget = ["seed"]
[[action.step]]
request = "DELETE /2fa"
present = true
json    = { code = "{code}" }

[[action]]
name  = "regions"
title = "list the regions"
[[action.step]]
request = "GET /domains"
present = true
list    = { at = "/domains", show = ["/name", "/area/tag", "/tags"] }
"#;

/// Answers by name, and keeps what was shown and asked.
#[derive(Default)]
struct Viewer {
    answers: Vec<(&'static str, &'static str)>,
    seen: Mutex<Vec<String>>,
}

impl Viewer {
    fn saying(answers: &[(&'static str, &'static str)]) -> Self {
        Self { answers: answers.to_vec(), seen: Mutex::default() }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Ask for Viewer {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        self.seen.lock().unwrap().push(question.name.clone());
        let answer = self.answers.iter().find(|(name, _)| *name == question.name).map(|(_, said)| Secret::from(*said));
        Box::pin(std::future::ready(answer.ok_or(Fault::new(FaultKind::NeedsHuman, "nobody is there"))))
    }

    fn is_anyone_there(&self) -> bool {
        !self.answers.is_empty()
    }

    fn show(&self, show: Show) -> Boxed<'_, ()> {
        self.seen.lock().unwrap().push(show.text.expose().to_owned());
        Box::pin(std::future::ready(Ok(())))
    }
}

fn world() -> World {
    World::new(&format!("{HEAD}{ACTIONS}"), "password")
}

fn credential() -> Credential {
    Credential {
        account: "work".into(),
        cloud: "acme".into(),
        token: Some("t0k".into()),
        headers: vec![Header { name: "Authorization".into(), value: "t0k".into() }],
        environment: Vec::new(),
        expires_at: None,
        expiry_source: ExpirySource::Unknown,
    }
}

/// Settings and secrets.
type Given<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);

async fn act(
    world: &World,
    name: &str,
    given: Given<'_>,
    have: &[(&str, &str)],
    viewer: &Viewer,
) -> Result<Acted, Fault> {
    let settings = given.0.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let (secrets, have, credential) = (held(given.1), held(have), credential());
    let act = Act {
        action: world.account.cloud.action(name).unwrap(),
        settings: &settings,
        secrets: &secrets,
        held: &have,
        credential: Some(&credential),
    };
    Provider::act(&world.recipe, &world.account, act, viewer).await
}

const NOTHING: Given<'static> = (&[], &[]);

#[tokio::test]
async fn what_is_missing_is_asked_first_and_what_is_taken_can_be_said() {
    let world = world();
    world.replies(201, r#"{"id":7}"#);
    let viewer = Viewer::saying(&[("nick", ""), ("password", "pw")]);
    let acted = act(&world, "register", NOTHING, &[], &viewer).await.unwrap();
    assert_eq!(viewer.seen(), ["nick", "password"], "the account's login is known");
    assert_eq!(world.sent(), [r#"POST https://api.acme.example/register {"login":"me@acme","password":"pw"}"#]);
    assert_eq!(acted.notes, ["me@acme is number 7"], "a line with an absent value is left out");
    world.replies(201, r#"{"id":8}"#);
    let given: (&[_], &[_]) = (&[("login", "you"), ("nick", "y")], &[("password", "s3cret")]);
    let acted = act(&world, "register", given, &[("password", "old")], &Viewer::default()).await.unwrap();
    assert_eq!(
        world.sent(),
        [r#"POST https://api.acme.example/register {"login":"you","nick":"y","password":"s3cret"}"#]
    );
    assert_eq!(acted.notes, ["you is number 8", "and is called y"]);
}

#[tokio::test]
async fn with_nobody_there_the_fault_names_the_flag_and_nothing_is_sent() {
    let world = world();
    // A password that is held is the old one, not the one that is asked.
    let fault = act(&world, "register", NOTHING, &[("password", "old")], &Viewer::default()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert_eq!(fault.hint.unwrap(), "`cloud-token do work register --secret password=SOURCE`");
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn a_seed_is_shown_once_confirmed_and_only_then_held() {
    let world = world();
    world.replies(200, &format!(r#"{{"seed":"{SEED}"}}"#)).replies(200, "");
    let viewer = Viewer::saying(&[("code", "123 456")]);
    let acted = act(&world, "enrol", NOTHING, &[], &viewer).await.unwrap();
    assert_eq!(
        world.sent(),
        [
            "POST https://api.acme.example/2fa [Authorization: t0k]",
            r#"POST https://api.acme.example/2fa/verify [Authorization: t0k] {"code":"123456"}"#,
        ]
    );
    let seen = viewer.seen();
    let mut lines = seen[0].lines();
    assert_eq!(lines.next().unwrap(), format!("otpauth://totp/Acme:me%40acme?secret={SEED}&issuer=Acme"));
    assert!(lines.count() > 15 && seen[1] == "code", "{seen:?}");
    assert_eq!(shown(&acted.holds), format!("seed={SEED}"));
    assert_eq!(acted.notes, ["done: switch the second factor on"]);
    // The step's code is used up.
    world.replies(200, r#"{"access":"a"}"#);
    world.login(&[("password", "pw"), ("seed", SEED)], &[]).await.unwrap();
    assert_eq!(world.clock.now().seconds() % 30, 0);
    assert!(world.clock.now().seconds() > NOW);
}

#[tokio::test]
async fn a_seed_that_is_not_confirmed_is_not_held() {
    let world = world();
    world.replies(200, &format!(r#"{{"seed":"{SEED}"}}"#));
    for _ in 0..3 {
        world.replies(403, r#"{"detail":"wrong code"}"#);
    }
    let viewer = Viewer::saying(&[("code", "000000")]);
    let fault = act(&world, "enrol", NOTHING, &[], &viewer).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(world.sent().len(), 4, "the seed is not asked for again");
    assert_eq!(viewer.seen().len(), 4);
    assert!(!format!("{fault:?}").contains(SEED));
}

#[tokio::test]
async fn without_a_terminal_no_seed_is_asked_for() {
    let world = world();
    let fault = act(&world, "enrol", NOTHING, &[], &Viewer::default()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn what_no_authenticator_takes_is_no_seed() {
    let world = world();
    world.replies(200, r#"{"seed":"0189"}"#);
    let viewer = Viewer::saying(&[("code", "1")]);
    let fault = act(&world, "enrol", NOTHING, &[], &viewer).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::MalformedReply);
    assert!(viewer.seen().is_empty() && !format!("{fault:?}").contains("0189"));
}

#[tokio::test]
async fn a_held_seed_answers_an_action_too_and_a_delete_has_a_body() {
    let world = world();
    world.clock.set(Timestamp::from_seconds(59));
    world.replies(204, "");
    let acted = act(&world, "drop", NOTHING, &[("seed", SEED)], &Viewer::default()).await.unwrap();
    assert_eq!(world.sent(), [r#"DELETE https://api.acme.example/2fa [Authorization: t0k] {"code":"287082"}"#]);
    assert_eq!(acted.forgets, ["seed"]);
}

#[tokio::test]
async fn a_list_has_a_row_for_each_element_and_no_secret_in_it() {
    let world = world();
    world.replies(
        200,
        r#"{"domains":[{"name":"one","area":{"tag":"A1"},"tags":["x","y"]},{"name":"t0k\u001b[2J","n":1},7]}"#,
    );
    let acted = act(&world, "regions", NOTHING, &[], &Viewer::default()).await.unwrap();
    assert_eq!(acted.rows, [vec!["one", "A1", "x,y"], vec!["… [2J", "", ""], vec!["", "", ""]]);
    assert!(acted.notes.is_empty());
    for reply in [r#"{"domains":{}}"#, "{}", "", "<html>"] {
        world.replies(200, reply);
        let fault = act(&world, "regions", NOTHING, &[], &Viewer::default()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::MalformedReply, "{reply}");
    }
}

#[tokio::test]
async fn without_a_credential_nothing_is_presented() {
    let world = world();
    let (none, nothing) = (BTreeMap::new(), Held::default());
    let action = world.account.cloud.action("regions").unwrap();
    let act = Act { action, settings: &none, secrets: &nothing, held: &nothing, credential: None };
    let fault = Provider::act(&world.recipe, &world.account, act, &Viewer::default()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert!(world.sent().is_empty());
}
