//! An error that crosses the socket: what happened, why, and what mends it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the caller should do about a [`Fault`].
///
/// Travels as a number, so that a kind invented later still decodes: it is then [`FaultKind::Other`], whose message and
/// hint are as good as ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u16", into = "u16")]
#[non_exhaustive]
pub enum FaultKind {
    /// The cloud refused the credentials that were given. Trying again unchanged is harmful: it may lock the login out.
    Refused,
    /// Only the human can go on: a login, a code, an unlock.
    NeedsHuman,
    /// The cloud could not be reached or said "not now". Trying again later is right.
    Unreachable,
    /// No account of that name is set up.
    UnknownAccount,
    /// No cloud of that name is known.
    UnknownCloud,
    /// The request itself makes no sense: a bad name, a missing or unknown setting.
    Usage,
    /// A file of the user's is wrong: `accounts.toml`, a cloud file, the configuration directory.
    Config,
    /// The cloud's reply is not one that its description allows.
    MalformedReply,
    /// The two ends speak different versions of the protocol.
    Version,
    /// This end does not know that request or cannot do it.
    Unsupported,
    /// The agent is at a limit, or is shutting down. Trying again in a moment is right.
    Busy,
    /// A defect in the agent.
    Internal,
    /// A kind this end has no name for.
    Other(u16),
}

impl From<u16> for FaultKind {
    fn from(code: u16) -> Self {
        match code {
            1 => Self::Refused,
            2 => Self::NeedsHuman,
            3 => Self::Unreachable,
            4 => Self::UnknownAccount,
            5 => Self::UnknownCloud,
            6 => Self::Usage,
            7 => Self::Config,
            8 => Self::MalformedReply,
            9 => Self::Version,
            10 => Self::Unsupported,
            11 => Self::Busy,
            12 => Self::Internal,
            other => Self::Other(other),
        }
    }
}

impl From<FaultKind> for u16 {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Refused => 1,
            FaultKind::NeedsHuman => 2,
            FaultKind::Unreachable => 3,
            FaultKind::UnknownAccount => 4,
            FaultKind::UnknownCloud => 5,
            FaultKind::Usage => 6,
            FaultKind::Config => 7,
            FaultKind::MalformedReply => 8,
            FaultKind::Version => 9,
            FaultKind::Unsupported => 10,
            FaultKind::Busy => 11,
            FaultKind::Internal => 12,
            FaultKind::Other(code) => code,
        }
    }
}

impl FaultKind {
    /// The word that `status --json`, logs and cloud files use for this kind.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NeedsHuman => "needs-human",
            Self::Unreachable => "unreachable",
            Self::UnknownAccount => "unknown-account",
            Self::UnknownCloud => "unknown-cloud",
            Self::Usage => "usage",
            Self::Config => "config",
            Self::MalformedReply => "malformed-reply",
            Self::Version => "version",
            Self::Unsupported => "unsupported",
            Self::Busy => "busy",
            Self::Internal => "internal",
            Self::Other(_) => "other",
        }
    }
}

impl FaultKind {
    /// What to type where the fault itself names nothing better: nobody is to be left with what happened alone.
    #[must_use]
    pub fn mend(self) -> &'static str {
        match self {
            Self::Refused => "`cloud-token status` says what was refused; `cloud-token login ACCOUNT` logs in anew",
            Self::NeedsHuman => {
                "`cloud-token status` says what is needed, mostly `cloud-token login ACCOUNT` in a terminal"
            }
            Self::Unreachable | Self::Busy => "try again in a moment; `cloud-token status` says how things are",
            Self::UnknownAccount => "`cloud-token status` lists the accounts",
            Self::UnknownCloud => "`cloud-token clouds` lists the clouds",
            Self::Usage => "`cloud-token --help`, or `--help` behind a command",
            Self::Config => "`cloud-token status` names what cannot be used",
            Self::MalformedReply => "`cloud-token check ACCOUNT` asks the cloud once more; the agent's log says more",
            Self::Version => "`cloud-token restart` starts the agent that is installed",
            Self::Unsupported => "`cloud-token --help` lists what there is",
            Self::Internal => "this is a defect: the agent's log says more; `cloud-token restart` starts it anew",
            Self::Other(_) => "`cloud-token status` says how things are",
        }
    }
}

/// An error as the caller meets it. No field ever holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What the caller should do about it.
    pub kind: FaultKind,
    /// What happened: lower case, no full stop, literals in backticks.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// The exact command that mends it, or the next best advice.
    pub hint: Option<String>,
    /// When trying again is worth it, in seconds since the Unix epoch.
    pub retry_at: Option<i64>,
}

impl Fault {
    /// A fault with nothing but its kind and message.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: None, retry_at: None }
    }

    /// Adds the reason beneath those there already.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Sets what to type, or to look at, next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts `account` where the hint says ACCOUNT, or where the one of its kind does if it has none: whoever made the fault did
    /// not know whose it would be.
    #[must_use]
    pub fn of_account(mut self, account: &str) -> Self {
        let hint = self.hint.as_deref().unwrap_or_else(|| self.kind.mend());
        if hint.contains("ACCOUNT") {
            self.hint = Some(hint.replace("ACCOUNT", account));
        }
        self
    }

    /// Sets when trying again is worth it, in seconds since the Unix epoch.
    #[must_use]
    pub fn retry_at(mut self, unix_seconds: i64) -> Self {
        self.retry_at = Some(unix_seconds);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_number() {
        for code in 0..=300_u16 {
            assert_eq!(u16::from(FaultKind::from(code)), code);
        }
    }

    #[test]
    fn an_unknown_kind_is_kept_not_refused() {
        assert_eq!(FaultKind::from(999), FaultKind::Other(999));
    }

    #[test]
    fn a_hint_names_the_account_once_it_is_known_and_says_no_more_than_it_did() {
        let hint = |fault: Fault| fault.of_account("work").hint;
        let fault = Fault::new(FaultKind::Config, "");
        assert_eq!(
            hint(fault.clone().hint("`cloud-token login ACCOUNT --url URL`")).as_deref(),
            Some("`cloud-token login work --url URL`")
        );
        assert_eq!(hint(fault.clone().hint("`date` shows it")).as_deref(), Some("`date` shows it"));
        assert_eq!(hint(fault), None, "its kind says enough");
        let refused = hint(Fault::new(FaultKind::Refused, "")).expect("its kind names an account");
        assert!(refused.contains("`cloud-token login work`") && !refused.contains("ACCOUNT"), "{refused}");
    }

    #[test]
    fn display_is_the_message_and_its_causes() {
        let fault = Fault::new(FaultKind::Unreachable, "`acme` did not answer").because("connection refused");
        assert_eq!(fault.to_string(), "`acme` did not answer: connection refused");
    }
}
