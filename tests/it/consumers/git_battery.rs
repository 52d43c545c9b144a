//! git's own test battery for credential helpers (`t0303-credential-external.sh` and `lib-credential.sh`, git 2.47.3), through
//! the real `git credential`. Its cases are in `git_battery.txt`, and all of them are played, twice.
//!
//! Alone, this helper passes those in which nothing that was stored has to come back; which these are is pinned. The others
//! cannot be passed by a helper that stores nothing: they put a password of their own making in, and want it out again, while
//! what comes from here is an account's token. Where they ask for something that has a meaning for accounts, there is a test
//! of that below.
//!
//! Beside a helper that does store, as git's users have it, every case is passed: nothing of theirs is hindered.
//!
//! | wants back what it stored | with accounts |
//! |---|---|
//! | 3, 23, 25 | the account's token: `a_scheme_and_its_credentials_are_given_only_to_who_asks_for_them` |
//! | 10, 13 | two accounts at one address: `two_accounts_at_one_address_are_told_apart_by_the_user_name` |
//! | 8, 11 | a token is forgotten by its exact value: `the_token_is_forgotten_by_its_exact_value` |
//! | 14, 18, 19, 21 | nothing: there are no empty names, an end is the cloud's, and a refresh token never leaves the agent |
//!
//! The case `times out` is left out: a token ends when its cloud says so.

use cloud_agent_tests::skip;

use super::{Stage, is_silent};
use crate::support::put_script;

/// A case: its number and what it is about, and what is said and has to come back.
struct Case {
    title: &'static str,
    steps: Vec<Step>,
}

struct Step {
    verb: &'static str,
    says: String,
    /// Nothing, if it only says something.
    gets: String,
}

fn cases() -> Vec<Case> {
    // As long as makes a line of the 1,024 bytes that careless helpers have room for.
    let lines =
        |fields: &str| fields.split("; ").map(|field| field.replace("LONG", &"a".repeat(1001)) + "\n").collect();
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("git_battery.txt").lines().filter(|line| !(line.is_empty() || line.starts_with('#'))) {
        match (line.split_once(": "), cases.last_mut()) {
            (None, _) => cases.push(Case { title: line, steps: Vec::new() }),
            (Some(("gets", fields)), Some(case)) => case.steps.last_mut().unwrap().gets = lines(fields),
            (Some((verb, fields)), Some(case)) => {
                case.steps.push(Step { verb, says: lines(fields), gets: String::new() });
            }
            (Some(_), None) => panic!("a step of no case: {line}"),
        }
    }
    cases
}

/// The numbers of the cases that fail with these helpers. They are played in order: each may build on those before it.
fn failing(stage: &Stage, helpers: &[&str]) -> Vec<u32> {
    put_script(
        &stage.sandbox.path("home/askpass"),
        "#!/bin/sh\ncase $1 in Username*) echo USER ;; *) echo TYPED ;; esac\n",
    );
    let passes = |step: &Step| {
        let options = helpers.iter().flat_map(|helper| ["-c".to_owned(), format!("credential.helper={helper}")]);
        // Only one of the cases has paths, and it wants them looked at.
        let run = stage.sandbox.command("git").args(options).args(["-c", "credential.useHttpPath=true", "credential"]);
        let run = run.arg(step.verb).stdin(step.says.as_str()).env("GIT_CONFIG_NOSYSTEM", "1");
        let outcome = run.env("GIT_ASKPASS", stage.sandbox.path("home/askpass")).finish();
        outcome.code() == 0 && outcome.stdout == step.gets && outcome.stderr.is_empty()
    };
    // To its end in any case: what comes later builds on it.
    let failed = |case: &Case| case.steps.iter().filter(|step| !passes(step)).count() > 0;
    let number = |case: &Case| case.title.split(' ').next().unwrap().parse().unwrap();
    cases().iter().filter(|case| failed(case)).map(number).collect()
}

#[test]
fn every_case_in_which_nothing_stored_has_to_come_back_is_passed() {
    let what = "every_case_in_which_nothing_stored_has_to_come_back_is_passed";
    if skip::unless_tool(what, "git").is_none() {
        return;
    }
    let numbers: Vec<usize> =
        cases().iter().map(|case| case.title.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (1..=28).collect::<Vec<_>>(), "none is missing");
    assert_eq!(failing(&Stage::new(), &["cloud-token"]), [3, 8, 10, 11, 13, 14, 18, 19, 21, 23, 25]);
}

#[test]
fn beside_a_helper_that_stores_every_case_is_passed() {
    let what = "beside_a_helper_that_stores_every_case_is_passed";
    if skip::unless_tool(what, "git").is_none() {
        return;
    }
    // Somebody's account at another host: it has a say in none of this.
    let stage = Stage::serving("https://git.acme.example");
    let socket = stage.sandbox.path("home/cache/socket");
    let cache = format!("cache --socket={}", socket.display());
    for helpers in [["cloud-token", cache.as_str()], [cache.as_str(), "cloud-token"]] {
        assert_eq!(failing(&stage, &helpers), Vec::<u32>::new(), "{helpers:?}");
        let end = stage.sandbox.command("git").args(["credential-cache", "exit", "--socket"]).arg(&socket);
        end.finish().ok();
    }
}

struct Battery(Stage);

impl Battery {
    fn new(what: &str, serves: &str) -> Option<Self> {
        skip::unless_tool(what, "git")?;
        let stage = Stage::serving(serves);
        put_script(
            &stage.sandbox.path("home/askpass"),
            "#!/bin/sh\nwhat=$(echo \"$1\" | cut -d' ' -f1 | tr A-Z a-z | tr -cd a-z)\necho \"askpass-$what\"\n",
        );
        Some(Self(stage))
    }

