//! PowerShell's part. The library has one, which hands the line so far to `Invoke-Expression`: a key that is pressed to complete
//! would run every command that stands in parentheses there. This one hands words over, and takes words that are quoted.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine::complete;
use clap_complete::env::EnvCompleter;

/// What the shell reads once.
const SCRIPT: &str = include_str!("powershell.ps1");

/// What stands before the word that is to be completed.
const MARK: &str = ":";

pub(super) struct Powershell;

impl EnvCompleter for Powershell {
    fn name(&self) -> &'static str {
        "powershell"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        _: &str,
        _: &str,
        program: &str,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        to.write_all(SCRIPT.replace("VARIABLE", variable).replace("PROGRAM", program).as_bytes())
    }

    /// A line for each: what is put into the command line, what is shown in a list of them, and what it is. None of the three may
    /// be empty.
    fn write_complete(
        &self,
        command: &mut Command,
        mut words: Vec<OsString>,
        here: Option<&Path>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let Some(last) = words.pop() else { return Ok(()) };
        let typed = last.to_str().and_then(|last| last.strip_prefix(MARK)).map(OsString::from);
        words.push(typed.unwrap_or(last));
        let at = words.len() - 1;
        for candidate in complete(command, words, at, here)? {
            // What is no text, or would be two lines, cannot be handed over.
            let Some(word) = candidate.get_value().to_str().filter(|word| !word.contains(char::is_control)) else {
                continue;
            };
            let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
            let help = help.split(char::is_control).next().filter(|help| !help.is_empty()).unwrap_or(word);
            writeln!(to, "{}\t{word}\t{help}", quoted(word))?;
        }
        Ok(())
    }
}

/// A word as PowerShell takes an argument: bare where it can be, else in single quotes, where quotes of every kind that are single
/// are doubled and nothing else counts.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || r"-_./\:=+~".contains(c);
    // Within a word an at sign is one; before it, it spreads a variable.
    if !word.starts_with('@') && !word.is_empty() && word.chars().all(|c| plain(c) || c == '@') {
        return word.to_owned();
    }
    let mut text = String::from("'");
    for c in word.chars() {
        if ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'].contains(&c) {
            text.push(c);
        }
        text.push(c);
    }
    text + "'"
}

#[cfg(test)]
mod tests {
    use clap::Arg;
    use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

    use super::*;

    const HOSTILE: [&str; 9] = [
        "it's",
        "two words",
        "$(Remove-Item x)",
        "a`nb",
        "\"double\"",
        "a;b|c&d",
        "typo\u{2019}graphic",
        "@splat",
        "{a},(b)#c",
    ];

    fn completed(words: &[&str]) -> Vec<Vec<String>> {
        let names = ArgValueCandidates::new(|| {
            HOSTILE.into_iter().chain(["work@home"]).map(CompletionCandidate::new).collect()
        });
        let mut command = Command::new("x").arg(Arg::new("name").add(names)).arg(Arg::new("second"));
        let mut text = Vec::new();
        Powershell.write_complete(&mut command, words.iter().map(OsString::from).collect(), None, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    /// The one word that PowerShell reads there (`about_Quoting_Rules`, `about_Parsing`); `None` if it would read anything else.
    fn read(text: &str) -> Option<String> {
        let is_quote = |c: &char| ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'].contains(c);
        let mut rest = text.chars().peekable();
        if rest.next_if(|c| is_quote(c)).is_none() {
            let special =
                |c: char| c.is_whitespace() || is_quote(&c) || "\"`$&|;,(){}<>#\u{201c}\u{201d}\u{201e}".contains(c);
            return (!text.starts_with('@') && !text.contains(special)).then(|| text.to_owned());
        }
        let mut word = String::new();
        while let Some(c) = rest.next() {
            // Doubled, it is one.
            if !is_quote(&c) || rest.next_if(is_quote).is_some() {
                word.push(c);
            } else {
                return rest.next().is_none().then_some(word);
            }
        }
        None
    }

    #[test]
    fn whatever_a_name_holds_is_one_word_to_powershell_and_nothing_in_it_is_run() {
        let lines = completed(&["x", ":"]);
        for name in HOSTILE {
            let line = lines.iter().find(|line| line[1] == name).unwrap_or_else(|| panic!("{name}: {lines:?}"));
            assert_eq!(read(&line[0]).as_deref(), Some(name), "{}", line[0]);
        }
        assert!(lines.iter().any(|line| line[0] == "work@home"), "{lines:?}");
        assert!(lines.iter().all(|line| line.len() == 3 && line.iter().all(|part| !part.is_empty())), "{lines:?}");
        assert_eq!([read("a b"), read("'a'b'"), read("'a"), read("$a")], [None, None, None, None]);
    }

    #[test]
    fn the_word_behind_the_mark_is_the_one_that_is_completed() {
        let words =
            |typed: &[&str]| -> Vec<String> { completed(typed).into_iter().map(|line| line[1].clone()).collect() };
        assert_eq!(words(&["x", ":two"]), ["two words"]);
        assert!(words(&["x", "two words", ":"]).iter().all(|word| word.starts_with('-')), "the second has no names");
        assert_eq!(words(&[]), Vec::<String>::new());
    }

    const PAIRS: [(char, char); 5] = [('\'', '\''), ('"', '"'), ('(', ')'), ('{', '}'), ('[', ']')];

    /// What is open of quotes and brackets at the end of a script, and the words outside of quotes: enough of a tokenizer for a script
    /// without here-strings and block comments.
    fn tokens(script: &str) -> (Vec<char>, Vec<String>) {
        let (mut open, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
        let mut rest = script.chars().peekable();
        while let Some(c) = rest.next() {
            match open.last().copied() {
                Some(last) if PAIRS.contains(&(last, c)) => drop(open.pop()),
                Some('\'') => {}
                _ if c == '`' => drop(rest.next()),
                Some('"') => {}
                _ if c == '#' => while rest.next_if(|c| *c != '\n').is_some() {},
                _ if PAIRS.iter().any(|(first, last)| [first, last].contains(&&c)) => open.push(c),
                _ => {}
            }
            if c.is_alphanumeric() || "-$:_".contains(c) {
                word.push(c);
            } else if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        }
        (open, words)
    }

    #[test]
    fn the_script_is_whole_runs_nothing_of_the_line_and_leaves_nothing_behind() {
        let mut script = Vec::new();
        Powershell.write_registration("ASK", "x", "x", "x", &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        let (open, words) = tokens(&script);
        assert_eq!(open, Vec::<char>::new(), "{script}");
        assert_eq!(tokens("{ 'a' ( \"b").0, ['{', '(', '"']);
        for runs in ["Invoke-Expression", "iex", "Invoke-Command"] {
            assert!(!words.iter().any(|word| word.eq_ignore_ascii_case(runs)), "{runs}");
        }
        // Every variable is given or set before it is read.
        let mut known = vec!["$wordToComplete", "$commandAst", "$cursorPosition", "$env:ASK", "$element", "$line"];
        let set = words.iter().filter(|word| word.starts_with('$') && script.contains(&format!("{word} =")));
        known.extend(set.map(String::as_str));
        known.extend(["$word", "$shown"]);
        let unknown = words.iter().filter(|word| word.starts_with('$') && !known.contains(&word.as_str()));
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new());
        assert!(!script.contains("PROGRAM") && !script.contains("VARIABLE") && script.is_ascii(), "{script}");
    }
}
