//! What a process that holds a token for a moment owes it.

/// Forbids core dumps and other processes of the same user reading our memory. Best effort: an old kernel or a sandbox
/// that refuses must not cost the user their token.
#[cfg(target_os = "linux")]
pub(crate) fn process() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // A core pattern that is a pipe is asked even for processes that are not dumpable on some kernels; it obeys this.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Forbids core dumps. Best effort, as above.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn process() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

#[cfg(not(unix))]
pub(crate) fn process() {}
