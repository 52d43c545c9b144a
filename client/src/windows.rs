//! What std has no words for on Windows: consoles without echo, and handles that a child must not get. The one module of
//! this crate with `unsafe`.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle as _, RawHandle};
use std::ptr::null;

use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::System::Console::{
    ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, ENABLE_PROCESSED_INPUT, FlushConsoleInputBuffer, GetConsoleMode,
    ReadConsoleW, SetConsoleMode, WriteConsoleW,
};

/// Keeps our own three streams from children that are not given them on purpose. std starts every child with all that
/// can be inherited; an agent with the caller's pipe in its hands would make `$(cloud-token …)` wait for the agent's end.
pub(crate) fn keep_streams() {
    for stream in [io::stdin().as_raw_handle(), io::stdout().as_raw_handle(), io::stderr().as_raw_handle()] {
        if !stream.is_null() {
            // SAFETY: a flag of a handle of ours. It may be no handle at any more; then the call fails, and nothing is lost.
            unsafe { SetHandleInformation(stream, HANDLE_FLAG_INHERIT, 0) };
        }
    }
}

/// A console's input whose keys come as they are pressed and are not shown, until this is dropped. Even ^C is a key then.
pub(crate) struct Silence {
    console: RawHandle,
    before: u32,
}

impl Silence {
    /// The owner of `console` keeps it open for longer than this lives.
    pub(crate) fn begin(console: &File) -> io::Result<Self> {
        let console = console.as_raw_handle();
        let mut before = 0;
        // SAFETY: the handle is open, and the mode a variable of ours.
        succeeded(unsafe { GetConsoleMode(console, &raw mut before) })?;
        let silent = before & !(ENABLE_ECHO_INPUT | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT);
        // SAFETY: as above.
        succeeded(unsafe { SetConsoleMode(console, silent) })?;
        Ok(Self { console, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // SAFETY: at worst it is no console any more, and the call fails.
        unsafe { SetConsoleMode(self.console, self.before) };
    }
}

/// Reads some UTF-16 from a console; none at its end.
pub(crate) fn read_console(console: &File, into: &mut [u16]) -> io::Result<usize> {
    let mut count = 0;
    let room = u32::try_from(into.len()).unwrap_or(u32::MAX);
    // SAFETY: `into` has as much room as is said, and the count is a variable of ours.
    succeeded(unsafe {
        ReadConsoleW(console.as_raw_handle(), into.as_mut_ptr().cast(), room, &raw mut count, null())
    })?;
    Ok(usize::try_from(count).unwrap_or_default().min(into.len()))
}

/// Drops what was typed and not read yet.
pub(crate) fn forget_keys(console: &File) -> io::Result<()> {
    // SAFETY: the handle is open.
    succeeded(unsafe { FlushConsoleInputBuffer(console.as_raw_handle()) })
}

/// Writes text to a console.
pub(crate) fn write_console(console: &File, units: &[u16]) -> io::Result<()> {
    // More at once may be refused by an old console.
    for part in units.chunks(8 * 1024) {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let mut count = 0;
        // SAFETY: `part` is as long as is said, and the count is a variable of ours.
        succeeded(unsafe { WriteConsoleW(console.as_raw_handle(), part.as_ptr(), length, &raw mut count, null()) })?;
    }
    Ok(())
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
