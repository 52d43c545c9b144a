//! The second factor at a login: a text of six digits, by a person or from the command line.

use cloud_agent_protocol::FaultKind;
use cloud_agent_tests::fake::greencloud::{LOGIN, Options};
use cloud_agent_tests::fake::totp;
use serde_json::json;

use super::{EMAIL, given};
use crate::support::assert_fault;

/// Case 15.
#[test]
fn a_code_is_sent_as_a_text_with_its_zero_and_without_its_blanks() {
    let it = given(Options::default());
    it.cloud.fix_code(EMAIL, "069303");
    let login = it.at_terminal().answer("code", " 069 303 ");
    assert!(login.done().contains("logged in"), "{:?}", login.said);
    it.login().args(["--set", "code=069-303"]).finish().ok();
    assert_eq!(it.sent(LOGIN, "twofa"), [json!("069303"), json!("069303")]);
    assert!(it.cloud.accepts(&it.token()));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn an_account_without_a_second_factor_takes_an_empty_answer() {
    let it = given(Options::default());
    let login = it.at_terminal().answer("code", "");
    assert!(login.done().contains("logged in"), "{:?}", login.said);
    assert_eq!(it.sent(LOGIN, "twofa"), Vec::<serde_json::Value>::new());
}

#[test]
fn a_code_of_an_authenticator_is_taken_once() {
    let it = given(Options::default());
    let seed = it.cloud.enrol(EMAIL);
    let code = totp::code(&seed);
    assert!(it.at_terminal().answer("code", &code).done().contains("logged in"));
    let again = it.login().args(["--set", &format!("code={code}")]).finish();
    assert!(again.fails(1).contains("INVALID_TWOFA"), "{again:?}");
}

#[test]
fn a_missing_code_is_said_in_the_clouds_own_words_where_nobody_can_be_asked() {
    let it = given(Options::default());
    let _ = it.cloud.enrol(EMAIL);
    let outcome = it.login().finish();
    assert!(outcome.fails(1).contains("TWOFA_REQUIRED"), "{outcome:?}");
    assert_eq!(it.cloud.count(LOGIN), 1);
}

/// Case 15.
#[test]
fn a_code_of_letters_or_of_other_scripts_digits_is_refused_here() {
    let it = given(Options::default());
    it.cloud.fix_code(EMAIL, "069303");
    for code in ["abcdef", "06930З", "٠٦٩٣٠٣", "069.303", "+69303"] {
        let outcome = it.login().args(["--set", &format!("code={code}")]).finish();
        assert_fault(&outcome, &[2], code);
    }
    assert_eq!(it.cloud.count(LOGIN), 0);
}

#[test]
fn somebody_who_gives_up_is_not_logged_in() {
    let it = given(Options::default());
    it.cloud.fix_code(EMAIL, "069303");
    let login = it.at_terminal().give_up();
    assert!(matches!(login.fault().kind, FaultKind::NeedsHuman | FaultKind::Refused), "{:?}", login.said);
    assert!([4, 6].contains(&it.sandbox.token(["green"]).code()));
}

/// Case 16, as far as it is Green Cloud's.
#[test]
fn a_wrong_code_is_asked_for_again() {
    let it = given(Options::default());
    it.cloud.fix_code(EMAIL, "069303");
    let asked = it.at_terminal().answer("code", "000000");
    let detail = asked.question().detail.clone().unwrap_or_default();
    assert!(detail.contains("INVALID_TWOFA"), "it says why: {detail}");
    assert!(asked.answer("code", "069303").done().contains("logged in"));
    assert_eq!(it.cloud.count(LOGIN), 2);
}
