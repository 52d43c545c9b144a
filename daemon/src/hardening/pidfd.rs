//! Which process made a connection, pinned so that its id cannot come to mean another.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A descriptor of the process that made the connection `socket`, from Linux 6.5 on. It stands for that process even when its
/// id is used again, and becomes readable when it ends.
///
/// # Errors
/// What the kernel says: `InvalidInput` or similar where it does not know how, or has forgotten the process.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use std::ffi::{c_int, c_void};
    use std::os::fd::{AsRawFd as _, FromRawFd as _};

    /// `asm-generic/socket.h`, which these architectures use.
    const SOL_SOCKET: c_int = 1;
    const SO_PEERPIDFD: c_int = 77;

    unsafe extern "C" {
        fn getsockopt(socket: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut u32) -> c_int;
    }

    let mut pidfd: c_int = -1;
    let mut length = u32::try_from(size_of::<c_int>()).expect("an int is small");
    // SAFETY: the C library's own signature; `value` points at an int of ours and `length` says so, and both outlive the call.
    let result =
        unsafe { getsockopt(socket.as_raw_fd(), SOL_SOCKET, SO_PEERPIDFD, (&raw mut pidfd).cast(), &raw mut length) };
    if result != 0 || pidfd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for us (close-on-exec), and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// Elsewhere nobody says.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))))]
pub(crate) fn peer_pidfd(_socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
