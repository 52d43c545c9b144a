//! An agent that somebody has started and does not wait for.

use std::io::{self, Write as _};
use std::path::Path;
#[cfg(unix)]
use std::{fs, path::PathBuf};

#[cfg(windows)]
use super::windows::let_go;

/// A log file that has grown beyond this is begun anew, so that an agent that runs for a year fills no disk.
pub(super) const LONGEST_LOG: u64 = 1 << 20;

/// Leaves the client that started us: its session, its directory, its pipes. A shell that waits for the end of our
/// output (`token=$(cloud-token …)`) would otherwise wait for the end of the agent.
pub(crate) fn detach(log: &Path) {
    #[cfg(unix)]
    if let Err(e) = rustix::process::setsid() {
        tracing::debug!("no session of its own: {e}");
    }
    let _ = std::env::set_current_dir("/");
    ready();
    if let Err(e) = let_go(log) {
        tracing::warn!("the log file cannot be used: {e}");
    }
}

/// Says to whoever started us that it can be asked now.
pub(crate) fn ready() {
    let mut out = io::stdout();
    let _ = out.write_all(b"ready\n").and_then(|()| out.flush());
}

#[cfg(unix)]
fn let_go(log: &Path) -> io::Result<()> {
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    match open_log(log) {
        Ok(file) => rustix::stdio::dup2_stderr(&file)?,
        Err(e) => {
            rustix::stdio::dup2_stderr(&null)?;
            return Err(e);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn open_log(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let dir = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let anew = fs::symlink_metadata(path).is_ok_and(|meta| meta.len() > LONGEST_LOG);
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("open flags fit an int");
    let mut options = fs::OpenOptions::new();
    options.create(true).mode(0o600).custom_flags(no_follow);
    if anew {
        options.write(true).truncate(true).open(path)?;
    }
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(no_follow).open(path)
}
