//! OpenStack Keystone, imitated and real: the token is in a header of the reply, and its end in the body.

use std::time::Duration;

use cloud_agent_tests::fake::keystone as fake;
use cloud_agent_tests::lab;
use cloud_agent_tests::sandbox::{Outcome, Run, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until, value};

use crate::support::{sandbox, token};

const USER: &str = "alice";
const PASSWORD: &str = "pw-of-alice-0123456789";
const PROJECT: &str = "demo";
const SECRET: &str = "s3cr3t-of-the-application-0123456789";
const SEED: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// Long enough for a login and one use on a busy machine: the real server counts whole seconds, and cuts the first.
const SHORT: Duration = Duration::from_secs(4);
/// The same where nothing renews, so that the first use must not come too late.
const LONGER: Duration = Duration::from_secs(8);
const LONG: Duration = Duration::from_hours(1);

/// A Keystone with one user, one project and one application credential.
struct Site<K> {
    cloud: K,
    credential: String,
}

/// What both can do.
trait Cloud {
    fn addresses(&self) -> [String; 2];
    fn accepts(&self, token: &str) -> bool;
    fn delete_credential(&self, id: &str);
    fn set_active(&self, user: &str, active: bool);
    fn want_factors(&self, user: &str, methods: &str);
    /// Wants a one-time code from now on, and says which.
    fn want_code(&self, user: &str) -> String;
}

impl Cloud for fake::Keystone {
    fn addresses(&self) -> [String; 2] {
        [self.url(), self.prefixed()]
    }

    fn accepts(&self, token: &str) -> bool {
        Self::accepts(self, token)
    }

    fn delete_credential(&self, id: &str) {
        Self::delete_credential(self, id);
    }

    fn set_active(&self, user: &str, active: bool) {
        Self::set_active(self, user, active);
    }

    fn want_factors(&self, user: &str, methods: &str) {
        Self::want_factors(self, user, methods);
    }

    fn want_code(&self, user: &str) -> String {
        Self::want_code(self, user, "012345");
        "012345".into()
    }
}

impl Cloud for lab::Keystone {
    fn addresses(&self) -> [String; 2] {
        [self.root().to_owned(), self.url()]
    }

    fn accepts(&self, token: &str) -> bool {
        Self::accepts(self, token)
    }

    fn delete_credential(&self, id: &str) {
        Self::delete_credential(self, id);
    }

    fn set_active(&self, user: &str, active: bool) {
        Self::set_active(self, user, active);
    }

    fn want_factors(&self, user: &str, methods: &str) {
        Self::want_factors(self, user, methods);
    }

    fn want_code(&self, user: &str) -> String {
        Self::want_code(self, user, SEED);
        self.code(SEED)
    }
}

fn imitated(life: Duration) -> Site<fake::Keystone> {
    let cloud = fake::Keystone::with(life);
    cloud.add_user(USER, PASSWORD, PROJECT);
    let credential = cloud.add_credential(USER, SECRET);
    Site { cloud, credential }
}

fn real(what: &str, life: Duration) -> Option<Site<lab::Keystone>> {
    let cloud = lab::Keystone::start(what, life)?;
    cloud.add_user(USER, PASSWORD, PROJECT);
    let credential = cloud.add_credential(USER, PROJECT, SECRET);
    Some(Site { cloud, credential })
}

/// Runs `body` with both, the real one where it can run.
macro_rules! with_both {
    ($name:ident, $life:expr, $body:expr) => {
        #[test]
        fn $name() {
            $body(&imitated($life));
            if let Some(site) = real(stringify!($name), $life) {
                $body(&site);
            }
        }
    };
}

impl<K: Cloud> Site<K> {
    fn with_credential<'a>(&self, sandbox: &'a Sandbox, secret: &str) -> Run<'a> {
        let id = format!("id={}", self.credential);
        let arguments = ["login", "stack", "--cloud", "keystone", "--url", &self.cloud.addresses()[1], "--set", &id];
        sandbox.command(TOKEN).args(arguments).args(["--secret", "secret=env:IT_SECRET"]).env("IT_SECRET", secret)
    }

    fn with_password<'a>(&self, sandbox: &'a Sandbox, password: &str) -> Run<'a> {
        let run = sandbox.command(TOKEN).args(["login", "stack", "--cloud", "keystone", "--method", "password"]);
        run.args(["--url", &self.cloud.addresses()[0], "--set", "username=alice", "--set", "user-domain=Default"])
            .args(["--set", "project=demo", "--set", "project-domain=Default"])
            .args(["--secret", "password=env:IT_SECRET"])
            .env("IT_SECRET", password)
    }

    /// A token that works. Short-lived ones may run out on their way on a busy machine, so another is asked for.
    #[track_caller]
    fn working(&self, sandbox: &Sandbox) -> String {
        let look = || Some(token(sandbox, "stack")).filter(|token| self.cloud.accepts(token));
        value(PATIENCE, look).expect("no token works")
    }

    #[track_caller]
    fn wait_until_refused(&self, token: &str) {
        assert!(until(PATIENCE, || !self.cloud.accepts(token)), "the token does not end");
    }
}

