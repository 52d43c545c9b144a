//! What keeps secrets inside the process on Windows, and what tells who asks: the calls that std has no words for.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::windows::io::{
    AsHandle as _, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, IntoRawHandle as _, OwnedHandle,
};
use std::ptr::null_mut;

use cloud_agent_protocol::windows::{Descriptor, user_of};
use windows_sys::Win32::Foundation::{ERROR_CANNOT_IMPERSONATE, TRUE};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, RevertToSelf, SetKernelObjectSecurity, TOKEN_QUERY,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle,
};
use windows_sys::Win32::System::Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode};
use windows_sys::Win32::System::Pipes::{GetNamedPipeClientProcessId, ImpersonateNamedPipeClient};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, OpenProcess, OpenProcessToken, OpenThreadToken,
    PROCESS_QUERY_LIMITED_INFORMATION,
};

/// What other programs of the user may do with the agent's process: end it, wait for it, and look at what it is. Not read
/// its memory. `OW` is its owner, who without this could always change this list.
const PROCESS: &str = "D:P(A;;0x121401;;;OW)";

/// See [`super::apply`].
pub(super) fn apply() -> Vec<String> {
    // No report of a crash: it would hold the memory.
    // SAFETY: a flag of this process.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX) };
    let closed = Descriptor::parse(PROCESS).and_then(|descriptor| {
        let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
        // SAFETY: the pseudo-handle of this process is always valid, and the descriptor is one.
        succeeded(unsafe { SetKernelObjectSecurity(GetCurrentProcess(), what, descriptor.as_ptr()) })
    });
    closed.err().map(|e| format!("other programs of this user may read the agent's memory: {e}")).into_iter().collect()
}

/// The SID of the user at the other end of a pipe of ours.
///
/// The system is asked who opened it, not whose a process of some number is: numbers are given anew. A client that opened it
/// in a way that is only told once it has written is known by its process, which lives, since it waits.
///
/// # Errors
/// As the system says; so for one who does not want to be known.
pub(crate) fn caller(pipe: BorrowedHandle<'_>) -> io::Result<String> {
    match impersonated(pipe) {
        Err(e) if e.raw_os_error() == Some(ERROR_CANNOT_IMPERSONATE.cast_signed()) => user_of_process(pipe),
        known => known,
    }
}

fn impersonated(pipe: BorrowedHandle<'_>) -> io::Result<String> {
    // SAFETY: the handle is open. From here to the end of this block this thread acts as the client, and does nothing but
    // open its own token.
    succeeded(unsafe { ImpersonateNamedPipeClient(pipe.as_raw_handle()) })?;
    let mut token = null_mut();
    // As ourselves: at the level at which clients let themselves be known, their token may open nothing.
    // SAFETY: the pseudo-handle of this thread is always valid, and the result a variable of ours.
    let opened = succeeded(unsafe { OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, &raw mut token) });
    // SAFETY: no argument.
    if unsafe { RevertToSelf() } == 0 {
        // Whatever came next would be done as somebody else.
        std::process::abort();
    }
    opened?;
    // SAFETY: it was just opened, for us alone.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    user_of(token.as_handle())
}

fn user_of_process(pipe: BorrowedHandle<'_>) -> io::Result<String> {
    let mut id = 0;
    // SAFETY: the handle is open, and the result a variable of ours.
    succeeded(unsafe { GetNamedPipeClientProcessId(pipe.as_raw_handle(), &raw mut id) })?;
    // SAFETY: any number may be asked for.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, id) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, for us alone.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    let mut token = null_mut();
    // SAFETY: the handle is open, and the result a variable of ours.
    succeeded(unsafe { OpenProcessToken(process.as_raw_handle(), TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: as above.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    user_of(token.as_handle())
}

/// Puts other files in the place of the three standard streams, and closes what was there: whoever waits at the other end
/// hears that it is over.
///
/// # Errors
/// As the system says.
pub(crate) fn replace_streams(stdin: File, stdout: File, stderr: File) -> io::Result<()> {
    replace(STD_INPUT_HANDLE, stdin)?;
    replace(STD_OUTPUT_HANDLE, stdout)?;
    replace(STD_ERROR_HANDLE, stderr)
}

fn replace(which: STD_HANDLE, by: File) -> io::Result<()> {
    // SAFETY: no pointer. std asks for the handle each time that it writes, and keeps none.
    let before = unsafe { GetStdHandle(which) };
    let by = by.into_raw_handle();
    // SAFETY: the handle is open, and from here on the process's.
    if unsafe { SetStdHandle(which, by) } == 0 {
        let why = io::Error::last_os_error();
        // SAFETY: nobody else has taken it.
        drop(unsafe { OwnedHandle::from_raw_handle(by) });
        return Err(why);
    }
    if !before.is_null() && before != windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE {
        // SAFETY: it was the process's, which has another one now.
        drop(unsafe { OwnedHandle::from_raw_handle(before) });
    }
    Ok(())
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
