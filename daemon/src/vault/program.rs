//! Runs a program: what it is told goes in by stdin, what it says comes out by stdout, and it ends in time.
//!
//! Arguments and environment are seen by others; nothing secret is in them.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

/// The most that a program may say, in bytes.
const MOST: usize = 256 * 1024;
/// The most that is read of its complaints.
const MOST_WORDS: usize = 4096;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it wrote to stdout.
    pub(crate) said: Zeroizing<Vec<u8>>,
    /// The last line that it wrote to stderr, as it may be shown.
    pub(crate) complaint: String,
}

/// Runs `program` with `told` as its stdin. It and whatever it started are killed after `patience`.
///
/// # Errors
/// In words, if it cannot be started, does not end in time, or says too much.
pub(super) async fn run(program: &[OsString], told: &[u8], patience: Duration) -> Result<Ended, String> {
    run_with(program, &[], told, patience).await
}

/// The same with these variables in its environment.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_with(
    program: &[OsString],
    environment: &[(&str, &str)],
    told: &[u8],
    patience: Duration,
) -> Result<Ended, String> {
    let (first, rest) = program.split_first().ok_or("there is no program")?;
    let mut command = Command::new(first);
    command
        .args(rest)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // A group of its own, so that whatever it starts can be ended with it.
    #[cfg(unix)]
    command.process_group(0);
    // Nor a window that flashes by: the agent has no console that it could share.
    #[cfg(windows)]
    command.creation_flags(windows_sys::Win32::System::Threading::CREATE_NO_WINDOW);
    let mut child = command.spawn().map_err(|why| format!("it cannot be started: {why}"))?;
    let group = child.id();
    let ended = tokio::time::timeout(patience, converse(&mut child, told)).await;
    if !matches!(ended, Ok(Ok(_))) {
        end(group);
        let _ = child.kill().await;
    }
    ended.unwrap_or_else(|_| Err(format!("it has not ended within {} s", patience.as_secs_f32())))
}

/// This very program, also after another one was installed in its place.
pub(crate) fn ourselves() -> OsString {
    if cfg!(target_os = "linux") {
        return "/proc/self/exe".into();
    }
    std::env::current_exe().map_or_else(|_| "cloud-agent".into(), Into::into)
}

async fn converse(child: &mut Child, told: &[u8]) -> Result<Ended, String> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err("it has no pipes".into());
    };
    let tell = async {
        // One that does not care for what it is told may end without reading it.
        let _ = stdin.write_all(told).await;
        drop(stdin);
    };
    let ((), said, words) = tokio::join!(tell, all_of(stdout, MOST), all_of(stderr, MOST_WORDS));
    let said = said?;
    let status = child.wait().await.map_err(|why| format!("it cannot be waited for: {why}"))?;
    let words = words.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let complaint = last.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    Ok(Ended { code: status.code(), said, complaint })
}

/// All that comes, into a buffer that never moves.
async fn all_of(mut pipe: impl AsyncRead + Unpin, most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut all = Zeroizing::new(vec![0; most + 1]);
    let mut length = 0;
    loop {
        match pipe.read(&mut all[length..]).await {
            Ok(0) if length > most => return Err(format!("it says more than {} KiB", most / 1024)),
            Ok(0) => break,
            Ok(count) => length += count,
            Err(why) => return Err(format!("it cannot be heard: {why}")),
        }
    }
    all.truncate(length);
    Ok(all)
}

fn end(group: Option<u32>) {
    #[cfg(unix)]
    if let Some(group) = group.and_then(|group| i32::try_from(group).ok()).and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = group;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn sh(script: &str, told: &str, patience: Duration) -> Result<Ended, String> {
        let program = ["/bin/sh", "-c", script].map(OsString::from);
        run(&program, told.as_bytes(), patience).await
    }

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn it_is_told_by_stdin_and_heard_by_stdout() {
        let ended = sh("cat; echo one >&2; echo 'two\tthree' >&2; exit 3", "in", PATIENCE).await.unwrap();
        assert_eq!((ended.code, &ended.said[..], ended.complaint.as_str()), (Some(3), &b"in"[..], "two three"));
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_no_trouble() {
        assert_eq!(sh("exit 0", &"x".repeat(1 << 20), PATIENCE).await.unwrap().code, Some(0));
    }

    #[tokio::test]
    async fn one_that_says_too_much_is_ended() {
        let why = sh("cat /dev/zero", "", PATIENCE).await.unwrap_err();
        assert!(why.contains("more than"), "{why}");
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_in_time_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("(while :; do date >{}; sleep 0.01; done) & wait", mark.display());
        let why = sh(&script, "", Duration::from_millis(300)).await.unwrap_err();
        assert!(why.contains("within"), "{why}");
        let written = || std::fs::metadata(&mark).and_then(|meta| meta.modified()).ok();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let last = written();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(written(), last, "what it started still runs");
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_said_so() {
        let why = run(&["/nonexistent/program".into()], b"", PATIENCE).await.unwrap_err();
        assert!(why.contains("cannot be started"), "{why}");
    }
}
