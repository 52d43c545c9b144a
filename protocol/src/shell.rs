//! Commands that people are told to paste: a word of one stays one word there, whatever is in it.

use std::fmt::Display;

/// What no shell of this system takes for anything but itself, besides letters and digits.
const PLAIN: &str = if cfg!(windows) { r"-_./:=\~" } else { "-_./:=@%+," };

/// `word` as sh and its kin take it, bare where it can be. On Windows as cmd and PowerShell take a path, in which no double quote can
/// be there.
#[must_use]
pub fn quoted(word: impl Display) -> String {
    let word = word.to_string();
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c)) {
        word
    } else if cfg!(windows) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `words` as one line that is a command, each [`quoted`].
#[must_use]
pub fn command(words: impl IntoIterator<Item = impl Display>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_or_fill_in_is_quoted_and_nothing_else() {
        for (word, shown) in [
            ("/home/me/.config/cloud-agent", "/home/me/.config/cloud-agent"),
            ("it's mine", r"'it'\''s mine'"),
            ("$(id)`id`", "'$(id)`id`'"),
            ("~/a", "'~/a'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let hostile = "a'b\"c$d`e\\f;g&h|i j\tk*ü!~#";
        let script = command(["printf", "%s", hostile]);
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().expect("there is a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), hostile);
    }
}
