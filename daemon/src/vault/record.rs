//! What is held, as bytes: as they are sealed into a file, and as a text that a program may store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_agent_protocol::Secret;
use zeroize::Zeroizing;

use super::Record;
use crate::packed::Packed;
use crate::provider::Held;

/// Bytes before what is held: its length, because padding follows.
const LENGTH: usize = 4;

/// The first words of a record as a text, and the version of what follows.
const TITLE: &str = "cloud-agent-record 1";

/// Bytes that `held` takes without padding.
pub(super) fn size(held: &Held) -> usize {
    LENGTH + pack(held).as_bytes().len()
}

/// `held` in `room` bytes, which are at least its [`size`].
pub(super) fn pad(held: &Held, room: usize) -> Zeroizing<Vec<u8>> {
    let packed = pack(held);
    let bytes = packed.as_bytes();
    let mut padded = Zeroizing::new(vec![0; room]);
    let length = u32::try_from(bytes.len()).expect("what an agent keeps is far shorter than 4 GiB");
    padded[..LENGTH].copy_from_slice(&length.to_le_bytes());
    padded[LENGTH..LENGTH + bytes.len()].copy_from_slice(bytes);
    padded
}

/// What was padded.
pub(super) fn unpad(padded: &[u8]) -> Option<Held> {
    let (length, rest) = padded.split_first_chunk::<LENGTH>()?;
    unpack(rest.get(..u32::from_le_bytes(*length) as usize)?)
}

/// A record as two lines of text: which generation it is, for a store that compares, and what is held, for nobody's eyes.
pub(super) fn text(record: &Record) -> Zeroizing<String> {
    let packed = pack(&record.held);
    let head = format!("{TITLE} {}\n", record.generation);
    let mut text = Zeroizing::new(String::with_capacity(head.len() + packed.as_bytes().len() * 4 / 3 + 8));
    text.push_str(&head);
    STANDARD.encode_string(packed.as_bytes(), &mut text);
    text.push('\n');
    text
}

/// The record in such a text; `None` if it is none.
pub(super) fn from_text(text: &str) -> Option<Record> {
    let (head, body) = text.trim().split_once('\n')?;
    let generation = head.trim().strip_prefix(TITLE)?.trim().parse().ok().filter(|generation| *generation > 0)?;
    let bytes = Zeroizing::new(STANDARD.decode(body.trim()).ok()?);
    Some(Record { held: unpack(&bytes)?, generation })
}

fn pack(held: &Held) -> Packed {
    Packed::new(held.0.iter().map(|(name, secret)| (name.as_str(), secret.expose())))
}

/// Strict: not a byte more or less than what is held.
fn unpack(bytes: &[u8]) -> Option<Held> {
    let packed = Packed::from_bytes(bytes);
    let held = Held(packed.pairs().map(|(name, secret)| (name.to_owned(), Secret::from(secret))).collect());
    (pack(&held).as_bytes() == bytes).then_some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(pairs: &[(&str, &str)]) -> Held {
        Held(pairs.iter().map(|(name, secret)| ((*name).to_owned(), Secret::from(*secret))).collect())
    }

    #[test]
    fn what_is_held_comes_back_from_both_forms() {
        for pairs in [&[][..], &[("refresh", "r1")], &[("@place", "=https://a\niam=https://b"), ("access", "é\0")]] {
            let held = held(pairs);
            assert_eq!(unpad(&pad(&held, size(&held) + 99)).unwrap(), held);
            let record = Record { held, generation: u64::MAX };
            // Nothing at all is never saved, and would be a text without a second line.
            assert_eq!(from_text(&text(&record)), (!pairs.is_empty()).then_some(record));
        }
    }

    #[test]
    fn a_store_that_adds_or_drops_line_ends_does_no_harm() {
        let record = Record { held: held(&[("refresh", "r1")]), generation: 7 };
        let text = text(&record);
        assert_eq!(from_text(&format!("\r\n{}\r\n\r\n", text.trim().replace('\n', "\r\n"))).unwrap(), record);
    }

    #[test]
    fn whatever_is_no_record_is_none() {
        let good = text(&Record { held: held(&[("refresh", "r1")]), generation: 7 });
        let cut = &good[..good.len() - 6];
        for text in
            ["", "hello", "cloud-agent-record 1 7", "cloud-agent-record 2 7\nAAAA", "cloud-agent-record 1 0\n", cut]
        {
            assert!(from_text(text).is_none(), "{text}");
        }
        assert!(unpad(&[]).is_none() && unpad(&[255; 9]).is_none() && unpad(&[5, 0, 0, 0, 1, 0, 0, 0, 9]).is_none());
    }
}
