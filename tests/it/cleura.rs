//! Cleura: two generations of a login, two headers, tokens that say nothing about their end.

mod codes;
mod ends;

use cloud_agent_tests::fake::cleura::{Cleura, DOMAINS, Options, Second, TOKENS, TOKENS_V2, VALIDATE};
use cloud_agent_tests::fake::{Fault, Reply, Server};
use cloud_agent_tests::sandbox::{Agent, Outcome, Run, Sandbox, TOKEN};
use serde_json::{Value, json};

use crate::support::{assert_fault, sandbox, token};

const WHO: &str = "alice@example.com";

/// A Cleura with one user, and an agent.
struct Given {
    cloud: Cleura,
    password: String,
    sandbox: Sandbox,
    agent: Agent,
}

fn given(second: Second) -> Given {
    given_with(second, Options::default())
}

fn given_with(second: Second, options: Options) -> Given {
    let cloud = Cleura::with(options);
    let password = cloud.add(WHO, second);
    let sandbox = sandbox();
    let agent = sandbox.agent();
    Given { cloud, password, sandbox, agent }
}

impl Given {
    fn login(&self) -> Run<'_> {
        self.login_at("cleura", &self.cloud.url())
    }

    /// Without a terminal, whoever runs the tests.
    fn login_at(&self, account: &str, url: &str) -> Run<'_> {
        let who = format!("username={WHO}");
        let run = self.sandbox.command("setsid").arg("--wait").arg(self.sandbox.program(TOKEN));
        run.args(["login", account, "--cloud", "cleura", "--url", url, "--set", &who])
            .args(["--secret", "password=env:IT_PASSWORD"])
            .env("IT_PASSWORD", &self.password)
    }

    fn paste(&self, panel: &str) -> Outcome {
        let who = format!("username={WHO}");
        let run = self.sandbox.command(TOKEN).args(["login", "cleura", "--url", &self.cloud.url(), "--set", &who]);
        run.args(["--method", "token", "--secret", "token=stdin", "--no-input"]).stdin(panel).finish()
    }

    fn token(&self) -> String {
        token(&self.sandbox, "cleura")
    }

    #[track_caller]
    fn is_well(&self) {
        assert!(self.cloud.accepts(WHO, &self.token()));
        assert_eq!(self.cloud.violations(), Vec::<String>::new());
        assert!(self.agent.runs());
    }

    fn account(&self) -> Value {
        let status: Value = serde_json::from_str(self.sandbox.token(["status", "--json"]).ok()).unwrap();
        status["accounts"][0].clone()
    }
}

/// Case 14.
#[test]
fn a_login_without_a_second_factor_presents_both_headers() {
    for (method, path) in [("password", TOKENS), ("password-v2", TOKENS_V2)] {
        let it = given(Second::None);
        assert_eq!(it.login().args(["--method", method]).finish().ok(), "");
        let token = it.token();
        let headers = it.sandbox.token(["cleura", "-o", "headers"]).ok().to_owned();
        assert_eq!(headers, format!("X-AUTH-LOGIN: {WHO}\nX-AUTH-TOKEN: {token}"), "{method}");
        let env = it.sandbox.token(["cleura", "-o", "env"]).ok().to_owned();
        for line in [format!("CLEURA_API_USERNAME='{WHO}'"), format!("CLEURA_API_TOKEN='{token}'")] {
            assert!(env.contains(&line), "{env}");
        }
        assert_eq!((it.cloud.count(path), it.cloud.logins()), (1, 1), "{method}");
        it.is_well();
    }
}

/// Case 18.
#[test]
fn a_token_whose_end_nobody_tells_is_taken_to_live_for_twenty_hours_unless_the_account_says_otherwise() {
    let it = given(Second::None);
    let life = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let json: Value = serde_json::from_str(it.sandbox.token(["cleura", "-o", "json"]).ok()).unwrap();
        assert_eq!(json["expiry_source"], "assumed");
        json["expires_at_unix"].as_u64().unwrap() - now
    };
    it.login().finish().ok();
    assert!((71_900..=72_000).contains(&life()), "{}", life());
    it.login().args(["--set", "lifetime=1h"]).finish().ok();
    assert!((3_500..=3_600).contains(&life()), "{}", life());
}

