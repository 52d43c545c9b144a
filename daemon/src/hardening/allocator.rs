//! An allocator that wipes what is freed.
//!
//! `Secret` wipes itself, but the libraries between it and the network do not: without this, a full copy of every access
//! token stays in freed memory behind the TLS and JSON layers, for a debugger, a crash dump or a swap partition to find.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, but memory is filled with zeros before it is given back.
///
/// `realloc` is deliberately not forwarded: the system's would move a block and leave its old place unwiped. The
/// provided one allocates, copies, and frees through `dealloc` below.
#[derive(Debug, Clone, Copy, Default)]
pub struct ZeroOnFree;

// SAFETY: every call is passed on to `System`, which upholds the contract; wiping stays within `layout.size()` bytes of a
// block that the caller promises to be allocated with that layout and not to use again.
unsafe impl GlobalAlloc for ZeroOnFree {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives `block` back, which is valid for `layout.size()` bytes until the last line.
        unsafe {
            block.write_bytes(0, layout.size());
            // Stores before `free` are dead to the optimiser; handing it the pointer keeps them alive.
            std::hint::black_box(block);
            System.dealloc(block, layout);
        }
    }
}
