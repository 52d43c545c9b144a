//! A descriptor of any kind that the runtime watches.
#![allow(unsafe_code, reason = "whoever has it watched promises that it stays open")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Has the runtime watch `descriptor`, which does not block.
///
/// # Errors
/// As `epoll_ctl(2)`.
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open for as long as it lives, and always the same one; the `AsyncFd` owns it.
    unsafe { AsyncFd::register(descriptor) }.map_err(io::Error::from)
}
