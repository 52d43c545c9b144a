//! What git's own test battery for helpers (`t0303-credential-external.sh`, `lib-credential.sh`) asks of one, through the
//! real `git credential`, as far as it applies.
//!
//! Most of its cases store something and want it back. This helper stores nothing: what it answers is an account's. Where
//! a case stores first, here an account is set up; what comes back is then judged as in the battery.
//!
//! Run as it is, against an agent without an account, the battery of git 2.47.3 passes 12 of its 21 cases; the other nine
//! (3, 8, 10, 11, 13, 14, 18, 19 and 21) want back what they stored.
//!
//! | case of the battery | here |
//! |---|---|
//! | has no existing data · requires matching protocol, host, username, path · not confused by long header | the same |
//! | stores password · can store empty username · stores long username and password · stores `password_expiry_utc` · stores `oauth_refresh_token` | taken in silence; nothing is stored |
//! | can retrieve password · gets authtype and credential, also with a user name · gets them only if asked for | the account's token |
//! | can store multiple users · remembers other user | two accounts at one address, told apart by the user name |
//! | overwrites on store, and when `password_expiry_utc` changes | nothing is stored |
//! | can forget host · can forget user · erases all matching · does not erase a password distinct from input | by the exact token; an account is ended by `cloud-token logout` |
//! | ephemeral credentials are not stored | nothing is |
//! | times out | does not apply: a token ends when the cloud says so |

use cloud_agent_tests::skip;

use super::git::put_script;
use super::{Stage, is_silent};

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
