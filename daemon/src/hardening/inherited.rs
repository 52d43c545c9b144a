//! Descriptors that nobody meant for the agent.

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
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // SAFETY: nothing in this process owns a descriptor beyond the standard ones yet: `main` has just begun and has one
        // thread. One that is closed already (that of the list) is an error of the call, which changes nothing.
        unsafe { rustix::io::close(descriptor) };
    }
}

/// Elsewhere the system does not list them.
#[cfg(not(target_os = "linux"))]
pub fn let_go_of_inherited() {}