fn reject(sandbox: &Sandbox, token: &str) {
    sandbox.command(TOKEN).args(["reject", "stack"]).stdin(token).finish().ok();
}

#[track_caller]
fn says(outcome: &Outcome, code: i32, words: &str) {
    assert!(outcome.fails(code).contains(words), "not `{words}`: {}", outcome.stderr);
    assert!(!outcome.stderr.contains(PASSWORD) && !outcome.stderr.contains(SECRET), "{}", outcome.stderr);
}

fn an_application_credential(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    assert_eq!(site.with_credential(&sandbox, SECRET).finish().ok(), "");
    let first = site.working(&sandbox);
    site.wait_until_refused(&first);
    let second = site.working(&sandbox);
    assert_ne!(first, second, "the secret is held, so an ended token is no end");
    reject(&sandbox, &second);
    let third = site.working(&sandbox);
    assert_ne!(second, third);
    let headers = sandbox.token(["stack", "-o", "headers"]);
    let presented = headers.ok().strip_prefix("X-Auth-Token: ").expect("one header").to_owned();
    assert!(presented.starts_with("gAAAAAB") && presented.lines().count() == 1, "{presented}");
}
with_both!(an_application_credential_gives_working_tokens_through_several_lives, SHORT, an_application_credential);

fn a_deleted_credential(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    site.with_credential(&sandbox, SECRET).finish().ok();
    let last = site.working(&sandbox);
    site.cloud.delete_credential(&site.credential);
    assert!(!site.cloud.accepts(&last));
    reject(&sandbox, &last);
    for _ in 0..3 {
        let outcome = sandbox.token(["stack"]);
        assert!([1, 4].contains(&outcome.code()), "{outcome:?}");
        says(&outcome, outcome.code(), "does not know this credential any more");
        assert!(outcome.stderr.contains("cloud-token login stack"), "{}", outcome.stderr);
    }
}
with_both!(a_deleted_application_credential_is_told_in_words, LONG, a_deleted_credential);

#[test]
fn a_deleted_application_credential_is_asked_for_once() {
    let site = imitated(LONG);
    a_deleted_credential(&site);
    assert_eq!((site.cloud.logins(), site.cloud.violations()), (2, Vec::new()), "a final refusal is not tried again");
}

fn a_password(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    site.with_password(&sandbox, PASSWORD).finish().ok();
    let first = token(&sandbox, "stack");
    site.wait_until_refused(&first);
    says(&sandbox.token(["stack"]), 4, "cloud-token login stack");
    site.with_password(&sandbox, PASSWORD).arg("--remember").finish().ok();
    let second = site.working(&sandbox);
    site.wait_until_refused(&second);
    assert_ne!(site.working(&sandbox), second, "a remembered password logs in again");
}
with_both!(a_password_lasts_as_long_as_its_token_unless_it_is_remembered, LONGER, a_password);

fn a_logout(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    for password in [false, true] {
        if password {
            site.with_password(&sandbox, PASSWORD).finish().ok();
        } else {
            site.with_credential(&sandbox, SECRET).finish().ok();
        }
        let last = site.working(&sandbox);
        sandbox.token(["logout", "stack"]).ok();
        assert!(!site.cloud.accepts(&last), "a logout revokes");
        assert!([4, 6].contains(&sandbox.token(["stack"]).code()));
    }
}
with_both!(a_logout_revokes_the_token, LONG, a_logout);

fn wrong_secrets(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    says(&site.with_password(&sandbox, "wrong-1234").finish(), 1, "requires authentication");
    says(&site.with_credential(&sandbox, "wrong-1234").finish(), 1, "requires authentication");
    site.cloud.set_active(USER, false);
    says(&site.with_password(&sandbox, PASSWORD).finish(), 1, "requires authentication");
    site.cloud.set_active(USER, true);
    says(&site.with_password(&sandbox, PASSWORD).args(["--set", "project=other"]).finish(), 1, "requires");
    assert!([4, 6].contains(&sandbox.token(["stack"]).code()), "nothing was set up");
}
with_both!(wrong_secrets_are_refused_with_the_servers_words, LONG, wrong_secrets);

