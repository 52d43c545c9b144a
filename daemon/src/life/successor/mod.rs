//! The agent's program started anew, with all that this one has in its memory: nobody logs in or unlocks again, and no caller is
//! turned away.
//!
//! ```text
//! this one                                     the new one, whose stdin is the other end of a pair of sockets
//!   starts it                                →
//!                                            ←   it is there, and understands this format
//!   shuts the gate, waits for what is under way
//!   a one-time key; the socket, the lock …   →
//!   all that is in memory, sealed            →
//!                                            ←   it could serve at once
//!   go                                       →   serves
//!   every connection that it still had       →
//!   ends
//! ```
//!
//! Until the last word but one, anything that goes wrong leaves this one as it was. What is handed over is in no file, no
//! argument and no environment. Each keeps to the numbers of the messages, and skips what it does not know of an estate, so that
//! the two may be of different versions.

mod channel;
mod coming;
mod leaving;

pub(crate) use coming::{Estate, meet};

/// The format of an estate, and of what is said about it.
const FORMAT: &str = "1";

/// What an estate is sealed for.
const CONTEXT: &[u8] = b"cloud-agent estate 1";
