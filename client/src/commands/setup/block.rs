//! A part of somebody's file that is ours, between two marks. Everything else in the file stays as it is, byte for byte.

use cloud_agent_protocol::{Fault, FaultKind};

const BEGIN: &str = "# >>> cloud-agent >>>";
const END: &str = "# <<< cloud-agent <<<";
/// Behind the first mark: the file did not end in a line end, and is not to have one when the part is taken out.
const JOINED: &str = " joined";

/// `text` with `lines` as our part: in the place of the one that is there, else at the end.
///
/// # Errors
/// [`FaultKind::Config`] if the marks are not a pair.
#[cold]
pub(super) fn with(text: &str, lines: &str) -> Result<String, Fault> {
    let part = |mark: &str| format!("{BEGIN}{mark}\n{lines}{END}\n");
    if let Some(found) = find(text)? {
        let mark = if found.joined { JOINED } else { "" };
        return Ok(format!("{}{}{}", found.before, part(mark), found.after));
    }
    Ok(if text.is_empty() || text.ends_with('\n') {
        format!("{text}{}", part(""))
    } else {
        format!("{text}\n{}", part(JOINED))
    })
}

/// `text` without our part.
///
/// # Errors
/// As [`with`].
#[cold]
pub(super) fn without(text: &str) -> Result<String, Fault> {
    Ok(match find(text)? {
        None => text.to_owned(),
        Some(found) => {
            let bare = found.before.strip_suffix('\n').filter(|_| found.joined && found.after.is_empty());
            format!("{}{}", bare.unwrap_or(found.before), found.after)
        }
    })
}

struct Found<'a> {
    before: &'a str,
    after: &'a str,
    joined: bool,
}

#[cold]
fn find(text: &str) -> Result<Option<Found<'_>>, Fault> {
    let (mut begin, mut end, mut at) = (None, None, 0);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let begins = bare.strip_prefix(BEGIN).filter(|mark| mark.is_empty() || *mark == JOINED);
        match (begins, bare == END) {
            (Some(mark), _) if begin.is_none() => begin = Some((at, mark == JOINED)),
            (None, true) if begin.is_some() && end.is_none() => end = Some(at + line.len()),
            (None, false) => {}
            _ => return Err(odd()),
        }
        at += line.len();
    }
    match (begin, end) {
        (None, None) => Ok(None),
        (Some((from, joined)), Some(to)) => Ok(Some(Found { before: &text[..from], after: &text[to..], joined })),
        _ => Err(odd()),
    }
}

#[cold]
fn odd() -> Fault {
    Fault::new(FaultKind::Config, "it is not clear which part of the file is ours")
        .because(format!("`{BEGIN}` and `{END}` are not a pair there"))
        .hint("take both lines, and what belongs between them, out by hand")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_again_without_a_trace() {
        for text in ["", "a\n", "a", "a\n\n", "[x]\n\ty = 1\n", "\u{fc}\r\n"] {
            let once = with(text, "ours\n").unwrap();
            assert_eq!(with(&once, "ours\n").unwrap(), once, "{text:?}: twice is once");
            assert_eq!(without(&once).unwrap(), text);
            let newer = with(&once, "newer\n").unwrap();
            assert!(newer.contains("newer") && !newer.contains("ours"));
            assert_eq!(without(&newer).unwrap(), text);
        }
    }

    #[test]
    fn what_was_written_behind_it_since_stays() {
        let text = format!("{}mine\n", with("a", "ours\n").unwrap());
        assert_eq!(without(&text).unwrap(), "a\nmine\n");
        assert_eq!(without("nothing of ours\n").unwrap(), "nothing of ours\n");
    }

    #[test]
    fn half_a_part_is_nobodys_to_guess() {
        for text in [BEGIN, END, &format!("{BEGIN}\n{BEGIN}\n{END}\n"), &format!("{END}\n{BEGIN}\n")] {
            assert_eq!(without(text).unwrap_err().kind, FaultKind::Config, "{text}");
        }
    }
}
