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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::{AsFd as _, AsRawFd as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_kernel_says_which_process_is_at_the_other_end() {
        let (one, _other) = UnixStream::pair().unwrap();
        let Ok(pidfd) = peer_pidfd(one.as_fd()) else {
            // An older kernel, or another architecture.
            return;
        };
        let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
        let pid = told.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim();
        assert_eq!(pid, std::process::id().to_string());
    }

    #[test]
    fn what_is_no_socket_has_no_other_end() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(peer_pidfd(file.as_fd()).is_err());
    }
}
