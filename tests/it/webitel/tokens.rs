//! The pair of key and token: where it comes from, when it ends, and how it is ended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloud_agent_tests::fake::webitel::{LOGIN, LOGOUT, Options, Unit};
use cloud_agent_tests::fake::{Fault, Server};
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use super::{USER, given};
use crate::support::{SHORT, assert_fault};

#[test]
fn a_login_gives_the_two_headers_that_the_api_wants() {
    let it = given(Options::default());
    assert_eq!(it.login().finish().ok(), "");
    let headers = it.headers();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["X-Access-Token", "X-Key"]);
    assert!(it.accepts(&headers) && !it.accepts(&headers[..1]));
    assert_eq!(it.json()["headers"]["X-Key"], headers[1].1.as_str());
    let env = it.sandbox.token(["pbx", "-o", "env"]);
    assert!(headers.iter().all(|(_, value)| env.ok().contains(value.as_str())), "{env:?}");
    assert_eq!(it.cloud.count(LOGIN), 1);
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

/// Case 1.
#[test]
fn a_moment_is_read_in_milliseconds_and_in_seconds_and_the_earlier_of_two_counts() {
    const DAY: u64 = 24 * 3600;
    let days = |count: u64| Duration::from_secs(count * DAY);
    for (unit, life, jwt_life, wanted) in [
        (Unit::Milliseconds, days(100), None, days(100)),
        (Unit::Seconds, days(100), None, days(100)),
        (Unit::Milliseconds, days(100), Some(days(3)), days(3)),
        (Unit::Milliseconds, days(3), Some(days(100)), days(3)),
        (Unit::Seconds, days(100), Some(days(3)), days(3)),
    ] {
        let it = given(Options { unit, life, jwt_life, ..Options::default() });
        it.login().finish().ok();
        let end = it.json()["expires_at_unix"].as_u64().expect("the end is known");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let off = (now + wanted.as_secs()).abs_diff(end);
        assert!(off < 60, "{unit:?}, {life:?}, {jwt_life:?}: {off} s off");
    }
}

#[test]
fn a_static_domain_token_is_presented_alone_and_never_ended() {
    let it = given(Options::default());
    let token = it.cloud.domain_token("mydomain.com");
    let url = it.cloud.url();
    let login = ["login", "pbx", "--cloud", "webitel", "--method", "token", "--url", &url];
    it.sandbox.command(TOKEN).args(login).args(["--secret", "token=stdin"]).stdin(token.as_str()).finish().ok();
    assert_eq!(it.cloud.requests().len(), 0, "there is nothing to ask the cloud");
    let headers = it.headers();
    assert_eq!(headers, [("X-Access-Token".to_owned(), token)]);
    assert!(it.accepts(&headers));
    assert_eq!(it.sandbox.token(["check", "pbx"]).ok(), "alive");
    assert!(it.sandbox.token(["logout", "pbx"]).status.success());
    assert_eq!(it.cloud.count(LOGOUT), 0, "others use it too");
    assert!(it.accepts(&headers));
}

