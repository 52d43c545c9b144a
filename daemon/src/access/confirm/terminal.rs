//! Asks at the caller's own terminal. Whoever controls that terminal can answer, so it has to be asked for in the file.

use std::time::Duration;

use super::question::Question;

/// No answer is longer.
#[cfg(unix)]
const LONGEST_ANSWER: usize = 64;

/// Shows the question there and reads a line. `y` or `yes` is yes.
#[cfg(unix)]
pub(super) async fn ask(question: &Question, patience: Duration) -> Result<(), String> {
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

    use tokio::io::AsyncReadExt as _;
    use tokio::net::unix::pipe::Receiver;

    let Some(path) = question.terminal.clone() else { return Err("the caller has no terminal to be asked at".into()) };
    let failed = |why: std::io::Error| format!("`{path}`: {why}");
    // Never the agent's own terminal, and never held up by one that is stopped.
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).expect("open flags fit an int");
    let terminal = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path).map_err(failed)?;
    if !terminal.metadata().map_err(failed)?.file_type().is_char_device() {
        return Err(format!("`{path}` is no terminal"));
    }
    let seconds = patience.as_secs();
    let words = format!("\ncloud-agent: {}\n[y/N, {seconds} s] ", question.text().replace('\n', "\n  "));
    (&terminal).write_all(words.as_bytes()).map_err(failed)?;
    // tokio has no type of its own for a terminal, and the one for a pipe's reading end does what is needed.
    let mut keys = Receiver::from_file_unchecked(terminal).map_err(failed)?;
    let mut line = Vec::new();
    while !line.ends_with(b"\n") && line.len() < LONGEST_ANSWER {
        if keys.read_buf(&mut line).await.map_err(failed)? == 0 {
            break;
        }
    }
    match String::from_utf8_lossy(&line).trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err("the answer was no".into()),
    }
}

#[cfg(not(unix))]
#[expect(clippy::unused_async, reason = "as where one can be asked at")]
pub(super) async fn ask(_question: &Question, _patience: Duration) -> Result<(), String> {
    Err("a terminal cannot be asked at on this system; set `with` in `[confirm]`".into())
}
