//! What the human is asked, in words that cannot be made to say something else.

use std::fmt::Write as _;

use crate::access::rules::asking;
use crate::callers::Process;

/// A chain may be long; the human needs its beginning.
const SHOWN: usize = 6;
/// No more of a name or path is shown: who asks must not push what matters off the screen.
const LONGEST: usize = 120;

/// A question about one caller.
#[derive(Debug, Clone)]
pub(in crate::access) struct Question {
    account: String,
    program: String,
    chain: Vec<String>,
    origin: Option<String>,
    unit: Option<String>,
    /// The caller's terminal.
    pub(super) terminal: Option<String>,
    /// What an answer is about: the account, the program, and the way it came.
    pub(super) key: String,
    /// The caller's session.
    pub(super) session: u32,
}

impl Question {
    /// May `who` have a token of `account`, through the restricted socket `origin` if it came by one?
    pub(in crate::access) fn new(account: &str, who: &Process, origin: Option<&str>) -> Self {
        let chain = who.chain();
        let program = asking(&chain);
        // However it is spelled: each spelling would be another question.
        let key = account.to_ascii_lowercase();
        // One that shows no program is remembered as this very process and no other.
        let key = match &program.program {
            Some(path) => format!("{key}\0{path}"),
            None => format!("{key}\0{}\0{}", program.pid, program.started),
        };
        Self {
            account: account.to_owned(),
            program: named(program.label()),
            chain: chain
                .iter()
                .take(SHOWN)
                .map(|process| format!("{} [{}]", named(process.label()), process.pid))
                .collect(),
            origin: origin.map(harmless),
            unit: chain.iter().find_map(|process| process.unit()).map(harmless),
            terminal: who.terminal.clone().filter(|name| name.starts_with("/dev/")),
            key: format!("{key}\0{}", origin.unwrap_or_default()),
            session: who.session,
        }
    }

    /// In lines.
    pub(super) fn text(&self) -> String {
        let mut text = format!("Hand a token of `{}` to {}?\n", self.account, self.program);
        let mut line = |words: String| writeln!(text, "{words}").expect("a string takes every write");
        line(format!("asked by {}", self.chain.join(", started by ")));
        if let Some(origin) = &self.origin {
            line(format!("through the forwarded socket {origin}"));
        }
        if let Some(unit) = &self.unit {
            line(format!("in the unit {unit}"));
        }
        line(
            self.terminal
                .as_ref()
                .map_or_else(|| "without a terminal".into(), |terminal| format!("at the terminal {terminal}")),
        );
        text.truncate(text.trim_end().len());
        text
    }
}

/// A program, quoted where it could be read as more than one: a file may be called as a chain of others is written.
pub(super) fn named(label: &str) -> String {
    let shown = harmless(label);
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@:~%=".contains(c);
    if shown.chars().all(is_plain) { shown } else { format!("`{}`", shown.replace('`', "\u{fffd}")) }
}

/// `text` without what could steer a terminal or turn its words around, and not too long.
pub(super) fn harmless(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown: String = text.chars().take(LONGEST).map(|c| if hostile(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// `text` as a parameter of an Assuan command.
pub(super) fn assuan(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
