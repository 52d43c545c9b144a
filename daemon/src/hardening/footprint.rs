//! Gives back memory that nobody will need for an hour.
//!
//! Logging in and renewing run through a TLS stack, a certificate store and parsers: some megabytes of code that the kernel
//! maps while they run and has no reason to unmap after. The agent serves from its cache with a few hundred kilobytes. So
//! after each exchange with a cloud it lets go of its own code; what is needed next comes back from the page cache, in
//! microseconds.

#![allow(unsafe_code)]

/// Unmaps the pages of this program's code. Costs the next caller some page faults, and nobody anything else.
#[cfg(target_os = "linux")]
pub fn let_go_of_code() {
    use std::ffi::c_void;

    use rustix::mm::{Advice, madvise};

    let (Ok(maps), Ok(own)) = (std::fs::read_to_string("/proc/self/maps"), std::fs::read_link("/proc/self/exe")) else {
        return;
    };
    let Some(own) = own.to_str() else { return };
    for line in maps.lines().filter(|line| line.ends_with(own)) {
        let Some((start, end)) = code(line) else { continue };
        // SAFETY: the range is a private mapping of our own executable that is readable and executable and not writable,
        // as the kernel has just listed it. Nothing in it was ever written (what the loader relocates lies in mappings
        // of other permissions), so every page dropped is read again from the same file, which cannot be
        // written while it runs.
        let _ = unsafe { madvise(start as *mut c_void, end - start, Advice::LinuxDontNeed) };
    }
}

/// Elsewhere the system is left to it.
#[cfg(not(target_os = "linux"))]
pub fn let_go_of_code() {}

/// The range of a line of `/proc/self/maps`, if it is code: private, executable, not writable.
#[cfg(target_os = "linux")]
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split(' ');
    let (range, permissions) = (fields.next()?, fields.next()?);
    let (start, end) = range.split_once('-').filter(|_| permissions == "r-xp")?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (start < end).then_some((start, end))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_nobody_wrote_to_is_let_go_of() {
        assert_eq!(code("1000-2000 r-xp 00000000 fe:00 1 /bin/x"), Some((0x1000, 0x2000)));
        for line in
            ["1000-2000 rwxp 0 fe:00 1 /bin/x", "1000-2000 r--p 0 fe:00 1 /bin/x", "2000-1000 r-xp 0", "", "x r-xp"]
        {
            assert_eq!(code(line), None, "{line}");
        }
    }

    #[test]
    fn the_program_runs_on_without_its_code_in_memory() {
        let_go_of_code();
        assert_eq!(format!("{:?}", std::thread::spawn(|| vec![1, 2, 3]).join().unwrap()), "[1, 2, 3]");
    }
}
