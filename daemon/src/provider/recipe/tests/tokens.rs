//! What callers get: claims that must not leave, headers with an optional part, lifetimes, and rotation on the way.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn jwt(claims: &str) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

/// A session token that mints tokens: first it is rotated, then a child is asked for.
const PARENT: &str = r#"
[[method]]
name    = "jwt"
title   = "JWT"
hold    = ["parent"]
headers = ["Authorization: bearer {child}"]
token   = "child"
never-claims      = ["refresh_token"]
never-claims-hint = "give a scope: `cloud-token login {account} --set scope=…`"
ask     = [{ name = "parent", prompt = "JWT", secret = true }]
[[method.login]]
request = "POST /rotate"
headers = ["Authorization: bearer {parent}"]
take    = { parent = "text" }
[[method.login]]
request = "POST /child"
headers = ["Authorization: bearer {parent}"]
take    = { child = "text" }
[[method.refresh]]
request = "POST /rotate"
headers = ["Authorization: bearer {parent}"]
take    = { parent = "text" }
[[method.refresh]]
request = "POST /child"
headers = ["Authorization: bearer {parent}"]
take    = { child = "text" }
"#;

#[tokio::test]
async fn a_token_that_is_a_session_is_never_handed_out() {
    let world = World::new(&format!("{HEAD}{PARENT}"), "jwt");
    world.replies(200, "p2").replies(200, &jwt(r#"{"refresh_token":"r"}"#));
    let fault = world.login(&[("parent", "p1")], &[]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Config);
    assert!(fault.to_string().contains("`refresh_token`") && !fault.to_string().contains("eyJ"), "{fault}");
    assert_eq!(fault.hint.as_deref(), Some("give a scope: `cloud-token login work --set scope=…`"));
    world.replies(200, "p2").replies(200, &jwt(r#"{"refresh_token":"r"}"#));
    let fault = world.renew(&[("parent", "p1")]).await.unwrap_err();
    assert!(fault.hint.unwrap().contains("scope"), "a renewal says the same");
    world.replies(200, "p2").replies(200, &jwt(r#"{"exp":1795309200}"#));
    world.login(&[("parent", "p1")], &[]).await.unwrap();
}

#[tokio::test]
async fn what_was_rotated_is_kept_before_the_next_request() {
    let world = World::new(&format!("{HEAD}{PARENT}"), "jwt");
    let shelf = Shelf::default();
    world.replies(200, "p2").replies(503, "");
    let fault = world.renew_keeping(&[("parent", "p1"), ("other", "o")], &shelf).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert_eq!(*shelf.0.lock().unwrap(), ["other=o parent=p2"]);
    let shelf = Shelf::default();
    world.replies(200, "p1").replies(200, "c");
    world.renew_keeping(&[("parent", "p1")], &shelf).await.unwrap();
    assert!(shelf.0.lock().unwrap().is_empty(), "nothing was rotated");
}

#[tokio::test]
async fn nothing_more_is_sent_for_an_account_that_is_gone() {
    struct Gone;
    impl Keep for Gone {
        fn keep(&self, _: Held) -> Boxed<'_, ()> {
            Box::pin(std::future::ready(Err(Fault::new(FaultKind::Unsupported, "logged out"))))
        }
    }
    let world = World::new(&format!("{HEAD}{PARENT}"), "jwt");
    world.replies(200, "p2");
    let fault = Provider::renew(&world.recipe, &world.account, &held(&[("parent", "p1")]), &Gone).await.unwrap_err();
    assert_eq!((fault.kind, world.sent().len()), (FaultKind::Unsupported, 1));
}

/// Writes down what it is told, and lets nothing be spent if it has no room.
#[derive(Default)]
struct Ledger {
    lines: Mutex<Vec<&'static str>>,
    full: bool,
}

impl Keep for Ledger {
    fn keep(&self, _: Held) -> Boxed<'_, ()> {
        self.lines.lock().unwrap().push("kept");
        Box::pin(std::future::ready(Ok(())))
    }

    fn spend(&self) -> Boxed<'_, ()> {
        self.lines.lock().unwrap().push("spends");
        let full = Fault::new(FaultKind::Config, "no room");
        Box::pin(std::future::ready(if self.full { Err(full) } else { Ok(()) }))
    }

    fn lost(&self) {
        self.lines.lock().unwrap().push("lost");
    }
}

#[tokio::test]
async fn what_its_reply_replaces_is_announced_before_it_is_sent_and_nothing_else_is() {
    let world = World::new(&format!("{HEAD}{PARENT}"), "jwt");
    let renew = async |ledger: &Ledger| {
        let done = Provider::renew(&world.recipe, &world.account, &held(&[("parent", "p1")]), ledger).await;
        (done.map(drop), ledger.lines.lock().unwrap().clone(), world.sent().len())
    };
    world.replies(200, "p2").replies(200, "c");
    let (done, lines, sent) = renew(&Ledger::default()).await;
    // The second step sends the parent, too, and does not replace it.
    assert_eq!((done.is_ok(), lines, sent), (true, vec!["spends", "kept"], 2));
    for (status, told) in [(502, vec!["spends", "lost"]), (504, vec!["spends", "lost"]), (503, vec!["spends"])] {
        world.replies(status, "");
        let (done, lines, sent) = renew(&Ledger::default()).await;
        assert_eq!((done.is_ok(), lines, sent), (false, told, 1), "{status}");
    }
    let (done, lines, sent) = renew(&Ledger { full: true, ..Ledger::default() }).await;
    assert_eq!((done.unwrap_err().kind, lines, sent), (FaultKind::Config, vec!["spends"], 0), "nothing is sent");
}

const SCHEME: &str = r#"
[[method]]
name    = "key"
title   = "Key"
headers = ["Authorization: {scheme?} {access}"]
ask     = [
    { name = "key", prompt = "Key", secret = true },
    { name = "scheme", prompt = "Scheme", optional = true },
]
[[method.login]]
request = "POST /login"
json    = { key = "{key}" }
take    = { access = "/access" }
"#;

#[tokio::test]
async fn a_scheme_is_presented_only_if_it_is_set() {
    let mut world = World::new(&format!("{HEAD}{SCHEME}"), "key");
    for (scheme, header) in [(None, "t0k"), (Some(""), "t0k"), (Some("Bearer"), "Bearer t0k")] {
        world.account.settings = scheme.map(|scheme| ("scheme".to_owned(), scheme.to_owned())).into_iter().collect();
        world.replies(200, r#"{"access":"t0k"}"#);
        let grant = world.login(&[("key", "k")], &[]).await.unwrap();
        assert_eq!(grant.credential.headers[0].value.expose(), header);
    }
}

#[tokio::test]
async fn an_accounts_lifetime_replaces_what_is_assumed_and_nothing_that_is_told() {
    let mut world = two_factor();
    world.account.lifetime = Some(Duration::from_hours(1));
    world.replies(200, r#"{"result":"ok","token":"t"}"#);
    let grant = world.login(&[("password", "pw")], &[]).await.unwrap();
    assert_eq!(grant.credential.expires_at, Some(NOW + 3600));
    assert_eq!(grant.credential.expiry_source, ExpirySource::Assumed);

    let told = TWO_FACTOR.replace(r#"{ assume = "20h" }"#, r#"{ jwt = "token" }, { assume = "20h" }"#);
    let mut world = World::new(&format!("{HEAD}{told}"), "password");
    world.account.lifetime = Some(Duration::from_mins(1));
    let token = jwt(&format!(r#"{{"exp":{}}}"#, NOW + 900));
    world.replies(200, &format!(r#"{{"result":"ok","token":"{token}"}}"#));
    let grant = world.login(&[("password", "pw")], &[]).await.unwrap();
    assert_eq!(grant.credential.expires_at, Some(NOW + 900));
    assert_eq!(grant.credential.expiry_source, ExpirySource::Jwt);
}
