//! What is about to happen, written down beside what is held, before it happens.
//!
//! A refresh token that works only once is spent by the request that carries it. If the agent dies, or the reply is lost,
//! before the new one is safe, the next agent has to know that the old one may be spent.

use cloud_agent_protocol::Secret;

use crate::clock::Timestamp;
use crate::provider::Held;

/// The name under which it lies beside what is held. No cloud file can name it: names begin with a letter.
const PENDING: &str = "@pending";

/// Somebody was about to spend what is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    /// Which of the machines that share a vault; empty where none do.
    pub(super) writer: String,
    /// When.
    pub(super) at: Timestamp,
}

impl Intent {
    /// What is held, with this intent beside it.
    pub(super) fn beside(&self, mut held: Held) -> Held {
        held.0.insert(PENDING.to_owned(), Secret::new(format!("{} {}", self.at.seconds(), self.writer)));
        held
    }

    /// Takes the intent out, if there is one. One that cannot be read is still one.
    pub(super) fn take(held: &mut Held) -> Option<Self> {
        let written = held.0.remove(PENDING)?;
        let (at, writer) = written.expose().split_once(' ').unwrap_or(("0", ""));
        Some(Self { writer: writer.to_owned(), at: Timestamp::from_seconds(at.parse().unwrap_or(0)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_is_taken_out_as_it_was_put_beside() {
        let held = Held([("refresh".to_owned(), Secret::from("r1"))].into());
        for writer in ["", "host-1 and more"] {
            let intent = Intent { writer: writer.into(), at: Timestamp::from_seconds(1_700_000_000) };
            let mut with = intent.beside(held.clone());
            assert_eq!(Intent::take(&mut with), Some(intent));
            assert_eq!((Intent::take(&mut with), with), (None, held.clone()));
        }
    }

    #[test]
    fn one_that_cannot_be_read_is_still_an_intent() {
        let mut held = Held([(PENDING.to_owned(), Secret::from("nonsense"))].into());
        assert_eq!(Intent::take(&mut held).unwrap().at, Timestamp::from_seconds(0));
    }
}
