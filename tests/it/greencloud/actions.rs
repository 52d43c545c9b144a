//! What is no login: an account of one's own, a second factor, nodes.

use std::fs::{self, OpenOptions};
use std::io::Write;

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::{Do, Request, Response};
use cloud_agent_tests::dialogue::{self, Dialogue};
use cloud_agent_tests::fake::greencloud::{ACTIVATE, LOGIN, NODE, Options, REGISTER, TWO_FACTOR, VERIFY};
use cloud_agent_tests::fake::totp;
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use super::{EMAIL, Given, given};
use crate::support::sandbox;

/// A code that no authenticator shows for long enough to be met by chance.
fn wrong(seed: &str) -> String {
    let right = totp::code(seed);
    ["000000", "111111"].into_iter().find(|code| *code != right).expect("it is one of two at most").to_owned()
}

/// The seed in an `otpauth` address.
#[track_caller]
fn seed_of(shown: &str) -> String {
    let address = shown.lines().find(|line| line.starts_with("otpauth://totp/")).expect("there is an address");
    let seed = address.split(['?', '&']).find_map(|part| part.strip_prefix("secret=")).expect("it has a seed");
    seed.to_owned()
}

impl Given {
    fn act(&self, request: Do) -> Dialogue {
        Dialogue::begin(self.sandbox.raw(), &Request::Do(request))
    }

    /// An account that is not set up, at this cloud.
    fn elsewhere(&self, request: Do) -> Dialogue {
        let origins = dialogue::named(&[("", &self.cloud.url())]);
        self.act(Do { cloud: Some("greencloud".into()), origins, interactive: false, ..request })
    }

    /// Enrols as a person does, and returns the seed that was shown.
    #[track_caller]
    fn enrol(&self) -> String {
        let enrolment = self.act(dialogue::action("green", "2fa-enable", &[], &[]));
        let seed = seed_of(enrolment.shown());
        let _ = enrolment.seen().answer("code", &totp::code(&seed)).acted();
        seed
    }
}

#[test]
fn the_actions_are_listed_with_what_they_need() {
    let it = given(Options::default());
    let list = Do { action: None, ..dialogue::action("anyone", "", &[], &[]) };
    let listed = it.elsewhere(list);
    let Response::Actions(actions) = &listed.said else { panic!("{:?}", listed.said) };
    let needs: Vec<_> = actions.actions.iter().map(|action| (action.name.as_str(), action.needs_login)).collect();
    let wanted = [
        ("register", false),
        ("activate", false),
        ("2fa-enable", true),
        ("2fa-disable", true),
        ("node-authorize", true),
    ];
    assert_eq!(needs, wanted);
}

