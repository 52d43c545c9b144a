//! One line of the journal: what was handed out, sealed to the line before.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::callers::Process;

/// Stands before the first entry.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What was handed out, or was not. Nothing in it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts the entries from 1.
    pub n: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Whose credential.
    pub account: String,
    /// The fingerprint of its token, if one was handed out.
    pub token: Option<String>,
    /// `given`, or why not: a fault's word.
    pub outcome: String,
    /// How often within the same moment: one caller that asks a thousand times a second is one line.
    pub times: u32,
    /// Through which restricted socket; `None` for the agent's own.
    pub origin: Option<String>,
    /// Who asked, and who started that, and so on.
    pub caller: Vec<Step>,
    /// The systemd unit of the caller.
    pub unit: Option<String>,
    /// Its terminal.
    pub terminal: Option<String>,
    /// Its session.
    pub session: u32,
    /// Hand-outs before this one that found no room.
    pub lost: u64,
    /// The hash of the entry before.
    pub prev: String,
}

/// A process in the chain of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its id.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot.
    pub started: u64,
    /// What it calls itself.
    pub name: String,
    /// The file that it runs, if it shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

impl Step {
    pub(super) fn of(process: &Process) -> Self {
        let Process { pid, started, name, program, .. } = process;
        let program = program.as_deref().map(|path| path.chars().take(LONGEST_PATH).collect());
        Self { pid: *pid, started: *started, name: name.clone(), program }
    }
}

/// No more of a path is kept: a chain of them has to fit an answer.
const LONGEST_PATH: usize = 512;

/// Closes a line: what stands before the hash that the line ends with.
const SEAL: &str = ",\"hash\":\"";
/// What stands behind it.
const END: &str = "\"}";

impl Entry {
    /// The line, without its end, and its hash.
    pub(super) fn seal(&self) -> (String, String) {
        let mut line = serde_json::to_string(self).expect("texts and numbers are JSON");
        let hash = hash(&line);
        line.pop();
        line.push_str(SEAL);
        line.push_str(&hash);
        line.push_str(END);
        (line, hash)
    }

    /// The entry in `line` and the hash that it has, if that is the one that the line names.
    pub(super) fn open(line: &str) -> Result<(Self, String), Broken> {
        let (body, rest) = line.rsplit_once(SEAL).ok_or(Broken::Form)?;
        let named = rest.strip_suffix(END).ok_or(Broken::Form)?;
        let body = format!("{body}}}");
        let entry: Self = serde_json::from_str(&body).map_err(|_| Broken::Form)?;
        let hash = hash(&body);
        if hash == named { Ok((entry, hash)) } else { Err(Broken::Seal(entry.n)) }
    }
}

/// What is wrong with a line by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// No agent wrote it.
    Form,
    /// Entry `n` is not what it was when it was written.
    Seal(u64),
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn entry(n: u64, prev: &str) -> Entry {
        Entry {
            n,
            at: 1_700_000_000_000,
            account: "work".into(),
            token: Some("ba7816bf8f01".into()),
            outcome: "given".into(),
            times: 1,
            origin: None,
            caller: vec![Step { pid: 7, started: 98_765, name: "a\",\"hash\":\"b".into(), program: None }],
            unit: None,
            terminal: Some("/dev/pts/1".into()),
            session: 7,
            lost: 0,
            prev: prev.into(),
        }
    }

    #[test]
    fn a_sealed_line_opens_to_what_was_sealed_whatever_names_processes_have() {
        let entry = entry(3, NOTHING);
        let (line, hash) = entry.seal();
        assert_eq!(Entry::open(&line), Ok((entry, hash)));
        assert!(!line.contains('\n'));
    }

    #[test]
    fn any_other_byte_breaks_the_seal() {
        let (line, _) = entry(3, NOTHING).seal();
        for at in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(Entry::open(&changed).is_err(), "{at}: {changed}");
        }
    }
}