#[test]
fn a_wrong_secret_is_sent_once() {
    let site = imitated(LONG);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let _ = site.with_password(&sandbox, "wrong-1234").finish();
    assert_eq!(site.cloud.logins(), 1, "a refused login is not repeated: that locks accounts");
}

fn a_code(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let code = site.cloud.want_code(USER);
    let outcome = site.with_password(&sandbox, PASSWORD).arg("--no-input").finish();
    assert!(outcome.fails(4).contains("passcode"), "{}", outcome.stderr);
    let with = |code: &str| {
        let run = site.with_password(&sandbox, PASSWORD).args(["--secret", "passcode=env:IT_CODE"]);
        run.env("IT_CODE", code).finish()
    };
    let wrong = if code == "000000" { "000001" } else { "000000" };
    says(&with(wrong), 1, "the one-time code was wrong");
    with(&format!("{} {}", &code[..3], &code[3..])).ok();
    site.working(&sandbox);
}
with_both!(a_one_time_code_is_asked_for_when_the_server_wants_one, LONG, a_code);

fn another_factor(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    site.cloud.want_factors(USER, "password,application_credential");
    says(&site.with_password(&sandbox, PASSWORD).finish(), 1, "a second factor that is no one-time code");
    site.cloud.want_factors(USER, "password,totp");
    says(&site.with_credential(&sandbox, SECRET).finish(), 1, "a second factor all the same");
}
with_both!(a_second_factor_that_cannot_be_given_is_told_in_words, LONG, another_factor);

fn addresses(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let id = format!("id={}", site.credential);
    let login = |url: &str| {
        let arguments = ["login", "stack", "--cloud", "keystone", "--url", url, "--set", &id];
        let run = sandbox.command(TOKEN).args(arguments).args(["--secret", "secret=env:IT_SECRET"]);
        run.env("IT_SECRET", SECRET).finish()
    };
    for address in site.cloud.addresses() {
        for end in ["", "/", "/v3", "/v3/"] {
            login(&format!("{address}{end}")).ok();
            site.working(&sandbox);
            let variables = sandbox.token(["stack", "-o", "env"]);
            assert!(variables.ok().contains(&format!("OS_AUTH_URL='{address}/v3'")), "{}", variables.stdout);
        }
    }
    says(&login(&format!("{}/nowhere", site.cloud.addresses()[0])), 1, "is the address right?");
}
with_both!(an_address_may_have_a_prefix_and_may_end_in_the_version, LONG, addresses);

fn pasted(site: &Site<impl Cloud>) {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    site.with_password(&sandbox, PASSWORD).finish().ok();
    let found = token(&sandbox, "stack");
    let login = |text: &str| {
        let run = sandbox.command(TOKEN).args(["login", "pasted", "--cloud", "keystone", "--method", "token"]);
        run.args(["--url", &site.cloud.addresses()[1], "--secret", "token=stdin"]).stdin(text).finish()
    };
    login(&format!("{found}\n")).ok();
    assert_eq!(token(&sandbox, "pasted"), found);
    let shown = sandbox.token(["pasted", "-o", "json"]);
    let shown: serde_json::Value = serde_json::from_str(shown.ok()).expect("it is JSON");
    assert!(shown["expires_at"].is_number() || shown["expires_at"].is_string(), "its end was asked for: {shown}");
    sandbox.token(["logout", "pasted"]).ok();
    assert!(!site.cloud.accepts(&found));
    says(&login(&found), 1, "requires authentication");
}
with_both!(a_token_from_elsewhere_is_judged_by_the_server, LONG, pasted);

#[test]
fn the_environment_is_what_a_program_of_openstack_reads() {
    let Some(site) = real("the_environment_is_what_a_program_of_openstack_reads", LONG) else { return };
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    site.with_password(&sandbox, PASSWORD).finish().ok();
    // The library below every OpenStack client, reading its variables as those do.
    let program = "import argparse, sys
from keystoneauth1 import loading
parser = argparse.ArgumentParser()
loading.cli.register_argparse_arguments(parser, [])
loading.session.register_argparse_arguments(parser)
arguments = parser.parse_args([])
session = loading.session.load_from_argparse_arguments(arguments, auth=loading.cli.load_from_argparse_arguments(arguments))
print(session.get_project_id())";
    let script = "eval \"$(\"$0\" stack -o env)\"; exec \"$1\" -c \"$2\"";
    let run = sandbox.command("sh").args(["-c", script]).arg(sandbox.program(TOKEN));
    let seen = run.arg(lab::keystone::python()).arg(program).finish();
    assert_eq!(seen.ok().len(), 32, "the id of a project: {seen:?}");
}