#[test]
fn an_account_is_registered_activated_and_logged_in_to() {
    let it = given(Options::default());
    let email = "new.hill@example.com";
    let settings = [("name", "Richard"), ("surname", "Hill"), ("email", email)];
    let password = [("password", it.password.as_str())];
    let registered = it.elsewhere(dialogue::action("mine", "register", &settings, &password));
    assert!(registered.acted().notes.concat().contains(email), "{:?}", registered.said);
    assert!(!it.cloud.is_active(email));
    let sent = it.cloud.requests_to(REGISTER)[0].json().expect("it is JSON");
    assert_eq!(sent, json!({"name": "Richard", "surname": "Hill", "email": email, "password": it.password}));

    let code = it.cloud.mail(email).expect("a mail was sent");
    let activated = it.elsewhere(dialogue::action("mine", "activate", &[], &[("code", &code)]));
    assert!(!activated.acted().notes.is_empty());
    assert!(it.cloud.is_active(email));
    assert_eq!(it.sent(ACTIVATE, "code"), [Value::from(code)]);
    let status = it.sandbox.token(["status", "--json"]);
    assert!(status.ok().contains("\"accounts\":[]"), "an action sets nothing up: {status:?}");

    let login = dialogue::login("mine", &it.cloud.url(), &[("email", email)], &password);
    let login = cloud_agent_protocol::v1::Login { cloud: Some("greencloud".into()), interactive: false, ..login };
    assert!(Dialogue::begin(it.sandbox.raw(), &Request::Login(login)).done().contains("logged in"));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_refused_registration_is_told_in_the_clouds_words_and_without_the_password() {
    let it = given(Options::default());
    let settings = [("name", "Richard"), ("surname", "Hill"), ("email", EMAIL)];
    let refused = it.elsewhere(dialogue::action("mine", "register", &settings, &[("password", &it.password)]));
    let fault = refused.fault();
    assert_eq!(fault.kind, FaultKind::Refused);
    let words = format!("{fault:?}");
    assert!(words.contains("EMAIL_IN_USE") && !words.contains(&it.password), "{words}");
    let missing = it.elsewhere(dialogue::action("mine", "register", &settings, &[]));
    assert_eq!(missing.fault().kind, FaultKind::NeedsHuman, "{:?}", missing.said);
    assert_eq!(it.cloud.count(REGISTER), 1, "nothing is sent without a password");
}

#[test]
fn a_seed_is_shown_once_and_held_only_when_a_code_of_it_was_confirmed() {
    let it = given(Options::default());
    it.login().finish().ok();
    let enrolment = it.act(dialogue::action("green", "2fa-enable", &[], &[]));
    let shown = enrolment.shown().to_owned();
    let seed = seed_of(&shown);
    assert_eq!(Some(&seed), it.cloud.pending_seed(EMAIL).as_ref());
    assert!(shown.contains("issuer=Green%20Cloud") && shown.contains("richard.hill%40example.com"), "{shown}");
    assert!(shown.lines().filter(|line| line.contains('█')).count() > 10, "there is a picture:\n{shown}");

    let asked = enrolment.seen();
    assert_eq!(it.cloud.count(VERIFY), 0, "nothing is confirmed before somebody has it");
    let again = asked.answer("code", &wrong(&seed));
    assert!(!it.cloud.is_enrolled(EMAIL));
    assert_eq!(it.holds(), ["refresh"]);
    let done = again.answer("code", &totp::code(&seed));
    assert!(!done.acted().notes.concat().contains(&seed));
    assert!(it.cloud.is_enrolled(EMAIL));
    assert_eq!(it.holds(), ["refresh", "seed"]);
    assert_eq!(it.cloud.count(TWO_FACTOR), 1, "a wrong code needs no new seed");
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn an_enrolment_that_is_given_up_holds_nothing() {
    let it = given(Options::default());
    it.login().finish().ok();
    let unseen = it.act(dialogue::action("green", "2fa-enable", &[], &[])).give_up();
    assert_eq!(unseen.fault().kind, FaultKind::NeedsHuman);
    let unanswered = it.act(dialogue::action("green", "2fa-enable", &[], &[])).seen().give_up();
    assert_eq!(unanswered.fault().kind, FaultKind::NeedsHuman);
    let mistaken = it.act(dialogue::action("green", "2fa-enable", &[], &[])).seen();
    let code = wrong(&it.cloud.pending_seed(EMAIL).expect("one was asked for"));
    let mistaken = mistaken.answer("code", &code).answer("code", &code).answer("code", &code);
    assert_eq!(mistaken.fault().kind, FaultKind::Refused);
    assert_eq!(it.cloud.count(VERIFY), 3);
    assert!(!it.cloud.is_enrolled(EMAIL));
    assert_eq!(it.holds(), ["refresh"]);
}

#[test]
fn a_seed_is_not_asked_for_where_nobody_could_see_it() {
    let it = given(Options::default());
    it.login().finish().ok();
    let blind = it.act(Do { interactive: false, ..dialogue::action("green", "2fa-enable", &[], &[]) });
    assert_eq!(blind.fault().kind, FaultKind::NeedsHuman);
    assert_eq!(it.cloud.count(TWO_FACTOR), 0);
}

#[test]
fn once_enrolled_the_agent_answers_for_the_code_and_never_with_the_one_that_was_confirmed() {
    let it = given(Options::default());
    it.login().finish().ok();
    it.enrol();
    // Within the step in which the person has used up its code, the agent waits for the next.
    it.login().args(["--timeout", "60s"]).deadline(PATIENCE_WITH_A_STEP).finish().ok();
    assert_eq!(it.cloud.count(LOGIN), 2, "the first code was right: one that was seen before is refused");
    let (confirmed, sent) = (it.sent(VERIFY, "code"), it.sent(LOGIN, "twofa"));
    assert!(sent.len() == 1 && confirmed.len() == 1 && sent[0] != confirmed[0]);
    assert!(it.cloud.accepts(&it.token()));
    assert_eq!(it.holds(), ["refresh", "seed"], "it outlives the login");
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

/// More than a client waits here, and a step of thirty seconds on top.
const PATIENCE_WITH_A_STEP: std::time::Duration = std::time::Duration::from_secs(90);

/// Two logins of one step: the first with a code, the second by the agent alone, which has to wait for another.
#[test]
fn a_renewal_answers_for_the_code_itself_and_never_twice_with_the_same() {
    let it = given(Options::default());
    let seed = it.cloud.enrol(EMAIL);
    let code = format!("code={}", totp::code(&seed));
    let login = it.login().args(["--remember", "--set", &code, "--secret", "seed=env:IT_SEED"]);
    login.env("IT_SEED", &seed).finish().ok();
    assert_eq!(it.holds(), ["password", "refresh", "seed"]);
    it.cloud.revoke_refresh_tokens();
    it.cloud.revoke_access_tokens();
    let first = it.token();
    it.reject(&first);
    let second = it.sandbox.command(TOKEN).args(["green", "--timeout", "60s"]).deadline(PATIENCE_WITH_A_STEP);
    assert!(it.cloud.accepts(second.finish().ok()));
    let sent = it.sent(LOGIN, "twofa");
    assert!(sent.len() == 2 && sent[0] != sent[1], "{} codes, of which none may be sent twice", sent.len());
}

#[test]
fn the_second_factor_is_switched_off_by_a_delete_with_a_body() {
    let it = given(Options::default());
    it.login().finish().ok();
    it.cloud.fix_code(EMAIL, "069303");
    let done = it.act(dialogue::action("green", "2fa-disable", &[], &[])).answer("code", "069 303");
    assert!(!done.acted().notes.is_empty());
    assert!(!it.cloud.is_enrolled(EMAIL));
    let sent = &it.cloud.requests_to(TWO_FACTOR)[0];
    assert_eq!((sent.method.as_str(), sent.json()), ("DELETE", Some(json!({"code": "069303"}))));
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_held_seed_switches_itself_off_and_is_forgotten() {
    let it = given(Options::default());
    let seed = it.cloud.enrol(EMAIL);
    // An API key needs no code, so none of the seed's was used before.
    it.login_with_key().args(["--secret", "seed=env:IT_SEED"]).env("IT_SEED", &seed).finish().ok();
    assert_eq!(it.holds(), ["api-key", "seed"]);
    // Nobody is there: the agent answers.
    let done = it.act(Do { interactive: false, ..dialogue::action("green", "2fa-disable", &[], &[]) });
    assert!(!done.acted().notes.is_empty());
    assert!(!it.cloud.is_enrolled(EMAIL));
    assert_eq!(it.holds(), ["api-key"]);
    it.login().args(["--method", "password"]).finish().ok();
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_node_is_authorised_by_its_id() {
    let it = given(Options::default());
    it.login().finish().ok();
    let id = "1a061cfd-df01-4b02-a067-5122c5941e15";
    let done = it.act(dialogue::action("green", "node-authorize", &[("id", id)], &[]));
    assert!(done.acted().notes.concat().contains(id));
    assert_eq!(it.cloud.nodes(EMAIL), [id]);
    assert_eq!(it.cloud.requests_to(NODE)[0].json(), Some(json!({"id": id})));
    let unset = it.act(dialogue::action("nobody", "node-authorize", &[("id", id)], &[]));
    assert!(matches!(unset.said, Response::Fault(_) | Response::Question(_)), "{:?}", unset.said);
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn no_seed_and_no_code_is_in_a_log_or_a_file() {
    let mut it = given(Options::default());
    it.sandbox = sandbox();
    it.sandbox.set("CLOUD_AGENT_LOG", "trace");
    it.sandbox.set("RUST_LOG", "trace");
    it.agent = it.sandbox.agent_with(["--vault", "memory", "-vvv"]);
    it.login().finish().ok();
    let seed = it.enrol();
    let status = it.sandbox.token(["status", "--json"]);
    let code = it.sent(VERIFY, "code").pop().and_then(|code| code.as_str().map(str::to_owned)).expect("one was sent");
    let said = format!("{}{}", status.stdout, it.agent.log());
    assert!(!said.contains(&seed) && !said.contains(&format!("\"{code}\"")), "{said}");
    it.assert_silent(&said);
}

#[test]
fn the_client_does_what_the_cloud_names() {
    let it = given(Options::default());
    let (url, email) = (it.cloud.url(), "new.hill@example.com");
    let register = it.sandbox.command(TOKEN).args(["do", "mine", "register", "--cloud", "greencloud", "--url", &url]);
    let register =
        register.args(["--set", "name=Richard", "--set", "surname=Hill", "--set", &format!("email={email}")]);
    let registered = register.args(["--secret", "password=env:IT_SECRET"]).env("IT_SECRET", &it.password).finish();
    assert!(registered.ok().is_empty() && registered.stderr.contains(email), "words are not data: {registered:?}");
    let code = it.cloud.mail(email).expect("a mail was sent");
    let activate = ["do", "mine", "activate", "--cloud", "greencloud", "--url", &url, "--secret", "code=stdin"];
    it.sandbox.command(TOKEN).args(activate).stdin(code).finish().ok();
    assert!(it.cloud.is_active(email));

    it.login().finish().ok();
    let listed = it.sandbox.token(["do", "green"]);
    for action in ["register", "activate", "2fa-enable", "2fa-disable", "node-authorize"] {
        assert!(listed.ok().contains(&format!("cloud-token do green {action}  ")), "{listed:?}");
    }
    it.sandbox.token(["do", "green", "node-authorize", "--set", "id=1a061cfd"]).ok();
    assert_eq!(it.cloud.nodes(EMAIL), ["1a061cfd"]);
    it.cloud.fix_code(EMAIL, "069303");
    it.sandbox.token(["do", "green", "2fa-disable", "--set", "code=069 303"]).ok();
    assert!(!it.cloud.is_enrolled(EMAIL));
    it.sandbox.token(["do", "green", "2fa-enable"]).fails(4);
    assert!(it.sandbox.token(["do", "green", "2fa-enabel"]).fails(2).contains("2fa-enable"));
    it.sandbox.token(["do", "green", "node-authorize"]).fails(4);
    assert_eq!(it.cloud.violations(), Vec::<String>::new());
}

#[test]
fn a_person_at_a_terminal_scans_the_seed_and_confirms_a_code() {
    let what = "a_person_at_a_terminal_scans_the_seed_and_confirms_a_code";
    if skip::unless_tool(what, "script").is_none() || skip::unless_tool(what, "mkfifo").is_none() {
        return;
    }
    let it = given(Options::default());
    it.login().finish().ok();
    let (keys, screen) = (it.sandbox.path("home/keys"), it.sandbox.path("screen"));
    it.sandbox.command("mkfifo").arg(&keys).finish().ok();
    // Open at both ends, so that neither end waits for the other to open.
    let mut typing = OpenOptions::new().read(true).write(true).open(&keys).unwrap();
    let program = it.sandbox.program(TOKEN);
    let command = format!("{} do green 2fa-enable", program.display());
    let terminal = format!("exec script -qefc '{command}' '{}' <'{}'", screen.display(), keys.display());
    let session = it.sandbox.command("sh").args(["-c", &terminal]).spawn();
    let on_screen = || String::from_utf8_lossy(&fs::read(&screen).unwrap_or_default()).into_owned();
    let prompts =
        |times: usize| until(PATIENCE, || on_screen().matches("Code that your authenticator shows").count() >= times);
    assert!(prompts(1));
    let seed = it.cloud.pending_seed(EMAIL).expect("one was asked for");
    assert!(on_screen().contains(&seed));
    writeln!(typing, "{}", wrong(&seed)).unwrap();
    assert!(prompts(2) && on_screen().contains("INVALID_TWOFA"), "it is asked again, and says why");
    writeln!(typing, "{}", totp::code(&seed)).unwrap();
    let outcome = session.finish();
    assert!(outcome.ok().contains('█'), "there is a picture: {outcome:?}");
    assert!(it.cloud.is_enrolled(EMAIL));
    assert_eq!(it.holds(), ["refresh", "seed"]);
    fs::remove_file(&screen).unwrap();
    it.assert_silent("");
}
