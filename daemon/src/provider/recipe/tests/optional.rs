//! What is done only with an optional value, and a token that stands bare or in JSON.

use super::*;

const NARROWED: &str = r#"
[[method]]
name    = "jwt"
title   = "JWT"
hold    = ["parent?"]
headers = ["Authorization: bearer {jwt}"]
token   = "jwt"
expiry  = [{ jwt = "jwt" }]
ask     = [{ name = "jwt", prompt = "JWT", secret = true }, { name = "scope", prompt = "Scope", optional = true }]
[[method.login]]
request = "POST /new"
headers = ["Authorization: bearer {jwt}"]
take    = { jwt = "/token or text", parent = "/token or text" }
[[method.login.reply]]
when = { status = 200 }
next = "child"
[[method.login.reply]]
when = { status = 401 }
next = "child"
[[method.login]]
name    = "child"
needs   = "scope"
request = "GET /child"
query   = { scope = "{scope}" }
headers = ["Authorization: bearer {jwt}"]
take    = { jwt = "/token or text" }
[[method.refresh]]
needs   = "parent"
request = "POST /new"
headers = ["Authorization: bearer {parent}"]
take    = { jwt = "/token or text", parent = "/token or text" }
"#;

fn world(scope: Option<&str>) -> World {
    let mut world = World::new(&format!("{HEAD}{NARROWED}"), "jwt");
    world.account.settings.extend(scope.map(|scope| ("scope".to_owned(), scope.to_owned())));
    world
}

fn token(grant: &Grant) -> &str {
    grant.credential.token.as_ref().unwrap().expose()
}

#[tokio::test]
async fn a_step_is_left_out_without_the_value_that_it_needs() {
    let with = world(Some("a"));
    with.replies(200, "p").replies(200, "c");
    let grant = with.login(&[("jwt", "j")], &[]).await.unwrap();
    assert_eq!((token(&grant), shown(&grant.held).as_str()), ("c", "parent=p"));
    assert_eq!(with.sent().len(), 2);
    let without = world(None);
    without.replies(200, "p");
    let grant = without.login(&[("jwt", "j")], &[]).await.unwrap();
    assert_eq!((token(&grant), without.sent().len()), ("p", 1));
}

#[tokio::test]
async fn a_refresh_whose_first_step_lacks_what_it_needs_is_none() {
    let world = world(None);
    let fault = world.renew(&[]).await.unwrap_err();
    assert_eq!((fault.kind, world.sent().len()), (FaultKind::NeedsHuman, 0));
}

#[tokio::test]
async fn a_token_is_taken_from_an_object_or_is_the_whole_body() {
    for body in [r#"{"token":"t"}"#, "t", "t\n", "\"t\"", " t "] {
        let world = world(None);
        world.replies(200, body);
        assert_eq!(token(&world.login(&[("jwt", "j")], &[]).await.unwrap()), "t", "{body}");
    }
    for body in [r#"{"other":"t"}"#, r#"{"token":""}"#, r#"{"token":null}"#, r#"["t"]"#, "<html>t</html>", "", "a b"] {
        let world = world(None);
        world.replies(200, body);
        let fault = world.login(&[("jwt", "j")], &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::MalformedReply, "{body}");
    }
}

/// What a proxy or a server that gives up leaves of a reply is printable all the same.
#[tokio::test]
async fn half_of_a_json_text_is_no_token() {
    for body in [r#"{"token":"t","#, r#"{"token":"#, "{", "[\"t\"", "\"t", "\""] {
        let world = world(None);
        world.replies(200, body);
        let fault = world.login(&[("jwt", "j")], &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::MalformedReply, "{body}");
        assert!(fault.to_string().contains("is neither a text nor strict JSON"), "{body}: {fault}");
    }
}

#[tokio::test]
async fn a_pasted_token_that_no_reply_replaced_must_not_have_ended() {
    // Claims: {"exp":1}.
    let world = world(None);
    world.replies(401, "");
    let fault = world.login(&[("jwt", "e30.eyJleHAiOjF9.c2ln")], &[]).await.unwrap_err();
    assert!(fault.kind == FaultKind::NeedsHuman && fault.to_string().contains("has ended"), "{fault}");
}
