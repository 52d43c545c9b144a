//! Sealing bytes under a key, and a key from a passphrase. It knows no file, no account and no message.
//!
//! XChaCha20-Poly1305: its nonces are long enough to be drawn at random for every sealing, so nothing has to be counted
//! across crashes. Argon2id (RFC 9106) makes each guess at a passphrase cost memory.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use cloud_agent_protocol::{Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use crate::hardening::Kept;

/// Bytes of a key.
pub(crate) const KEY: usize = 32;
/// Bytes by which what is sealed is longer than it was: a nonce before it, a tag behind it.
pub(crate) const OVERHEAD: usize = NONCE + TAG;

const NONCE: usize = 24;
const TAG: usize = 16;
const SALT: usize = 16;

/// The most that a header may ask of this machine for a passphrase: whoever can write it must not stop the agent with it.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 16;

/// A key; wiped on drop, and never printed.
pub(crate) struct Key(Kept);

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// `Internal` if the system has no randomness.
    pub(crate) fn random() -> Result<Self, Fault> {
        let mut key = Self::empty();
        fill(&mut key.0[..])?;
        Ok(key)
    }

    /// The key that is `bytes`, if they are as many as a key has.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut key = Self::empty();
        if bytes.len() != KEY {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    /// Its bytes.
    ///
    /// # Panics
    /// Never: every key has as many.
    pub(crate) fn expose(&self) -> &[u8; KEY] {
        self.0.first_chunk().expect("a key is made with as many bytes")
    }

    /// Made where it stays, so that no copy is left on the stack.
    fn empty() -> Self {
        Self(Kept::zeros(KEY))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Seals `plain`. Whoever opens it has to know `context`, which is not in it.
///
/// # Errors
/// `Internal` if the system has no randomness.
pub(crate) fn seal(key: &Key, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut nonce = [0; NONCE];
    fill(&mut nonce)?;
    // In its final size: a buffer that grows would leave the plain text behind.
    let mut sealed = Vec::with_capacity(OVERHEAD + plain.len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let tag = cipher(key)
        .encrypt_inout_detached(&XNonce::from(nonce), context, (&mut sealed[NONCE..]).into())
        .map_err(|_| Fault::new(FaultKind::Internal, "what is to be sealed is too long"))?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// What was sealed; `None` if the key, the context or a single bit is another.
pub(crate) fn open(key: &Key, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let (text, tag) = rest.split_last_chunk::<TAG>()?;
    let mut plain = Zeroizing::new(text.to_vec());
    let tag = (*tag).into();
    cipher(key).decrypt_inout_detached(&XNonce::from(*nonce), context, plain.as_mut_slice().into(), &tag).ok()?;
    Some(plain)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

/// Fills `bytes` at random.
///
/// # Errors
/// `Internal` if the system has no randomness.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Fault> {
    getrandom::fill(bytes)
        .map_err(|why| Fault::new(FaultKind::Internal, "the system gives no randomness").because(why.to_string()))
}

/// How a passphrase becomes a key: what is needed besides the passphrase, none of it secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Derivation {
    /// KiB of memory.
    pub(crate) memory: u32,
    /// Times that it is gone through.
    pub(crate) passes: u32,
    /// Lanes.
    pub(crate) lanes: u32,
    /// What makes equal passphrases different keys.
    pub(crate) salt: [u8; SALT],
}

impl Derivation {
    /// A new one, of the cost that RFC 9106 recommends where memory is scarce.
    ///
    /// # Errors
    /// `Internal` if the system has no randomness.
    pub(crate) fn random() -> Result<Self, Fault> {
        let mut salt = [0; SALT];
        fill(&mut salt)?;
        Ok(Self { memory: 64 * 1024, passes: 3, lanes: 1, salt })
    }

    /// The key. Takes a tenth of a second and `memory`: never on the thread that answers.
    ///
    /// # Errors
    /// `Config` if the costs are none, or more than a machine should be asked for.
    pub(crate) fn key(&self, passphrase: &Secret) -> Result<Key, Fault> {
        let absurd =
            |why: String| Fault::new(FaultKind::Config, "the vault's header asks for the impossible").because(why);
        if self.memory > MOST_MEMORY_KIB || self.passes > MOST_PASSES || self.lanes > MOST_LANES {
            return Err(absurd(format!("{} KiB, {} passes, {} lanes", self.memory, self.passes, self.lanes)));
        }
        let params = Params::new(self.memory, self.passes, self.lanes, Some(KEY));
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|why| absurd(why.to_string()))?);
        let mut key = Key::empty();
        argon
            .hash_password_into(passphrase.expose().as_bytes(), &self.salt, &mut key.0[..])
            .map_err(|why| absurd(why.to_string()))?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Derivation {
        Derivation { memory: 64, passes: 1, lanes: 1, ..Derivation::random().unwrap() }
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_context_and_with_nothing_else() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        for plain in [&b""[..], b"x", &[7; 5000]] {
            let sealed = seal(&key, b"here", plain).unwrap();
            assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            assert_eq!(open(&key, b"here", &sealed).unwrap().as_slice(), plain);
            assert!(open(&other, b"here", &sealed).is_none() && open(&key, b"there", &sealed).is_none());
        }
    }

    #[test]
    fn no_bit_can_be_changed_and_no_byte_left_out() {
        let key = Key::random().unwrap();
        let sealed = seal(&key, b"", b"a secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut bent = sealed.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, b"", &bent).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key, b"", &sealed[..length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn the_same_is_never_sealed_to_the_same() {
        let key = Key::random().unwrap();
        assert_ne!(seal(&key, b"", b"x").unwrap(), seal(&key, b"", b"x").unwrap());
    }

    #[test]
    fn a_passphrase_gives_the_same_key_again_and_another_one_another() {
        let derivation = cheap();
        let key = |passphrase: &str| *derivation.key(&Secret::from(passphrase)).unwrap().expose();
        assert_eq!(key("open"), key("open"));
        assert_ne!(key("open"), key("Open"));
        assert_ne!(key("open"), *cheap().key(&Secret::from("open")).unwrap().expose(), "another salt");
    }

    #[test]
    fn a_header_cannot_ask_for_all_memory_or_none() {
        for (memory, passes, lanes) in [(u32::MAX, 1, 1), (64, u32::MAX, 1), (64, 1, 1000), (0, 0, 0)] {
            let absurd = Derivation { memory, passes, lanes, ..cheap() };
            assert_eq!(absurd.key(&Secret::from("x")).unwrap_err().kind, FaultKind::Config);
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::from_bytes(&[65; KEY]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert!(Key::from_bytes(&[0; 31]).is_none());
    }
}
