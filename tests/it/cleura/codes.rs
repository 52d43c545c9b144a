//! The code of a text message: who asks for it, who is asked, and how often.

use std::thread;
use std::time::Duration;

use cloud_agent_protocol::v1::{Answer, Login, NamedSecret, Question, Request, Response, Setting};
use cloud_agent_protocol::{Fault, FaultKind, Secret};
use cloud_agent_tests::fake::cleura::{Options, REQUEST_CODE, REQUEST_CODE_V2, Second, VERIFY, VERIFY_V2};
use cloud_agent_tests::raw::Raw;
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::json;

use super::{Given, WHO, given, given_with};
use crate::terminal::Terminal;

impl Given {
    fn request(&self) -> Login {
        let setting = |name: &str, value: &str| Setting { name: name.into(), value: value.into() };
        Login {
            account: "cleura".into(),
            cloud: None,
            method: None,
            origins: vec![setting("", &self.cloud.url())],
            settings: vec![setting("username", WHO)],
            secrets: vec![NamedSecret { name: "password".into(), value: Secret::from(self.password.as_str()) }],
            remember: false,
            ephemeral: false,
            interactive: true,
            deadline_ms: 20_000,
        }
    }

    /// A login that has come to its question.
    fn asked(&self) -> (Raw, Question) {
        let mut raw = self.sandbox.raw();
        let question = question(raw.answer(&Request::Login(self.request())));
        (raw, question)
    }
}

#[track_caller]
fn question(response: Response) -> Question {
    let Response::Question(question) = response else { panic!("not a question: {response:?}") };
    question
}

#[track_caller]
fn fault(response: Response) -> Fault {
    let Response::Fault(fault) = response else { panic!("not a fault: {response:?}") };
    fault
}

fn say(raw: &mut Raw, code: &str) -> Response {
    raw.then(&Request::Answer(Answer { value: Some(Secret::from(code)) }))
}

#[track_caller]
fn is_done(response: &Response) {
    assert!(matches!(response, Response::Done(_)), "{response:?}");
}

/// Cases 15 and 16.
#[test]
fn a_code_that_begins_with_a_zero_is_typed_as_it_stands_and_sent_as_an_integer() {
    for typed in ["012345", "012 345", " 012-345 "] {
        let it = given(Second::Sms);
        it.cloud.next_code(WHO, "012345");
        let (mut raw, question) = it.asked();
        assert_eq!((question.name.as_str(), it.cloud.messages(WHO).len()), ("sms-code", 1));
        is_done(&say(&mut raw, typed));
        let sent = it.cloud.requests_to(VERIFY)[0].json().unwrap();
        assert_eq!(sent["verify2fa"]["code"], json!(12345), "{typed}");
        it.is_well();
    }
}

#[test]
fn a_person_at_a_terminal_is_asked_for_the_code() {
    let it = given(Second::Sms);
    let terminal = Terminal::open();
    let who = format!("username={WHO}");
    let arguments = ["login", "cleura", "--url", &it.cloud.url(), "--set", &who];
    let running = terminal.run(&it.sandbox, TOKEN, &arguments).spawn();
    terminal.shows("Password");
    assert!(until(PATIENCE, || !terminal.echoes()));
    terminal.types(&format!("{}\n", it.password));
    terminal.shows("Code");
    terminal.types(&format!("{}\n", it.cloud.last_code(WHO)));
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    assert!(!terminal.shown().contains(&it.password));
    it.is_well();
}

#[test]
fn a_code_may_be_given_up_front_as_a_setting_or_as_a_secret() {
    for flag in ["--set=sms-code=012345", "--secret=sms-code=env:IT_CODE"] {
        for (method, verify) in [("password", VERIFY), ("password-v2", VERIFY_V2)] {
            let it = given(Second::Sms);
            it.cloud.next_code(WHO, "012345");
            it.login().args([flag, "--method", method]).env("IT_CODE", "012345").finish().ok();
            assert_eq!((it.cloud.messages(WHO).len(), it.cloud.count(verify)), (1, 1), "{flag} {method}");
            it.is_well();
        }
    }
}

/// Case 14.
#[test]
fn the_newer_login_asks_for_a_text_message_where_that_is_one_of_the_options() {
    for second in [Second::Sms, Second::Both] {
        let it = given(second);
        let mut raw = it.sandbox.raw();
        let login = Login { method: Some("password-v2".into()), ..it.request() };
        question(raw.answer(&Request::Login(login)));
        is_done(&say(&mut raw, &it.cloud.last_code(WHO)));
        assert_eq!((it.cloud.count(REQUEST_CODE_V2), it.cloud.count(VERIFY_V2)), (1, 1));
        it.is_well();
    }
}

/// Case 15.
#[test]
fn letters_and_foreign_digits_are_refused_before_anything_is_sent() {
    let it = given(Second::Sms);
    let (mut raw, _) = it.asked();
    for wrong in ["12345a", "١٢٣٤٥٦"] {
        let again = question(say(&mut raw, wrong));
        assert!(again.detail.unwrap_or_default().contains("digits"), "{wrong}");
        assert_eq!(it.cloud.count(VERIFY), 0, "{wrong}");
    }
    is_done(&say(&mut raw, &it.cloud.last_code(WHO)));
    it.is_well();
}

