//! The file beside the sealed ones: which key they have, and where it rests. Nothing in it is a secret.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_agent_protocol::{Fault, FaultKind};
use serde::{Deserialize, Serialize};

use super::disk::{self, Found};
use super::seal::{self, Derivation, Key};

/// Its name.
const NAME: &str = "vault.toml";
/// The form that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What the head says.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// What the key is called where it rests.
    pub(super) id: String,
    /// The name of the vault, sealed: what tells a wrong key from broken files.
    check: Vec<u8>,
    /// With a passphrase: how it becomes a key, and the vault's key sealed under that.
    pub(super) wrapped: Option<(Derivation, Vec<u8>)>,
}

impl Head {
    /// The head of a new vault with the key `key`.
    ///
    /// # Errors
    /// `Internal` if the system has no randomness.
    pub(super) fn new(key: &Key) -> Result<Self, Fault> {
        let mut id = [0; 8];
        seal::fill(&mut id)?;
        let id = format!("{:016x}", u64::from_le_bytes(id));
        let check = seal::seal(key, &context("check", &id), b"")?;
        Ok(Self { id, check, wrapped: None })
    }

    /// Lets `wrapping`, which `derivation` makes of a passphrase, open the vault of `key`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn wrap(mut self, key: &Key, derivation: Derivation, wrapping: &Key) -> Result<Self, Fault> {
        let sealed = seal::seal(wrapping, &context("key", &self.id), key.expose())?;
        self.wrapped = Some((derivation, sealed));
        Ok(self)
    }

    /// The vault's key, if `wrapping` opens it.
    pub(super) fn unwrap(&self, wrapping: &Key) -> Option<Key> {
        let (_, sealed) = self.wrapped.as_ref()?;
        let key = Key::from_bytes(&seal::open(wrapping, &context("key", &self.id), sealed)?)?;
        self.fits(&key).then_some(key)
    }

    /// Whether `key` is this vault's.
    pub(super) fn fits(&self, key: &Key) -> bool {
        seal::open(key, &context("check", &self.id), &self.check).is_some()
    }

    /// The head of the vault in `dir`; `None` if there is none.
    ///
    /// # Errors
    /// `Config` if it cannot be read or understood. It stays as it is: without it, nothing opens the files beside it.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, Fault> {
        let path = dir.join(NAME);
        let unusable = |why: String| {
            Fault::new(FaultKind::Config, "the vault cannot be used")
                .because(format!("`{}`: {why}", path.display()))
                .hint("put it back as it was; or move its directory away, and log in again")
        };
        let bytes = match disk::read(&path).map_err(|why| unusable(why.to_string()))? {
            Found::Nothing => return Ok(None),
            Found::Odd(why) => return Err(unusable(why)),
            Found::File(bytes) => bytes,
        };
        let text = String::from_utf8(bytes).map_err(|_| unusable("it is no text".into()))?;
        // Before anything else: a later form may have anything in it.
        let Versioned { version } = toml::from_str(&text).map_err(|why| unusable(why.message().to_owned()))?;
        if version != VERSION {
            return Err(unusable(format!(
                "it is of version {version}, and this version of cloud-agent reads {VERSION}"
            )));
        }
        let written: Written = toml::from_str(&text).map_err(|why| unusable(why.message().to_owned()))?;
        written.parse().ok_or_else(|| unusable("a value in it is none".into())).map(Some)
    }

    /// Writes it.
    ///
    /// # Errors
    /// `Config` if it cannot be written.
    pub(super) fn write(&self, dir: &Path) -> Result<(), Fault> {
        let path = dir.join(NAME);
        let passphrase = self.wrapped.as_ref().map(|(derivation, sealed)| WrittenPassphrase {
            algorithm: ALGORITHM.into(),
            memory_kib: derivation.memory,
            passes: derivation.passes,
            lanes: derivation.lanes,
            salt: STANDARD.encode(derivation.salt),
            key: STANDARD.encode(sealed),
        });
        let written =
            Written { version: VERSION, id: self.id.clone(), check: STANDARD.encode(&self.check), passphrase };
        let text = toml::to_string(&written).map_err(|why| Fault::new(FaultKind::Internal, why.to_string()))?;
        disk::make_private(dir).and_then(|()| disk::replace(&path, text.as_bytes())).map_err(|why| {
            Fault::new(FaultKind::Config, "the vault cannot be written").because(format!("`{}`: {why}", path.display()))
        })
    }

    /// Removes the head of the vault in `dir`: nothing opens it any more.
    ///
    /// # Errors
    /// `Config` if it cannot be removed.
    pub(super) fn erase(dir: &Path) -> Result<(), Fault> {
        disk::erase(&dir.join(NAME)).map(drop).map_err(|why| {
            Fault::new(FaultKind::Config, "the vault cannot be erased").because(format!("`{}`: {why}", dir.display()))
        })
    }
}

/// The one way to make a key of a passphrase.
const ALGORITHM: &str = "argon2id";

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    id: String,
    check: String,
    passphrase: Option<WrittenPassphrase>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenPassphrase {
    algorithm: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    key: String,
}

impl Written {
    fn parse(self) -> Option<Head> {
        let bytes = |text: &str| STANDARD.decode(text).ok();
        let wrapped = match self.passphrase {
            None => None,
            Some(given) if given.algorithm == ALGORITHM => {
                let salt = bytes(&given.salt)?.try_into().ok()?;
                let (memory, passes, lanes) = (given.memory_kib, given.passes, given.lanes);
                Some((Derivation { memory, passes, lanes, salt }, bytes(&given.key)?))
            }
            Some(_) => return None,
        };
        Some(Head { id: self.id, check: bytes(&self.check)?, wrapped })
    }
}

/// What a sealed piece of the head is bound to.
fn context(what: &str, id: &str) -> Vec<u8> {
    format!("cloud-agent vault {VERSION} {what} {id}").into_bytes()
}
