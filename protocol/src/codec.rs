//! The only file that names bincode, so that the codec stays replaceable.
//!
//! bincode without a limit aborts the process on a nine-byte frame (a hostile length becomes an allocation), and it
//! accepts bytes behind the value. Both are closed here: always a limit, always the consumed length compared. Message
//! types must not be recursive: no limit bounds the stack.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::FrameError;
use crate::frame::MAX_RESPONSE;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_RESPONSE>> =
    bincode::config::standard().with_limit::<MAX_RESPONSE>();

/// The bytes of `message`, in a buffer that is wiped on drop.
pub(crate) fn encode(message: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    // Sized up front: a buffer that grows would leave copies of secrets in freed memory.
    let mut counter = bincode::enc::write::SizeWriter::default();
    bincode::serde::encode_into_writer(message, &mut counter, CONFIG).map_err(|e| FrameError::Body(e.to_string()))?;
    if counter.bytes_written > MAX_RESPONSE {
        return Err(FrameError::TooLong { len: counter.bytes_written, cap: MAX_RESPONSE });
    }
    let mut body = Body(Zeroizing::new(Vec::with_capacity(counter.bytes_written)));
    bincode::serde::encode_into_writer(message, &mut body, CONFIG).map_err(|e| FrameError::Body(e.to_string()))?;
    Ok(body.0)
}

/// A buffer that has room for all that is written to it.
struct Body(Zeroizing<Vec<u8>>);

impl Writer for Body {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The message in `body`, all of it.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    #[expect(clippy::disallowed_methods, reason = "the one place, with the limit")]
    let (message, consumed) =
        bincode::serde::decode_from_slice(body, CONFIG).map_err(|e| FrameError::Body(e.to_string()))?;
    if consumed == body.len() { Ok(message) } else { Err(FrameError::Trailing) }
}
