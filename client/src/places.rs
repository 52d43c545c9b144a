//! Where programs lie, and where those that ask us keep their configuration: as they look for it themselves.

use std::path::{Path, PathBuf};
use std::{env, io};

use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::{Fault, FaultKind};

use crate::report::{Failure, printable};

/// What this program's file is called.
pub(crate) const PROGRAM: &str = if cfg!(windows) { "cloud-token.exe" } else { "cloud-token" };

/// What the agent's is.
const AGENT: &str = if cfg!(windows) { "cloud-agent.exe" } else { "cloud-agent" };

/// Names the home directory.
const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

/// How other programs are to start us: the way that the user does, so that an update of ours does not move it.
#[cold]
pub(crate) fn own_program() -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(|e| unusable(Path::new("cloud-token"), &e))?;
    let is_own = |path: &PathBuf| path.canonicalize().is_ok_and(|real| real == own);
    Ok(on_path(PROGRAM, is_own).unwrap_or(own))
}

/// The agent, which lies beside this program, else on the path.
#[cold]
pub(crate) fn agent_program() -> Result<PathBuf, Failure> {
    let beside = own_program()?.with_file_name(AGENT);
    if beside.is_file() {
        return Ok(beside);
    }
    on_path(AGENT, |path| path.is_file()).ok_or_else(|| {
        Fault::new(FaultKind::Config, "`cloud-agent` is neither beside `cloud-token` nor in a directory of PATH")
            .hint("install `cloud-agent` beside `cloud-token`")
            .into()
    })
}

/// The first on the path that `is_it`.
#[cold]
pub(crate) fn on_path(name: &str, is_it: impl Fn(&PathBuf) -> bool) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(is_it)
}

/// The home directory.
#[cold]
pub(crate) fn home() -> Result<PathBuf, Failure> {
    directory(HOME).ok_or_else(|| {
        Fault::new(FaultKind::Config, "it is not known where your configuration is")
            .because(format!("`${HOME}` is not set"))
            .into()
    })
}

/// The directory that a variable names.
#[cold]
pub(crate) fn directory(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Where programs keep their configuration.
#[cold]
pub(crate) fn config_home() -> Result<PathBuf, Failure> {
    directory("XDG_CONFIG_HOME").map_or_else(|| home().map(|home| home.join(".config")), Ok)
}

/// The file that `git config --global` would write.
#[cold]
pub(crate) fn git_config() -> Result<PathBuf, Failure> {
    if let Some(path) = env::var_os("GIT_CONFIG_GLOBAL").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let (usual, other) = (home()?.join(".gitconfig"), config_home()?.join("git/config"));
    Ok(if !usual.exists() && other.exists() { other } else { usual })
}

/// docker's own file.
#[cold]
pub(crate) fn docker_config() -> Result<PathBuf, Failure> {
    let directory = directory("DOCKER_CONFIG").map_or_else(|| home().map(|home| home.join(".docker")), Ok)?;
    Ok(directory.join("config.json"))
}

/// Where the user's own units are.
#[cold]
pub(crate) fn user_units() -> Result<PathBuf, Failure> {
    Ok(config_home()?.join("systemd/user"))
}

#[cold]
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Failure {
    let fault = Fault::new(FaultKind::Config, format!("`{}` cannot be used", printable(&path.display().to_string())));
    let fault = fault.because(error.to_string());
    // What `configured` says of a pipe, or of what has no end: nobody's configuration.
    if error.kind() == io::ErrorKind::InvalidInput { fault.hint(out_of_the_way(path, "moved")) } else { fault }.into()
}

/// What moves something away, and loses nothing of it.
#[cold]
pub(crate) fn out_of_the_way(path: &Path, ending: &str) -> String {
    let path = path.display();
    format!("`mv {} {}`", quoted(&path), quoted(format_args!("{path}.{ending}")))
}
