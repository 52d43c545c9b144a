//! Whatever a cloud does: a bounded wait, an exit code that says what to do, an agent that lives, and nothing lost.

use std::thread;
use std::time::Duration;

use cloud_agent_tests::fake::echome::{EcHome, Options, REFRESH, TOKEN};
use cloud_agent_tests::fake::{Certificate, Fault, Reply, Server};
use cloud_agent_tests::sandbox::Sandbox;
use cloud_agent_tests::wait::until;
use serde_json::json;

use crate::support::{KEY, SHORT, assert_fault, login, sandbox, token, wait_until_refused, working_token};

/// No upstream request takes longer than 20 s, and a loaded machine adds a little.
const BOUND: Duration = Duration::from_secs(26);

/// Until a broken cloud that works again is believed: the longest back-off or open circuit.
const RECOVERY: Duration = Duration::from_secs(90);

/// What a fault may grow the agent by, in KiB, be the body as long as it likes.
const GROWTH: u64 = 12 * 1024;

/// A fault, its name, and the exit codes that are right for it.
type Case = (String, Fault, &'static [i32]);

fn cases(elsewhere: &Server) -> Vec<Case> {
    const LATER: &[i32] = &[5];
    const BROKEN: &[i32] = &[1];
    const EITHER: &[i32] = &[1, 5];
    let page = |status| Fault::Answer(Reply::html(status, "Not Found", ""));
    let mut cases: Vec<(String, Fault, &'static [i32])> = [
        ("closed without an answer", Fault::Close, LATER),
        ("reset without an answer", Fault::Reset, LATER),
        ("closed after the rotation", Fault::CloseAfter, LATER),
        ("reset after the rotation", Fault::ResetAfter, LATER),
        ("truncated", Fault::Truncated, LATER),
        ("reset in the middle", Fault::ResetMidBody, LATER),
        ("silence", Fault::Hang, LATER),
        ("a byte per second", Fault::Drip(Duration::from_secs(1)), LATER),
        ("408", Fault::status(408, &json!({})), LATER),
        ("429 with seconds", Fault::try_later(429, "2"), LATER),
        ("503 with a date gone by", Fault::try_later(503, "Wed, 21 Oct 2015 07:28:00 GMT"), LATER),
        ("500 in HTML", page(500), LATER),
        ("502 in HTML", Fault::bad_gateway(502), LATER),
        ("504 in HTML", Fault::bad_gateway(504), LATER),
        ("400", Fault::status(400, &json!({"refresh": ["Not a valid string."]})), BROKEN),
        ("403", Fault::status(403, &json!({"detail": "You do not have permission."})), &[1, 4]),
        ("404 in HTML", page(404), BROKEN),
        ("415", Fault::status(415, &json!({"detail": "Unsupported media type \"x\" in request."})), BROKEN),
        ("a captive portal", Fault::captive_portal(), EITHER),
        ("not HTTP", Fault::garbage(), EITHER),
        ("a hundred megabytes", Fault::Huge(100 << 20), EITHER),
        ("no end", Fault::Endless, EITHER),
        ("deep nesting", Fault::nested(200_000), BROKEN),
        ("empty 200", Fault::Answer(Reply::empty(200)), EITHER),
        ("204", Fault::Answer(Reply::empty(204)), EITHER),
    ]
    .map(|(name, fault, codes)| (name.to_owned(), fault, codes))
    .into();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/steal", elsewhere.url());
        cases.push((format!("{status} to elsewhere"), Fault::redirect(status, &location), EITHER));
    }
    let tokens = Fault::bad_tokens("access").into_iter();
    cases.extend(tokens.map(|(name, fault)| (format!("access token: {name}"), fault, BROKEN)));
    cases
}

#[test]
fn a_broken_refresh_is_told_in_time_and_costs_nothing_but_the_answer() {
    let elsewhere = Server::unvisited();
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let cases = cases(&elsewhere);
    // An origin of its own for each, because a circuit opens per origin.
    let clouds: Vec<EcHome> =
        cases.iter().map(|_| EcHome::with(Options { access: SHORT, ..Options::default() })).collect();
    for (number, cloud) in clouds.iter().enumerate() {
        let secret = cloud.add_key(KEY);
        login(&sandbox, &format!("ecHome-{number}"), &cloud.url(), &secret).finish().ok();
    }
    let before = agent.resident();
    thread::scope(|scope| {
        for (number, (cloud, case)) in clouds.iter().zip(&cases).enumerate() {
            let sandbox = &sandbox;
            scope.spawn(move || one_broken_refresh(sandbox, &format!("ecHome-{number}"), cloud, case));
        }
    });
    assert!(agent.runs());
    assert!(agent.resident() < before + GROWTH, "{} KiB, before {before} KiB", agent.resident());
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
    for (cloud, (name, ..)) in clouds.iter().zip(&cases) {
        assert_eq!(cloud.violations(), Vec::<String>::new(), "{name}");
    }
}

