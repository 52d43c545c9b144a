//! What is wrong with a cloud file, and on which line.

use std::ops::Range;

use cloud_agent_protocol::{Fault, FaultKind};
use toml::Spanned;

use crate::suggest::nearest;

pub(super) type Judged<T> = Result<T, Problem>;

/// Something wrong in a file.
#[derive(Debug)]
pub(in crate::cloud) struct Problem {
    /// Bytes of the file.
    at: Range<usize>,
    message: String,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// `what` is not among `known`.
    pub(super) fn unknown<'a>(
        at: Range<usize>,
        message: impl Into<String>,
        what: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let hint = match nearest(what, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None => {
                Some(format!("known here: {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")))
            }
        };
        Self::new(at, message).hint(hint)
    }

    /// What the TOML parser, or serde through it, did not like.
    pub(super) fn of_toml(why: &toml::de::Error) -> Self {
        let at = why.span().unwrap_or(0..0);
        let message = why.message().trim().replace('\n', ", ");
        // serde lists the known keys in its message; it is the only place where they are.
        if message.starts_with("unknown field `") {
            let mut names = message.split('`').skip(1).step_by(2);
            if let Some(unknown) = names.next() {
                return Self::unknown(at, format!("`{unknown}` is not a key here"), unknown, names);
            }
        }
        if let Some(missing) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            return Self::new(at, format!("`{missing}` is missing"));
        }
        Self::new(at, message)
    }

    pub(super) fn into_fault(self, file: &str, text: &str) -> Fault {
        let message = format!("`{file}`, line {}: {}", line_of(text, self.at.start), self.message);
        let fault = Fault::new(FaultKind::Config, message);
        match self.hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

/// The line, counted from 1, that byte `at` is on.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// No name is there twice.
pub(super) fn unique<'a>(names: impl Iterator<Item = &'a Spanned<String>>, what: &str) -> Judged<()> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.contains(&name.get_ref().as_str()) {
            return Err(Problem::new(name.span(), format!("there are two of the {what} `{}`", name.get_ref())));
        }
        seen.push(name.get_ref());
    }
    Ok(())
}
