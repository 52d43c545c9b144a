//! Asking the cloud itself, and doing what it names that is no login.

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::sandbox::Sandbox;

use crate::support::{KEY, login, sandbox, token};

fn logged_in() -> (EcHome, Sandbox, cloud_agent_tests::sandbox::Agent) {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    (cloud, sandbox, agent)
}

#[test]
fn a_living_token_is_alive_and_a_dead_one_is_not_and_is_forgotten() {
    let (cloud, sandbox, _agent) = logged_in();
    let first = token(&sandbox, "ecHome");
    assert_eq!(sandbox.token(["check", "ecHome"]).ok(), "alive");
    cloud.revoke_access_tokens();
    let outcome = sandbox.token(["check", "ecHome"]);
    assert_eq!(outcome.code(), 1);
    assert!(outcome.stdout.starts_with("not alive: ") && outcome.stderr.is_empty(), "{outcome:?}");
    assert!(!outcome.stdout.contains(&first));
    assert_ne!(token(&sandbox, "ecHome"), first);
    assert_eq!(sandbox.token(["check", "ecHome"]).ok(), "alive");
}

#[test]
fn a_key_that_is_refused_right_after_a_renewal_is_final() {
    let (cloud, sandbox, _agent) = logged_in();
    token(&sandbox, "ecHome");
    // The cloud goes on to refresh, and its API refuses what came of it.
    cloud.set_active(KEY, false);
    for _ in 0..2 {
        let outcome = sandbox.token(["check", "ecHome"]);
        assert_eq!(outcome.code(), 1);
        assert!(outcome.stdout.contains("disabled") || outcome.stdout.contains("inactive"), "{outcome:?}");
    }
    let refreshes = cloud.refreshes();
    for _ in 0..3 {
        sandbox.token(["ecHome", "--no-input"]).fails(4);
    }
    assert_eq!(cloud.refreshes(), refreshes, "no loop");
}

#[test]
fn what_cannot_be_asked_or_done_says_so() {
    let (_cloud, sandbox, _agent) = logged_in();
    sandbox.token(["check", "nobody"]).fails(6);
    assert_eq!(sandbox.token(["do", "ecHome"]).ok(), "echome offers nothing but logins");
    let refused = sandbox.token(["do", "ecHome", "dance", "--no-input"]);
    assert!(
        refused.fails(2).contains("hint: it offers nothing but logins; `cloud-token clouds echome`"),
        "{refused:?}"
    );
    sandbox.token(["do", "nobody", "dance", "--no-input"]).fails(4);
}
