//! Rules about who may have what, as they are held against a caller.

use std::path::PathBuf;
use std::time::Duration;

use crate::callers::Process;

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    Confirm,
    Deny,
}

impl Action {
    pub(super) const ALL: [(&'static str, Self); 3] =
        [("allow", Self::Allow), ("confirm", Self::Confirm), ("deny", Self::Deny)];
}

/// With what the human is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum With {
    Pinentry,
    Askpass,
    Terminal,
}

impl With {
    pub(super) const ALL: [(&'static str, Self); 3] =
        [("pinentry", Self::Pinentry), ("askpass", Self::Askpass), ("terminal", Self::Terminal)];
}

/// Which terminal a caller has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Terminal {
    Any,
    None,
    Named(String),
}

/// All that a file says.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) path: PathBuf,
    pub(super) policy: Vec<Rule>,
    pub(super) limits: Vec<Limit>,
    pub(super) confirm: Confirm,
    pub(super) journald: Option<PathBuf>,
}

impl Rules {
    /// The accounts that are named, and where.
    pub(super) fn named(&self) -> impl Iterator<Item = (usize, &str)> {
        let policy = self.policy.iter().map(|rule| (rule.line, rule.accounts.as_deref()));
        let limits = self.limits.iter().map(|limit| (limit.line, limit.accounts.as_deref()));
        policy
            .chain(limits)
            .flat_map(|(line, keys)| keys.unwrap_or_default().iter().map(move |key| (line, key.as_str())))
    }
}

/// One rule. What it does not name it does not ask for.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Where it stands.
    pub(super) line: usize,
    pub(super) action: Action,
    /// By key; `None` for all.
    pub(super) accounts: Option<Vec<String>>,
    pub(super) program: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) under: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) terminal: Option<Terminal>,
    pub(super) session: Option<u32>,
}

/// How often one program may have an account's credential.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub(super) line: usize,
    pub(super) accounts: Option<Vec<String>>,
    pub(super) hand_outs: u32,
    pub(super) within: Duration,
}

/// How the human is asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Confirm {
    pub(super) with: Option<With>,
    pub(super) program: Option<PathBuf>,
    pub(super) patience: Duration,
    pub(super) remember: Duration,
}

impl Rule {
    pub(super) fn is_about(&self, account: &str) -> bool {
        names(self.accounts.as_deref(), account)
    }

    /// Whether `who` is whom it names, the hash of the program aside.
    pub(super) fn is_met_by(&self, who: &Process) -> bool {
        let chain = who.chain();
        let program = |wanted: &String| path(asking(&chain)) == Some(wanted);
        let under = |wanted: &String| chain.iter().any(|process| path(process) == Some(wanted));
        let unit = |wanted: &String| chain.iter().find_map(|process| process.unit()) == Some(wanted);
        let terminal = |wanted: &Terminal| match wanted {
            Terminal::Any => who.terminal.is_some(),
            Terminal::None => who.terminal.is_none() && who.started != 0,
            Terminal::Named(name) => who.terminal.as_ref() == Some(name),
        };
        self.program.as_ref().is_none_or(program)
            && self.under.as_ref().is_none_or(under)
            && self.unit.as_ref().is_none_or(unit)
            && self.terminal.as_ref().is_none_or(terminal)
            && self.session.is_none_or(|wanted| who.session == wanted)
    }
}

impl Limit {
    pub(super) fn is_about(&self, account: &str) -> bool {
        names(self.accounts.as_deref(), account)
    }
}

/// The program that asks: what started the client, where it is the client that came. The client does not show what it runs
/// (nor does the agent), and runs for whoever started it.
pub(super) fn asking<'a>(chain: &[&'a Process]) -> &'a Process {
    let is_client = |process: &Process| {
        process.program.as_deref().is_none_or(|path| path.rsplit('/').next() == Some(CLIENT)) && process.started != 0
    };
    chain.iter().find(|process| !is_client(process)).unwrap_or(&chain[0])
}

/// The client's file, where the kernel shows it: to root.
const CLIENT: &str = "cloud-token";

/// A program that was replaced while it runs is still the one that was started there.
fn path(process: &Process) -> Option<&str> {
    process.program.as_deref().map(|path| path.strip_suffix(" (deleted)").unwrap_or(path))
}

fn names(accounts: Option<&[String]>, account: &str) -> bool {
    accounts.is_none_or(|keys| keys.iter().any(|key| key.eq_ignore_ascii_case(account)))
}
