//! The calls of macOS that rustix has no safe form of. Type-checked and held against their documentation; not run
//! (docs/platforms.md).

#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::null_mut;
use std::time::Duration;

/// From here on no debugger attaches; a process that has one already is ended by this (ptrace(2), `PT_DENY_ATTACH`).
pub(super) fn deny_attach() -> io::Result<()> {
    // SAFETY: this request takes no pointer, and is about this process alone.
    if unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, null_mut(), 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The id of the process at the other end of a socket (`sys/un.h`, `LOCAL_PEERPID`): a label, which may be another's by the time
/// that it is looked at.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut pid: libc::pid_t = 0;
    let mut length = libc::socklen_t::try_from(size_of::<libc::pid_t>()).ok()?;
    // SAFETY: the socket is open, and the option is as long as is said.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_LOCAL,
            libc::LOCAL_PEERPID,
            (&raw mut pid).cast(),
            &raw mut length,
        )
    };
    u32::try_from(pid).ok().filter(|pid| got == 0 && *pid != 0)
}

/// What the kernel says about a process.
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// In microseconds since the Unix epoch.
    pub(crate) started: u64,
}

/// By `proc_pidinfo` (`libproc.h`), which tells it of processes of our own user.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    let mut info = MaybeUninit::<libc::proc_bsdinfo>::uninit();
    let size = libc::c_int::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
    let pid = libc::c_int::try_from(pid).ok()?;
    // SAFETY: there is as much room as is said.
    let filled = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, info.as_mut_ptr().cast(), size) };
    if filled != size {
        return None;
    }
    // SAFETY: the call has filled all of it.
    let info = unsafe { info.assume_init() };
    let started = info.pbi_start_tvsec.saturating_mul(1_000_000).saturating_add(info.pbi_start_tvusec);
    Some(Stat { parent: info.pbi_ppid, started })
}

/// Time that counts sleep, and that nobody sets (`CLOCK_MONOTONIC_RAW`, `clock_gettime(3)`).
pub(crate) fn continuous() -> Duration {
    read(libc::CLOCK_MONOTONIC_RAW)
}

/// The same without the time that the machine has slept (`CLOCK_UPTIME_RAW`).
pub(crate) fn awake() -> Duration {
    read(libc::CLOCK_UPTIME_RAW)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the result is a variable of ours. Both clocks are always there, so it cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
