//! What the reader's screen can show: its width, and whether in colours.

use std::env;

/// How wide a terminal is taken to be that does not say so.
const USUAL: usize = 80;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
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
pub(super) struct Paint {
    /// Its columns; `None` if a program reads it, or a file is written.
    pub(super) width: Option<usize>,
    /// Whether what was written can be written over.
    pub(super) redraws: bool,
    colours: bool,
}

impl Paint {
    /// For a program, or a file.
    pub(super) const PLAIN: Self = Self { width: None, redraws: false, colours: false };

    /// What is at stdout.
    pub(super) fn of_stdout() -> Self {
        match terminal_width() {
            Some(width) => Self::of_terminal(width, |name| env::var(name).ok()),
            None => Self::PLAIN,
        }
    }

    /// A terminal of this width, and what the user says about it.
    pub(super) fn of_terminal(width: usize, variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let redraws = said("TERM").is_some_and(|term| term != "dumb");
        // https://no-color.org: whatever it says, if it says anything.
        Self { width: Some(width), redraws, colours: redraws && said("NO_COLOR").is_none() }
    }

    /// `text` in a tone, if there are colours.
    pub(super) fn tint(&self, tone: Tone, text: &str) -> String {
        if self.colours { format!("\x1b[{}m{text}\x1b[0m", tone.number()) } else { text.to_owned() }
    }
}

#[cfg(unix)]
fn terminal_width() -> Option<usize> {
    let stdout = rustix::stdio::stdout();
    if !rustix::termios::isatty(stdout) {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stdout).ok();
    Some(size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(USUAL))
}

#[cfg(not(unix))]
fn terminal_width() -> Option<usize> {
    std::io::IsTerminal::is_terminal(&std::io::stdout()).then_some(USUAL)
}
