//! The fixed opening of a conversation. It is not serde and never changes, whatever the messages become.
//!
//! A client writes `MAGIC`, a count and that many versions (little-endian `u16`, best first), and in the same write its
//! first frame, in the best version. So a warm request is one write and one answer. An agent that does not speak that
//! version answers with a *refusal frame* (see [`crate::frame`]), which every client of every version can read.

/// The first four bytes. Read as a frame length they would be far above any cap, so hello and frame cannot be confused:
/// a hello may open every request of a connection, not only the first.
pub const MAGIC: [u8; 4] = *b"CAGT";

/// The most versions one hello may list.
pub const MAX_VERSIONS: usize = 16;

/// The versions this build speaks, best first.
pub const VERSIONS: &[u16] = &[1];

/// The bytes of a hello that offers `versions`.
///
/// # Panics
/// If there are none or more than [`MAX_VERSIONS`]: the list is a constant of the program.
#[must_use]
pub fn encode(versions: &[u16]) -> Vec<u8> {
    assert!((1..=MAX_VERSIONS).contains(&versions.len()), "a hello lists 1 to {MAX_VERSIONS} versions");
    let mut bytes = Vec::with_capacity(5 + 2 * versions.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.push(u8::try_from(versions.len()).expect("at most 16"));
    for version in versions {
        bytes.extend_from_slice(&version.to_le_bytes());
    }
    bytes
}

/// What the bytes received so far are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A whole hello, its versions, and how many bytes it took.
    Hello {
        /// Best first.
        versions: Versions<'a>,
        /// Length of the hello.
        consumed: usize,
    },
    /// So far it could become one.
    Partial,
    /// It is not one.
    NotHello,
}

/// The versions that a hello lists, where they were read: an agent that answers ten thousand times a second copies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions<'a>(&'a [u8]);

impl Versions<'_> {
    /// Each of them, best first.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
    }
}

/// Reads a hello from the start of `bytes`.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let shared = bytes.len().min(MAGIC.len());
    if bytes[..shared] != MAGIC[..shared] {
        return Parsed::NotHello;
    }
    let Some(&count) = bytes.get(MAGIC.len()) else { return Parsed::Partial };
    let count = usize::from(count);
    if !(1..=MAX_VERSIONS).contains(&count) {
        return Parsed::NotHello;
    }
    let consumed = MAGIC.len() + 1 + 2 * count;
    let Some(list) = bytes.get(MAGIC.len() + 1..consumed) else { return Parsed::Partial };
    Parsed::Hello { versions: Versions(list), consumed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_back_and_its_length_is_known() {
        let mut bytes = encode(&[2, 1]);
        let len = bytes.len();
        bytes.extend_from_slice(b"rest");
        let Parsed::Hello { versions, consumed } = parse(&bytes) else { panic!("no hello") };
        assert_eq!((versions.iter().collect::<Vec<_>>(), consumed), (vec![2, 1], len));
    }

    #[test]
    fn every_true_prefix_is_partial() {
        let bytes = encode(&[2, 1]);
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Parsed::Partial, "{cut}");
        }
    }

    #[test]
    fn other_protocols_are_not_a_hello() {
        for bytes in [&b"GET / HTTP/1.1"[..], b"CAG\0", b"CAGT\0", b"CAGT\xff", b"\0\0\0\x01\x0b"] {
            assert_eq!(parse(bytes), Parsed::NotHello);
        }
    }

    #[test]
    fn magic_as_a_length_is_above_every_cap() {
        assert!(u32::from_le_bytes(MAGIC) as usize > crate::frame::MAX_RESPONSE.max(crate::frame::MAX_REQUEST));
    }
}
