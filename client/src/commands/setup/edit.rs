//! A file before and after, shown as a difference or made at once.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use cloud_agent_protocol::configured;

use crate::report::printable;

/// Lines that are shown around what changes.
const CONTEXT: usize = 2;

/// So many links are followed, as the kernel has it.
const MAX_LINKS: usize = 40;

/// One file, or one link.
#[derive(Debug)]
pub(super) struct Edit {
    path: PathBuf,
    /// `None` if there is no such file.
    before: Option<String>,
    /// `None` if there is to be none.
    after: Option<String>,
    /// What is written is where a symbolic link leads.
    link: bool,
    /// Of a file that is not there yet.
    #[cfg_attr(not(unix), expect(dead_code, reason = "files are as closed there as their directory"))]
    mode: u32,
    /// What may be shown of a line: whoever looks over a shoulder is not to see what others have in that file.
    mask: fn(&str) -> String,
}

impl Edit {
    /// Of the file at `path`. A link is followed: dot-files often are one, and are to stay one.
    #[cold]
    pub(super) fn of(path: &Path, mode: u32, mask: fn(&str) -> String) -> io::Result<Self> {
        let path = followed(path);
        let before = match configured::text(&path) {
            Ok(text) => Some(text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        Ok(Self { after: before.clone(), before, path, link: false, mode, mask })
    }

    /// Of the link at `path`, which leads to `before` and is to lead to `after`.
    pub(super) fn link(path: PathBuf, before: Option<String>, after: Option<String>) -> Self {
        Self { path, before, after, link: true, mode: 0, mask: str::to_owned }
    }

    /// What is there; empty if nothing is.
    pub(super) fn text(&self) -> &str {
        self.before.as_deref().unwrap_or_default()
    }

    /// Whether there is no such file yet.
    pub(super) fn is_new(&self) -> bool {
        self.before.is_none()
    }

    /// Sets what is to be there. An empty file that was not there before is none.
    pub(super) fn set(&mut self, text: String) {
        self.after = if text.is_empty() && self.before.is_none() { None } else { Some(text) };
    }

    /// There is to be no such file.
    pub(super) fn drop_file(&mut self) {
        self.after = None;
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is done to it, in a word.
    pub(super) fn deed(&self) -> &'static str {
        if self.after.is_some() { "written" } else { "removed" }
    }

    pub(super) fn changes(&self) -> bool {
        self.before != self.after
    }

    /// What would change, as `diff -u` writes it.
    #[cold]
    pub(super) fn diff(&self) -> String {
        let path = self.path.display().to_string();
        let name = |there: bool| if there { printable(&path) } else { "/dev/null".to_owned() };
        let mut text = format!("--- {}\n+++ {}\n", name(self.before.is_some()), name(self.after.is_some()));
        let arrow = if self.link { "-> " } else { "" };
        // Masked only when it is put down: what differs in what is hidden differs.
        let shown = |line: &str| {
            let line = (self.mask)(line).replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
            format!("{arrow}{line}\n")
        };
        let lines = |side: &'_ Option<String>| -> Vec<String> {
            side.as_deref().unwrap_or_default().lines().map(str::to_owned).collect()
        };
        let (old, new) = (lines(&self.before), lines(&self.after));
        let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let most = old.len().min(new.len()) - same;
        let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
        let from = same.saturating_sub(CONTEXT);
        let behind = tail.min(CONTEXT);
        let (old_end, new_end) = (old.len() - tail, new.len() - tail);
        let first = |side: &[String]| if side.is_empty() { 0 } else { from + 1 };
        let (left, right) = (old_end - from + behind, new_end - from + behind);
        let head = format!("@@ -{},{left} +{},{right} @@", first(&old), first(&new));
        text.extend([head.as_str(), "\n"]);
        let mut put = |sign: &str, lines: &[String]| {
            for line in lines {
                text.extend([sign, &shown(line)]);
            }
        };
        put(" ", &old[from..same]);
        put("-", &old[same..old_end]);
        put("+", &new[same..new_end]);
        put(" ", &old[old_end..old_end + behind]);
        text
    }

    /// Makes the change. A reader, or a crash, sees the file as it was or as it is to be.
    #[cold]
    pub(super) fn make(&self) -> io::Result<()> {
        let Some(after) = &self.after else { return fs::remove_file(&self.path) };
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory)?;
        if self.link {
            return self.make_link(after);
        }
        let mut temp = self.path.clone().into_os_string();
        temp.push(format!(".{}", std::process::id()));
        let temp = PathBuf::from(temp);
        let written = (|| {
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, self.mode);
            let mut file = options.open(&temp)?;
            if let Ok(meta) = fs::metadata(&self.path) {
                file.set_permissions(meta.permissions())?;
            }
            file.write_all(after.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temp, &self.path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temp);
        }
        written
    }

    #[cfg(unix)]
    fn make_link(&self, to: &str) -> io::Result<()> {
        std::os::unix::fs::symlink(to, &self.path)
    }

    #[cfg(not(unix))]
    fn make_link(&self, to: &str) -> io::Result<()> {
        fs::copy(to, &self.path).map(drop)
    }
}

/// Where `path` leads, also if nothing is there yet.
#[cold]
fn followed(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(to) = path.read_link() else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(to);
    }
    path.canonicalize().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(before: Option<&str>, after: &str) -> Edit {
        let before = before.map(str::to_owned);
        let mut edit = Edit {
            path: "/etc/x".into(),
            after: before.clone(),
            before,
            link: false,
            mode: 0o644,
            mask: str::to_owned,
        };
        edit.set(after.to_owned());
        edit
    }

    #[test]
    fn a_difference_shows_what_changes_and_two_lines_around_it() {
        assert_eq!(
            edit(Some("1\n2\n3\n4\n5\n6\n"), "1\n2\n3\nx\n5\n6\n").diff(),
            "--- /etc/x\n+++ /etc/x\n@@ -2,5 +2,5 @@\n 2\n 3\n-4\n+x\n 5\n 6\n"
        );
        assert_eq!(edit(None, "a\nb\n").diff(), "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1,2 @@\n+a\n+b\n");
        assert_eq!(edit(Some("a\na\n"), "a\na\na\n").diff(), "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,3 @@\n a\n a\n+a\n");
    }

    #[test]
    fn what_stays_as_it_is_is_no_change() {
        assert!(!edit(Some("a"), "a").changes() && !edit(None, "").changes() && edit(None, "a").changes());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_keeps_its_rights_and_a_link_stays_one() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        let mut edit = Edit::of(&link, 0o600, str::to_owned).unwrap();
        edit.set("new".to_owned());
        edit.make().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left lying about");
        let dangling = dir.path().join("dangling");
        symlink("later/real", &dangling).unwrap();
        let mut edit = Edit::of(&dangling, 0o600, str::to_owned).unwrap();
        edit.set("there now".to_owned());
        edit.make().unwrap();
        assert!(fs::symlink_metadata(&dangling).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(dir.path().join("later/real")).unwrap(), "there now");
        let mut fresh = Edit::of(&dir.path().join("a/b"), 0o600, str::to_owned).unwrap();
        fresh.set("x".to_owned());
        fresh.make().unwrap();
        assert_eq!(fs::metadata(fresh.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
