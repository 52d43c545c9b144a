//! The human at the terminal: opened only when there is something to ask, so that a pipe never is.

use std::io;

use cloud_agent_protocol::Secret;

/// Somebody who can be told and asked things. A trait, so that a dialogue is tested without a terminal.
pub(crate) trait Human {
    /// Shows a line.
    fn tell(&mut self, line: &str) -> io::Result<()>;

    /// Shows `prompt` and reads a line; `hidden` shows nothing of it. `None` if they end the input instead (^D).
    fn ask(&mut self, prompt: &str, hidden: bool) -> io::Result<Option<Secret>>;

    /// Shows `line` in the place of the one before, while there is nothing to tell; an empty one is the last.
    fn pass_time(&mut self, line: &str) {
        let _ = line;
    }

    /// Drops what was typed ahead: it was meant for something else than what is asked next.
    fn forget_typed(&mut self) {}
}

/// A line as it is being typed with the terminal's own editing off: hidden input is read byte by byte, because in line
/// mode a terminal cuts lines at 4095 bytes, and pasted tokens are longer than that.
mod line {
    use zeroize::Zeroizing;

    /// The longest line; more is ignored, and no request could carry it.
    const MAX_LINE: usize = crate::stdio::MAX_INPUT;

    /// What a byte did.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) enum Typed {
        /// The line goes on.
        More,
        /// The line is complete.
        Line,
        /// The input was ended on an empty line.
        End,
    }

    /// The line so far.
    pub(super) struct Line(pub(super) Zeroizing<Vec<u8>>);

    impl Line {
        pub(super) fn new() -> Self {
            Self(Zeroizing::new(Vec::with_capacity(MAX_LINE)))
        }

        /// Takes one byte, with the editing keys that people expect: backspace, ^U, ^W, ^D.
        pub(super) fn take(&mut self, byte: u8) -> Typed {
            match byte {
                b'\r' | b'\n' => return Typed::Line,
                0x04 => return if self.0.is_empty() { Typed::End } else { Typed::Line },
                0x08 | 0x7f => {
                    // A whole character: continuation bytes of UTF-8 go with the byte that leads them.
                    while self.0.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
                }
                0x15 => self.0.clear(),
                0x17 => {
                    while self.0.pop_if(|b| *b == b' ').is_some() {}
                    while self.0.pop_if(|b| *b != b' ').is_some() {}
                }
                byte if self.0.len() < MAX_LINE => self.0.push(byte),
                _ => {}
            }
            Typed::More
        }
    }
}

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::Tty;

#[cfg(windows)]
mod windows;

#[cfg(windows)]
pub(crate) use windows::Tty;

#[cfg(test)]
mod tests {
    use super::line::{Line, Typed};

    fn typed(keys: &str) -> (String, Typed) {
        let mut line = Line::new();
        for byte in keys.bytes() {
            match line.take(byte) {
                Typed::More => {}
                end => return (String::from_utf8(line.0.to_vec()).unwrap(), end),
            }
        }
        (String::from_utf8(line.0.to_vec()).unwrap(), Typed::More)
    }

    #[test]
    fn editing_keys_do_what_they_do_everywhere() {
        for (keys, line) in [
            ("secret\n", "secret"),
            ("secret\r", "secret"),
            ("secrex\x7ft\n", "secret"),
            ("aü\x08b\n", "ab"),
            ("wrong\x15right\n", "right"),
            ("one two\x17three\n", "one three"),
            ("\x7f\x7fx\n", "x"),
            ("x\x04", "x"),
        ] {
            assert_eq!(typed(keys), (line.to_owned(), Typed::Line), "{keys:?}");
        }
        assert_eq!(typed("\x04").1, Typed::End);
    }

    #[test]
    fn a_token_longer_than_a_line_of_the_terminal_is_taken_whole() {
        let token = "x".repeat(10_000);
        assert_eq!(typed(&format!("{token}\n")).0, token);
    }
}
