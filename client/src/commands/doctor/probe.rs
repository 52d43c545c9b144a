//! Other programs, asked with a deadline: one that hangs, or that leaves something behind which holds its output open, delays
//! nothing beyond it.

use std::io::{ErrorKind, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::aside::Aside;

/// What a program is given. Those that are asked read a file or two.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The most that is read of what one says, in bytes.
const MOST: u64 = 1024 * 1024;

/// Between two looks at whether a program that has said all has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// What came of it.
pub(super) enum Asked {
    /// It ended.
    Said(Said),
    /// There is no such program.
    Missing,
    /// It did not end in time.
    Hung,
    /// It could not be started.
    Failed(String),
}

/// What a program said.
pub(super) struct Said {
    /// `None` if a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    /// The first line that says something.
    pub(super) complaint: String,
}

/// Runs `command` to its end, with nothing on stdin, for at most `patience`.
pub(super) fn ask(command: &mut Command, patience: Duration) -> Asked {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that whatever it has started ends with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let end = Instant::now() + patience;
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == ErrorKind::NotFound => return Asked::Missing,
        Err(e) => return Asked::Failed(e.to_string()),
    };
    let (out, err) = (heard(child.stdout.take()), heard(child.stderr.take()));
    let said = |heard: Aside<String>| heard.wait(end.saturating_duration_since(Instant::now()));
    let asked = match (said(out), said(err)) {
        (Some(stdout), Some(stderr)) => ended(&mut child, end).map(|status| {
            let complaint = stderr.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
            Said { code: status.code(), stdout, complaint }
        }),
        _ => None,
    };
    if asked.is_none() {
        kill(child);
    }
    asked.map_or(Asked::Hung, Asked::Said)
}

fn heard(pipe: Option<impl Read + Send + 'static>) -> Aside<String> {
    Aside::begin(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|pipe| pipe.take(MOST).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn ended(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => thread::sleep(PAUSE),
            _ => return None,
        }
    }
}

/// Ends it, and waits for no more than a moment until it has: `sudo` is root's, and whoever waits for the disk dies only after that.
fn kill(mut child: Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    Aside::begin(move || child.wait()).wait(PAUSE);
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Asked {
        ask(Command::new("sh").args(["-c", script]), Duration::from_millis(300))
    }

    #[test]
    fn what_a_program_says_is_heard_and_how_it_ended() {
        let Asked::Said(said) = sh("echo out; echo >&2; echo why >&2; exit 7") else { panic!() };
        assert_eq!((said.code, said.stdout.as_str(), said.complaint.as_str()), (Some(7), "out\n", "why"));
        assert!(matches!(ask(&mut Command::new("/nonexistent/program"), PATIENCE), Asked::Missing));
        assert!(matches!(ask(&mut Command::new("/"), PATIENCE), Asked::Failed(_)));
    }

    #[test]
    fn one_that_hangs_or_leaves_something_that_does_is_ended() {
        for script in ["sleep 60", "sleep 60 & exit", "exec >&- 2>&-; sleep 60"] {
            assert!(matches!(sh(script), Asked::Hung), "{script}");
        }
    }
}
