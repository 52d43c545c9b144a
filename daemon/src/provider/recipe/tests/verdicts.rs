//! What a bad reply means for the caller, and what of the cloud's own words is shown.

use super::*;

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
