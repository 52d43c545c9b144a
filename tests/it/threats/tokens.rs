//! A cloud whose tokens are no tokens, or lie about their end.

use std::time::{SystemTime, UNIX_EPOCH};

use cloud_agent_tests::fake::echome::{REFRESH, TOKEN as LOGIN};
use cloud_agent_tests::fake::{Fault, Reply, jwt};
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use super::Scene;

/// T24
#[test]
fn a_login_that_returns_no_token_is_refused_and_leaves_no_account() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    for field in ["access", "refresh"] {
        for (name, fault) in Fault::bad_tokens(field) {
            scene.cloud.break_next(1, LOGIN, fault);
            let outcome = scene.login().finish();
            let said = outcome.fails(1);
            assert!(said.contains("the reply") || said.contains("answered with more than"), "{field}, {name}: {said}");
            assert!(!said.contains("evil") && !said.contains("X-Evil"), "{field}, {name}: {said}");
        }
    }
    assert_eq!(scene.get().code(), 6, "there is no such account");
    assert!(agent.runs());
    assert_eq!(scene.login().finish().code(), 0);
}

/// T24
#[test]
fn a_refresh_that_returns_no_token_is_refused_and_the_old_one_is_kept() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    for field in ["access", "refresh"] {
        for (name, fault) in Fault::bad_tokens(field) {
            // A server need not rotate: no new refresh token is no mistake.
            if field == "refresh" && ["missing", "null", "empty"].contains(&name) {
                continue;
            }
            assert_eq!(scene.login().finish().code(), 0);
            let old = scene.get().ok().to_owned();
            let before = scene.cloud.refreshes();
            scene.cloud.break_next(1, REFRESH, fault);
            let outcome = scene.renew();
            let _ = outcome.fails(1);
            assert_eq!(scene.cloud.refreshes(), before + 1, "{field}, {name}");
            assert_eq!(scene.get().ok(), old, "{field}, {name}");
        }
    }
    assert!(agent.runs());
    assert!(until(PATIENCE, || scene.renew().code() == 0), "what is held still renews");
    assert_eq!(scene.cloud.violations(), [""; 0]);
}

/// T26: every character that a token may have and a shell reads otherwise.
#[test]
fn what_env_prints_cannot_become_a_command_whatever_token_and_address_are() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    let hostile = r#"a'b";touch${IFS}pwn;#`touch${IFS}pwn`$(touch${IFS}pwn)\'&|<>(){}[]*?~!$HOME"#;
    let grant = Reply::json(200, &json!({"access": hostile, "refresh": "r3fresh-token"}));
    scene.cloud.break_always("*", Fault::Answer(grant));
    let url = format!("{}/a'b;touch${{IFS}}pwn;'", scene.cloud.url());
    let login = scene.sandbox.command(TOKEN).args(["login", "ecHome", "--no-input", "--set", "access-id=AKIA1"]);
    let login = login.args(["--url", &url, "--secret", "secret=env:S"]).env("S", &scene.secret).finish();
    assert_eq!(login.code(), 0, "{login:?}");
    let assignments = scene.sandbox.token(["ecHome", "-o", "env"]);
    for shell in ["sh", "bash", "dash"] {
        let Some(shell) = cloud_agent_tests::skip::find(shell) else { continue };
        let script = r#"eval "$(cat)"; printf '%s\n%s\n' "$ECHOME_TOKEN" "$ECHOME_URL""#;
        let seen = scene.sandbox.command(shell).args(["-c", script]).stdin(assignments.ok()).finish();
        let lines: Vec<&str> = seen.ok().lines().collect();
        assert_eq!(lines[0], hostile);
        assert!(lines[1].starts_with(&scene.cloud.url()) && lines.len() == 2, "{lines:?}");
    }
    assert!(!scene.sandbox.path("home/pwn").exists() && !scene.sandbox.path("home/.pwn").exists());
    assert_eq!(scene.sandbox.token(["ecHome", "-o", "headers"]).ok(), format!("Authorization: Bearer {hostile}"));
}

/// A token that says this about its end.
fn ending(exp: &Value) -> String {
    jwt::sign(&json!({"token_type": "access", "exp": exp, "jti": jwt::unique()}).to_string(), b"whatever")
}

/// T32
#[test]
fn what_a_token_says_of_its_end_is_a_hint_that_cannot_do_harm() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let end = now + 1800;
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century fit")]
    let half = end as f64 + 0.5;
    let cases = [
        ("seconds", json!(end), json!(end)),
        ("milliseconds", json!(end * 1000), json!(end)),
        ("a text", json!(end.to_string()), json!(end)),
        ("a fraction", json!(half), json!(end)),
        ("negative", json!(-5), Value::Null),
        ("zero", json!(0), Value::Null),
        ("no number", json!("soon"), Value::Null),
        ("null", Value::Null, Value::Null),
        ("a list", json!([end]), Value::Null),
        ("too large to be a moment", json!(1e300), Value::Null),
        ("the largest integer", json!(u64::MAX), Value::Null),
    ];
    for (name, said, want) in cases {
        let token = ending(&said);
        scene.cloud.break_next(1, LOGIN, Fault::Replace("access".into(), json!(token)));
        let login = scene.login().finish();
        assert_eq!(login.code(), 0, "{name}: {login:?}");
        let outcome = scene.sandbox.token(["ecHome", "-o", "json", "--no-input"]);
        let answer: Value = serde_json::from_str(outcome.ok()).unwrap();
        assert_eq!(answer["token"], json!(token), "{name}");
        assert_eq!(answer["expires_at_unix"], want, "{name}: {answer}");
        assert_eq!(answer["expiry_source"], if want.is_null() { "unknown" } else { "jwt" }, "{name}");
    }
    assert!(agent.runs());
}

/// T32
#[test]
fn a_token_that_was_over_when_it_came_is_never_handed_out_as_good() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    let over = ending(&json!(1_000_000_000));
    scene.cloud.break_next(1, LOGIN, Fault::Replace("access".into(), json!(over)));
    let _ = scene.login().finish();
    let outcome = scene.get();
    assert!(!outcome.stdout.contains(&over), "{outcome:?}");
    assert_eq!(outcome.code(), 0, "the next renewal brings a good one: {outcome:?}");
}
