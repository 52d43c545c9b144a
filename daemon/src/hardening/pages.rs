//! Memory for the secrets that stay: cached credentials, what is held, and keys.
//!
//! What passes through the agent is wiped within moments, by its owner or by the allocator. What stays for hours could be
//! written to swap meanwhile, or into a dump that root orders. So it lies in pages that are locked, left out of dumps, and
//! empty in a child. A page is taken when it is first written to, and pieces share it, so that a thousand accounts cost
//! little more than their bytes.

#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};

use zeroize::Zeroizing;

/// A piece of such memory; wiped on drop. Where the system gives no more of it, an ordinary one.
pub(crate) struct Kept(Place);

enum Place {
    #[cfg(target_os = "linux")]
    Pages(arena::Piece),
    Heap(Zeroizing<Box<[u8]>>),
}

impl Kept {
    /// `length` zeros, to be written where they stay.
    pub(crate) fn zeros(length: usize) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(piece) = arena::take(length) {
            return Self(Place::Pages(piece));
        }
        Self(Place::Heap(Zeroizing::new(vec![0; length].into_boxed_slice())))
    }

    /// A copy of `bytes`.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let mut kept = Self::zeros(bytes.len());
        kept.copy_from_slice(bytes);
        kept
    }
}

impl Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Place::Pages(piece) => piece.bytes(),
            Place::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            #[cfg(target_os = "linux")]
            Place::Pages(piece) => piece.bytes_mut(),
            Place::Heap(bytes) => bytes,
        }
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Self::copy_of(self)
    }
}

#[cfg(target_os = "linux")]
mod arena {
    use std::ffi::c_void;
    use std::ptr::{NonNull, null_mut};
    use std::sync::{Mutex, MutexGuard, Once, PoisonError};

    use rustix::io;
    use rustix::mm::{Advice, MapFlags, MlockFlags, ProtFlags, madvise, mlock_with, mmap_anonymous, munmap};
    use zeroize::Zeroize as _;

    /// Bytes that are mapped at once.
    const CHUNK: usize = 64 * 1024;
    /// Bytes that are given out at least; a chunk has as many of them as its map has bits.
    const GRAIN: usize = 32;
    const WORDS: usize = CHUNK / GRAIN / 64;
    /// Half of what an ordinary user may lock: others of theirs lock memory, too. What does not fit lies in the heap.
    const MOST_CHUNKS: usize = 64;

    /// All chunks, and which of their grains are taken.
    static CHUNKS: Mutex<Vec<Chunk>> = Mutex::new(Vec::new());

    struct Chunk {
        start: NonNull<u8>,
        taken: [u64; WORDS],
    }

    // SAFETY: a chunk is memory of the whole process, and is only touched under the lock of `CHUNKS`.
    unsafe impl Send for Chunk {}

    /// Some grains in a row, which are nobody else's.
    pub(super) struct Piece {
        start: NonNull<u8>,
        length: usize,
    }

    // SAFETY: a piece owns its grains, as a box does; `&Piece` only reads them.
    unsafe impl Send for Piece {}
    // SAFETY: as above.
    unsafe impl Sync for Piece {}

    impl Piece {
        pub(super) fn bytes(&self) -> &[u8] {
            // SAFETY: `take` gave these grains to this piece alone; they are mapped until it is dropped, and zeros at first.
            unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
        }

        pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
            // SAFETY: as above, and `self` is borrowed for writing.
            unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
        }
    }

    impl Drop for Piece {
        fn drop(&mut self) {
            self.bytes_mut().zeroize();
            let mut chunks = chunks();
            let at = |chunk: &Chunk| (self.start.as_ptr() as usize).checked_sub(chunk.start.as_ptr() as usize);
            let found = chunks.iter().position(|chunk| at(chunk).is_some_and(|at| at < CHUNK));
            let index = found.expect("a piece lies in a chunk, which is not unmapped before its last piece is gone");
            let first = at(&chunks[index]).expect("it was found there") / GRAIN;
            chunks[index].mark(first, grains(self.length), false);
            // The last one stays, so that one account that comes and goes does not map and unmap all the time.
            if chunks.len() > 1 && chunks[index].taken == [0; WORDS] {
                let chunk = chunks.swap_remove(index);
                // SAFETY: the whole mapping as `map` made it, in which nobody has a piece any more.
                let _ = unsafe { munmap(chunk.start.as_ptr().cast::<c_void>(), CHUNK) };
            }
        }
    }

    impl Chunk {
        /// The first of `count` free grains in a row.
        fn free(&self, count: usize) -> Option<usize> {
            let (mut first, mut run) = (0, 0);
            for (word, taken) in self.taken.iter().enumerate() {
                if *taken == u64::MAX {
                    (first, run) = ((word + 1) * 64, 0);
                    continue;
                }
                for bit in 0..64 {
                    if taken >> bit & 1 == 1 {
                        (first, run) = (word * 64 + bit + 1, 0);
                        continue;
                    }
                    run += 1;
                    if run == count {
                        return Some(first);
                    }
                }
            }
            None
        }

        fn mark(&mut self, first: usize, count: usize, taken: bool) {
            for grain in first..first + count {
                let bit = 1 << (grain % 64);
                if taken {
                    self.taken[grain / 64] |= bit;
                } else {
                    self.taken[grain / 64] &= !bit;
                }
            }
        }
    }

    /// Room for `length` zeros; `None` if there is none.
    pub(super) fn take(length: usize) -> Option<Piece> {
        let count = grains(length);
        if count > WORDS * 64 {
            return None;
        }
        let mut chunks = chunks();
        let found = chunks.iter().enumerate().find_map(|(index, chunk)| Some((index, chunk.free(count)?)));
        let (index, first) = match found {
            Some(found) => found,
            None if chunks.len() < MOST_CHUNKS => {
                let chunk = map().inspect_err(|why| complain("mapped", *why)).ok()?;
                chunks.push(chunk);
                (chunks.len() - 1, 0)
            }
            None => return None,
        };
        let chunk = &mut chunks[index];
        chunk.mark(first, count, true);
        // SAFETY: `first` and all `count` grains lie within the chunk, by `free`.
        Some(Piece { start: unsafe { chunk.start.add(first * GRAIN) }, length })
    }

    fn map() -> io::Result<Chunk> {
        // SAFETY: a new private mapping, wherever the kernel likes.
        let start =
            unsafe { mmap_anonymous(null_mut(), CHUNK, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
        // Whatever of this fails, the rest is as good without it.
        // SAFETY: the mapping that was just made. None of the three changes what is in it for this process; pages are locked
        // when they are first touched.
        let done = unsafe {
            [
                mlock_with(start, CHUNK, MlockFlags::ONFAULT),
                madvise(start, CHUNK, Advice::LinuxDontDump),
                madvise(start, CHUNK, Advice::LinuxWipeOnFork),
            ]
        };
        for (done, what) in done.into_iter().zip(["locked", "left out of dumps", "kept from children"]) {
            if let Err(why) = done {
                complain(what, why);
            }
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::Errno::NOMEM)?;
        Ok(Chunk { start, taken: [0; WORDS] })
    }

    /// Once: it will be no better the next time, and is no reason to leave the user without an agent.
    fn complain(what: &str, why: io::Errno) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::warn!("the memory of secrets could not be {what}: {why}"));
    }

    fn grains(length: usize) -> usize {
        length.div_ceil(GRAIN).max(1)
    }

    fn chunks() -> MutexGuard<'static, Vec<Chunk>> {
        // Nothing in between two changes can panic.
        CHUNKS.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_length_hold_what_was_put_there_and_come_back_as_zeros() {
        let lengths = [0, 1, 31, 32, 33, 63, 64, 65, 4096, 64 * 1024, 64 * 1024 + 1];
        for round in 0..3_u8 {
            let mut kept: Vec<Kept> = lengths.iter().cycle().take(200).map(|length| Kept::zeros(*length)).collect();
            for (i, piece) in kept.iter_mut().enumerate() {
                assert!(piece.iter().all(|byte| *byte == 0), "round {round}");
                piece.fill(u8::try_from(i).unwrap());
            }
            for (i, piece) in kept.iter().enumerate() {
                assert_eq!(piece.len(), lengths[i % lengths.len()]);
                assert!(piece.iter().all(|byte| usize::from(*byte) == i), "nobody else wrote there");
            }
            // In another order than they came.
            let mut odd = false;
            kept.retain(|_| {
                odd = !odd;
                odd
            });
            assert_eq!(kept[1].clone()[..], kept[1][..]);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn they_are_left_out_of_dumps_and_wiped_in_children() {
        let kept = Kept::copy_of(b"a secret");
        let Place::Pages(_) = &kept.0 else { panic!("there is room") };
        let address = kept.as_ptr() as usize;
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in smaps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let ends = range.map(|(from, to)| (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)));
            if let Some((Ok(from), Ok(to))) = ends {
                inside = (from..to).contains(&address);
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
                assert!([" dd", " wf"].iter().all(|flag| flags.contains(flag)), "{flags}");
                return;
            }
        }
        panic!("the kernel lists every mapping");
    }
}
