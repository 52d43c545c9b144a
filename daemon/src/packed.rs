//! Pairs of text in one piece of memory that is wiped on drop: there may be a thousand accounts, and every allocation and
//! every node of a tree costs each of them more than its contents.

use crate::hardening::Kept;

/// Names and values, one behind the other, each preceded by its length.
#[derive(Clone)]
pub(crate) struct Packed(Kept);

impl Packed {
    /// Packs `pairs`, which are gone through twice: the piece is made in its final size and filled where it stays.
    pub(crate) fn new<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let texts = pairs.flat_map(|(name, value)| [name, value]);
        let mut bytes = Kept::zeros(texts.clone().map(|text| LENGTH + text.len()).sum());
        let mut rest = &mut bytes[..];
        for text in texts {
            let length = u32::try_from(text.len()).expect("what an agent keeps is far shorter than 4 GiB");
            let (head, behind) = rest.split_at_mut(LENGTH);
            let (place, behind) = behind.split_at_mut(text.len());
            head.copy_from_slice(&length.to_le_bytes());
            place.copy_from_slice(text.as_bytes());
            rest = behind;
        }
        Self(bytes)
    }

    /// A copy of `bytes`, which were packed. What is not as packing makes it ends the pairs.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(Kept::copy_of(bytes))
    }

    /// All of it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The pairs, in their order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &self.0[..];
        let mut next = move || {
            let (length, behind) = rest.split_first_chunk::<LENGTH>()?;
            let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = behind;
            std::str::from_utf8(text).ok()
        };
        std::iter::from_fn(move || Some((next()?, next()?)))
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} bytes)", self.0.len())
    }
}

/// Bytes of a length.
const LENGTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_back_in_its_order() {
        for pairs in [&[][..], &[("b", ""), ("a", "x")], &[("refresh", "r-\u{e9}"), ("secret", "s\n")]] {
            assert_eq!(Packed::new(pairs.iter().copied()).pairs().collect::<Vec<_>>(), pairs);
        }
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Packed::new([("a", "hunter2")].into_iter())), "Packed(16 bytes)");
    }
}
