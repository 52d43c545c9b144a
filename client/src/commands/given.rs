//! What the command line gives to a login or an action: settings, addresses, and where secrets are read from.

use std::ffi::OsString;
use std::time::Duration;

use cloud_agent_protocol::v1::{NamedSecret, Setting};

use super::source::Source;
use crate::deadline::Deadline;
use crate::report::Failure;

/// The places that `--secret` names.
///
/// # Errors
/// `Usage`, also if two of them are stdin.
pub(super) fn sources(given: &[String]) -> Result<Vec<(String, Source)>, Failure> {
    let sources = given.iter().map(|secret| Source::parse(secret)).collect::<Result<Vec<_>, _>>()?;
    if sources.iter().filter(|(_, source)| *source == Source::Stdin).count() > 1 {
        return Err(Failure::usage("only one secret can be read from stdin"));
    }
    Ok(sources)
}

/// Reads them; and the environment variables that a new agent must not inherit.
pub(super) fn read(
    sources: Vec<(String, Source)>,
    timeout: Duration,
) -> Result<(Vec<NamedSecret>, Vec<OsString>), Failure> {
    let deadline = Deadline::after(timeout);
    let (mut secrets, mut withheld) = (Vec::new(), Vec::new());
    for (name, source) in sources {
        secrets.push(NamedSecret { value: source.read(&name, &deadline)?, name });
        if let Source::Env(variable) = source {
            withheld.push(OsString::from(variable));
        }
    }
    Ok((secrets, withheld))
}

/// `URL` or `NAME=URL`. A URL may hold a `=` too, but not before its scheme.
pub(super) fn origin(given: &str) -> Setting {
    match given.split_once('=').filter(|(name, _)| !name.contains(['/', ':', '?'])) {
        Some((name, url)) => Setting { name: name.to_owned(), value: url.to_owned() },
        None => Setting { name: String::new(), value: given.to_owned() },
    }
}

/// `NAME=VALUE`.
pub(super) fn pair(given: &str) -> Result<Setting, Failure> {
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
