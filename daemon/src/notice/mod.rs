//! Tells a human that they are needed: by a command of their own, else on the desktop.
//!
//! What is told is in the environment of another process and holds no secret. That process may hang for as long as it likes: nobody
//! waits for it, and it is killed when its time is up. When somebody is told, and how often, is not known here.

mod desktop;
mod herald;

use cloud_agent_protocol::{Fault, FaultKind};

use crate::provider::{Boxed, ONLY_HUMAN};
use crate::vault::UNLOCK;

pub(crate) use desktop::show;
pub(crate) use herald::{Way, Ways};

/// What the human is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// An account is to be logged in.
    Login,
    /// The same, and of all that it takes only a code is missing.
    Code,
    /// The agent, or its vault, is to be opened.
    Unlock,
}

impl Reason {
    /// What `fault` needs the human for, if a login or an unlock mends it.
    pub(crate) fn of(fault: &Fault) -> Option<Self> {
        let hint = fault.hint.as_deref()?;
        match fault.kind {
            FaultKind::NeedsHuman if hint == UNLOCK => Some(Self::Unlock),
            FaultKind::NeedsHuman | FaultKind::Refused if hint.starts_with("`cloud-token login ") => {
                let code = fault.causes.iter().any(|cause| cause.ends_with(ONLY_HUMAN));
                Some(if code { Self::Code } else { Self::Login })
            }
            _ => None,
        }
    }

    /// As commands are told.
    fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Code => "code",
            Self::Unlock => "unlock",
        }
    }
}

/// What a human is told. Nothing in it is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose credential is wanted; `None` if no account is named, because everything is locked.
    pub account: Option<String>,
    /// The account's cloud.
    pub cloud: Option<String>,
    /// What for.
    pub reason: Reason,
    /// What to type.
    pub command: String,
}

impl Notice {
    /// In a line.
    fn title(&self) -> String {
        let account = self.account.as_deref().unwrap_or_default();
        match self.reason {
            Reason::Login => format!("{account} needs a login"),
            Reason::Code => format!("{account} needs a code"),
            Reason::Unlock => "cloud-agent is locked".to_owned(),
        }
    }

    /// In another, for whoever has read the first.
    fn text(&self) -> String {
        format!("A token is wanted. In a terminal: {}", self.command)
    }

    /// All of it, for the environment of another process.
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("CLOUD_AGENT_NOTICE_ACCOUNT", self.account.clone().unwrap_or_default()),
            ("CLOUD_AGENT_NOTICE_CLOUD", self.cloud.clone().unwrap_or_default()),
            ("CLOUD_AGENT_NOTICE_REASON", self.reason.word().to_owned()),
            ("CLOUD_AGENT_NOTICE_COMMAND", self.command.clone()),
            (TITLE, self.title()),
            (TEXT, self.text()),
        ]
    }
}

const TITLE: &str = "CLOUD_AGENT_NOTICE_TITLE";
const TEXT: &str = "CLOUD_AGENT_NOTICE_TEXT";

/// Somebody who tells the human.
pub trait Herald: Send + Sync + 'static {
    /// Tells `notice`, as `way` says if the user has said anything in accounts.toml.
    ///
    /// # Errors
    /// `Config` if it could not be told, for the log.
    fn tell(&self, notice: Notice, way: Option<Way>) -> Boxed<'_, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_needs_the_human_if_a_login_or_an_unlock_mends_it() {
        let fault = |kind, hint: &str| Fault::new(kind, "x").hint(hint);
        let login = "`cloud-token login work`";
        for (fault, reason) in [
            (fault(FaultKind::NeedsHuman, login), Some(Reason::Login)),
            (fault(FaultKind::Refused, login), Some(Reason::Login)),
            (fault(FaultKind::NeedsHuman, login).because(format!("`sms-code` {ONLY_HUMAN}")), Some(Reason::Code)),
            (fault(FaultKind::NeedsHuman, UNLOCK), Some(Reason::Unlock)),
            (fault(FaultKind::NeedsHuman, "name the account"), None),
            (fault(FaultKind::Unreachable, login), None),
            (fault(FaultKind::UnknownAccount, login), None),
            (Fault::new(FaultKind::NeedsHuman, "x"), None),
        ] {
            assert_eq!(Reason::of(&fault), reason, "{fault:?}");
        }
    }

    #[test]
    fn a_locked_agent_names_no_account() {
        let notice =
            Notice { account: None, cloud: None, reason: Reason::Unlock, command: "cloud-token unlock".into() };
        let told: Vec<_> = notice.environment().into_iter().map(|(_, value)| value).collect();
        assert_eq!(told[..4], ["", "", "unlock", "cloud-token unlock"]);
        assert_eq!(told[4], "cloud-agent is locked");
    }
}
