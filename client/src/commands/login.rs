//! `login`: sets an account up, and asks the human for what is missing.

use std::ffi::OsString;
use std::time::Duration;

use cloud_agent_protocol::AccountName;
use cloud_agent_protocol::v1::{Login, NamedSecret, Setting};

use super::source::Source;
use crate::client::Client;
use crate::deadline::Deadline;
use crate::dialogue;
use crate::report::Failure;
use crate::tty::{Human, Tty};

/// What the command line said.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) account: String,
    pub(crate) cloud: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) urls: Vec<String>,
    pub(crate) settings: Vec<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) remember: bool,
    pub(crate) ephemeral: bool,
    pub(crate) no_input: bool,
    pub(crate) timeout: Duration,
}

/// Logs in.
#[cold]
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    AccountName::parse(&options.account)?;
    let sources = options.secrets.iter().map(|secret| Source::parse(secret)).collect::<Result<Vec<_>, _>>()?;
    if sources.iter().filter(|(_, source)| *source == Source::Stdin).count() > 1 {
        return Err(Failure::usage("only one secret can be read from stdin"));
    }
    let mut login = again(&options.account);
    login.origins = options.urls.iter().map(|url| origin(url)).collect();
    login.settings = options.settings.iter().map(|setting| pair(setting)).collect::<Result<_, _>>()?;
    login.cloud = options.cloud;
    login.method = options.method;
    login.remember = options.remember;
    login.ephemeral = options.ephemeral;

    let deadline = Deadline::after(options.timeout);
    let mut withheld = Vec::new();
    for (name, source) in sources {
        login.secrets.push(NamedSecret { value: source.read(&name, &deadline)?, name });
        if let Source::Env(variable) = source {
            withheld.push(OsString::from(variable));
        }
    }
    let mut tty = if options.no_input { None } else { Tty::open().ok() };
    // The time that a program or a pipe took to hand a secret over is not the cloud's: the clock starts now.
    let client = Client::new(options.timeout)?.withhold(withheld);
    let human = tty.as_mut().map(|tty| tty as &mut dyn Human);
    super::tell(&dialogue::log_in(login, human, client)?);
    Ok(())
}

/// A login of an account with the settings it already has.
pub(crate) fn again(account: &str) -> Login {
    Login {
        account: account.to_owned(),
        cloud: None,
        method: None,
        origins: Vec::new(),
        settings: Vec::new(),
        secrets: Vec::new(),
        remember: false,
        ephemeral: false,
        interactive: false,
        deadline_ms: 0,
    }
}

/// Such a login, at the terminal, in the middle of something else.
#[cold]
pub(crate) fn at_terminal(account: &str, mut tty: Tty, timeout: Duration) -> Result<(), Failure> {
    let done = dialogue::log_in(again(account), Some(&mut tty), Client::new(timeout)?)?;
    super::tell(&done);
    Ok(())
}

/// `URL` or `NAME=URL`. A URL may hold a `=` too, but not before its scheme.
fn origin(given: &str) -> Setting {
    match given.split_once('=').filter(|(name, _)| !name.contains(['/', ':', '?'])) {
        Some((name, url)) => Setting { name: name.to_owned(), value: url.to_owned() },
        None => Setting { name: String::new(), value: given.to_owned() },
    }
}

fn pair(given: &str) -> Result<Setting, Failure> {
    match given.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Setting { name: name.to_owned(), value: value.to_owned() }),
        // The value is not repeated: it may be a secret that somebody typed in the wrong place.
        _ => Err(Failure::usage("`--set` takes `NAME=VALUE`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_name_only_if_one_is_given() {
        for (given, name, url) in [
            ("https://a.example", "", "https://a.example"),
            ("iam=https://b.example", "iam", "https://b.example"),
            ("https://a.example/?x=y", "", "https://a.example/?x=y"),
            ("a.example:8443", "", "a.example:8443"),
        ] {
            assert_eq!(origin(given), Setting { name: name.into(), value: url.into() });
        }
    }

    #[test]
    fn a_setting_may_be_empty_but_not_nameless_and_is_not_repeated_in_the_error() {
        assert_eq!(pair("a=b=c").unwrap(), Setting { name: "a".into(), value: "b=c".into() });
        assert_eq!(pair("a=").unwrap().value, "");
        for wrong in ["hunter2", "=hunter2"] {
            let failure = pair(wrong).unwrap_err();
            assert!(failure.code() == 2 && !format!("{failure:?}").contains("hunter2"));
        }
    }
}
