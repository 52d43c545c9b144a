//! The portal's own users, who get a session: no header, no end that anybody tells.

use cloud_agent_tests::fake::openvcloud::{AUTHENTICATE, CLOUDSPACES};
use cloud_agent_tests::fake::{Fault, Reply};
use cloud_agent_tests::http::post_form;
use cloud_agent_tests::sandbox::{Run, TOKEN};

use super::{ACCOUNT, Given, given};

impl Given {
    fn with_password(&self, password: &str) -> Run<'_> {
        let run = self.login("password").args(["--set", "username=bob", "--secret", "password=env:IT_PASSWORD"]);
        run.env("IT_PASSWORD", password)
    }

    /// What the API answers to whoever carries this session.
    fn call(&self, session: &str) -> u16 {
        post_form(&format!("{}{CLOUDSPACES}", self.cloud.portal.url()), &[("authkey", session)]).unwrap().status
    }

    fn reject(&self, session: &str) {
        self.sandbox.command(TOKEN).args(["reject", ACCOUNT]).stdin(session).finish().ok();
    }
}

/// Case 13.
#[test]
fn a_session_is_read_in_quotes_and_bare() {
    for quoted in [true, false] {
        let it = given();
        let password = it.cloud.add_user("bob");
        it.cloud.quote_sessions(quoted);
        it.with_password(&password).finish().ok();
        assert_eq!(it.call(&it.token()), 200, "{quoted}");
        it.is_well();
    }
}

#[test]
fn a_session_has_no_headers_and_nobody_is_given_none_for_some() {
    let it = given();
    let password = it.cloud.add_user("bob");
    it.with_password(&password).finish().ok();
    for format in ["headers", "curl"] {
        let outcome = it.sandbox.token([ACCOUNT, "-o", format]);
        assert!(outcome.fails(1).contains("parameter"), "{outcome:?}");
    }
    let env = it.sandbox.token([ACCOUNT, "-o", "env"]).ok().to_owned();
    assert!(env.contains(&format!("OVC_AUTHKEY='{}'", it.token())), "{env}");
}

/// Case 13.
#[test]
fn a_session_that_timed_out_leads_to_exactly_one_login_of_a_remembered_password() {
    let it = given();
    let password = it.cloud.add_user("bob");
    it.with_password(&password).arg("--remember").finish().ok();
    let old = it.token();
    it.cloud.end_sessions();
    assert_eq!(it.call(&old), 419);
    it.reject(&old);
    let callers: Vec<_> = (0..20).map(|_| it.sandbox.command(TOKEN).arg(ACCOUNT).spawn()).collect();
    for caller in callers {
        assert_eq!(it.call(caller.finish().ok()), 200);
    }
    assert_eq!(it.cloud.portal.count(AUTHENTICATE), 2);
    it.is_well();
}

#[test]
fn without_the_password_a_session_that_timed_out_needs_the_human() {
    let it = given();
    let password = it.cloud.add_user("bob");
    it.with_password(&password).finish().ok();
    let old = it.token();
    it.cloud.end_sessions();
    it.reject(&old);
    it.sandbox.token([ACCOUNT]).fails(4);
    assert_eq!(it.cloud.portal.count(AUTHENTICATE), 1);
}

/// Case 13: that the password is in no address and no `authkey` is empty, is what the fake looks at.
#[test]
fn a_login_is_a_form_with_a_name_and_a_password_and_nothing_else() {
    let it = given();
    let password = it.cloud.add_user("bob");
    it.with_password(&password).finish().ok();
    let sent = &it.cloud.portal.requests_to(AUTHENTICATE)[0];
    let mut names: Vec<String> = sent.form().into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!((names, sent.query.as_str()), (vec!["password".into(), "username".into()], ""));
    it.is_well();
}

/// Case 13.
#[test]
fn a_wrong_password_is_refused_and_an_upgrade_is_for_later() {
    let it = given();
    let password = it.cloud.add_user("bob");
    let outcome = it.with_password("wrong-password-1").finish();
    assert!(outcome.fails(1).contains("Unauthorized") && !outcome.stderr.contains("wrong-password-1"), "{outcome:?}");
    it.cloud.set_upgrading(true);
    assert!(it.with_password(&password).finish().fails(5).contains("upgraded"));
    it.cloud.set_upgrading(false);
    assert!([4, 6].contains(&it.sandbox.token([ACCOUNT]).code()));
}

#[test]
fn what_is_no_session_is_a_fault_that_names_it() {
    let it = given();
    let password = it.cloud.add_user("bob");
    let json = |body: &str| Fault::Answer(Reply::typed(200, "application/json", body));
    for fault in [
        Fault::captive_portal(),
        json(r#"{"error":"x"}"#),
        json("[]"),
        json("\"\""),
        json("\"a\\nb\""),
        json(r#"{"a":1,"a":2}"#),
    ] {
        it.cloud.portal.clear();
        it.cloud.portal.break_always(AUTHENTICATE, fault.clone());
        let outcome = it.with_password(&password).finish();
        assert!(outcome.fails(1).contains("`authkey`"), "{fault:?}: {outcome:?}");
    }
}

#[test]
fn a_logout_ends_the_session_at_the_portal_too() {
    let it = given();
    let password = it.cloud.add_user("bob");
    it.with_password(&password).finish().ok();
    let session = it.token();
    let outcome = it.sandbox.token(["logout", ACCOUNT]);
    assert!(outcome.status.success() && outcome.stderr.contains("revoked"), "{outcome:?}");
    assert!(!it.cloud.knows(&session));
    it.with_password(&password).finish().ok();
    it.cloud.end_sessions();
    let outcome = it.sandbox.token(["logout", ACCOUNT]);
    assert!(outcome.status.success() && outcome.stderr.contains("ended it already"), "{outcome:?}");
    it.is_well();
}

#[test]
fn a_check_and_a_call_carry_the_session_as_a_parameter() {
    let it = given();
    let password = it.cloud.add_user("bob");
    it.with_password(&password).finish().ok();
    assert!(it.sandbox.token(["check", ACCOUNT]).status.success());
    assert!(it.sandbox.token(["do", ACCOUNT, "cloudspaces"]).ok().contains("space"));
    it.cloud.end_sessions();
    let outcome = it.sandbox.token(["check", ACCOUNT]);
    assert!(outcome.code() == 1 && outcome.stdout.contains("the session has ended"), "{outcome:?}");
    it.is_well();
}
