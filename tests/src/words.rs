//! The words that people read, collected from the sources: what the programs say and where it stands.
//!
//! It knows Rust as far as a string goes, and nothing of what the words mean.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What happened.
    Error,
    /// Why.
    Cause,
    /// What to type.
    Hint,
    /// A line of the log.
    Log,
    /// What `--help` shows.
    Help,
    /// What a cloud's file asks and says.
    Cloud,
    /// Whatever else has more than one word: prompts, notices, parts of the above.
    Text,
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Below the root, with the line.
    pub place: String,
    /// What it is for.
    pub kind: Kind,
    /// As it is written, escapes aside.
    pub text: String,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = format!("{:?}", self.kind).to_lowercase();
        write!(f, "{kind:6} {}: {}", self.place, self.text.replace('\n', "⏎"))
    }
}

/// All of them: those of the three crates, of the help of both programs, and of the clouds.
///
/// # Panics
/// If the sources cannot be read.
#[must_use]
pub fn all(root: &Path) -> Vec<Words> {
    let mut found = Vec::new();
    for directory in ["client/src", "daemon/src", "protocol/src"] {
        for path in below(&root.join(directory), "rs") {
            let name = path.strip_prefix(root).expect("it is below the root").display().to_string();
            if !name.contains("/tests") && !name.ends_with("_tests.rs") {
                found.extend(of_source(&name, &fs::read_to_string(&path).expect("a source is text")));
            }
        }
    }
    for path in below(&root.join("daemon/clouds"), "toml") {
        let name = path.strip_prefix(root).expect("it is below the root").display().to_string();
        found.extend(of_cloud(&name, &fs::read_to_string(&path).expect("a cloud's file is text")));
    }
    found.extend(of_help());
    found
}

fn below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let (mut found, mut stack) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(directory).expect("it is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                stack.push(path);
            } else if path.extension().is_some_and(|is| is == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What both programs show for `--help`.
fn of_help() -> Vec<Words> {
    let mut found = Vec::new();
    let mut stack = vec![cloud_token::command(), cloud_agent_daemon::command()];
    while let Some(command) = stack.pop() {
        let place = command.get_name().to_owned();
        let mut add = |place: String, text: Option<String>| {
            found.extend(text.map(|text| Words { place, kind: Kind::Help, text }));
        };
        add(place.clone(), command.get_about().map(ToString::to_string));
        add(place.clone(), command.get_after_help().map(ToString::to_string));
        for argument in command.get_arguments() {
            add(format!("{place} {}", argument.get_id()), argument.get_help().map(ToString::to_string));
        }
        stack.extend(command.get_subcommands().cloned());
    }
    found
}

/// The texts of a cloud's file, by their keys.
fn of_cloud(name: &str, text: &str) -> Vec<Words> {
    const KEYS: [&str; 5] = ["prompt = \"", "title = \"", "message = \"", "detail = \"", "say = \""];
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        for key in KEYS {
            for text in line.split(key).skip(1).filter_map(|rest| rest.split('"').next()) {
                found.push(Words { place: format!("{name}:{}", number + 1), kind: Kind::Cloud, text: text.to_owned() });
            }
        }
    }
    found
}

/// The strings of a source before its tests, that somebody may read.
fn of_source(name: &str, text: &str) -> Vec<Words> {
    let end =
        ["\n#[cfg(test)]", "\n#[cfg(all(test"].iter().filter_map(|tests| text.find(tests)).min().unwrap_or(text.len());
    let text: Vec<char> = text[..end].chars().collect();
    let (mut found, mut at, mut before) = (Vec::new(), 0, String::new());
    while at < text.len() {
        match (text[at], text.get(at + 1), text.get(at + 2)) {
            ('/', Some('/'), _) => at = skip(&text, at, |c| c == '\n'),
            // A character, and not a lifetime.
            ('\'', Some('\\'), _) => at = skip(&text, at + 3, |c| c == '\'') + 1,
            ('\'', _, Some('\'')) => at += 3,
            ('"', ..) => {
                let stem = before.trim_end_matches('#');
                let is_raw = stem
                    .strip_suffix('r')
                    .is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
                let raw = is_raw.then(|| before.len() - stem.len());
                let line = text[..at].iter().filter(|c| **c == '\n').count() + 1;
                let (string, next) = string(&text, at + 1, raw);
                if let Some(kind) =
                    kind(&before).filter(|_| string.contains(' ') && string.contains(char::is_lowercase))
                {
                    found.push(Words { place: format!("{name}:{line}"), kind, text: string });
                }
                before.push_str("\"\"");
                at = next;
            }
            (c, ..) => {
                before.push(c);
                at += 1;
            }
        }
    }
    found
}

