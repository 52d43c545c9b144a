//! The key from a passphrase, which somebody says, or which lies in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloud_agent_protocol::{Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use super::UNLOCK;
use super::head::Head;
use super::seal::{Derivation, Key};
use super::sealed::{Keeper, Sealed, locked};
use crate::clock::Clock;
use crate::passphrase;
use crate::provider::{Ask, Boxed};
use crate::thread;

/// The longest file that a passphrase is read from, in bytes.
const LONGEST: u16 = 4096;

/// Keeps nothing: the passphrase is in somebody's head, or in a file.
#[derive(Debug)]
pub struct Passphrase {
    file: Option<PathBuf>,
    costs: Option<(u32, u32)>,
}

impl Passphrase {
    /// The vault in `dir`. The passphrase is read from `file` if there is one.
    #[must_use]
    pub fn vault(dir: PathBuf, file: Option<PathBuf>, clock: Arc<dyn Clock>, reason: impl Into<String>) -> Sealed {
        Sealed::new(dir, Box::new(Self { file, costs: None }), clock, reason)
    }

    /// One whose passphrases cost next to nothing to try.
    #[cfg(test)]
    pub(super) fn cheap(dir: PathBuf, clock: Arc<dyn Clock>) -> Sealed {
        Sealed::new(dir, Box::new(Self { file: None, costs: Some((64, 1)) }), clock, "the test says so")
    }

    fn in_file(&self) -> Option<Result<Secret, Fault>> {
        let path = self.file.as_deref()?;
        let read = read(path).map_err(|why| {
            let message = format!("the passphrase cannot be read from `{}`", path.display());
            Fault::new(FaultKind::NeedsHuman, message).because(why).hint(UNLOCK)
        });
        Some(read)
    }

    async fn open(&self, head: Option<Head>, given: Option<Secret>, ask: &dyn Ask) -> Result<(Head, Key), Fault> {
        let is_new = head.is_none();
        let passphrase = match (given, self.in_file()) {
            (Some(given), _) => given,
            (None, Some(Ok(read))) => read,
            (None, Some(Err(fault))) if !ask.is_anyone_there() => return Err(fault),
            (None, None) if !ask.is_anyone_there() && is_new => {
                return Err(locked("it is new, and has no passphrase yet"));
            }
            (None, None) if !ask.is_anyone_there() => return Err(locked("nobody has said its passphrase")),
            (None, _) if is_new => passphrase::twice(ask, "New passphrase for the vault", UNLOCK).await?,
            (None, _) => passphrase::once(ask, "Passphrase of the vault").await?,
        };
        if passphrase.is_empty() {
            return Err(Fault::new(FaultKind::Refused, "a passphrase cannot be empty").hint(UNLOCK));
        }
        let costs = self.costs;
        // An answer may be under way to somebody else.
        thread::run("passphrase", move || match head {
            Some(head) => unwrap(head, &passphrase),
            None => begin(&passphrase, costs),
        })
        .await?
    }
}

impl Keeper for Passphrase {
    fn kind(&self) -> &'static str {
        "passphrase"
    }

    fn open<'a>(&'a self, head: Option<Head>, given: Option<Secret>, ask: &'a dyn Ask) -> Boxed<'a, (Head, Key)> {
        Box::pin(self.open(head, given, ask))
    }
}

fn unwrap(head: Head, passphrase: &Secret) -> Result<(Head, Key), Fault> {
    let Some((derivation, _)) = &head.wrapped else {
        return Err(Fault::new(FaultKind::Config, "this vault does not open with a passphrase"));
    };
    match head.unwrap(&derivation.key(passphrase)?) {
        Some(key) => Ok((head, key)),
        None => Err(Fault::new(FaultKind::Refused, "that is not the passphrase of the vault").hint(UNLOCK)),
    }
}

fn begin(passphrase: &Secret, costs: Option<(u32, u32)>) -> Result<(Head, Key), Fault> {
    let key = Key::random()?;
    let mut derivation = Derivation::random()?;
    if let Some((memory, passes)) = costs {
        (derivation.memory, derivation.passes) = (memory, passes);
    }
    let wrapping = derivation.key(passphrase)?;
    Ok((Head::new(&key)?.wrap(&key, derivation, &wrapping)?, key))
}

/// What is in the file, without its last line end. Others must not be able to read it.
fn read(path: &Path) -> Result<Secret, String> {
    use std::io::Read as _;

    let file = std::fs::File::open(path).map_err(|why| why.to_string())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let meta = file.metadata().map_err(|why| why.to_string())?;
        if meta.mode() & 0o077 != 0 {
            return Err(format!("others may read it (mode {:03o})", meta.mode() & 0o777));
        }
    }
    #[cfg(windows)]
    {
        use crate::rights;
        let others = rights::who(&file, rights::READ).map_err(|why| why.to_string())?;
        if !others.is_empty() {
            return Err(format!("others may read it ({})", others.join(", ")));
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::from(LONGEST) + 1));
    file.take(u64::from(LONGEST) + 1).read_to_end(&mut bytes).map_err(|why| why.to_string())?;
    if bytes.len() > usize::from(LONGEST) {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not text (UTF-8)".to_owned())?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Secret::from(text))
}
