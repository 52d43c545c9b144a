//! Refreshes: what they send, what they replace, and what follows a refusal.

use super::*;

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
