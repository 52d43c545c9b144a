//! A file that is ours as a whole. One that lies there and does not say so is somebody else's.

use std::path::Path;

use cloud_agent_protocol::{Fault, FaultKind};

use super::Edit;
use crate::places::unusable;
use crate::report::{Failure, printable};

/// In the first lines of a file that this wrote.
pub(super) const MARK: &str = "Written by `cloud-token setup";
/// So far the mark is looked for.
const HEAD: usize = 5;

/// The file at `path` with `text` in it, or without it if that is `None`.
///
/// # Errors
/// [`FaultKind::Config`] if what is there is not ours.
#[cold]
pub(super) fn edit(path: &Path, text: Option<String>) -> Result<Edit, Failure> {
    let mut edit = Edit::of(path, 0o644, str::to_owned).map_err(|e| unusable(path, &e))?;
    let is_ours = edit.text().lines().take(HEAD).any(|line| line.contains(MARK));
    if !edit.text().is_empty() && !is_ours {
        let shown = printable(&path.display().to_string());
        if text.is_none() {
            // Nothing of ours is there to be taken away.
            return Ok(edit);
        }
        return Err(Fault::new(FaultKind::Config, format!("`{shown}` is there, and this did not write it"))
            .hint("move it away, or keep it and do without this")
            .into());
    }
    match text {
        Some(text) => edit.set(text),
        None => edit.drop_file(),
    }
    Ok(edit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_somebody_else_is_neither_replaced_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unit");
        std::fs::write(&path, "[Service]\nmine\n").unwrap();
        assert!(edit(&path, Some("ours".into())).is_err());
        assert!(!edit(&path, None).unwrap().changes());
        std::fs::write(&path, format!("# {MARK} systemd`.\nold\n")).unwrap();
        assert!(edit(&path, Some("ours".into())).unwrap().changes());
        assert!(edit(&path, None).unwrap().changes());
    }

    #[test]
    fn where_nothing_is_there_is_nothing_to_remove() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!edit(&dir.path().join("unit"), None).unwrap().changes());
    }
}
