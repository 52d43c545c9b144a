//! The main job: after one login, a program asks for a token whenever it needs one, and gets one that works.

use std::time::Duration;

use cloud_agent_tests::fake::echome::{EcHome, Options, REFRESH};
use cloud_agent_tests::lab;
use cloud_agent_tests::sandbox::{Sandbox, TOKEN};
use serde_json::Value;

use crate::support::{Cloud, KEY, SHORT, login, sandbox, token, wait_until_refused, working_token};

fn fake(options: Options) -> (EcHome, String) {
    let cloud = EcHome::with(options);
    let secret = cloud.add_key(KEY);
    (cloud, secret)
}

fn real(what: &str, options: &lab::echome::Options) -> Option<(lab::EcHome, String)> {
    let cloud = lab::EcHome::start(what, options)?;
    let secret = "s3cr3t-of-the-lab-0123456789".to_owned();
    cloud.add_key(KEY, &secret);
    Some((cloud, secret))
}

/// One login, then tokens through several lives of an access token.
fn the_main_job(cloud: &impl Cloud, secret: &str) {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let outcome = login(&sandbox, "ecHome", &cloud.origin(), secret).finish();
    assert_eq!(outcome.ok(), "", "a login prints no data");
    let mut last = working_token(&sandbox, cloud, "ecHome");
    for _ in 0..3 {
        wait_until_refused(cloud, &last);
        let next = working_token(&sandbox, cloud, "ecHome");
        assert_ne!(next, last);
        last = next;
    }
    assert!(agent.runs());
}

#[test]
fn one_login_gives_working_tokens_for_as_long_as_they_are_asked_for() {
    // With the blacklist, a refresh token works once: only who uses the rotated one gets to the third life.
    let (cloud, secret) = fake(Options { blacklist: true, access: SHORT, ..Options::default() });
    the_main_job(&cloud, &secret);
    assert_eq!(cloud.logins(), 1);
    let mut spent: Vec<_> = cloud.requests_to(REFRESH).iter().filter_map(|request| request.field("refresh")).collect();
    let count = spent.len();
    spent.sort_by_key(Value::to_string);
    spent.dedup();
    assert_eq!(spent.len(), count, "no refresh token is used twice");
    assert_eq!(cloud.violations(), Vec::<String>::new());
}

#[test]
fn the_real_stack_is_served_as_well_as_the_fake() {
    let what = "the_real_stack_is_served_as_well_as_the_fake";
    let options = lab::echome::Options { blacklist: true, access: SHORT, ..lab::echome::Options::default() };
    let Some((cloud, secret)) = real(what, &options) else { return };
    the_main_job(&cloud, &secret);
}

/// The life of a refresh token in the lab, where nobody waits for the 24 hours that it really has.
const CLIFF: Duration = Duration::from_secs(4);

/// Tokens for longer than one refresh token lives.
fn beyond_the_cliff(cloud: &impl Cloud, secret: &str) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.origin(), secret).finish().ok();
    let started = std::time::Instant::now();
    while started.elapsed() < 3 * CLIFF {
        let now = token(&sandbox, "ecHome");
        wait_until_refused(cloud, &now);
    }
}

#[test]
fn a_session_outlives_its_first_refresh_token() {
    let (cloud, secret) = fake(Options { access: Duration::from_secs(1), refresh: CLIFF, ..Options::default() });
    beyond_the_cliff(&cloud, &secret);
    assert_eq!(cloud.logins(), 1);
}

#[test]
fn a_session_at_the_real_stack_outlives_its_first_refresh_token() {
    let what = "a_session_at_the_real_stack_outlives_its_first_refresh_token";
    let options = lab::echome::Options { access: SHORT, refresh: CLIFF, ..lab::echome::Options::default() };
    let Some((cloud, secret)) = real(what, &options) else { return };
    beyond_the_cliff(&cloud, &secret);
}

#[test]
fn a_valid_token_is_answered_from_memory_whatever_the_case_of_its_account() {
    let (cloud, secret) = fake(Options::default());
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let first = token(&sandbox, "ecHome");
    let before = cloud.requests().len();
    assert_eq!(token(&sandbox, "ECHOME"), first);
    assert_eq!(cloud.requests().len(), before, "nobody asked the cloud");
}

#[test]
fn fresh_renews_although_the_cached_one_is_valid() {
    let (cloud, secret) = fake(Options::default());
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let first = token(&sandbox, "ecHome");
    let second = sandbox.token(["ecHome", "--fresh"]).ok().to_owned();
    assert_ne!(first, second);
    assert_eq!(token(&sandbox, "ecHome"), second);
    assert_eq!((cloud.logins(), cloud.refreshes()), (1, 1));
}

