//! `status --watch`: the status again and again, until somebody ends it.

use std::thread;
use std::time::Duration;

use super::{Options, Paint, ask, text};
use crate::client::Client;
use crate::report::Failure;
use crate::stdio;

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
        // Every time: the window may have been made narrower.
        let paint = Paint::of_stdout();
        let now = ask(&client)?;
        if paint.redraws && !options.json {
            stdio::stdout(redrawn(&text(&now, false, &paint)).as_bytes())?;
        } else if before.as_ref() != Some(&now) {
            let gap = if options.json || before.is_none() { "" } else { "\n" };
            stdio::stdout(format!("{gap}{}", text(&now, options.json, &paint)).as_bytes())?;
            before = Some(now);
        }
        thread::sleep(PAUSE);
        client = Client::new(options.timeout)?.without_autostart();
    }
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
}