fn skip(text: &[char], from: usize, ends: impl Fn(char) -> bool) -> usize {
    (from..text.len()).find(|at| ends(text[*at])).unwrap_or(text.len())
}

/// The string that begins at `at`, and what follows it. `raw` is the number of hashes.
fn string(text: &[char], mut at: usize, raw: Option<usize>) -> (String, usize) {
    let mut found = String::new();
    while at < text.len() {
        match (text[at], raw) {
            ('"', None) => return (found, at + 1),
            ('"', Some(hashes)) if text[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes => {
                return (found, at + 1 + hashes);
            }
            ('\\', None) => {
                match text[at + 1] {
                    'n' => found.push('\n'),
                    // A line that goes on.
                    '\n' => {
                        at = (at + 2..text.len()).find(|at| !text[*at].is_whitespace()).unwrap_or(text.len());
                        continue;
                    }
                    c => found.push(c),
                }
                at += 2;
            }
            (c, _) => {
                found.push(c);
                at += 1;
            }
        }
    }
    (found, at)
}

/// What a string is for, by the code before it; `None` if nobody is meant to read it.
fn kind(before: &str) -> Option<Kind> {
    // The statement so far, and the call that it is an argument of.
    let statement = before.rsplit([';', '{', '}']).next().unwrap_or_default();
    if ["tracing::debug!", "tracing::trace!", "assert", "panic!", "unreachable!", "reason = ", "include"]
        .iter()
        .any(|call| statement.contains(call))
    {
        return None;
    }
    if statement.contains("tracing::") {
        return Some(Kind::Log);
    }
    let mut call = before.trim_end();
    for wrapper in ["format!(", "&format!(", "Some(", "&", "r#", "r"] {
        call = call.strip_suffix(wrapper).unwrap_or(call).trim_end();
    }
    Some(if call.ends_with(".expect(") {
        return None;
    } else if call.ends_with(".hint(") {
        Kind::Hint
    } else if call.ends_with(".because(") {
        Kind::Cause
    } else if call.ends_with("Failure::usage(") || is_message(call) {
        Kind::Error
    } else {
        Kind::Text
    })
}

/// `Fault::new(FaultKind::Usage, `
fn is_message(call: &str) -> bool {
    let Some((_, arguments)) = call.rsplit_once("Fault::new(") else { return false };
    let kind = arguments.trim().strip_prefix("FaultKind::").and_then(|rest| rest.strip_suffix(','));
    kind.is_some_and(|kind| kind.chars().all(|c| c.is_alphanumeric() || "()".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_with_what_they_are_for_and_comments_are_not() {
        let source = r##"
            // "no string"
            let quote = '"';
            fault.hint(format!("type `{x}`")).because("it \
                is so");
            Fault::new(FaultKind::Usage, "what happened");
            tracing::info!(a = %b, "a line");
            x.expect("never mind");
            let raw = (r#"a "raw" one"#, 'a', b);
            "single";
            fn f<'a>(x: &'a str) -> &'a str { "two words" }
"##;
        let found: Vec<_> = of_source("f", source).into_iter().map(|words| (words.kind, words.text)).collect();
        let expected = [
            (Kind::Hint, "type `{x}`"),
            (Kind::Cause, "it is so"),
            (Kind::Error, "what happened"),
            (Kind::Log, "a line"),
            (Kind::Text, "a \"raw\" one"),
            (Kind::Text, "two words"),
        ];
        assert_eq!(found, expected.map(|(kind, text)| (kind, text.to_owned())));
    }
}