fn reject(sandbox: &Sandbox, token: &str) {
    let _ = sandbox.command(TOKEN).args(["reject", "ecHome"]).stdin(token).finish();
}

#[test]
fn a_key_that_was_switched_off_ends_in_words_and_not_in_a_loop() {
    // simplejwt 5.0.0 goes on refreshing, and the API refuses what comes of it.
    let (cloud, secret) = fake(Options::default());
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let first = token(&sandbox, "ecHome");
    Cloud::set_active(&cloud, false);
    assert!(!cloud.accepts(&first));
    reject(&sandbox, &first);
    let second = token(&sandbox, "ecHome");
    assert_ne!(first, second);
    reject(&sandbox, &second);
    let outcome = sandbox.token(["ecHome"]);
    assert!([1, 4].contains(&outcome.code()), "{outcome:?}");
    let refreshes = cloud.refreshes();
    for _ in 0..5 {
        assert!(!sandbox.token(["ecHome"]).status.success());
    }
    assert_eq!(cloud.refreshes(), refreshes, "a final refusal is not tried again");
    assert!(refreshes <= 2, "one forced renewal, not {refreshes}");
}

#[test]
fn a_rejected_token_that_is_no_longer_the_current_one_changes_nothing() {
    let (cloud, secret) = fake(Options::default());
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let old = token(&sandbox, "ecHome");
    let current = sandbox.token(["ecHome", "--fresh"]).ok().to_owned();
    reject(&sandbox, &old);
    assert_eq!(token(&sandbox, "ecHome"), current);
    assert_eq!(cloud.refreshes(), 1);
}

#[test]
fn a_lost_session_needs_the_human_and_says_which_command() {
    let (cloud, secret) = fake(Options { access: SHORT, ..Options::default() });
    let sandbox = sandbox();
    let agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let last = token(&sandbox, "ecHome");
    cloud.revoke_refresh_tokens();
    wait_until_refused(&cloud, &last);
    let outcome = sandbox.token(["ecHome"]);
    assert!(outcome.fails(4).contains("hint: ") && outcome.stderr.contains("cloud-token login ecHome"), "{outcome:?}");
    let asked = cloud.requests().len();
    assert_eq!(sandbox.token(["ecHome"]).code(), 4);
    assert_eq!(cloud.requests().len(), asked, "a final answer is remembered");
    assert_eq!(cloud.logins(), 1);
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    working_token(&sandbox, &cloud, "ecHome");
    assert!(agent.runs());
}

#[test]
fn a_remembered_secret_logs_in_again_by_itself() {
    let (cloud, secret) = fake(Options { access: SHORT, ..Options::default() });
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).arg("--remember").finish().ok();
    let last = token(&sandbox, "ecHome");
    cloud.revoke_refresh_tokens();
    wait_until_refused(&cloud, &last);
    working_token(&sandbox, &cloud, "ecHome");
    assert_eq!(cloud.logins(), 2);
}

#[test]
fn a_wrong_secret_is_refused_once_and_sets_nothing_up() {
    let (cloud, _) = fake(Options::default());
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let outcome = login(&sandbox, "ecHome", &cloud.url(), "wrong-secret-1234").finish();
    outcome.fails(1);
    assert!(!outcome.stderr.contains("wrong-secret-1234"));
    assert_eq!(cloud.logins(), 1, "a refused login is not repeated: that locks accounts");
    assert!([4, 6].contains(&sandbox.token(["ecHome"]).code()));
}

#[test]
fn a_secret_on_the_command_line_is_refused_before_it_is_sent() {
    let (cloud, secret) = fake(Options::default());
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let with = format!("secret={secret}");
    let arguments = ["login", "ecHome", "--cloud", "echome", "--url", &cloud.url(), "--set", "access-id=AKIA1"];
    let outcome = sandbox.command(TOKEN).args(arguments).args(["--set", &with]).finish();
    outcome.fails(2);
    assert!(!outcome.stderr.contains(&secret));
    assert_eq!(cloud.connections(), 0);
}

#[test]
fn a_logout_forgets() {
    let (cloud, secret) = fake(Options::default());
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let last = token(&sandbox, "ecHome");
    assert!(sandbox.token(["logout", "ecHome"]).status.success());
    let outcome = sandbox.token(["ecHome"]);
    assert!([4, 6].contains(&outcome.code()) && !outcome.stdout.contains(&last), "{outcome:?}");
}

#[test]
fn an_account_that_nobody_set_up_is_told_apart() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    sandbox.token(["nobody"]).fails(6);
}
