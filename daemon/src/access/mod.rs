//! Who may have what, and who had it.
//!
//! The session asks here before it hands out, and notes here what came of it. The broker below knows accounts and nothing of
//! who asks for them.

mod confirm;
#[cfg(target_os = "linux")]
mod estate;
mod file;
mod grants;
mod hashes;
mod judge;
mod known;
mod limits;
mod rules;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::AccountName;

use crate::cache::{Cached, Label};
use crate::callers::{Callers, Process};
use crate::clock::Clock;
use crate::journal::{Journal, Outcome};
use confirm::Human;
pub(crate) use grants::Grant;
use grants::Grants;
use hashes::Hashes;
pub(crate) use judge::{Caller, Refusal, Wanted};
use known::Known;
use limits::Counts;

/// See the module.
pub struct Access {
    clock: Arc<dyn Clock>,
    callers: Callers,
    journal: Arc<Journal>,
    known: Known,
    human: Arc<Human>,
    counts: Counts,
    hashes: Hashes,
    grants: Grants,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl Access {
    /// With the journal in the state directory `state`, and the rules in the file `accounts`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, state: &Path, accounts: PathBuf) -> Arc<Self> {
        let known = Known::open(accounts, clock.uptime());
        let journal = Arc::new(Journal::new(state));
        if let Ok((rules, _)) = known.rules(clock.uptime()) {
            journal.tell(rules.journald.clone());
        }
        Arc::new(Self {
            clock,
            callers: Callers::default(),
            journal,
            known,
            human: Arc::default(),
            counts: Counts::default(),
            hashes: Hashes::default(),
            grants: Grants::default(),
        })
    }

    /// What is wrong with the rules: that they cannot be read, or that they name an account which is not set up, as `exists` says
    /// of each. Such a rule may be a slip of the pen, and what it was to forbid is allowed.
    pub fn warnings(&self, exists: impl Fn(&str) -> bool) -> Vec<String> {
        let rules = self.rules();
        let mut warnings: Vec<String> = self.known.trouble().map(|fault| fault.to_string()).into_iter().collect();
        if let Ok(rules) = rules {
            let strangers = rules.named().filter(|(_, account)| !exists(account));
            let place = |line: usize| format!("{}:{line}", rules.path.display());
            warnings.extend(strangers.map(|(line, account)| {
                format!("the rule at {} is about `{account}`, which is no account", place(line))
            }));
        }
        warnings
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The restricted sockets that are open.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The process `pid`, which asks on a connection that was there at the uptime `since`. Looked at while it waits for its
    /// answer: it may end right after.
    #[must_use]
    pub fn asking(&self, pid: u32, since: Duration) -> Arc<Process> {
        self.callers.asking(pid, since, self.clock.uptime())
    }

    /// Notes that `cached` was handed out, through the restricted socket `origin` if it was by one.
    pub fn given(&self, who: &Arc<Process>, cached: &Cached, origin: Option<&Arc<str>>) {
        self.note(who, cached.label(), Outcome::Given, origin);
    }

    /// Notes that nothing was handed out of `account`. What cannot be an account's name is nobody's.
    pub fn failed(&self, who: &Arc<Process>, account: &str, outcome: Outcome, origin: Option<&Arc<str>>) {
        if let Ok(name) = AccountName::parse(account) {
            self.note(who, &Label::new(name, None), outcome, origin);
        }
    }

    /// What started the caller is looked at only now, when it has its answer.
    fn note(&self, who: &Arc<Process>, label: &Label, outcome: Outcome, origin: Option<&Arc<str>>) {
        self.callers.trace(who, || self.clock.uptime());
        self.journal.note(label, who, outcome, origin, || self.clock.now());
    }
}
