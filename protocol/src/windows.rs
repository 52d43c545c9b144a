//! Whose an object of Windows is, and who may use it: the one module of this crate with `unsafe`.
//!
//! What Windows has as SIDs and security descriptors is text here (`S-1-…`, and SDDL), so that whatever is decided about
//! them is decided in safe code. Sources: the security descriptor definition language, and the pages of the functions
//! that are called, in Microsoft's documentation.

#![allow(unsafe_code)]

use std::ffi::{OsStr, c_void};
use std::fs;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle};
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT,
    SE_KERNEL_OBJECT, SE_OBJECT_TYPE,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetTokenInformation, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID,
    SetFileSecurityW, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// What an object is, as far as asking for its descriptor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A file or a directory.
    File,
    /// A pipe or a process.
    Kernel,
}

impl Object {
    fn kind(self) -> SE_OBJECT_TYPE {
        match self {
            Self::File => SE_FILE_OBJECT,
            Self::Kernel => SE_KERNEL_OBJECT,
        }
    }
}

/// Owner and access list of an object.
#[derive(Debug)]
pub struct Descriptor(Local);

impl Descriptor {
    /// From its text.
    ///
    /// # Errors
    /// If that is no SDDL.
    pub fn parse(sddl: &str) -> io::Result<Self> {
        let mut found: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: the text ends with a zero, and the result is ours to free with `LocalFree`, as documented.
        succeeded(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                wide(OsStr::new(sddl)).as_ptr(),
                SDDL_REVISION_1,
                &raw mut found,
                null_mut(),
            )
        })?;
        Ok(Self(Local(found)))
    }

    /// Of an open object, which has to be open for `READ_CONTROL`, as whatever is open for reading is.
    ///
    /// # Errors
    /// As the system says.
    pub fn of(object: BorrowedHandle<'_>, kind: Object) -> io::Result<Self> {
        Self::with_owner(object, kind).map(|(descriptor, _)| descriptor)
    }

    /// As text, with owner and access list.
    ///
    /// # Errors
    /// As the system says.
    pub fn text(&self) -> io::Result<String> {
        let mut text = null_mut();
        // SAFETY: the descriptor is one, by `parse` and `of`, and the result is ours to free.
        succeeded(unsafe {
            ConvertSecurityDescriptorToStringSecurityDescriptorW(
                self.0.0,
                SDDL_REVISION_1,
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                &raw mut text,
                null_mut(),
            )
        })?;
        let text = Local(text.cast());
        // SAFETY: a text of the system's, which ends with a zero.
        Ok(unsafe { read_wide(text.0.cast()) })
    }

    /// For a call of the system's that takes one; valid as long as this is.
    #[must_use]
    pub fn as_ptr(&self) -> *mut c_void {
        self.0.0
    }

    fn with_owner(object: BorrowedHandle<'_>, kind: Object) -> io::Result<(Self, PSID)> {
        let (mut owner, mut found): (PSID, PSECURITY_DESCRIPTOR) = (null_mut(), null_mut());
        // SAFETY: the handle is open, every pointer is to a variable of ours or null where nothing is wanted. The owner lies
        // in the descriptor, which is ours to free.
        let error = unsafe {
            GetSecurityInfo(
                object.as_raw_handle(),
                kind.kind(),
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                &raw mut owner,
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut found,
            )
        };
        if error != ERROR_SUCCESS {
            return Err(io::Error::from_raw_os_error(error.cast_signed()));
        }
        Ok((Self(Local(found)), owner))
    }
}

/// The SID of the user that this process runs as.
///
/// # Errors
/// As the system says.
pub fn own_sid() -> io::Result<String> {
    let mut token = null_mut();
    // SAFETY: the pseudo-handle of this process is always valid, and the result is a variable of ours.
    succeeded(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: it was just opened, for us alone.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    user_of(token.as_handle())
}

/// The SID of a token's user. The token has to be open for `TOKEN_QUERY`.
///
/// # Errors
/// As the system says.
pub fn user_of(token: BorrowedHandle<'_>) -> io::Result<String> {
    // A `TOKEN_USER` and its SID, of at most 68 bytes, behind it; in words, so that it is aligned.
    const WORDS: u32 = 16;
    let mut room = [0_u64; WORDS as usize];
    let mut length = 0;
    // SAFETY: `room` has as many bytes as is said.
    succeeded(unsafe {
        GetTokenInformation(token.as_raw_handle(), TokenUser, room.as_mut_ptr().cast(), WORDS * 8, &raw mut length)
    })?;
    // SAFETY: the call has put one there; `room` is aligned for it, and outlives the reference.
    let user = unsafe { &*room.as_ptr().cast::<TOKEN_USER>() };
    // SAFETY: its SID lies in `room`, which lives on.
    unsafe { sid_text(user.User.Sid) }
}

/// The SID of an open object's owner.
///
/// # Errors
/// As the system says.
pub fn owner_of(object: BorrowedHandle<'_>, kind: Object) -> io::Result<String> {
    let (_descriptor, owner) = Descriptor::with_owner(object, kind)?;
    // SAFETY: it lies in the descriptor, which lives until the end of this function.
    unsafe { sid_text(owner) }
}

/// Gives a file or directory the access list of `descriptor`, and nothing else of it.
///
/// # Errors
/// As the system says.
pub fn protect(path: &Path, descriptor: &Descriptor) -> io::Result<()> {
    // SAFETY: the path ends with a zero, and the descriptor is one.
    succeeded(unsafe {
        SetFileSecurityW(wide(path.as_os_str()).as_ptr(), DACL_SECURITY_INFORMATION, descriptor.as_ptr())
    })
}

/// Makes a directory, and what it lacks above, for the user alone with all that will be in it. Whether it was not there.
///
/// # Errors
/// As the system says.
pub fn make_private(dir: &Path) -> io::Result<bool> {
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make_private(dir.parent().ok_or(e)?)?;
            fs::create_dir(dir)?;
        }
        Err(e) => return Err(e),
    }
    protect(dir, &Descriptor::parse(&format!("D:P(A;OICI;FA;;;{})", own_sid()?))?)?;
    Ok(true)
}

/// Something that the system has allocated for us.
#[derive(Debug)]
struct Local(*mut c_void);

// SAFETY: it is plain memory, which is read by whoever has it and freed once.
unsafe impl Send for Local {}

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: from a function that says to free it so, and nobody else does.
        unsafe { LocalFree(self.0) };
    }
}

/// # Safety
/// `sid` is null or a SID.
unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: the caller's promise; a null is refused by the call.
    succeeded(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    let text = Local(text.cast());
    // SAFETY: a text of the system's, which ends with a zero.
    Ok(unsafe { read_wide(text.0.cast()) })
}

/// # Safety
/// There is a zero at or behind `text`, and everything up to it may be read.
unsafe fn read_wide(text: *const u16) -> String {
    let mut length = 0;
    // SAFETY: the caller's promise.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: all of these were just read.
    String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(text, length) })
}

fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_sid_is_one_and_always_the_same() {
        let own = own_sid().unwrap();
        assert!(own.starts_with("S-1-5-"), "{own}");
        assert_eq!(own_sid().unwrap(), own);
    }

    #[test]
    fn what_was_written_into_a_descriptor_is_read_from_it() {
        let sddl = format!("O:{0}D:P(A;;GA;;;{0})", own_sid().unwrap());
        assert_eq!(Descriptor::parse(&sddl).unwrap().text().unwrap(), sddl);
        assert!(Descriptor::parse("nonsense").is_err());
    }
}
