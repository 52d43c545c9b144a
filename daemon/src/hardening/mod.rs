//! What keeps secrets inside the process, applied before there are any.

mod allocator;
mod footprint;
mod inherited;
#[cfg(target_os = "macos")]
pub(crate) mod macos;
mod pages;
#[cfg(unix)]
mod pidfd;
mod stack;
#[cfg(target_os = "linux")]
mod watched;
#[cfg(windows)]
pub(crate) mod windows;

pub use allocator::ZeroOnFree;
pub(crate) use footprint::others_first;
pub use footprint::{give_back, give_back_the_rest};
pub use inherited::let_go_of_inherited;
#[cfg(target_os = "linux")]
pub(crate) use inherited::{forget_variables, take_handed_down};
pub(crate) use pages::Kept;
#[cfg(unix)]
pub(crate) use pidfd::peer_pidfd;
pub(crate) use stack::wipe_stack;
#[cfg(target_os = "linux")]
pub(crate) use watched::watched;

/// Closes the doors that are open by default: core dumps, `ptrace` and `/proc/PID/mem` for programs of the same user, and
/// files that others may read. Called first in `main`.
///
/// What fails is returned, to be logged once there is a log: a missing door lock is no reason to leave the user without an agent.
#[must_use]
pub fn apply() -> Vec<String> {
    #[cfg(target_os = "linux")]
    footprint::prepare();
    #[cfg(unix)]
    return unix::apply();
    #[cfg(windows)]
    windows::apply()
}

/// Raises the limit of open files as far as allowed, so that a burst of clients finds room.
/// Returns how many there may be.
#[must_use]
pub fn raise_open_files() -> usize {
    #[cfg(unix)]
    return unix::raise_open_files();
    #[cfg(not(unix))]
    ENOUGH_FILES
}

/// More open files than this are never needed: the connection cap and some to spare.
const ENOUGH_FILES: usize = 8192;

#[cfg(unix)]
mod unix {
    use rustix::fs::Mode;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

    pub(super) fn apply() -> Vec<String> {
        let mut failed = Vec::new();
        #[cfg(target_os = "linux")]
        if let Err(e) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
            failed.push(format!("other programs of this user may read the agent's memory: {e}"));
        }
        #[cfg(target_os = "macos")]
        if let Err(e) = super::macos::deny_attach() {
            failed.push(format!("other programs of this user may read the agent's memory: {e}"));
        }
        if let Err(e) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
            failed.push(format!("core dumps are not off: {e}"));
        }
        umask(Mode::RWXG | Mode::RWXO);
        failed
    }

    pub(super) fn raise_open_files() -> usize {
        let enough = super::ENOUGH_FILES as u64;
        let limit = getrlimit(Resource::Nofile);
        let goal = limit.maximum.map_or(enough, |hard| hard.min(enough));
        let mut current = limit.current.unwrap_or(u64::MAX);
        if current < goal && setrlimit(Resource::Nofile, Rlimit { current: Some(goal), maximum: limit.maximum }).is_ok()
        {
            current = goal;
        }
        usize::try_from(current).unwrap_or(usize::MAX)
    }
}
