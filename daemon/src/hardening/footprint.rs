//! Gives back memory that nobody will need for an hour.
//!
//! Logging in and renewing run through a TLS stack, a certificate store and parsers: some megabytes of code and constants that
//! the kernel maps while they are used and has no reason to unmap after. The agent serves from its cache with a few hundred
//! kilobytes. So after each exchange with a cloud it lets go of the pages of its own file and of its libraries that are as
//! they are in those files; what is needed next comes back from the page cache, in microseconds. And of the heap, what is free.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(target_os = "linux")]
use std::{ops::Range, sync::OnceLock};

/// How often everybody else gets their turn before memory is given back.
const TURNS: usize = 16;

/// Something has run since memory was given back last that is seldom run.
static GROWN: AtomicBool = AtomicBool::new(false);

/// Gives back what an exchange with a cloud has taken. What comes of the exchange is still to be saved, answered and noted:
/// [`give_back_the_rest`] is for after that.
pub fn give_back() {
    GROWN.store(true, Ordering::Relaxed);
    let_go_of_program();
    glibc::trim_heap();
}

/// Lets everybody else who has anything to do have their turn, again and again: what they run would come back right after.
pub(crate) async fn others_first() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Gives back once more what was taken since [`give_back`], if that was called since.
pub fn give_back_the_rest() {
    if GROWN.swap(false, Ordering::Relaxed) {
        let_go_of_program();
        glibc::trim_heap();
    }
}

/// What was mapped from files before there was anything else: the program and the libraries that it is linked with. They
/// stay where they are until the process ends, so that none of these addresses can become somebody else's.
#[cfg(target_os = "linux")]
static PROGRAM: OnceLock<Vec<Range<usize>>> = OnceLock::new();

/// Looks at what the program consists of, and keeps the heap in one piece. To be called before anything is mapped or
/// unmapped, and before there is a thread.
#[cfg(target_os = "linux")]
pub(super) fn prepare() {
    PROGRAM.get_or_init(|| unchanged(&std::fs::read_to_string("/proc/self/smaps").unwrap_or_default()));
    glibc::keep_one_heap();
}

/// Unmaps the pages of this program that are as its files have them. Costs the next caller some page faults, and nobody
/// anything else.
#[cfg(target_os = "linux")]
fn let_go_of_program() {
    use std::ffi::c_void;

    use rustix::mm::{Advice, madvise};

    for range in PROGRAM.get().into_iter().flatten() {
        // SAFETY: by `prepare` and `unchanged` the range is a private mapping of a file, which can be read or run and not
        // written, in which nothing was ever written (what the loader relocates lies in mappings of their own), and
        // which nobody unmaps. So every page dropped is read again from the same file, as it was.
        let _ = unsafe { madvise(range.start as *mut c_void, range.len(), Advice::LinuxDontNeed) };
    }
}

/// Elsewhere the system is left to it.
#[cfg(not(target_os = "linux"))]
fn let_go_of_program() {}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// `malloc.h`: how many arenas there may be.
    const M_ARENA_MAX: c_int = -8;

    unsafe extern "C" {
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
        safe fn malloc_trim(pad: usize) -> c_int;
    }

    /// One arena for all threads. Nearly all runs on one; the few others come and go, and an arena of theirs would stay
    /// as large as it ever was.
    pub(super) fn keep_one_heap() {
        // Whether it was done: without it more memory is kept, and nothing else is different.
        let _ = mallopt(M_ARENA_MAX, 1);
    }

    /// Gives the free pages of the heap back.
    pub(super) fn trim_heap() {
        // Whether there were any.
        let _ = malloc_trim(0);
    }
}

/// Others give back what is free by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod glibc {
    #[cfg(target_os = "linux")]
    pub(super) fn keep_one_heap() {}

    pub(super) fn trim_heap() {}
}

/// The ranges of `smaps` that are private mappings of files, cannot be written, and have no page that differs from the file's.
#[cfg(target_os = "linux")]
fn unchanged(smaps: &str) -> Vec<Range<usize>> {
    let (mut ranges, mut candidate) = (Vec::new(), None);
    for line in smaps.lines() {
        if let Some(anonymous) = line.strip_prefix("Anonymous:") {
            ranges.extend(candidate.take().filter(|_| anonymous.trim() == "0 kB"));
        } else if let Some(range) = range(line) {
            candidate = Some(range).filter(|_| is_of_a_file(line));
        }
    }
    ranges
}

/// `START-END …`, the first line of a mapping.
#[cfg(target_os = "linux")]
fn range(line: &str) -> Option<Range<usize>> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    (!range.is_empty()).then_some(range)
}

/// Whether the mapping of `START-END PERMISSIONS OFFSET DEVICE INODE PATH` is one that is only read or run.
#[cfg(target_os = "linux")]
fn is_of_a_file(line: &str) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let permissions = fields.next();
    let path = fields.nth(3);
    matches!(permissions, Some("r--p" | "r-xp")) && path.is_some_and(|path| path.starts_with('/'))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_a_file_is_let_go_of() {
        let one = |head: &str, anonymous: &str| {
            unchanged(&format!("{head}\nSize: 4 kB\nAnonymous:   {anonymous}\nVmFlags: rd mr\n"))
        };
        for head in ["1000-2000 r-xp 00000000 fe:00 1   /bin/x", "1000-2000 r--p 00003000 fe:00 1   /lib/a b.so"] {
            assert_eq!(one(head, "0 kB"), std::slice::from_ref(&(0x1000..0x2000)), "{head}");
            assert_eq!(one(head, "4 kB"), [], "{head}");
        }
        for head in [
            "1000-2000 rwxp 00000000 fe:00 1 /bin/x",
            "1000-2000 rw-p 00000000 fe:00 1 /bin/x",
            "1000-2000 r--s 00000000 fe:00 1 /bin/x",
            "1000-2000 r-xp 00000000 00:00 0 [vdso]",
            "1000-2000 r--p 00000000 00:00 0 ",
            "2000-1000 r-xp 00000000 fe:00 1 /bin/x",
            "x r-xp",
            "",
        ] {
            assert_eq!(one(head, "0 kB"), [], "{head}");
        }
        // What a kernel does not tell is no reason to let go.
        assert_eq!(
            unchanged("1000-2000 r-xp 00000000 fe:00 1 /bin/x\nSize: 4 kB\n2000-3000 rw-p 0 0 0\nAnonymous: 0 kB"),
            []
        );
    }

    #[test]
    fn the_program_runs_on_without_its_code_in_memory() {
        prepare();
        assert!(!PROGRAM.get().unwrap().is_empty());
        let_go_of_program();
        assert_eq!(format!("{:?}", std::thread::spawn(|| vec![1, 2, 3]).join().unwrap()), "[1, 2, 3]");
    }
}
