//! Looks entries up.

use std::io;

use super::entry::Entry;
use super::place::{Place, lines};

/// How an entry begins, before its number.
const BEGINS: &str = "{\"n\":";

/// The entries after number `after`, the oldest first, as many as fit `room` bytes; only those of the token with that
/// fingerprint, if one is given. Whether there are more. Lines that are no entries are left out: `verify` names them.
pub(super) fn entries(place: &Place, after: u64, token: Option<&str>, room: usize) -> io::Result<(Vec<Entry>, bool)> {
    let (mut found, mut filled) = (Vec::new(), 0);
    for path in place.files() {
        for line in lines(&path)? {
            let line = line?;
            let line = line.as_str();
            // Parsing is dear, and most lines of a later page lie before it.
            if number(line).is_none_or(|n| n <= after) || token.is_some_and(|token| !line.contains(token)) {
                continue;
            }
            let Ok((entry, _)) = Entry::open(line) else { continue };
            if token.is_some_and(|token| entry.token.as_deref() != Some(token)) {
                continue;
            }
            filled += line.len();
            if filled > room && !found.is_empty() {
                return Ok((found, true));
            }
            found.push(entry);
        }
    }
    Ok((found, false))
}

fn number(line: &str) -> Option<u64> {
    line.strip_prefix(BEGINS)?.split_once(',')?.0.parse().ok()
}
