//! Who may use a file, on a system that keeps lists of that: Windows. What Unix says by owner and mode is judged there where
//! it is asked for.
//!
//! Lists are judged as text (SDDL, Microsoft's security descriptor definition language), so that the judgement is safe code
//! and tested everywhere. What it does not understand it takes for access.

use std::borrow::Cow;

/// To know what is in it.
pub(crate) const READ: u32 = 0x8000_0000 | 0x1000_0000 | 0x1;
/// To change what is in it, or who may: write, append, delete, and the list itself and its owner.
pub(crate) const WRITE: u32 = 0x4000_0000 | 0x1000_0000 | 0x2 | 0x4 | 0x40 | 0x1_0000 | 0x4_0000 | 0x8_0000;

/// Who is trusted besides the user: the system, and those who administer it; they can do what they like anyway. And whoever
/// owns it, who is asked for apart.
const TRUSTED: [&str; 8] = ["SY", "S-1-5-18", "BA", "S-1-5-32-544", "OW", "S-1-3-4", "CO", "S-1-3-0"];

/// Those who may do one of `rights`, other than the user, whose SID is spelt in one of the ways of `own`.
pub(crate) fn strangers<'a>(sddl: &'a str, own: &[&str], rights: u32) -> Vec<Cow<'a, str>> {
    let trusted = |sid: &str| TRUSTED.contains(&sid) || own.contains(&sid);
    let (owner, list) = parts(sddl);
    let mut found: Vec<Cow<'a, str>> = Vec::new();
    // An owner may change the list.
    found.extend(owner.filter(|sid| !trusted(sid)).map(Cow::Borrowed));
    let Some(list) = list.filter(|list| !list.contains("NO_ACCESS_CONTROL")) else {
        found.push(Cow::Borrowed("everybody"));
        return found;
    };
    let mut is_condition = false;
    for entry in list.split('(').skip(1) {
        // What an entry has in parentheses of its own says when it counts; here it always does.
        if std::mem::replace(&mut is_condition, !entry.ends_with(')')) {
            continue;
        }
        let mut fields = entry.trim_end_matches(')').split(';');
        let (kind, flags, mask, sid) = (fields.next(), fields.next(), fields.next(), fields.nth(2));
        // A denial takes away, and what is for children alone does not count here.
        let denies = kind.is_some_and(|kind| kind.ends_with('D'));
        let for_children = flags.is_some_and(|flags| flags.as_bytes().chunks(2).any(|flag| flag == b"IO"));
        if denies || for_children || mask.map_or(u32::MAX, rights_of) & rights == 0 {
            continue;
        }
        let sid = sid.unwrap_or("somebody");
        if !trusted(sid) && !found.iter().any(|known| known == sid) {
            found.push(Cow::Borrowed(sid));
        }
    }
    found
}

/// Owner and access list.
fn parts(sddl: &str) -> (Option<&str>, Option<&str>) {
    let owner = sddl.strip_prefix("O:").map(|rest| {
        let end = ["G:", "D:", "S:"].iter().filter_map(|next| rest.find(next)).min().unwrap_or(rest.len());
        &rest[..end]
    });
    let list = sddl.find("D:").map(|start| {
        let rest = &sddl[start + 2..];
        &rest[..rest.find("S:(").unwrap_or(rest.len())]
    });
    (owner, list)
}

/// The bits of an entry's rights: a number, or words of two letters.
fn rights_of(text: &str) -> u32 {
    if let Some(digits) = text.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).unwrap_or(u32::MAX);
    }
    text.as_bytes().chunks(2).fold(0, |bits, word| {
        bits | match word {
            b"GA" => 0x1000_0000,
            b"GR" => 0x8000_0000,
            b"GW" => 0x4000_0000,
            b"GX" => 0x2000_0000,
            b"RC" => 0x2_0000,
            b"SD" => 0x1_0000,
            b"WD" => 0x4_0000,
            b"WO" => 0x8_0000,
            b"FA" => 0x1f_01ff,
            b"FR" => 0x12_0089,
            b"FW" => 0x12_0116,
            b"FX" => 0x12_00a0,
            b"CC" => 0x1,
            b"DC" => 0x2,
            b"LC" => 0x4,
            b"SW" => 0x8,
            b"RP" => 0x10,
            b"WP" => 0x20,
            b"DT" => 0x40,
            b"LO" => 0x80,
            b"CR" => 0x100,
            _ => u32::MAX,
        }
    })
}

#[cfg(windows)]
pub(crate) use windows::{close, make_private, pipe_descriptor, who};

#[cfg(windows)]
mod windows {
    use std::fs::{self, File};
    use std::io;
    use std::os::windows::fs::OpenOptionsExt as _;
    use std::os::windows::io::AsHandle as _;
    use std::path::Path;

    use cloud_agent_protocol::windows::{self, Descriptor, Object, own_sid, protect};

    /// Opens a directory, too (`FILE_FLAG_BACKUP_SEMANTICS`).
    const BACKUP_SEMANTICS: u32 = 0x0200_0000;

    /// Those who may do one of `rights` with the open `file`, other than the user and those who administer the machine.
    pub(crate) fn who(file: &File, rights: u32) -> io::Result<Vec<String>> {
        let text = Descriptor::of(file.as_handle(), Object::File)?.text()?;
        let sid = own_sid()?;
        // Some users have a short name besides, such as the first administrator of a machine.
        let spelt = Descriptor::parse(&format!("O:{sid}"))?.text()?;
        let own = [sid.as_str(), super::parts(&spelt).0.unwrap_or(&sid)];
        Ok(super::strangers(&text, &own, rights).into_iter().map(std::borrow::Cow::into_owned).collect())
    }

