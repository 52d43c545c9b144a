//! What is wrong with a cloud file, and on which line.

use std::ops::Range;

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::{Fault, FaultKind};
use toml::Spanned;

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

    /// What the TOML parser, or serde through it, did not like about `text`.
    pub(super) fn of_toml(why: &toml::de::Error, text: &str) -> Self {
        let at = why.span().unwrap_or(0..0);
        let message = why.message().trim().replace('\n', ", ");
        if let Some(problem) = Self::of_brackets(&at, &message, text) {
            return problem;
        }
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

    /// How many brackets a table has is what people get wrong first, and what the parser has the fewest words for.
    fn of_brackets(at: &Range<usize>, message: &str, text: &str) -> Option<Self> {
        let line = text.get(..at.start)?.rsplit('\n').next()?.len();
        let line = text[at.start - line..].lines().next()?.trim();
        let name = line.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
        match message {
            "duplicate key" if line.starts_with('[') => {
                let problem = Self::new(at.clone(), format!("`[{name}]` is there twice"));
                Some(problem.hint(Some(format!("what may be there several times has two brackets: `[[{name}]]`"))))
            }
            "duplicate key" => {
                Some(Self::new(at.clone(), format!("`{}` is there twice", text.get(at.clone())?.trim())))
            }
            "invalid type: map, expected a sequence" if line.starts_with('[') => {
                let problem = Self::new(at.clone(), format!("there may be several of `[{name}]`"));
                Some(problem.hint(Some(format!("so it has two brackets: `[[{name}]]`"))))
            }
            "invalid type: map, expected a sequence" => {
                let problem = Self::new(at.clone(), "there may be several of these");
                Some(problem.hint(Some("so it is an array, even of one: `[{ … }]`".to_owned())))
            }
            _ if message.starts_with("invalid type: ") && line.starts_with("[[") => {
                let problem = Self::new(at.clone(), format!("there is only one `[{name}]`"));
                Some(problem.hint(Some(format!("so it has one bracket: `[{name}]`"))))
            }
            _ => None,
        }
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
