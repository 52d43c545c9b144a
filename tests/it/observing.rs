//! What the agent tells of its own work: `status --metrics`, and how `status` ends.

use cloud_agent_protocol::v1::{Get, Request, Response};
use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{EcHome, REFRESH};
use cloud_agent_tests::openmetrics::Page;
use cloud_agent_tests::sandbox::{AGENT, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};

use crate::support::{KEY, login, sandbox, spoil, token};

/// A sample's name, its labels, and its value.
type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

#[track_caller]
fn metrics(sandbox: &Sandbox) -> Page {
    let outcome = sandbox.token(["status", "--metrics"]);
    outcome.ok();
    Page::parse(&outcome.stdout).unwrap_or_else(|why| panic!("{why} in\n{}", outcome.stdout))
}

#[track_caller]
fn assert_counts(page: &Page, expected: &[Expected<'_>]) {
    for (name, labels, value) in expected {
        let found = page.value(name, labels);
        assert!(found == Some(*value), "{name} {labels:?}: {found:?} instead of {value}; {page:?}");
    }
}

#[test]
fn what_is_counted_is_open_metrics_and_adds_up() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    for _ in 0..5 {
        token(&sandbox, "ecHome");
    }
    spoil(&sandbox, &cloud, "ecHome");
    token(&sandbox, "ecHome");
    assert_eq!(sandbox.token(["nobody"]).code(), 6);
    cloud.break_always(REFRESH, Fault::status(503, &serde_json::json!({})));
    assert_eq!(sandbox.token(["ecHome", "--fresh"]).code(), 5);

    let page = metrics(&sandbox);
    let account = [("account", "ecHome")];
    assert_counts(
        &page,
        &[
            ("cloud_agent_requests_total", &[("kind", "login"), ("outcome", "ok")], 1.0),
            // Five, one to spoil it, and the one that renewed.
            ("cloud_agent_requests_total", &[("kind", "get"), ("outcome", "ok")], 7.0),
            ("cloud_agent_requests_total", &[("kind", "get"), ("outcome", "unknown-account")], 1.0),
            ("cloud_agent_requests_total", &[("kind", "get"), ("outcome", "unreachable")], 1.0),
            ("cloud_agent_requests_total", &[("kind", "reject"), ("outcome", "ok")], 1.0),
            ("cloud_agent_lookups_total", &[("result", "hit")], 6.0),
            ("cloud_agent_lookups_total", &[("result", "miss")], 2.0),
            ("cloud_agent_renewals_total", &[("outcome", "ok")], 1.0),
            ("cloud_agent_renewals_total", &[("outcome", "unreachable")], 1.0),
            ("cloud_agent_renewal_duration_seconds_count", &[], 2.0),
            ("cloud_agent_account_handed_out_total", &account, 7.0),
            ("cloud_agent_account_renewals_total", &account, 1.0),
            ("cloud_agent_account_renewal_faults_total", &account, 1.0),
            ("cloud_agent_account_valid", &account, 1.0),
            // The first cached one of every 64; and what was waited for: the renewal, the failure, and nobody.
            ("cloud_agent_answer_duration_seconds_count", &[("from", "cache")], 1.0),
            ("cloud_agent_answer_duration_seconds_count", &[("from", "wait")], 3.0),
            ("cloud_agent_connections_total", &[("outcome", "turned-away")], 0.0),
            ("cloud_agent_locked", &[], 0.0),
            ("cloud_agent_unsaved_accounts", &[], 0.0),
        ],
    );
    assert!(page.value("cloud_agent_account_expiry_seconds", &account).is_some_and(|end| end > 1.6e9));
    assert_eq!(page.labels("cloud_agent_build_info", "version"), [env!("CARGO_PKG_VERSION").to_owned()].into());
    // Asking is a request as well, which the next page shows.
    assert_counts(
        &metrics(&sandbox),
        &[("cloud_agent_requests_total", &[("kind", "metrics"), ("outcome", "ok")], 1.0)],
    );
}

#[test]
fn one_cached_answer_in_sixty_four_is_timed() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let mut raw = sandbox.raw();
    let (account, deadline_ms) = ("ecHome".to_owned(), 30_000);
    let get = Request::Get(Get { account, min_valid: None, fresh: false, environment: false, deadline_ms });
    assert!(matches!(raw.answer(&get), Response::Credential(_)));
    for _ in 0..128 {
        assert!(matches!(raw.then(&get), Response::Credential(_)));
    }
    let from = [("from", "cache")];
    assert_counts(&metrics(&sandbox), &[("cloud_agent_answer_duration_seconds_count", &from, 3.0)]);
}

#[test]
fn a_locked_agent_counts_on_and_names_no_account() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    assert_eq!(metrics(&sandbox).labels("cloud_agent_account_valid", "account").len(), 1);
    sandbox.command(TOKEN).args(["lock", "--passphrase", "stdin"]).stdin("open sesame").finish().ok();
    assert_eq!(sandbox.token(["ecHome"]).code(), 4);
    let page = metrics(&sandbox);
    assert_counts(
        &page,
        &[
            ("cloud_agent_locked", &[], 1.0),
            ("cloud_agent_requests_total", &[("kind", "get"), ("outcome", "needs-human")], 1.0),
        ],
    );
    assert!(page.labels("cloud_agent_account_valid", "account").is_empty());
}

#[test]
fn a_collector_starts_no_agent_and_health_is_told_by_the_exit_code() {
    let sandbox = sandbox();
    let none = sandbox.token(["status", "--metrics"]);
    assert_eq!((none.code(), none.stdout.as_str()), (3, ""), "{none:?}");
    assert!(sandbox.agents().is_empty());
    let health = sandbox.command(TOKEN).args(["status", "--json"]).env("CLOUD_AGENT_NO_AUTOSTART", "1").finish();
    assert_eq!((health.code(), health.stdout.as_str()), (3, ""), "{health:?}");
    let _agent = sandbox.agent();
    assert_eq!(sandbox.token(["status", "--json"]).code(), 0);
    assert_eq!(sandbox.token(["status", "--json", "--metrics"]).code(), 2);
}

#[test]
fn nothing_secret_is_in_what_is_counted() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    spoil(&sandbox, &cloud, "ecHome");
    token(&sandbox, "ecHome");
    let said = sandbox.token(["status", "--metrics"]).stdout;
    let secrets = cloud.secrets();
    assert!(secrets.len() > 3 && said.contains("ecHome"));
    // Nor where an account is.
    assert!(!said.contains(&cloud.url()), "{said}");
    assert!(secrets.iter().all(|secret| !said.contains(secret.as_str())), "{said}");
}

#[test]
fn a_level_that_is_none_is_said_and_the_agent_logs_as_ever() {
    let sandbox = sandbox();
    let run = sandbox.command(AGENT).args(["--vault", "memory"]).env("CLOUD_AGENT_LOG", "cloud_agent=debug");
    let _agent = sandbox.agent_from(run);
    assert!(until(PATIENCE, || sandbox.log().contains("listening at")));
    let log = sandbox.log();
    assert!(log.contains("CLOUD_AGENT_LOG: `cloud_agent=debug` is no level"), "{log}");
}
