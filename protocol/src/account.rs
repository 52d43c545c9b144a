//! What an account may be called.

use std::fmt;
use std::sync::Arc;

use crate::{Fault, FaultKind};

/// The longest account name, in bytes. It fits a file name, an argument and a table column.
pub const MAX_ACCOUNT_NAME: usize = 64;

/// Words of the command line; an account of that name could never be asked for.
pub const RESERVED: &[&str] = &[
    "check",
    "clouds",
    "completions",
    "curl",
    "do",
    "doctor",
    "drop",
    "exec",
    "forward",
    "help",
    "helper",
    "lock",
    "log",
    "login",
    "logout",
    "man",
    "reject",
    "restart",
    "setup",
    "status",
    "stop",
    "token",
    "unlock",
    "vault",
    "version",
];

/// A valid account name. Two that differ only in case are the same account. Copies share their text.
#[derive(Debug, Clone)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// What `name` begins with, up to the first of `-`, `.`, `_` and `@`: `acme-work` is an account at `acme`, unless somebody
    /// says otherwise.
    #[must_use]
    pub fn stem(name: &str) -> &str {
        name.split(['-', '.', '_', '@']).next().unwrap_or_default()
    }

    /// Checks `name`: ASCII letters, digits, `.`, `_`, `-`, `@`; a letter or digit first; at most
    /// [`MAX_ACCOUNT_NAME`] bytes; no command of `cloud-token`.
    ///
    /// # Errors
    /// [`FaultKind::Usage`], saying which rule it breaks.
    pub fn parse(name: &str) -> Result<Self, Fault> {
        let usage = |why: &str| {
            Fault::new(FaultKind::Usage, format!("`{}` cannot be an account name", printable(name))).because(why)
        };
        if name.is_empty() {
            return Err(usage("it is empty"));
        }
        if name.len() > MAX_ACCOUNT_NAME {
            return Err(usage("it is longer than 64 bytes"));
        }
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(usage("it must start with a letter or a digit"));
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b)) {
            return Err(usage("only letters, digits, `.`, `_`, `-` and `@` are allowed"));
        }
        if RESERVED.iter().any(|word| name.eq_ignore_ascii_case(word)) {
            return Err(usage("it is a command of `cloud-token`"));
        }
        Ok(Self(name.into()))
    }

    /// As the user spelt it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In lower case: what the agent files it under.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `text` with control characters replaced and cut to 80 characters: hostile names must not steer a terminal.
fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass_and_compare_without_case() {
        for name in ["Acme", "acme-work", "a", "4", "ops@example.org", "x.y_z"] {
            assert_eq!(AccountName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(AccountName::parse("aCme").unwrap().key(), AccountName::parse("ACME").unwrap().key());
    }

    #[test]
    fn names_that_would_confuse_are_refused_with_the_reason() {
        let long = "a".repeat(65);
        for (name, why) in [
            ("", "empty"),
            (long.as_str(), "longer"),
            ("-x", "start"),
            ("a/b", "allowed"),
            ("a\nb", "allowed"),
            ("ümlaut", "start"),
            ("Status", "command"),
        ] {
            let fault = AccountName::parse(name).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Usage);
            assert!(fault.causes[0].contains(why), "{name:?}: {fault}");
            assert!(!fault.to_string().contains('\n'));
        }
    }

    #[test]
    fn reserved_words_are_sorted_and_lower_case() {
        assert!(RESERVED.is_sorted() && RESERVED.iter().all(|w| *w == w.to_ascii_lowercase()));
    }
}
