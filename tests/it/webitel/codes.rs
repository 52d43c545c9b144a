//! The second factor of `root`, asked for by a redirect that leads nowhere and sent in the address.

use std::fmt::Write;
use std::time::Duration;

use cloud_agent_protocol::FaultKind;
use cloud_agent_tests::fake::webitel::{LOGIN, Options, ROOT, Webitel};
use cloud_agent_tests::fake::{Fault, Reply};
use serde_json::json;

use super::{Given, given};
use crate::support::{assert_fault, sandbox};

/// Case 19: the half of it that is Webitel's own.
#[test]
fn a_redirect_that_leads_nowhere_asks_root_for_a_code_which_keeps_its_zeros() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    let login = it.at_terminal(&password).answer("code", " 069 303 ");
    assert!(login.done().contains("logged in"), "{:?}", login.said);
    assert_eq!(it.queries(), ["", "code=069303"]);
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
    assert!(it.sandbox.token(["webitel"]).status.success());
}

#[test]
fn a_code_of_a_real_authenticator_is_taken() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    let seed = it.cloud.enrol_root();
    let code = cloud_agent_tests::fake::totp::code(&seed);
    let login = it.at_terminal(&password).answer("code", &code);
    assert!(login.done().contains("logged in"), "{:?}", login.said);
}

#[test]
fn a_code_that_was_given_ahead_answers_the_question() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    it.login_as(ROOT, &password).args(["--set", "code=069 303"]).finish().ok();
    assert!(it.accepts(&it.headers()));
}

#[test]
fn a_code_is_not_asked_for_where_nobody_can_answer() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    let outcome = it.login_as(ROOT, &password).finish();
    assert_fault(&outcome, &[4], "no terminal");
    assert!(outcome.stderr.contains("code"), "{outcome:?}");
    let given_up = it.at_terminal(&password).give_up();
    assert_eq!(given_up.fault().kind, FaultKind::NeedsHuman);
    assert_eq!(it.queries(), ["", ""], "and nothing is sent in its place");
}

/// Case 19: the code stands in the address, and addresses are what logs like best.
#[test]
fn a_code_is_in_no_log_although_it_sits_in_the_address() {
    let cloud = Webitel::start();
    let password = cloud.add_user(ROOT);
    cloud.fix_code("069303");
    let sandbox = sandbox();
    sandbox.set("CLOUD_AGENT_LOG", "trace");
    sandbox.set("RUST_LOG", "trace");
    let agent = sandbox.agent_with(["--vault", "memory", "-vvv"]);
    let it = Given { cloud, password, sandbox, agent };
    let echo = Reply::json(400, &json!({"info": "cannot POST /login?code=069303", "status": "error"}));
    let mut said = String::new();
    for fault in [Fault::Close, Fault::garbage(), Fault::Answer(echo), Fault::bad_gateway(502), Fault::captive_portal()]
    {
        // The first request goes well, and asks for the code.
        it.cloud.break_next(1, LOGIN, Fault::Delay(Duration::ZERO));
        it.cloud.break_next(1, LOGIN, fault);
        let login = it.at_terminal(&it.password).answer("code", "069303");
        writeln!(said, "{:?}", login.fault()).unwrap();
    }
    said += &it.at_terminal(&it.password).answer("code", "069303").done();
    said += &it.sandbox.token(["status", "--json"]).stdout;
    said += &it.agent.log();
    for (path, bytes) in it.sandbox.files() {
        said.extend(["\n", &path.to_string_lossy(), ": ", &String::from_utf8_lossy(&bytes)]);
    }
    assert_eq!(it.queries().iter().filter(|query| *query == "code=069303").count(), 6);
    assert!(!said.contains("069303"), "{said}");
    for secret in it.cloud.secrets() {
        assert!(!said.contains(&secret), "`{secret}` is in:\n{said}");
    }
}

/// Case 15.
#[test]
fn a_code_of_letters_or_of_other_scripts_digits_is_refused_here() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    for code in ["abcdef", "06930З", "٠٦٩٣٠٣", "069.303", "+69303"] {
        let outcome = it.login_as(ROOT, &password).args(["--set", &format!("code={code}")]).finish();
        assert_fault(&outcome, &[2], code);
    }
    assert!(it.queries().iter().all(String::is_empty), "none of it was sent: {:?}", it.queries());
}

/// Case 16, as far as it is Webitel's.
#[test]
fn a_wrong_code_is_asked_for_again_and_three_are_enough() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    let asked = it.at_terminal(&password).answer("code", "abcdef");
    let asked = asked.answer("code", "000000");
    let detail = asked.question().detail.clone().unwrap_or_default();
    assert!(detail.contains("code incorrect"), "it says why: {detail}");
    assert!(asked.answer("code", "069303").done().contains("logged in"));
    assert_eq!(it.queries(), ["", "code=000000", "code=069303"], "letters are not sent, and there is no new challenge");

    let refused = it.at_terminal(&password).answer("code", "000000").answer("code", "000001").answer("code", "000002");
    assert_eq!(refused.fault().kind, FaultKind::Refused);
    assert_eq!(it.queries().len(), 7);
    let given_up = it.at_terminal(&password).answer("code", "000000").give_up();
    assert_eq!(given_up.fault().kind, FaultKind::Refused, "why it was asked again says more than that nobody answered");
}

/// Case 16.
#[test]
fn a_client_that_dies_over_the_question_frees_the_account() {
    let it = given(Options::default());
    let password = it.cloud.add_user(ROOT);
    it.cloud.fix_code("069303");
    let asked = it.at_terminal(&password);
    assert_eq!(asked.question().name, "code");
    drop(asked);
    let login = it.at_terminal(&password).answer("code", "069303");
    assert!(login.done().contains("logged in"), "{:?}", login.said);
    assert_eq!(it.queries(), ["", "", "code=069303"], "the one that died sends nothing more");
}