    /// Lets nobody but the user use the file at `path` from now on.
    pub(crate) fn close(path: &Path) -> io::Result<()> {
        protect(path, &Descriptor::parse(&format!("D:P(A;;FA;;;{})", own_sid()?))?)
    }

    /// Makes the directory, and what it lacks above, for the user alone with all that will be in it. One that is there
    /// already must not be open to others.
    pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
        if windows::make_private(dir)? {
            return Ok(());
        }
        let open = fs::OpenOptions::new().read(true).custom_flags(BACKUP_SEMANTICS).open(dir)?;
        if !open.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is no directory"));
        }
        let others = who(&open, super::READ | super::WRITE)?;
        if others.is_empty() {
            return Ok(());
        }
        let why = format!(
            "it is open to others ({}); `icacls \"{}\" /inheritance:r /grant:r \"%USERNAME%:(OI)(CI)F\"`",
            others.join(", "),
            dir.display()
        );
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    /// The descriptor of a pipe that is the user's alone.
    pub(crate) fn pipe_descriptor() -> io::Result<String> {
        own_sid().map(|sid| format!("O:{sid}D:P(A;;GA;;;{sid})"))
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::rights::{READ, WRITE};

        #[test]
        fn a_directory_that_is_made_is_the_users_alone_and_one_that_is_open_is_not_used() {
            let dir = tempfile::tempdir().unwrap();
            let private = dir.path().join("above").join("private");
            make_private(&private).unwrap();
            make_private(&private).unwrap();
            protect(&private, &Descriptor::parse("D:P(A;;FA;;;WD)").unwrap()).unwrap();
            let why = make_private(&private).unwrap_err().to_string();
            assert!(why.contains("open to others") && why.contains("icacls"), "{why}");
        }

        #[test]
        fn a_file_that_others_may_read_is_known_and_closed() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            fs::write(&path, "x").unwrap();
            let own = own_sid().unwrap();
            protect(&path, &Descriptor::parse(&format!("D:P(A;;FA;;;{own})(A;;FR;;;WD)")).unwrap()).unwrap();
            let who = |rights| super::who(&File::open(&path).unwrap(), rights).unwrap();
            assert_eq!((who(READ).len(), who(WRITE).len()), (1, 0), "{:?}", who(READ | WRITE));
            close(&path).unwrap();
            assert_eq!(who(READ | WRITE), Vec::<String>::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 2] = ["S-1-5-21-1-2-3-500", "LA"];

    fn others(sddl: &str, rights: u32) -> Vec<String> {
        strangers(sddl, &OWN, rights).into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn a_profile_as_windows_makes_it_is_the_users_own() {
        for sddl in [
            "O:S-1-5-21-1-2-3-500D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;S-1-5-21-1-2-3-500)",
            "O:LAD:PAI(A;OICI;FA;;;LA)",
            "O:BAG:DUD:AI(A;ID;0x1f01ff;;;S-1-5-18)(A;OICIIO;GA;;;WD)(D;;FA;;;WD)S:(AU;;FA;;;WD)",
        ] {
            assert!(others(sddl, READ | WRITE).is_empty(), "{sddl}: {:?}", others(sddl, READ | WRITE));
        }
    }

    #[test]
    fn whoever_else_may_read_or_write_is_named() {
        for (sddl, readers, writers) in [
            ("O:LAD:(A;;FR;;;WD)(A;;FA;;;LA)", vec!["WD"], vec![]),
            ("O:LAD:(A;;0x1200a9;;;BU)", vec!["BU"], vec![]),
            ("O:LAD:(A;;FW;;;AU)", vec![], vec!["AU"]),
            ("O:LAD:(A;;WD;;;AU)", vec![], vec!["AU"]),
            ("O:LAD:(XA;;GA;;;S-1-5-21-9-9-9-1001;(x))", vec!["S-1-5-21-9-9-9-1001"], vec!["S-1-5-21-9-9-9-1001"]),
            ("O:S-1-5-21-9-9-9-1001D:P(A;;FA;;;LA)", vec!["S-1-5-21-9-9-9-1001"], vec!["S-1-5-21-9-9-9-1001"]),
            ("O:LAD:NO_ACCESS_CONTROL", vec!["everybody"], vec!["everybody"]),
            ("O:LA", vec!["everybody"], vec!["everybody"]),
        ] {
            assert_eq!((others(sddl, READ), others(sddl, WRITE)), owned((readers, writers)), "{sddl}");
        }
    }

    #[test]
    fn what_is_not_understood_is_access() {
        assert_eq!(others("O:LAD:(A;;ZZ;;;WD)", READ), ["WD"]);
        assert_eq!(others("O:LAD:(A;;0xzz;;;WD)", READ), ["WD"]);
        assert_eq!(others("O:LAD:(A", READ), ["somebody"]);
    }

    fn owned((readers, writers): (Vec<&str>, Vec<&str>)) -> (Vec<String>, Vec<String>) {
        (readers.into_iter().map(str::to_owned).collect(), writers.into_iter().map(str::to_owned).collect())
    }
}
