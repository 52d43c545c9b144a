//! `status --watch`: the status again and again, until somebody ends it.

use std::thread;
use std::time::Duration;

use super::{Options, Paint, ask, text};
use crate::client::Client;
use crate::report::Failure;
use crate::{paint, stdio};

/// Between two looks. Only who watches has the agent woken for it.
const PAUSE: Duration = Duration::from_secs(2);

/// To the top left; what is there stays until it is written over, so that nothing flickers.
const HOME: &str = "\x1b[H";
/// Nothing behind the end of a line, and nothing below the last.
const END_OF_LINE: &str = "\x1b[K\n";
const END: &str = "\x1b[J";

/// On a terminal the screen is redrawn. Elsewhere a status is printed whenever it is another than before; as JSON, each is a line.
///
/// # Errors
/// Whatever a status can fail with, also once the agent has ended: none is started to be looked at.
pub(super) fn run(options: Options) -> Result<(), Failure> {
    let mut client = Client::new(options.timeout)?;
    let mut before = None;
    loop {
        // Every time: the window may have been made smaller.
        let paint = Paint::of_stdout();
        let now = ask(&client)?;
        if paint.redraws && !options.json {
            let fitting = fitting(&text(&now, false, &paint), paint::size_of_stdout());
            stdio::stdout(redrawn(&fitting).as_bytes())?;
        } else if before.as_ref() != Some(&now) {
            let gap = if options.json || before.is_none() { "" } else { "\n" };
            stdio::stdout(format!("{gap}{}", text(&now, options.json, &paint)).as_bytes())?;
            before = Some(now);
        }
        thread::sleep(PAUSE);
        client = Client::new(options.timeout)?.without_autostart();
    }
}

/// As much of `text` as there is room for. More would scroll the rest out of sight, again at each look.
fn fitting(text: &str, (columns, rows): (usize, usize)) -> String {
    let height = |line: &str| visible(line).div_ceil(columns).max(1);
    // The cursor has the last one.
    let room = rows.saturating_sub(1);
    if text.lines().map(height).sum::<usize>() <= room {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(1);
    let fits = |line: &&str| {
        let rest = left.checked_sub(height(line));
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let shown: Vec<&str> = text.lines().take_while(fits).collect();
    format!("{}\n… {} more", shown.join("\n"), text.lines().count() - shown.len())
}

/// How many columns `line` takes. Of sequences that steer a terminal it has colours only.
fn visible(line: &str) -> usize {
    let mut coloured = false;
    let is_seen = |c: &char| {
        let is_seen = !coloured && *c != '\x1b';
        coloured = *c == '\x1b' || (coloured && *c != 'm');
        is_seen
    };
    line.chars().filter(is_seen).count()
}

fn redrawn(text: &str) -> String {
    format!("{HOME}{}{END}", text.replace('\n', END_OF_LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_redrawn_leaves_nothing_of_what_was_there_before() {
        assert_eq!(redrawn("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }

    #[test]
    fn what_a_low_screen_has_no_room_for_is_counted_and_not_scrolled() {
        let text = "one\n\x1b[32mtwo\x1b[0m\nthree\nfour\n";
        assert_eq!(fitting(text, (10, 5)), text);
        assert_eq!(fitting(text, (10, 4)), "one\n\x1b[32mtwo\x1b[0m\n… 2 more");
        // `three` takes two lines of three columns.
        assert_eq!(fitting(text, (3, 6)), "one\n\x1b[32mtwo\x1b[0m\nthree\n… 1 more");
        assert_eq!(fitting(text, (3, 5)), "one\n\x1b[32mtwo\x1b[0m\n… 2 more");
        assert_eq!(fitting(text, (3, 0)), "\n… 4 more");
    }
}