/// Case 16.
#[test]
fn a_wrong_code_is_asked_for_again_three_times_in_all_and_costs_no_text_message() {
    let it = given(Second::Sms);
    it.cloud.next_code(WHO, "111111");
    let (mut raw, first) = it.asked();
    let again = question(say(&mut raw, "222222"));
    assert_eq!(again.name, first.name);
    assert!(again.detail.unwrap().contains("not accepted"));
    is_done(&say(&mut raw, "111111"));
    assert_eq!((it.cloud.messages(WHO).len(), it.cloud.count(REQUEST_CODE)), (1, 1));
    it.is_well();
    let (mut raw, _) = it.asked();
    question(say(&mut raw, "1"));
    question(say(&mut raw, "2"));
    assert_eq!(fault(say(&mut raw, "3")).kind, FaultKind::Refused);
    assert_eq!(it.cloud.messages(WHO).len(), 2);
    it.is_well();
}

#[test]
fn a_verification_that_has_ended_is_a_refusal_and_not_a_new_text_message() {
    let it = given(Second::Sms);
    let (mut raw, _) = it.asked();
    it.cloud.end_verifications();
    let code = it.cloud.last_code(WHO);
    for _ in 0..2 {
        question(say(&mut raw, &code));
    }
    let fault = fault(say(&mut raw, &code));
    assert!(fault.kind == FaultKind::Refused && fault.to_string().contains("Invalid verification"), "{fault}");
    assert_eq!(it.cloud.messages(WHO).len(), 1);
}

/// Case 16: exec plugins and credential helpers must not hang, and nobody's telephone must ring for them.
/// T33: a 200 that is no success.
#[test]
fn without_a_terminal_a_login_that_needs_a_code_ends_at_once_and_sends_no_text_message() {
    for method in ["password", "password-v2"] {
        let it = given(Second::Sms);
        let outcome = it.login().args(["--method", method]).finish();
        assert!(outcome.fails(4).contains("sms-code"), "{outcome:?}");
        assert!(outcome.stderr.contains("cloud-token login cleura"), "{outcome:?}");
        assert!(outcome.took < Duration::from_secs(5), "{outcome:?}");
        assert_eq!(it.cloud.messages(WHO).len(), 0);
    }
}

#[test]
fn callers_of_an_ended_token_that_needs_a_code_are_told_so_without_a_text_message() {
    let it = given(Second::Sms);
    it.cloud.next_code(WHO, "123456");
    it.login().args(["--remember", "--set", "sms-code=123456"]).finish().ok();
    it.cloud.end_tokens();
    it.sandbox.token(["reject", "cleura"]).ok();
    let callers: Vec<_> = (0..20).map(|_| it.sandbox.command(TOKEN).arg("cleura").spawn()).collect();
    for caller in callers {
        caller.finish().fails(4);
    }
    assert_eq!(it.cloud.messages(WHO).len(), 1, "that of the login");
    assert_eq!(it.cloud.logins(), 4, "one more of two steps, however many callers");
}

/// Case 16.
#[test]
fn a_client_that_dies_over_the_question_frees_the_account() {
    let it = given(Second::Sms);
    let (raw, _) = it.asked();
    drop(raw);
    let (mut raw, _) = it.asked();
    is_done(&say(&mut raw, &it.cloud.last_code(WHO)));
    it.is_well();
}

#[test]
fn who_gives_up_over_the_question_changes_nothing() {
    let it = given(Second::Sms);
    let (mut raw, _) = it.asked();
    let fault = fault(raw.then(&Request::Answer(Answer { value: None })));
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert!([4, 6].contains(&it.sandbox.token(["cleura"]).code()));
    assert_eq!(it.cloud.count(VERIFY), 0);
}

/// Case 5.
#[test]
fn however_many_log_in_at_once_one_text_message_is_sent() {
    let it = given(Second::Sms);
    it.cloud.next_code(WHO, "123456");
    let mut callers: Vec<Raw> = (0..20).map(|_| it.sandbox.raw()).collect();
    for caller in &mut callers {
        caller.ask(&Request::Login(it.request())).unwrap();
    }
    // What was sent before has been read when these are answered: a login that comes after another has ended is a new one.
    for _ in 0..5 {
        let _ = it.sandbox.raw().answer(&Request::Status);
    }
    thread::scope(|scope| {
        for caller in &mut callers {
            scope.spawn(|| {
                let response = Response::decode(&caller.frame().unwrap()).unwrap();
                is_done(&match response {
                    Response::Question(_) => say(caller, "123456"),
                    other => other,
                });
            });
        }
    });
    assert_eq!(it.cloud.messages(WHO).len(), 1);
    it.is_well();
}

#[test]
fn who_has_a_security_key_only_is_told_what_to_do_instead() {
    for method in ["password", "password-v2"] {
        let it = given(Second::WebAuthn);
        let outcome = it.login().args(["--method", method]).finish();
        let words = outcome.fails(4);
        let mend = format!("`cloud-token login cleura --cloud cleura --url {} --method token`", it.cloud.url());
        assert!(words.contains("security key") && words.contains(&mend), "{words}");
        let panel = it.cloud.panel_token(WHO);
        it.paste(&panel).ok();
        assert_eq!(it.token(), panel);
        it.is_well();
    }
}

#[test]
fn codes_and_verifications_are_in_no_message_and_no_log() {
    let it = given_with(Second::Sms, Options { wrong_codes: 1, ..Options::default() });
    it.cloud.next_code(WHO, "987654");
    let outcome = it.login().args(["--set", "sms-code=123450"]).finish();
    outcome.fails(1);
    it.cloud.next_code(WHO, "987654");
    it.login().args(["--set", "sms-code=987654"]).finish().ok();
    let said = outcome.stderr + &it.agent.log() + it.sandbox.token(["status", "--json"]).ok();
    for secret in it.cloud.secrets() {
        assert!(!said.contains(&secret), "`{secret}` is in:\n{said}");
    }
    assert!(!it.account().to_string().contains("987654"), "a code is not a setting that is kept");
}
