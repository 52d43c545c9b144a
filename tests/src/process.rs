//! What `/proc` says about a process. Every reader says `None` or nothing for one that is gone.

use std::fs;
use std::path::{Path, PathBuf};

/// All process ids there are.
#[must_use]
pub fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether it runs: a zombie does not.
#[must_use]
pub fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// Its parent.
#[must_use]
pub fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|(_, parent)| parent)
}

/// Its children, theirs, and so on.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<_> = all().into_iter().filter_map(|child| Some((child, parent(child)?))).collect();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let of = found[at];
        found.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(child, _)| *child));
        at += 1;
    }
    found.split_off(1)
}

/// Its program. Unreadable to other users, and to its own once it forbids being dumped.
#[must_use]
pub fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Its arguments, the program's name first.
#[must_use]
pub fn arguments(pid: u32) -> Vec<String> {
    words(&format!("/proc/{pid}/cmdline"))
}

/// The environment it was started with, as `NAME=value`.
#[must_use]
pub fn environment(pid: u32) -> Vec<String> {
    words(&format!("/proc/{pid}/environ"))
}

/// What each of its threads waits for in the kernel: for the message of a test that waited for it in vain.
#[must_use]
pub fn doing(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let described = tasks.map(|task| {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default().trim().to_owned();
        let state = read("stat").rsplit_once(')').and_then(|(_, rest)| rest.trim().chars().next()).unwrap_or('?');
        format!("{state} in {} by call {}; {}", read("wchan"), read("syscall"), read("schedstat"))
    });
    described.collect::<Vec<_>>().join(" | ")
}

/// Whether it was stopped, as by ^Z.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim().starts_with('T'))
}

/// How many files it has open.
#[must_use]
pub fn open_files(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// How many threads it has.
#[must_use]
pub fn threads(pid: u32) -> Option<u64> {
    status(pid, "Threads")
}

/// How much memory it holds, in KiB.
#[must_use]
pub fn resident(pid: u32) -> Option<u64> {
    status(pid, "VmRSS")
}

/// How much it held at most, in KiB.
#[must_use]
pub fn peak(pid: u32) -> Option<u64> {
    status(pid, "VmHWM")
}

/// How often it gave up the processor of its own accord: how often it woke.
#[must_use]
pub fn voluntary_switches(pid: u32) -> Option<u64> {
    status(pid, "voluntary_ctxt_switches")
}

/// The processes that run a program in `dir`, by what the kernel says or, where it does not say, by their own arguments.
#[must_use]
pub fn running_in(dir: &Path) -> Vec<u32> {
    let ours = |pid: &u32| match program(*pid) {
        Some(path) => path.starts_with(dir),
        None => arguments(*pid).first().is_some_and(|first| Path::new(first).starts_with(dir)),
    };
    all().into_iter().filter(ours).filter(|pid| runs(*pid)).collect()
}

/// The number in a line of `/proc/PID/status`.
#[must_use]
pub fn status(pid: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn words(path: &str) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name, and may hold blanks and brackets.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_is_seen_with_its_arguments_and_not_when_it_is_gone() {
        let mut child = Command::new("sleep").arg("60").env("MARK", "seen").spawn().unwrap();
        let pid = child.id();
        assert!(descendants(std::process::id()).contains(&pid));
        assert!(crate::wait::until(crate::wait::PATIENCE, || arguments(pid) == ["sleep", "60"]));
        assert!(environment(pid).contains(&"MARK=seen".to_owned()));
        assert!(resident(pid).unwrap() > 0 && open_files(pid).unwrap() >= 3);
        assert_eq!(threads(pid), Some(1));
        child.kill().unwrap();
        assert!(crate::wait::until(crate::wait::PATIENCE, || !runs(pid)), "a zombie does not run");
        child.wait().unwrap();
        assert_eq!(parent(pid), None);
    }
}
