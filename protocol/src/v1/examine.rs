//! Messages about whether all is as it should be. None of them carries a secret.

use serde::{Deserialize, Serialize};

use super::Setting;
use crate::{Fault, FaultKind};

/// Look at everything that only the agent can know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examine {
    /// Also try it out: write something into the vault, read it back, and erase it.
    pub prove: bool,
    /// How long the caller waits, in milliseconds.
    pub deadline_ms: u32,
}

/// What the agent found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// Its configuration directory.
    pub config: String,
    /// Its state directory.
    pub state: String,
    /// What its environment says about networks, by name: proxies without passwords, files of certificates.
    pub environment: Vec<Setting>,
    /// The accounts, by name; none if it is locked.
    pub accounts: Vec<String>,
    /// One for everything that was looked at.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about and how that is: `vault.locked`. Never changes its meaning; new ones may come.
    pub id: String,
    /// Whose it is: an account, a file, an address. May be empty.
    pub subject: String,
    /// `ok`, `note`, `warning` or `error`.
    pub level: String,
    /// What was found, in words.
    pub what: String,
    /// What says so.
    pub evidence: Vec<String>,
    /// The exact command that mends it, or the next best advice.
    pub mend: Option<String>,
    /// What kind of fault it is, if it is one.
    pub kind: Option<FaultKind>,
}

/// How bad a finding is; what is worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is wrong.
    Note,
    /// Something does not work as it is meant to, or soon will not.
    Warning,
    /// Something does not work.
    Error,
}

impl Level {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 4] =
        [("ok", Self::Ok), ("note", Self::Note), ("warning", Self::Warning), ("error", Self::Error)];

    /// As [`Finding::level`] has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("", |(word, _)| word)
    }

    /// The level of that name; one that is not known is worth a look.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        Self::ALL.iter().find(|(known, _)| *known == word).map_or(Self::Warning, |(_, level)| *level)
    }
}

impl Finding {
    /// One with nothing but its name, level and words.
    #[must_use]
    pub fn new(id: &str, level: Level, what: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            subject: String::new(),
            level: level.word().to_owned(),
            what: what.into(),
            evidence: Vec::new(),
            mend: None,
            kind: None,
        }
    }

    /// What `fault` says: its causes are the evidence, its hint the mend.
    #[must_use]
    pub fn of_fault(id: &str, level: Level, fault: Fault) -> Self {
        let Fault { kind, message, causes, hint, .. } = fault;
        Self { evidence: causes, mend: hint, kind: Some(kind), ..Self::new(id, level, message) }
    }

    /// Sets whose it is.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Adds to what says so.
    #[must_use]
    pub fn seen(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Sets what mends it, unless that is said already.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend.get_or_insert_with(|| mend.into());
        self
    }

    /// Sets what mends it, whatever was said before.
    #[must_use]
    pub fn mend_instead(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Sets what mends it, if there is something to mend and nothing was said yet.
    #[must_use]
    pub fn mend_if_bad(self, mend: impl Into<String>) -> Self {
        if self.level() > Level::Note { self.mend(mend) } else { self }
    }

    /// Sets the kind of fault that it is.
    #[must_use]
    pub fn kind(mut self, kind: FaultKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// How bad it is.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::of_word(&self.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words_and_one_that_is_not_known_is_worth_a_look() {
        for (word, level) in Level::ALL {
            assert_eq!((level.word(), Level::of_word(word)), (word, level));
        }
        assert_eq!(Level::of_word("catastrophe"), Level::Warning);
        assert!(Level::Error > Level::Warning && Level::Warning > Level::Note && Level::Note > Level::Ok);
    }

    #[test]
    fn a_fault_as_a_finding_keeps_its_kind_its_causes_and_its_hint() {
        let fault = Fault::new(FaultKind::Config, "bad").because("line 3").hint("`mend it`");
        let finding = Finding::of_fault("config.accounts", Level::Error, fault).mend("something else");
        assert_eq!((finding.kind, finding.mend.as_deref()), (Some(FaultKind::Config), Some("`mend it`")));
        assert_eq!(finding.evidence, ["line 3"]);
    }
}
