//! How a token ends: asked about, rejected, revoked.

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::cleura::{Options, Second, TOKENS, TOKENS_V2, VALIDATE, VALIDATE_V2};
use cloud_agent_tests::sandbox::TOKEN;
use serde_json::json;

use super::{WHO, given, given_with};

/// Case 18.
#[test]
fn a_check_tells_whether_the_token_is_alive_and_nothing_that_is_secret() {
    for (method, validate) in [("password", VALIDATE), ("password-v2", VALIDATE_V2)] {
        for status in [401, 403] {
            let it = given(Second::None);
            it.login().args(["--method", method]).finish().ok();
            let token = it.token();
            let alive = it.sandbox.token(["check", "cleura"]);
            assert!(alive.ok().contains("alive"), "{alive:?}");
            it.cloud.break_next(1, validate, Fault::status(500, &json!({})));
            let trouble = it.sandbox.token(["check", "cleura"]);
            assert_eq!(trouble.code(), 5, "{method}: trouble at the cloud is no dead token: {trouble:?}");
            assert_eq!(it.token(), token, "{method}");
            // This call takes no privilege, so the words do not matter.
            let words = if status == 401 { "Invalid token" } else { "No access: api" };
            let body = json!({"error": {"code": status, "message": words}});
            it.cloud.break_next(1, validate, Fault::status(status, &body));
            let dead = it.sandbox.token(["check", "cleura"]);
            assert_eq!(dead.code(), 1, "{method} {status}: {dead:?}");
            assert!(dead.stdout.starts_with("not alive"), "{dead:?}");
            assert_eq!(it.sandbox.token(["cleura"]).code(), 4, "a dead token is not handed out again");
            for said in [alive, trouble, dead].map(|outcome| outcome.stdout + &outcome.stderr) {
                assert!(!said.contains(&token) && !said.contains(&it.password), "{said}");
            }
            assert_eq!(it.cloud.logins(), 1, "{method}: a check logs nobody in");
            assert_eq!(it.cloud.violations(), Vec::<String>::new());
        }
    }
}

/// Case 18.
#[test]
fn a_logout_revokes_and_forgets_whatever_the_cloud_says() {
    for (method, path) in [("password", TOKENS), ("password-v2", TOKENS_V2)] {
        let it = given(Second::None);
        let login = || it.login().args(["--method", method]).finish().ok().to_owned();
        login();
        let first = it.token();
        assert!(it.sandbox.token(["logout", "cleura"]).status.success());
        assert!(!it.cloud.accepts(WHO, &first), "{method}: revoked at the cloud");
        assert_eq!(it.sandbox.token(["cleura"]).code(), 4);
        login();
        it.cloud.end_tokens();
        let outcome = it.sandbox.token(["logout", "cleura"]);
        assert!(outcome.status.success() && outcome.stderr.contains("ended it already"), "{outcome:?}");
        login();
        it.cloud.break_always(path, Fault::Close);
        let outcome = it.sandbox.token(["logout", "cleura"]);
        assert!(outcome.status.success() && outcome.stderr.contains("could not be told"), "{outcome:?}");
        assert_eq!(it.sandbox.token(["cleura"]).code(), 4, "forgotten here in any case");
        assert_eq!(it.cloud.violations(), Vec::<String>::new());
    }
}

#[test]
fn a_token_that_was_rejected_is_still_revoked_by_a_logout() {
    let it = given(Second::None);
    it.login().finish().ok();
    let token = it.token();
    it.sandbox.token(["reject", "cleura"]).ok();
    assert!(it.sandbox.token(["logout", "cleura"]).status.success());
    assert!(!it.cloud.accepts(WHO, &token));
}

#[test]
fn with_a_remembered_password_a_rejected_token_is_replaced_by_one_login() {
    // Should a login end the tokens of earlier ones, two at once would leave one caller with a dead token.
    let it = given_with(Second::None, Options { single: true, ..Options::default() });
    it.login().arg("--remember").finish().ok();
    let old = it.token();
    it.cloud.end_tokens();
    it.sandbox.command(TOKEN).args(["reject", "cleura"]).stdin(old.as_str()).finish().ok();
    let callers: Vec<_> = (0..50).map(|_| it.sandbox.command(TOKEN).arg("cleura").spawn()).collect();
    let mut tokens: Vec<String> = callers.into_iter().map(|caller| caller.finish().ok().to_owned()).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert!(tokens.len() == 1 && tokens[0] != old, "{tokens:?}");
    assert_eq!(it.cloud.logins(), 2);
    it.is_well();
}

#[test]
fn without_the_password_a_rejected_token_needs_the_human() {
    let it = given(Second::None);
    it.login().finish().ok();
    it.sandbox.token(["reject", "cleura"]).ok();
    let outcome = it.sandbox.token(["cleura"]);
    assert!(outcome.fails(4).contains("cloud-token login cleura"), "{outcome:?}");
    assert_eq!(it.cloud.logins(), 1);
}
