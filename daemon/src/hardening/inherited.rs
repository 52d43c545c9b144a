//! Descriptors that were handed down: those that nobody meant for the agent, and those that a service manager did.

#![allow(unsafe_code)]

/// Closes all that was inherited but the three standard streams.
///
/// A program that starts a client may have a pipe open whose other end waits for its end, as test harnesses and `make` do. The
/// client ends in a moment; the agent that it starts would keep that pipe open for days. Called first thing in `main`.
#[cfg(target_os = "linux")]
pub fn let_go_of_inherited() {
    use std::os::fd::RawFd;

    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    // All of them, before one is closed: the list itself has a descriptor, which is gone after this line.
    let open: Vec<RawFd> = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let is_open = |descriptor: &RawFd| std::fs::symlink_metadata(format!("/proc/self/fd/{descriptor}")).is_ok();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2 && is_open(descriptor)) {
        // SAFETY: it is open, and nothing in this process owns a descriptor beyond the standard ones yet: `main` has just begun
        // and has one thread.
        unsafe { rustix::io::close(descriptor) };
    }
}

/// Elsewhere the system does not list them.
#[cfg(not(target_os = "linux"))]
pub fn let_go_of_inherited() {}

/// Makes `count` descriptors behind the three standard ones ours, as a service manager hands them down (`sd_listen_fds(3)`): they
/// are closed when they are dropped, and no program that the agent runs inherits them. Those that are not open are left out.
#[cfg(target_os = "linux")]
pub(crate) fn take_handed_down(count: usize) -> Vec<Option<std::os::fd::OwnedFd>> {
    use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

    use rustix::io::{FdFlags, fcntl_setfd};

    let take = |descriptor: RawFd| {
        // SAFETY: borrowed for one call, which answers `EBADF` if there is no such descriptor.
        let open = fcntl_setfd(unsafe { BorrowedFd::borrow_raw(descriptor) }, FdFlags::CLOEXEC).is_ok();
        // SAFETY: it is open, and whoever started this process has said that it is for us: nothing here owns it. Called once, in
        // `main`, before anything opens a descriptor that could have its number.
        open.then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
    };
    (3..).take(count).map(take).collect()
}

/// Takes these variables out of the environment, so that no program that the agent runs believes that they are meant for it.
#[cfg(target_os = "linux")]
pub(crate) fn forget_variables(names: &[&str]) {
    for name in names {
        // SAFETY: called in `main` while this process has one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}
