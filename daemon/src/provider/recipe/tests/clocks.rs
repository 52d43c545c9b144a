//! Ends that a cloud names on its own clock, when that clock is not ours.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

const ROTATING: &str = r#"
[[method]]
name    = "password"
title   = "Password"
hold    = ["refresh"]
headers = ["Authorization: Bearer {access}"]
token   = "access"
expiry  = [{ jwt = "access" }]
idle    = [{ jwt = "refresh" }, { assume = "30d" }]
ask     = [{ name = "password", prompt = "Password", secret = true }]
[[method.login]]
request = "POST /login"
json    = { password = "{password}" }
take    = { access = "/access", refresh = "/refresh" }
[[method.refresh]]
request = "POST /refresh"
json    = { refresh = "{refresh}" }
take    = { access = "/access", refresh = "/refresh?" }
"#;

/// A token of a cloud whose clock is `ahead` seconds ahead of ours, good for an hour.
fn issued(ahead: i64) -> String {
    let now = NOW + ahead;
    jwt(&format!(r#"{{"iat":{now},"exp":{}}}"#, now + 3600))
}

fn jwt(claims: &str) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn date(ahead: i64) -> String {
    let moment = jiff::Timestamp::from_second(NOW + ahead).unwrap();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap()
}

async fn granted(access: &str, date: Option<String>) -> (World, Result<Grant, Fault>) {
    let world = World::new(&format!("{HEAD}{ROTATING}"), "password");
    let headers: Vec<_> = date.iter().map(|date| ("date", date.as_str())).collect();
    world.replies_with(200, &headers, &format!(r#"{{"access":"{access}","refresh":"r"}}"#));
    let grant = world.login(&[("password", "pw")], &[]).await;
    (world, grant)
}

#[tokio::test]
async fn an_end_is_taken_from_the_clouds_clock_to_ours_by_the_date_of_its_reply() {
    for ahead in [0, -86_400, 7200, 31_536_000] {
        let (world, grant) = granted(&issued(ahead), Some(date(ahead))).await;
        let left = grant.unwrap().credential.expires_at.unwrap() - NOW;
        assert!((3599..=3600).contains(&left), "{ahead}: {left}");
        let remarks = Provider::remarks(&world.recipe, &world.account);
        assert_eq!(remarks.len(), usize::from(ahead != 0), "{remarks:?}");
    }
}

#[tokio::test]
async fn without_a_date_a_token_from_the_future_or_the_past_tells_the_clouds_clock_itself() {
    for ahead in [-86_400, 7200] {
        let left = granted(&issued(ahead), None).await.1.unwrap().credential.expires_at.unwrap() - NOW;
        assert_eq!(left, 3600, "{ahead}");
    }
    // One that was issued a while ago and is handed out again says nothing about any clock.
    let left = granted(&issued(-1800), None).await.1.unwrap().credential.expires_at.unwrap() - NOW;
    assert_eq!(left, 1800);
}

#[tokio::test]
async fn how_long_what_is_held_lives_idle_is_told_by_it_or_assumed() {
    let world = World::new(&format!("{HEAD}{ROTATING}"), "password");
    let day = jwt(&format!(r#"{{"exp":{}}}"#, NOW + 86_400));
    world.replies(200, &format!(r#"{{"access":"a","refresh":"{day}"}}"#)).replies(200, r#"{"access":"a"}"#);
    let idle = |grant: Grant| grant.idle_life.map(|life| life.as_secs());
    assert_eq!(idle(world.login(&[("password", "pw")], &[]).await.unwrap()), Some(86_400));
    assert_eq!(idle(world.renew(&[("refresh", "opaque")]).await.unwrap()), Some(30 * 86_400));
}
