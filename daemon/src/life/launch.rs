//! Starts an agent behind this process, which then prints where it is, or becomes the program that it is for.
//!
//! This process never holds a secret, and closes none of the agent's doors: the program would inherit its limits and its
//! file mode mask.

use std::ffi::OsString;
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use cloud_agent_protocol::{Fault, FaultKind};

use super::assign::{Shell, assignment};
#[cfg(unix)]
use super::origin;
use crate::cli::Cli;

/// What an agent writes to stdout once it listens, or has found another one that does.
const READY: &str = "ready";

/// More than this before that line is no agent of ours.
const MAX_WORDS: u64 = 8 * 1024;

/// Exit codes of a program that cannot be run, as shells have them.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// What an agent is started with here.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) cli: &'a Cli,
    pub(crate) socket: &'a Path,
}

/// How it went wrong.
#[derive(Debug)]
pub(crate) enum Failed {
    /// In our words.
    Fault(Fault),
    /// The agent has said why, and ended with this code.
    Said(ExitCode),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Launch<'_> {
    /// Starts the agent, and prints the assignment that `shell` evaluates.
    ///
    /// # Errors
    /// `Config` if the path cannot be given to a shell; before an agent is started, so that none is left that nobody finds.
    pub(crate) fn print(&self, shell: Shell) -> Result<ExitCode, Failed> {
        let line = assignment(shell, self.socket)?;
        self.start(false)?;
        let mut out = io::stdout();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|why| cannot(&why.to_string()))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Starts the agent, and becomes `program`, which then is what the agent lives for. So its exit code, its signals and its
    /// place in the terminal's jobs are its own, without anybody in between who would have to pass them on.
    ///
    /// # Errors
    /// Those of the agent. If `program` cannot be run, the exit code is a shell's for that.
    pub(crate) fn become_program(&self, program: &[OsString]) -> Result<ExitCode, Failed> {
        let (first, arguments) = program.split_first().ok_or_else(|| cannot("no program is named"))?;
        let _bond = self.start(true)?;
        let mut command = Command::new(first);
        command.args(arguments).env(cloud_agent_protocol::endpoint::ENV_SOCKET, self.socket);
        let why = replace(&mut command)?;
        eprintln!("error: `{}` cannot be run", first.to_string_lossy());
        eprintln!("caused by: {why}");
        Err(Failed::Said(ExitCode::from(if why.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN })))
    }

    /// Starts it and waits until it listens. `bound`: it ends with this process.
    fn start(&self, bound: bool) -> Result<Child, Failed> {
        let own = std::env::current_exe().map_err(|why| cannot(&why.to_string()))?;
        let config = self.cli.config.clone().unwrap_or_default();
        let config = std::path::absolute(&config).unwrap_or(config);
        let mut command = Command::new(&own);
        #[cfg(unix)]
        if let Some(origin) = origin() {
            std::os::unix::process::CommandExt::arg0(&mut command, origin);
        }
        command.arg("--socket").arg(self.socket).arg("--detached").args(self.cli.handed_down(&config));
        if bound {
            command.arg("--bound");
        }
        // What it has to say until it listens is for whoever started us; then it lets go of stderr.
        command.stdin(if bound { held_open() } else { Stdio::null() }).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|why| cannot(&why.to_string()))?;
        if bound {
            hold_open(&mut child);
        }
        let mut said = String::new();
        if let Some(pipe) = child.stdout.take() {
            read_line(pipe, &mut said).map_err(|why| cannot(&why.to_string()))?;
        }
        if said.trim_end() == READY {
            return Ok(child);
        }
        let status = child.wait().map_err(|why| cannot(&why.to_string()))?;
        match status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0) {
            Some(code) => Err(Failed::Said(ExitCode::from(code))),
            None => Err(cannot(&format!("it ended before it listened: {status}")).into()),
        }
    }
}

/// Up to the end of the first line: the agent keeps the pipe no longer than that, but something that it runs might.
fn read_line(pipe: impl io::Read, line: &mut String) -> io::Result<()> {
    io::BufReader::new(pipe.take(MAX_WORDS)).read_line(line).map(drop)
}

/// See [`super::bond`].
fn held_open() -> Stdio {
    if cfg!(target_os = "linux") { Stdio::null() } else { Stdio::piped() }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn hold_open(child: &mut Child) {
    use std::os::fd::OwnedFd;

    if let Some(pipe) = child.stdin.take() {
        let pipe = OwnedFd::from(pipe);
        let _ = rustix::io::fcntl_setfd(&pipe, rustix::io::FdFlags::empty());
        // It is to be open as long as the program lives, which nobody here sees.
        std::mem::forget(pipe);
    }
}

#[cfg(any(not(unix), target_os = "linux"))]
fn hold_open(_: &mut Child) {}

/// Why this process could not become the program.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "as where it cannot be done")]
fn replace(command: &mut Command) -> Result<io::Error, Fault> {
    Ok(std::os::unix::process::CommandExt::exec(command))
}

#[cfg(not(unix))]
fn replace(_: &mut Command) -> Result<io::Error, Fault> {
    Err(Fault::new(FaultKind::Unsupported, "no program can be run with an agent on this system")
        .hint("start `cloud-agent` by itself; every program finds it"))
}

fn cannot(why: &str) -> Fault {
    Fault::new(FaultKind::Internal, "the agent cannot be started").because(why)
}