#[test]
fn a_logout_sends_both_headers_and_ends_its_own_session_alone() {
    let it = given(Options::default());
    it.login().finish().ok();
    let first = it.headers();
    it.login().finish().ok();
    let second = it.headers();
    assert_eq!(it.cloud.sessions(), 2);
    let outcome = it.sandbox.token(["logout", "pbx"]);
    assert!(outcome.status.success() && outcome.stderr.contains("revoked"), "{outcome:?}");
    let sent = &it.cloud.requests_to(LOGOUT)[0];
    assert_eq!(sent.header("x-access-token"), Some(second[0].1.as_str()));
    assert_eq!(sent.header("x-key"), Some(second[1].1.as_str()));
    assert!(!it.accepts(&second) && it.accepts(&first));
    assert!([4, 6].contains(&it.sandbox.token(["pbx"]).code()));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_pair_that_was_rejected_is_still_ended_by_a_logout() {
    let it = given(Options::default());
    it.login().finish().ok();
    let headers = it.headers();
    it.sandbox.token(["reject", "pbx"]).ok();
    let outcome = it.sandbox.token(["logout", "pbx"]);
    assert!(outcome.status.success() && outcome.stderr.contains("revoked"), "{outcome:?}");
    assert!(!it.accepts(&headers), "it would have lived for a hundred days");
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_logout_of_what_the_cloud_has_ended_already_forgets_all_the_same() {
    let it = given(Options::default());
    it.login().finish().ok();
    it.cloud.revoke_tokens();
    let outcome = it.sandbox.token(["logout", "pbx"]);
    assert!(outcome.status.success() && outcome.stderr.contains("already"), "{outcome:?}");
    assert!([4, 6].contains(&it.sandbox.token(["pbx"]).code()));
}

/// Case 18.
#[test]
fn a_logout_forgets_even_if_the_cloud_cannot_be_told() {
    let it = given(Options::default());
    it.login().finish().ok();
    let headers = it.headers();
    it.cloud.break_always(LOGOUT, Fault::Close);
    let outcome = it.sandbox.token(["logout", "pbx"]);
    assert!(outcome.status.success() && outcome.stderr.contains("could not be told"), "{outcome:?}");
    assert!([4, 6].contains(&it.sandbox.token(["pbx"]).code()));
    assert!(it.accepts(&headers), "which is why it has to be said");
}

#[test]
fn an_address_may_end_in_a_slash() {
    let it = given(Options::default());
    let url = format!("{}/", it.cloud.url());
    it.login().args(["--url", &url]).finish().ok();
    assert!(it.accepts(&it.headers()));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_remembered_password_logs_in_again_when_the_token_has_ended() {
    let it = given(Options { life: SHORT, ..Options::default() });
    it.login().arg("--remember").finish().ok();
    let first = it.headers();
    it.wait_until_refused(&first);
    assert_ne!(it.headers(), first);
    assert!(it.agent.runs());
}

#[test]
fn without_a_remembered_password_the_end_of_the_token_needs_the_human() {
    let it = given(Options { life: SHORT, ..Options::default() });
    it.login().finish().ok();
    it.wait_until_refused(&it.headers());
    let outcome = it.sandbox.token(["pbx"]);
    assert!(outcome.fails(4).contains("cloud-token login pbx"), "{outcome:?}");
    assert_eq!(it.cloud.count(LOGIN), 1);
}

#[test]
fn a_rejected_pair_is_replaced() {
    let it = given(Options::default());
    it.login().arg("--remember").finish().ok();
    let first = it.headers();
    it.cloud.revoke_tokens();
    it.sandbox.command(TOKEN).args(["reject", "pbx"]).stdin(first[0].1.as_str()).finish().ok();
    let second = it.headers();
    assert!(second != first && it.accepts(&second));
}

/// Case 20.
#[test]
fn a_console_that_is_down_is_try_later_and_keeps_the_password_and_a_wrong_secret_is_final() {
    let it = given(Options { life: SHORT, ..Options::default() });
    it.login().arg("--remember").finish().ok();
    it.cloud.set_console(false);
    it.wait_until_refused(&it.headers());
    let outcome = it.sandbox.token(["pbx"]);
    assert!(outcome.fails(5).contains("Console connect error"), "{outcome:?}");
    let status: Value = serde_json::from_str(it.sandbox.token(["status", "--json"]).ok()).unwrap();
    assert_eq!(status["accounts"][0]["holds"], json!(["key", "password", "token"]), "{status}");
    it.cloud.set_console(true);
    assert!(until(3 * PATIENCE, || it.sandbox.token(["pbx"]).status.success()), "it comes back by itself");

    let old = it.headers();
    let _ = it.cloud.change_password(USER);
    it.wait_until_refused(&old);
    let refused = |fault: &str| fault.contains("secret incorrect");
    assert!(until(PATIENCE, || refused(&it.sandbox.token(["pbx"]).stderr)));
    assert!(refused(it.sandbox.token(["pbx"]).fails(1)));
    let logins = it.cloud.count(LOGIN);
    for _ in 0..5 {
        it.sandbox.token(["pbx"]).fails(1);
    }
    assert_eq!(it.cloud.count(LOGIN), logins, "a refused password is not tried again: that locks logins out");
}

#[test]
fn a_refused_login_says_why_in_either_shape() {
    let it = given(Options::default());
    let outcome = it.login_as(USER, "wrong-1234").finish();
    assert!(outcome.fails(1).contains("secret incorrect") && !outcome.stderr.contains("wrong-1234"), "{outcome:?}");
    assert_eq!(it.cloud.count(LOGIN), 1);
    assert!(it.login_as("200@mydomain.com", "wrong-1234").finish().fails(1).contains("-ERR no such user"));
    let other = json!({"status": 401, "message": "Invalid credentials"});
    it.cloud.break_next(1, LOGIN, Fault::status(401, &other));
    assert!(it.login().finish().fails(1).contains("Invalid credentials"));
    let unparsed = json!({"status": "error", "info": "Unexpected end of JSON input"});
    it.cloud.break_next(1, LOGIN, Fault::status(400, &unparsed));
    assert!(it.login().finish().fails(1).contains("Unexpected end of JSON input"));
}

#[test]
fn the_table_of_the_apis_refusals_is_told_to_whoever_checks() {
    let it = given(Options::default());
    it.login().finish().ok();
    assert_eq!(it.sandbox.token(["check", "pbx"]).ok(), "alive");
    it.cloud.revoke_tokens();
    let outcome = it.sandbox.token(["check", "pbx"]);
    assert!(outcome.code() == 1 && outcome.stdout.contains("Invalid User"), "{outcome:?}");
    assert_eq!(it.sandbox.token(["pbx"]).code(), 4, "a token that is dead by the cloud's own word is not handed out");
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

/// Case 19.
#[test]
fn a_redirect_to_another_host_is_not_followed_and_carries_no_password() {
    let elsewhere = Server::unvisited();
    let it = given(Options::default());
    for status in [301, 302, 307, 308] {
        it.cloud.break_next(1, LOGIN, Fault::redirect(status, &elsewhere.url()));
        assert_fault(&it.login().finish(), &[1], &status.to_string());
    }
    it.login().finish().ok();
    it.cloud.break_next(1, LOGOUT, Fault::redirect(307, &elsewhere.url()));
    assert!(it.sandbox.token(["logout", "pbx"]).status.success(), "forgotten here in any case");
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_reply_with_a_bad_key_or_token_names_the_field_and_not_its_value() {
    let it = given(Options::default());
    for field in ["token", "key"] {
        for (case, fault) in Fault::bad_tokens(field) {
            it.cloud.break_next(1, LOGIN, fault);
            let outcome = it.login().finish();
            assert_fault(&outcome, &[1], case);
            let named = outcome.stderr.contains("more than 256 KiB") || outcome.stderr.contains(&format!("`{field}`"));
            assert!(named && !outcome.stderr.contains("evil"), "{field}, {case}: {}", outcome.stderr);
        }
    }
    it.sandbox.token(["pbx"]).fails(6);
}

#[test]
fn a_moment_that_makes_no_sense_leaves_the_one_in_the_token() {
    const HUNDRED_DAYS: i64 = 100 * 24 * 3600;
    let it = given(Options::default());
    let moments = [json!(-1), json!(0), json!("soon"), json!(1e300), json!(null), json!([1]), json!("")];
    let faults = moments.into_iter().map(|moment| Fault::Replace("expires".into(), moment));
    for fault in faults.chain([Fault::Remove("expires".into())]) {
        let case = format!("{fault:?}");
        it.cloud.break_next(1, LOGIN, fault);
        let outcome = it.login().finish();
        if outcome.code() == 1 {
            assert!(outcome.stderr.contains("`expires`"), "{case}: {}", outcome.stderr);
            continue;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
        let json = it.json();
        let left = json["expires_at_unix"].as_i64().expect("the end is known") - now;
        assert!((left - HUNDRED_DAYS).abs() < 60 && json["expiry_source"] == "jwt", "{case}: {json}");
    }
}
