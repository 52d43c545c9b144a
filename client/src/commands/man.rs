//! `man`: the manual, which is in the program, so that it is there without being installed.

use cloud_agent_protocol::suggest::nearest;

use crate::report::Failure;
use crate::stdio;

/// The name of a page and its text by turns, each with a zero behind it: no table, whose addresses the loader would have to mend
/// at every start of the program.
const PAGES: &str = include_str!(concat!(env!("OUT_DIR"), "/pages"));

fn pages() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut parts = PAGES.split_terminator('\0');
    std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
}

/// Prints the page of a command, or of the whole program, for `man -l -`.
#[cold]
pub(crate) fn run(command: Option<&str>) -> Result<(), Failure> {
    let name = command.map_or("cloud-token".to_owned(), |command| format!("cloud-token-{command}"));
    if let Some((_, text)) = pages().find(|(page, _)| *page == name) {
        return stdio::stdout(text.as_bytes());
    }
    let commands: Vec<_> = pages().filter_map(|(page, _)| page.strip_prefix("cloud-token-")).collect();
    let failure = Failure::usage(format!("no page of that name; the commands are {}", commands.join(", ")));
    Err(failure.hint(match command.and_then(|command| nearest(command, commands.iter().copied())) {
        Some(near) => format!("did you mean `cloud-token man {near}`?"),
        None => "`cloud-token man`".to_owned(),
    }))
}
