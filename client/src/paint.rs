//! What the reader's screen can show: its width, and whether in colours.

use std::env;

/// How wide a terminal is taken to be that does not say so.
const USUAL: usize = 80;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Somebody has something to do.
    Waits,
    /// It fails.
    Bad,
    /// A heading.
    Heading,
}

impl Tone {
    /// As terminals number it.
    fn number(self) -> u8 {
        match self {
            Self::Heading => 1,
            Self::Bad => 31,
            Self::Good => 32,
            Self::Waits => 33,
        }
    }
}

/// What the reader's screen can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    /// Its columns; `None` if a program reads it, or a file is written.
    pub(crate) width: Option<usize>,
    /// Whether what was written can be written over.
    pub(crate) redraws: bool,
    colours: bool,
}

impl Paint {
    /// For a program, or a file.
    pub(crate) const PLAIN: Self = Self { width: None, redraws: false, colours: false };

    /// What is at stdout.
    pub(crate) fn of_stdout() -> Self {
        match terminal_width() {
            Some(width) => Self::of_terminal(width, |name| env::var(name).ok()),
            None => Self::PLAIN,
        }
    }

    /// A terminal of this width, and what the user says about it.
    pub(crate) fn of_terminal(width: usize, variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let redraws = said("TERM").is_some_and(|term| term != "dumb");
        // https://no-color.org: whatever it says, if it says anything.
        Self { width: Some(width), redraws, colours: redraws && said("NO_COLOR").is_none() }
    }

    /// `text` in a tone, if there are colours.
    pub(crate) fn tint(&self, tone: Tone, text: &str) -> String {
        if self.colours { format!("\x1b[{}m{text}\x1b[0m", tone.number()) } else { text.to_owned() }
    }

    /// The same, and no line longer than `most`, whoever reads it.
    pub(crate) fn at_most(self, most: usize) -> Self {
        Self { width: Some(self.width.map_or(most, |width| width.min(most))), ..self }
    }

    /// `words` in lines of the screen's width, each `indent` columns in. What is longer than a line stays in one piece, and so does
    /// a command between backticks, so that it can be copied.
    pub(crate) fn wrapped(&self, words: &str, indent: usize) -> String {
        let room = self.width.map_or(usize::MAX, |screen| screen.saturating_sub(indent).max(1));
        let margin = " ".repeat(indent);
        let (mut text, mut line) = (String::new(), String::new());
        for piece in pieces(words) {
            if line.is_empty() {
                piece.clone_into(&mut line);
            } else if line.chars().count() + 1 + piece.chars().count() <= room {
                line = line + " " + piece;
            } else {
                text = text + &margin + &line + "\n";
                piece.clone_into(&mut line);
            }
        }
        text + &margin + &line + "\n"
    }
}

/// `words` at its spaces, but for those between backticks.
fn pieces(words: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    words.split(move |c: char| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    })
}

#[cfg(unix)]
fn terminal_width() -> Option<usize> {
    let stdout = rustix::stdio::stdout();
    if !rustix::termios::isatty(stdout) {
        return None;
    }
    Some(columns(stdout))
}

/// How wide a terminal is.
#[cfg(unix)]
pub(crate) fn columns(terminal: impl std::os::fd::AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(terminal).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(USUAL)
}

/// The columns and rows of the terminal at stdout; of one that does not say, as many rows as it takes.
#[cfg(unix)]
pub(crate) fn size_of_stdout() -> (usize, usize) {
    let stdout = rustix::stdio::stdout();
    let rows = rustix::termios::tcgetwinsize(stdout).ok().map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0);
    (columns(stdout), rows.unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
pub(crate) fn size_of_stdout() -> (usize, usize) {
    (USUAL, usize::MAX)
}

#[cfg(not(unix))]
fn terminal_width() -> Option<usize> {
    std::io::IsTerminal::is_terminal(&std::io::stdout()).then_some(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_never_in_a_command() {
        let paint = Paint::PLAIN.at_most(20);
        assert_eq!(paint.wrapped("say `cloud-token login work` now", 2), "  say\n  `cloud-token login work`\n  now\n");
        assert_eq!(paint.wrapped("a b c", 0), "a b c\n");
        assert_eq!(Paint::PLAIN.wrapped("a long line of words that fits", 1), " a long line of words that fits\n");
        assert_eq!(Paint::of_terminal(10, |_| None).at_most(80).width, Some(10));
    }
}
