//! git: a helper in the user's own configuration, besides those that are there. It is silent about what is not ours.

use std::path::Path;

use super::{Edit, Plan, block, mask};
use crate::places::{git_config, own_program, unusable};
use crate::report::Failure;

/// What the helpers of git are named in.
const SECTION: &str = "[credential]";

#[cold]
pub(super) fn plan(remove: bool) -> Result<Plan, Failure> {
    let path = git_config()?;
    let mut edit = Edit::of(&path, 0o644, mask::ini).map_err(|e| unusable(&path, &e))?;
    let theirs = theirs(edit.text())?;
    if remove {
        block::take(&mut edit, &theirs.section())?;
    } else {
        block::put(&mut edit, &(part(&own_program()?) + &theirs.lines))?;
    }
    let note = "an account answers for its own addresses, or for those in its `serves`: \
        `cloud-token login ACCOUNT --set serves=https://git.example`";
    Ok(Plan { edits: vec![edit], notes: if remove { Vec::new() } else { vec![note.to_owned()] } })
}

/// What git has put into our section: `git config` adds to the last one of a name, and reads no marks.
struct Theirs {
    lines: String,
    /// Something of theirs follows the last mark, in the section that we began.
    goes_on: bool,
}

impl Theirs {
    /// The same without anything of ours.
    fn section(&self) -> String {
        if self.lines.is_empty() && !self.goes_on { String::new() } else { format!("{SECTION}\n{}", self.lines) }
    }
}

fn theirs(text: &str) -> Result<Theirs, Failure> {
    let Some(found) = block::find(text)? else { return Ok(Theirs { lines: String::new(), goes_on: false }) };
    let is_ours = |line: &&str| {
        let line = line.trim();
        line == SECTION || (line.starts_with("helper = ") && line.trim_end_matches('"').ends_with(" helper git"))
    };
    let lines = found.inner.split_inclusive('\n').filter(|line| !is_ours(line)).collect();
    let next = found.after.lines().map(str::trim).find(|line| !(line.is_empty() || line.starts_with(['#', ';'])));
    Ok(Theirs { lines, goes_on: next.is_some_and(|line| !line.starts_with('[')) })
}

/// A section of its own: a helper is added to those that others name.
fn part(program: &Path) -> String {
    let program = program.display().to_string();
    let plain = program.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b));
    let command = if plain {
        format!("{program} helper git")
    } else {
        // For the shell that git starts it by, and then for the file.
        let quoted = format!("!'{}' helper git", program.replace('\'', r"'\''"));
        format!("\"{}\"", quoted.replace('\\', r"\\").replace('"', "\\\""))
    };
    format!("{SECTION}\n\thelper = {command}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_it_has_to_be() {
        assert_eq!(
            part(Path::new("/usr/bin/cloud-token")),
            "[credential]\n\thelper = /usr/bin/cloud-token helper git\n"
        );
        assert_eq!(
            part(Path::new("/my \"b'in/cloud-token")),
            "[credential]\n\thelper = \"!'/my \\\"b'\\\\''in/cloud-token' helper git\"\n"
        );
    }
}