    fn git(&self, verb: &str, text: &str) -> cloud_agent_tests::sandbox::Outcome {
        let run = self.0.sandbox.command("git").args([
            "-c",
            "credential.helper=cloud-token",
            "-c",
            "credential.useHttpPath=true",
        ]);
        let run = run.args(["credential", verb]).stdin(text);
        run.env("GIT_ASKPASS", self.0.sandbox.path("home/askpass")).env("GIT_CONFIG_NOSYSTEM", "1").finish()
    }

    #[track_caller]
    fn filled(&self, text: &str) -> Vec<String> {
        self.git("fill", text).ok().lines().map(str::to_owned).collect()
    }

    /// That git had to ask.
    #[track_caller]
    fn asks(&self, text: &str) {
        let filled = self.filled(text);
        assert!(filled.contains(&"password=askpass-password".to_owned()), "{text:?}: {filled:?}");
    }
}

#[test]
fn protocol_host_user_name_and_path_have_to_match() {
    let what = "protocol_host_user_name_and_path_have_to_match";
    let Some(it) = Battery::new(what, "https://example.com/team") else { return };
    it.asks("protocol=https\nhost=other.tld\npath=team\n");
    it.asks("protocol=http\nhost=example.com\npath=team\n");
    it.asks("protocol=https\nhost=example.com\npath=team\nusername=other\n");
    it.asks("protocol=https\nhost=example.com\npath=bar.git\n");
    it.asks("protocol=https\nhost=example.com\n");
    let filled = it.filled("protocol=https\nhost=example.com\npath=team/foo.git\n");
    assert!(filled.contains(&format!("password={}", it.0.token())), "{filled:?}");
}

#[test]
fn a_scheme_and_its_credentials_are_given_only_to_who_asks_for_them() {
    let what = "a_scheme_and_its_credentials_are_given_only_to_who_asks_for_them";
    let Some(it) = Battery::new(what, "https://git.example.com") else { return };
    let token = it.0.token();
    let plain = it.filled("protocol=https\nhost=git.example.com\n");
    assert!(plain.contains(&"username=ecHome".to_owned()) && plain.contains(&format!("password={token}")), "{plain:?}");
    assert!(!plain.iter().any(|line| line.starts_with("authtype") || line.starts_with("capability")), "{plain:?}");
    let new = it.filled("capability[]=authtype\nprotocol=https\nhost=git.example.com\n");
    for line in ["capability[]=authtype", "authtype=Bearer", "ephemeral=1", &format!("credential={token}")] {
        assert!(new.contains(&line.to_owned()), "{line}: {new:?}");
    }
    assert!(new.iter().any(|line| line.starts_with("password_expiry_utc=")), "{new:?}");
    assert!(!new.iter().any(|line| line.starts_with("password=") || line.starts_with("username=")), "{new:?}");
}

#[test]
fn two_accounts_at_one_address_are_told_apart_by_the_user_name() {
    let what = "two_accounts_at_one_address_are_told_apart_by_the_user_name";
    let Some(it) = Battery::new(what, "https://git.example.com") else { return };
    it.0.account("second", "https://git.example.com");
    for account in ["ecHome", "second"] {
        let token = crate::support::token(&it.0.sandbox, account);
        for capability in ["", "capability[]=authtype\n"] {
            let filled = it.filled(&format!("{capability}protocol=https\nhost=git.example.com\nusername={account}\n"));
            assert!(filled.iter().any(|line| line.ends_with(&format!("={token}"))), "{account}: {filled:?}");
        }
    }
    let outcome = it.git("fill", "protocol=https\nhost=git.example.com\n");
    assert_eq!(outcome.code(), 128, "git does not guess, and asks nobody: {outcome:?}");
    assert!(outcome.stderr.contains("`ecHome`, `second`"), "{}", outcome.stderr);
}

#[test]
fn whatever_git_wants_stored_is_taken_in_silence_and_never_comes_back() {
    let what = "whatever_git_wants_stored_is_taken_in_silence_and_never_comes_back";
    let Some(it) = Battery::new(what, "https://git.example.com") else { return };
    let long = "x".repeat(60_000);
    it.asks(&format!("protocol=https\nhost=victim.example.com\nwwwauth[]={}\n", "x".repeat(6_000)));
    for stored in [
        "protocol=https\nhost=example.com\nusername=store-user\npassword=store-pass\n",
        "protocol=https\nhost=sso.tld\nusername=\npassword=\n",
        "protocol=https\nhost=example.com\nusername=u\npassword=p\npassword_expiry_utc=4102444800\noauth_refresh_token=r\n",
        "capability[]=authtype\nauthtype=Bearer\ncredential=random-token\nprotocol=https\nhost=example.com\nephemeral=1\n",
        &format!("protocol=https\nhost=victim.example.com\nusername=user\npassword={long}\n"),
    ] {
        is_silent(&it.git("approve", stored));
    }
    for host in ["example.com", "victim.example.com"] {
        it.asks(&format!("protocol=https\nhost={host}\n"));
    }
    let files = it.0.sandbox.files();
    assert!(!files.iter().any(|(_, bytes)| bytes.windows(10).any(|window| window == b"store-pass")));
}

#[test]
fn the_token_is_forgotten_by_its_exact_value() {
    let Some(it) = Battery::new("the_token_is_forgotten_by_its_exact_value", "https://git.example.com") else { return };
    let token = it.0.token();
    is_silent(&it.git("reject", "protocol=https\nhost=git.example.com\nusername=ecHome\npassword=older\n"));
    assert_eq!(it.0.token(), token);
    is_silent(&it.git("reject", &format!("protocol=https\nhost=git.example.com\nusername=ecHome\npassword={token}\n")));
    assert_ne!(it.0.token(), token);
}
