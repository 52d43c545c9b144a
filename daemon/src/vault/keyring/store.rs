//! The process that asks the keyring: `cloud-agent keyring get|set|erase ID`. It knows no vault and no agent.
//!
//! What it is told comes by stdin, what it finds goes to stdout. Whoever runs it could ask the keyring as well.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use keyring::{CredentialStore, Entry, Error};
use zeroize::Zeroizing;

/// What a keyring calls us.
const SERVICE: &str = "cloud-agent";
/// What a human sees in it.
#[cfg(not(any(windows, target_os = "macos")))]
const LABEL: &str = "The key of cloud-agent's vault";
/// The longest key, as text.
const LONGEST: u64 = 1024;

/// What it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Print the key.
    Get,
    /// Keep the key.
    Set,
    /// Forget it.
    Erase,
}

impl Asked {
    const ALL: [(&'static str, Self); 3] = [("get", Self::Get), ("set", Self::Set), ("erase", Self::Erase)];

    /// As the command line calls it.
    pub(super) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, asked)| *asked == self).map_or("", |(word, _)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, asked)| *asked)
    }
}

/// What it answers, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// There is nothing of that name.
    NoEntry,
    /// It is locked, or there is no collection.
    NoAccess,
    /// Anything else.
    Failed,
}

impl Answer {
    const ALL: [(u8, Self); 4] = [(0, Self::Done), (10, Self::NoEntry), (11, Self::NoAccess), (1, Self::Failed)];

    fn code(self) -> u8 {
        Self::ALL.iter().find(|(_, answer)| *answer == self).map_or(1, |(code, _)| *code)
    }

    /// What an exit code means.
    pub(super) fn of(code: Option<i32>) -> Self {
        Self::ALL.iter().find(|(known, _)| Some(i32::from(*known)) == code).map_or(Self::Failed, |(_, answer)| *answer)
    }
}

/// The whole process.
pub(crate) fn main(word: &str, id: &str) -> ExitCode {
    let done = Asked::parse(word).ok_or_else(|| Error::Invalid(word.into(), "is none of get, set, erase".into()));
    let answer = match done.and_then(|asked| perform(asked, id)) {
        Ok(()) => Answer::Done,
        Err(error) => {
            // The words of some errors hold what was found; those of these kinds do not.
            match &error {
                Error::NoStorageAccess(why) | Error::PlatformFailure(why) => eprintln!("{why}"),
                Error::NoEntry => eprintln!("there is no such entry"),
                Error::Ambiguous(_) => eprintln!("there are several entries of that name"),
                Error::Invalid(what, why) => eprintln!("`{what}` {why}"),
                _ => eprintln!("what is there is no text"),
            }
            match error {
                Error::NoEntry => Answer::NoEntry,
                Error::NoStorageAccess(_) => Answer::NoAccess,
                _ => Answer::Failed,
            }
        }
    };
    ExitCode::from(answer.code())
}

fn perform(asked: Asked, id: &str) -> Result<(), Error> {
    let failed = |why: io::Error| Error::PlatformFailure(Box::new(why));
    let store = store()?;
    let entry = Entry::new_in_store_with_modifiers(&store, SERVICE, id, &modifiers())?;
    match asked {
        Asked::Get => {
            let found = Zeroizing::new(entry.get_secret()?);
            io::stdout().write_all(&found).and_then(|()| io::stdout().flush()).map_err(failed)
        }
        Asked::Set => {
            let mut told = Zeroizing::new(Vec::with_capacity(1024));
            io::stdin().take(LONGEST).read_to_end(&mut told).map_err(failed)?;
            entry.set_secret(&told)
        }
        Asked::Erase => match entry.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            other => other,
        },
    }
}

#[cfg(target_os = "macos")]
fn store() -> Result<Arc<CredentialStore>, Error> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn store() -> Result<Arc<CredentialStore>, Error> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"))]
fn store() -> Result<Arc<CredentialStore>, Error> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "macos", windows, target_os = "linux", target_os = "freebsd", target_os = "openbsd")))]
fn store() -> Result<Arc<CredentialStore>, Error> {
    Err(Error::NotSupportedByStore("this system has no keyring that cloud-agent knows".into()))
}

/// How an entry is made.
fn modifiers() -> HashMap<&'static str, &'static str> {
    // By itself it would roam with the profile, to machines that have no use for it.
    #[cfg(windows)]
    return HashMap::from([("persistence", "local")]);
    #[cfg(target_os = "macos")]
    return HashMap::new();
    #[cfg(not(any(windows, target_os = "macos")))]
    HashMap::from([("label", LABEL)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_are_read_as_they_are_written() {
        for (word, asked) in Asked::ALL {
            assert_eq!((asked.word(), Asked::parse(word)), (word, Some(asked)));
        }
        for (code, answer) in Answer::ALL {
            assert_eq!((answer.code(), Answer::of(Some(code.into()))), (code, answer));
        }
        assert_eq!((Answer::of(None), Answer::of(Some(101))), (Answer::Failed, Answer::Failed));
    }
}
