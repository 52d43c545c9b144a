//! What calls have left behind below the stack's end: copies that no owner and no allocator knows of.

/// Bytes that are overwritten; more than any call of the agent's own reaches down.
const DEPTH: usize = 64 * 1024;

/// Overwrites what earlier and deeper calls have left on this thread's stack. Registers, and gaps in the frames of those who
/// have not returned yet, are out of its reach.
#[inline(never)]
#[allow(clippy::large_stack_arrays, reason = "its size is its use")]
pub(crate) fn wipe_stack() {
    let mut room = [0_u8; DEPTH];
    // Nobody reads it, and it is written all the same.
    std::hint::black_box(&mut room);
}
