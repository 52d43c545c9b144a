//! A part of somebody's file that is ours, between two marks. Everything else in the file stays as it is, byte for byte.

use super::Edit;
use cloud_agent_protocol::{Fault, FaultKind};

const BEGIN: &str = "# >>> cloud-agent >>>";
const END: &str = "# <<< cloud-agent <<<";
/// Behind the first mark: the file did not end in a line end, and is not to have one when the part is taken out.
const JOINED: &str = " joined";
/// There was no file: it goes with the part, if nothing else came into it since.
const ALONE: &str = " alone";

/// Puts `lines` into the file as our part: in the place of the one that is there, else at the end.
///
/// # Errors
/// [`FaultKind::Config`] if the marks are not a pair.
#[cold]
pub(super) fn put(edit: &mut Edit, lines: &str) -> Result<(), Fault> {
    let is_new = edit.is_new();
    let text = with(edit.text(), lines, is_new)?;
    edit.set(text);
    Ok(())
}

/// Takes our part out of the file; `kept` comes into its place.
///
/// # Errors
/// As [`put`].
#[cold]
pub(super) fn take(edit: &mut Edit, kept: &str) -> Result<(), Fault> {
    let alone = find(edit.text())?.is_some_and(|found| found.mark == ALONE);
    let text = without(edit.text(), kept)?;
    if text.is_empty() && alone {
        edit.drop_file();
    } else {
        edit.set(text);
    }
    Ok(())
}

#[cold]
fn with(text: &str, lines: &str, is_new: bool) -> Result<String, Fault> {
    let part = |mark: &str| format!("{BEGIN}{mark}\n{lines}{END}\n");
    if let Some(found) = find(text)? {
        return Ok(format!("{}{}{}", found.before, part(found.mark), found.after));
    }
    Ok(if is_new {
        part(ALONE)
    } else if text.is_empty() || text.ends_with('\n') {
        format!("{text}{}", part(""))
    } else {
        format!("{text}\n{}", part(JOINED))
    })
}

#[cold]
fn without(text: &str, kept: &str) -> Result<String, Fault> {
    Ok(match find(text)? {
        None => text.to_owned(),
        Some(found) => {
            let is_last = found.mark == JOINED && found.after.is_empty() && kept.is_empty();
            let bare = found.before.strip_suffix('\n').filter(|_| is_last);
            format!("{}{kept}{}", bare.unwrap_or(found.before), found.after)
        }
    })
}

/// Our part, as it was found.
pub(super) struct Found<'a> {
    before: &'a str,
    /// Between the marks.
    pub(super) inner: &'a str,
    pub(super) after: &'a str,
    mark: &'static str,
}

/// Where our part is, if there is one.
///
/// # Errors
/// As [`put`].
#[cold]
pub(super) fn find(text: &str) -> Result<Option<Found<'_>>, Fault> {
    let (mut begin, mut end, mut at) = (None, None, 0);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let begins =
            bare.strip_prefix(BEGIN).and_then(|mark| ["", JOINED, ALONE].into_iter().find(|known| *known == mark));
        match (begins, bare == END) {
            (Some(mark), _) if begin.is_none() => begin = Some((at, at + line.len(), mark)),
            (None, true) if begin.is_some() && end.is_none() => end = Some((at, at + line.len())),
            (None, false) => {}
            _ => return Err(odd()),
        }
        at += line.len();
    }
    match (begin, end) {
        (None, None) => Ok(None),
        (Some((from, first, mark)), Some((last, to))) => {
            Ok(Some(Found { before: &text[..from], inner: &text[first..last], after: &text[to..], mark }))
        }
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
            let once = with(text, "ours\n", false).unwrap();
            assert_eq!(with(&once, "ours\n", false).unwrap(), once, "{text:?}: twice is once");
            assert_eq!(without(&once, "").unwrap(), text);
            let newer = with(&once, "newer\n", false).unwrap();
            assert!(newer.contains("newer") && !newer.contains("ours"));
            assert_eq!(without(&newer, "").unwrap(), text);
        }
    }

    #[test]
    fn what_was_written_behind_it_since_stays() {
        let text = format!("{}mine\n", with("a", "ours\n", false).unwrap());
        assert_eq!(without(&text, "").unwrap(), "a\nmine\n");
        assert_eq!(without("nothing of ours\n", "").unwrap(), "nothing of ours\n");
    }

    #[test]
    fn half_a_part_is_nobodys_to_guess() {
        for text in [BEGIN, END, &format!("{BEGIN}\n{BEGIN}\n{END}\n"), &format!("{END}\n{BEGIN}\n")] {
            assert_eq!(without(text, "").unwrap_err().kind, FaultKind::Config, "{text}");
        }
    }
}