/// Case 14: a reply that is not what it should be is a fault that names the field, and nothing is kept.
/// T33: a 200 that is no success.
#[test]
fn a_reply_without_a_usable_token_is_a_fault_that_names_the_field() {
    let reply = |body: &str| Fault::Answer(Reply::typed(200, "application/json", body));
    let cases = [
        (reply(r#"{"result":"login_ok"}"#), "`token`"),
        (reply(r#"{"result":"login_ok","token":""}"#), "`token`"),
        (reply(r#"{"result":"login_ok","token":null}"#), "`token`"),
        (reply(r#"{"result":"login_ok","token":7}"#), "`token`"),
        (reply(r#"{"result":"login_ok","token":"a\nb"}"#), "`token`"),
        (reply(r#"{"result":"password_expired"}"#), "`result` is `password_expired`"),
        (reply(r#"{"token":"0123456789abcdef"}"#), "`result`"),
        (reply(r#"{"result":7,"token":"0123456789abcdef"}"#), "`result` is `7`"),
        (
            reply(r#"{"result":"login_ok","token":"first","token":"second"}"#),
            "`token` (`/token`) of the step `login` is there twice",
        ),
        (reply(r#"{"result":"login_ok","token":"first","x":1,"x":2}"#), "not strict JSON"),
        (reply(""), "empty"),
        (Fault::captive_portal(), "web page"),
    ];
    for method in ["password", "password-v2"] {
        for (fault, words) in &cases {
            let it = given(Second::None);
            it.cloud.break_always("*", fault.clone());
            let outcome = it.login().args(["--method", method]).finish();
            assert!(outcome.fails(1).contains(words), "{method}, {words}: {outcome:?}");
            assert!(!outcome.stderr.contains("0123456789abcdef") && !outcome.stderr.contains(&it.password));
            assert!([4, 6].contains(&it.sandbox.token(["cleura"]).code()), "{words}: something was kept");
        }
    }
}

#[test]
fn a_wrong_password_is_refused_once_and_sets_nothing_up() {
    for (method, refusal) in [("password", 400), ("password", 401), ("password", 403), ("password-v2", 400)] {
        let it = given_with(Second::None, Options { refusal, ..Options::default() });
        let outcome = it.login().args(["--method", method]).env("IT_PASSWORD", "wrong-password-1").finish();
        assert!(outcome.fails(1).contains("Invalid login or password"), "{method} {refusal}: {outcome:?}");
        assert!(!outcome.stderr.contains("wrong-password-1"));
        assert_eq!(it.cloud.logins(), 1, "a refused login is not repeated: that locks users out");
        assert!([4, 6].contains(&it.sandbox.token(["cleura"]).code()));
    }
}

#[test]
fn a_user_who_is_locked_out_is_not_tried_again_by_itself() {
    let it = given_with(Second::None, Options { wrong_passwords: 1, ..Options::default() });
    it.login().arg("--remember").finish().ok();
    let _ = it.login_at("other", &it.cloud.url()).env("IT_PASSWORD", "wrong-password-1").finish();
    it.cloud.end_tokens();
    it.sandbox.token(["reject", "cleura"]).ok();
    assert!([1, 4].contains(&it.sandbox.token(["cleura"]).code()));
    let logins = it.cloud.logins();
    for _ in 0..5 {
        assert!(!it.sandbox.token(["cleura"]).status.success());
    }
    assert_eq!(it.cloud.logins(), logins, "a refusal is final until the human acts");
}

#[test]
fn an_address_without_one_generation_of_the_login_leads_to_the_other() {
    for (method, path, other) in
        [("password", TOKENS, "--method password-v2"), ("password-v2", TOKENS_V2, "--method password`")]
    {
        for status in [404, 405] {
            let it = given(Second::None);
            it.cloud.break_always(path, Fault::status(status, &json!({})));
            let outcome = it.login().args(["--method", method]).finish();
            assert!(outcome.fails(1).contains(other), "{method} {status}: {outcome:?}");
        }
    }
}

/// Case 19.
#[test]
fn a_redirect_of_a_login_is_not_followed() {
    let it = given(Second::None);
    let elsewhere = Server::unvisited();
    for status in [301, 302, 303, 307, 308] {
        it.cloud.break_next(1, TOKENS, Fault::redirect(status, &format!("{}{TOKENS}", elsewhere.url())));
        assert_fault(&it.login().finish(), &[1], &status.to_string());
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_pasted_token_is_asked_about_before_it_is_kept() {
    let it = given(Second::WebAuthn);
    let panel = it.cloud.panel_token(WHO);
    it.cloud.end_tokens();
    let outcome = it.paste(&panel);
    assert!(outcome.fails(1).contains("is not of this user at this address"), "{outcome:?}");
    assert!([4, 6].contains(&it.sandbox.token(["cleura"]).code()), "a dead token was kept");
    it.cloud.break_next(1, VALIDATE, Fault::status(500, &json!({})));
    assert_eq!(it.paste(&panel).code(), 5, "trouble at the cloud says nothing about the token");
    let panel = it.cloud.panel_token(WHO);
    assert_eq!(it.paste(&format!("{panel}\n")).ok(), "");
    assert_eq!((it.token(), it.cloud.count(VALIDATE), it.cloud.logins()), (panel, 3, 0));
    it.is_well();
}

#[test]
fn a_pasted_token_of_somebody_else_is_refused() {
    let it = given(Second::None);
    let _ = it.cloud.add("bob", Second::None);
    assert_eq!(it.paste(&it.cloud.panel_token("bob")).code(), 1);
    assert!([4, 6].contains(&it.sandbox.token(["cleura"]).code()));
}

/// Case 17: the public and the compliant cloud are two hosts, and so are two accounts.
#[test]
fn a_token_is_never_sent_to_another_host_than_the_one_that_minted_it() {
    let it = given(Second::None);
    let compliant = Cleura::start();
    let other = compliant.add(WHO, Second::None);
    it.login().arg("--remember").finish().ok();
    it.login_at("cleura-compliant", &compliant.url()).env("IT_PASSWORD", &other).finish().ok();
    let (first, second) = (it.token(), token(&it.sandbox, "cleura-compliant"));
    assert!(it.cloud.accepts(WHO, &first) && compliant.accepts(WHO, &second));
    // The account moves: whatever is held of it belongs to where it was.
    let moved = it.login_at("cleura", &compliant.url()).env("IT_PASSWORD", &other).finish();
    moved.ok();
    let third = it.token();
    assert!(compliant.accepts(WHO, &third));
    it.sandbox.token(["logout", "cleura", "cleura-compliant"]).ok();
    assert!(!compliant.accepts(WHO, &third) && !compliant.accepts(WHO, &second), "both are revoked");
    for (cloud, secret) in [(&compliant, &first), (&compliant, &it.password), (&it.cloud, &second), (&it.cloud, &third)]
    {
        assert!(!cloud.saw(secret), "a secret went to the wrong host");
    }
    assert!(!it.cloud.saw(&other));
    assert_eq!(compliant.violations(), Vec::<String>::new());
}

/// Case 17.
#[test]
fn name_and_token_of_two_users_are_never_mixed() {
    let it = given(Second::None);
    let bobs = it.cloud.add("bob", Second::None);
    it.login().finish().ok();
    let at = ["login", "cleura-bob", "--url", &it.cloud.url(), "--set", "username=bob", "--no-input"];
    let run = it.sandbox.command(TOKEN).args(at).args(["--secret", "password=stdin"]);
    run.stdin(bobs.as_str()).finish().ok();
    for (account, who) in [("cleura", WHO), ("cleura-bob", "bob"), ("cleura", WHO)] {
        let token = token(&it.sandbox, account);
        let headers = it.sandbox.token([account, "-o", "headers"]).ok().to_owned();
        assert_eq!(headers, format!("X-AUTH-LOGIN: {who}\nX-AUTH-TOKEN: {token}"));
        assert!(it.cloud.accepts(who, &token));
    }
    it.is_well();
}

/// Case 17.
#[test]
fn a_user_without_a_privilege_keeps_a_token_that_is_good_for_everything_else() {
    let it = given(Second::None);
    it.login().arg("--remember").finish().ok();
    let before = it.token();
    it.cloud.set_privileged(WHO, false);
    let outcome = it.sandbox.token(["do", "cleura", "regions"]);
    let words = outcome.fails(1);
    assert!(words.contains("privilege") && words.contains("No access: openstack"), "{outcome:?}");
    assert_eq!((it.token(), it.cloud.logins()), (before.clone(), 1));
    assert_eq!(it.cloud.count(VALIDATE), 0, "the words were enough");
    it.cloud.end_tokens();
    let outcome = it.sandbox.token(["do", "cleura", "regions"]);
    assert!(outcome.fails(1).contains("the token has ended"), "{outcome:?}");
    assert_ne!(it.token(), before, "it is forgotten by that");
    it.is_well();
}

#[test]
fn the_documented_call_is_an_action_that_prints_the_regions() {
    let it = given(Second::None);
    it.login().finish().ok();
    let printed = it.sandbox.token(["do", "cleura", "regions"]).ok().to_owned();
    for region in ["Sto2", "Fra1", "Kna1", "Stockholm / Sweden", "SE_STO2"] {
        assert!(printed.contains(region), "{printed}");
    }
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert!(it.sandbox.token(["do", "cleura"]).ok().contains("regions"), "without a name they are listed");
    assert_eq!(it.cloud.count(DOMAINS), 1);
    it.is_well();
}