fn one_broken_refresh(sandbox: &Sandbox, account: &str, cloud: &EcHome, (name, fault, codes): &Case) {
    cloud.break_always(REFRESH, fault.clone());
    let last = sandbox.token([account]);
    if last.status.success() {
        wait_until_refused(cloud, last.ok());
    }
    let outcome = sandbox.token([account]);
    assert_fault(&outcome, codes, name);
    assert!(outcome.took < BOUND, "{name}: {:?}", outcome.took);
    cloud.clear();
    // A refusal is final until the human acts; everything else mends itself.
    if matches!(fault, Fault::Answer(reply) if [400, 403, 404, 415].contains(&reply.status)) {
        return;
    }
    let recovered = until(RECOVERY, || sandbox.token([account]).status.success());
    assert!(recovered, "{name}: the refresh token was lost: {:?}", sandbox.token([account]));
    working_token(sandbox, cloud, account);
    assert_eq!(cloud.logins(), 1, "{name}");
}

#[test]
fn a_valid_token_is_served_through_an_outage() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let good = token(&sandbox, "ecHome");
    cloud.break_always("*", Fault::bad_gateway(502));
    let _ = sandbox.token(["ecHome", "--fresh"]);
    assert_eq!(token(&sandbox, "ecHome"), good);
}

#[test]
fn a_broken_login_is_told_in_time_and_sets_nothing_up() {
    let elsewhere = Server::unvisited();
    let sandbox = sandbox();
    let agent = sandbox.agent();
    thread::scope(|scope| {
        for (number, (name, fault, codes)) in cases(&elsewhere).into_iter().enumerate() {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let cloud = EcHome::start();
                let secret = cloud.add_key(KEY);
                cloud.break_always(TOKEN, fault);
                let account = format!("ecHome-{number}");
                let outcome = login(sandbox, &account, &cloud.url(), &secret).finish();
                // A cloud that refuses a login outright may well be told as a refusal.
                let codes = if codes.contains(&1) { &[1, 4, 5][..] } else { codes };
                assert_fault(&outcome, codes, &name);
                assert!(outcome.took < BOUND && !outcome.stderr.contains(&secret), "{name}: {outcome:?}");
                assert!([4, 6].contains(&sandbox.token([account]).code()), "{name}");
            });
        }
    });
    assert!(agent.runs());
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
}

#[test]
fn a_wrong_certificate_is_refused_before_any_byte_of_a_request() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    for certificate in Certificate::WRONG {
        let cloud = EcHome::with(Options { tls: Some(certificate), ..Options::default() });
        let outcome = login(&sandbox, "ecHome", &cloud.url(), "s3cr3t-that-must-not-be-sent").finish();
        assert_fault(&outcome, &[1, 5], &format!("{certificate:?}"));
        assert_eq!(cloud.requests().len(), 0, "{certificate:?}");
    }
}

#[test]
fn a_cloud_that_is_not_there_is_unreachable() {
    let gone = Server::unvisited().url();
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    assert_fault(&login(&sandbox, "ecHome", &gone, "s3cr3t-of-nobody").finish(), &[5], "nobody listens");
}

#[test]
fn plain_http_beyond_loopback_is_refused_before_a_byte_is_sent() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let outcome = login(&sandbox, "ecHome", "http://192.0.2.1", "s3cr3t-of-nobody").finish();
    assert_fault(&outcome, &[2], "http");
    assert!(outcome.took < Duration::from_secs(5), "{outcome:?}");
}

#[test]
fn after_a_login_that_came_to_nothing_an_account_is_as_unknown_as_before_and_no_time_changes_that() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = login(&sandbox, "ecHome", &format!("http://{nobody}"), "secret").finish();
    assert!(
        refused.fails(5).contains("hint: try again in a moment; if the address or its port is wrong"),
        "{refused:?}"
    );
    for _ in 0..2 {
        let unknown = sandbox.token(["ecHome", "--no-input"]);
        let said = unknown.fails(6);
        assert!(said.starts_with("error: no account `ecHome`\n") && !said.contains("next try"), "{said}");
    }
}

#[test]
fn a_variable_that_the_shell_has_not_exported_is_met_with_the_word_that_does() {
    let sandbox = sandbox();
    let missing = sandbox.token(["login", "ecHome", "--no-input", "--secret", "secret=env:MY_SECRET"]);
    let said = missing.fails(2);
    assert!(said.contains("caused by: `$MY_SECRET` is not set\nhint: `export MY_SECRET`"), "{said}");
}
