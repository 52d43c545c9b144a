//! One process, as `/proc` shows it (proc(5)). Elsewhere than on Linux only its id is known.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// No longer a chain of parents is looked at: a program may start itself a thousand times over.
pub(super) const LONGEST_CHAIN: usize = 16;

/// A tick of the kernel's, as programs see it, in milliseconds.
const TICK: u64 = 10;

/// No more is read of a file there. A `stat` is far shorter, and a `cgroup` that is longer has its unit before.
const LONGEST_FILE: usize = 4096;

/// What is known of a process.
#[derive(Debug)]
pub struct Process {
    /// Its id; 0 where the system does not tell.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot: ids are used again. 0 if it had gone.
    pub started: u64,
    /// What it calls itself: 15 bytes at most, and anything can stand there.
    pub name: String,
    /// The file that it runs. `None` for one that does not show it, as both of our own programs.
    pub program: Option<String>,
    /// Its session; 0 if it had gone.
    pub session: u32,
    /// Its controlling terminal.
    pub terminal: Option<String>,
    parent: u32,
    above: OnceLock<Option<Arc<Self>>>,
    unit: OnceLock<Option<String>>,
    traced: OnceLock<()>,
}

impl Process {
    /// The process `pid`; `None` if there is none.
    #[must_use]
    pub fn look(pid: u32) -> Option<Self> {
        let Stat { name, parent, session, terminal, started } = stat(pid)?;
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        Some(Self {
            pid,
            started,
            name,
            program: program.map(|path| path.to_string_lossy().into_owned()),
            session,
            terminal: terminal_name(terminal),
            parent,
            above: OnceLock::new(),
            unit: OnceLock::new(),
            traced: OnceLock::new(),
        })
    }

    /// One that cannot be looked at any more.
    #[must_use]
    pub fn gone(pid: u32) -> Self {
        Self {
            pid,
            started: 0,
            name: if pid == 0 { "unknown" } else { "exited" }.into(),
            program: None,
            session: 0,
            terminal: None,
            parent: 0,
            above: OnceLock::new(),
            unit: OnceLock::new(),
            traced: OnceLock::new(),
        }
    }

    /// The process that started this one, if somebody has looked; itself first, then its parent, and so on.
    #[must_use]
    pub fn chain(&self) -> Vec<&Self> {
        self.line().collect()
    }

    /// The same, one by one.
    pub(super) fn line(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |last| last.above.get()?.as_deref()).take(LONGEST_CHAIN)
    }

    /// Does `trace`, if nobody has.
    pub(super) fn trace_once(&self, trace: impl FnOnce()) {
        self.traced.get_or_init(trace);
    }

    /// The systemd unit that it belongs to, if somebody has looked and there is one.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        self.unit.get()?.as_deref()
    }

    /// Whether it started after the uptime `since`, by more than the kernel's ticks are long.
    #[must_use]
    pub fn is_younger_than(&self, since: Duration) -> bool {
        Duration::from_millis(self.started.saturating_mul(TICK)) > since + Duration::from_millis(2 * TICK)
    }

    /// What is shown of it: its file, or its name.
    #[must_use]
    pub fn label(&self) -> &str {
        self.program.as_deref().unwrap_or(&self.name)
    }

    /// The parent, which `look` finds.
    pub(super) fn above(&self, look: impl FnOnce(u32) -> Option<Arc<Self>>) -> Option<Arc<Self>> {
        self.above.get_or_init(|| if self.parent == 0 { None } else { look(self.parent) }).clone()
    }

    /// Looks for the unit.
    pub(super) fn find_unit(&self) -> Option<&str> {
        self.unit.get_or_init(|| unit(self.pid)).as_deref()
    }
}

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) parent: u32,
    pub(crate) session: u32,
    pub(crate) terminal: u32,
    pub(crate) started: u64,
}

/// That of process `pid`; `None` if there is none.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse(&read(&format!("/proc/{pid}/stat"))?)
}

/// A file that the kernel writes when it is read, in one read: for one whose size is not told beforehand, std takes ten. A
/// name in it need not be UTF-8.
fn read(path: &str) -> Option<String> {
    use std::io::Read as _;

    let mut buffer = [0; LONGEST_FILE];
    let count = std::fs::File::open(path).ok()?.read(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

/// The second field is a name in brackets, and may hold brackets itself; the others are numbers.
fn parse(text: &str) -> Option<Stat> {
    let (head, rest) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = rest.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let terminal = fields.next()?.parse::<i32>().ok()?.cast_unsigned();
    let started = fields.nth(14)?.parse().ok()?;
    Some(Stat { name, parent, session, terminal, started })
}

/// The name of a terminal by its device number, as the kernel packs it.
fn terminal_name(device: u32) -> Option<String> {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    match major {
        0 => None,
        136..=143 => Some(format!("/dev/pts/{}", (major - 136) * 256 + minor)),
        4 if minor < 64 => Some(format!("/dev/tty{minor}")),
        4 => Some(format!("/dev/ttyS{}", minor - 64)),
        _ => Some(format!("device {major}:{minor}")),
    }
}

fn unit(pid: u32) -> Option<String> {
    unit_in(&read(&format!("/proc/{pid}/cgroup"))?)
}

/// The innermost unit in `/proc/PID/cgroup`: a slice groups units and is none.
fn unit_in(text: &str) -> Option<String> {
    let path = text
        .lines()
        .find_map(|line| line.strip_prefix("0::").or_else(|| line.split_once("name=systemd:").map(|s| s.1)))?;
    let is_unit = |part: &&str| [".service", ".scope", ".socket", ".mount"].iter().any(|kind| part.ends_with(kind));
    path.split('/').rev().find(is_unit).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_told_by_the_kernel() {
        let own = Process::look(std::process::id()).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert_eq!(own.program.as_deref(), std::env::current_exe().unwrap().to_str());
        assert!(Process::look(u32::MAX).is_none());
    }

    #[test]
    fn the_fields_are_found_whatever_the_name() {
        let line = "7 (a) b) S 41 7 9 34817 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        let expected = Stat { name: "a) b".into(), parent: 41, session: 9, terminal: 34817, started: 98765 };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse("7 (a"), None);
    }

    #[test]
    fn terminals_have_the_names_that_people_know() {
        for (device, name) in [
            (0, None),
            (34816, Some("/dev/pts/0")),
            (34817, Some("/dev/pts/1")),
            (0x0010_882c, Some("/dev/pts/300")),
            (1025, Some("/dev/tty1")),
            (1088, Some("/dev/ttyS0")),
            (0x0501, Some("device 5:1")),
        ] {
            assert_eq!(terminal_name(device).as_deref(), name, "{device}");
        }
    }

    #[test]
    fn the_unit_is_the_innermost_that_is_no_slice() {
        for (text, unit) in [
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/backup.service\n", Some("backup.service")),
            ("0::/user.slice/user-1000.slice/session-2.scope\n", Some("session-2.scope")),
            ("12:pids:/x\n1:name=systemd:/system.slice/cron.service\n", Some("cron.service")),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(text).as_deref(), unit, "{text}");
        }
    }
}
