//! Length-prefixed frames. This header is fixed for ever; only bodies differ between versions.
//!
//! ```text
//! len u32 LE | version u16 LE | kind u16 LE | body: len - 4 bytes
//! ```
//!
//! `len` counts what follows it. It is checked against a named cap before a byte is allocated, because a hostile length
//! is the oldest way to bring an agent down.

use std::fmt;
use std::io::{self, Read};

use zeroize::Zeroizing;

/// The longest request frame, header included, in bytes. A login that carries a long key fits.
pub const MAX_REQUEST: usize = 32 * 1024;
/// The longest response frame, header included, in bytes. A 16 KiB token that is repeated in a header and the environment fits.
pub const MAX_RESPONSE: usize = 64 * 1024;
/// Bytes of the header.
pub const HEADER: usize = 8;
/// Bytes of the header that `len` counts.
const COUNTED: usize = 4;

/// The kind of a refusal frame: the agent does not speak the version of the request. Its body is not of any version:
/// a count and that many `u16` LE versions which the agent does speak. It is sent with version 0.
pub const KIND_VERSION_REFUSED: u16 = 0xffff;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The version that the body is written in; 0 in a refusal frame.
    pub version: u16,
    /// Which message it is.
    pub kind: u16,
    /// Length of the body in bytes.
    pub body: usize,
}

impl Header {
    /// Reads a header and holds its length against `cap` (of the whole frame, in bytes).
    ///
    /// # Errors
    /// [`FrameError::TooLong`] and [`FrameError::TooShort`].
    pub fn parse(bytes: [u8; HEADER], cap: usize) -> Result<Self, FrameError> {
        let [a, b, c, d, v0, v1, k0, k1] = bytes;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        if len > cap - COUNTED {
            return Err(FrameError::TooLong { len, cap });
        }
        let body = len.checked_sub(COUNTED).ok_or(FrameError::TooShort)?;
        Ok(Self { version: u16::from_le_bytes([v0, v1]), kind: u16::from_le_bytes([k0, k1]), body })
    }

    /// The header's bytes.
    ///
    /// # Panics
    /// If the body is longer than `u32` can say, which no cap allows.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER] {
        let len = u32::try_from(self.body + COUNTED).expect("bodies are capped far below 4 GiB");
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.version.to_le_bytes());
        bytes[6..].copy_from_slice(&self.kind.to_le_bytes());
        bytes
    }
}

/// A whole frame. The body may hold secrets and is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The version that the body is written in.
    pub version: u16,
    /// Which message it is.
    pub kind: u16,
    /// The message.
    pub body: Zeroizing<Vec<u8>>,
}

impl Frame {
    /// Header and body in one buffer, allocated once so that growing leaves no copy behind.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        self.encode_after(&[])
    }

    /// The same behind `prefix`, which is how a hello rides with the first request.
    #[must_use]
    pub fn encode_after(&self, prefix: &[u8]) -> Zeroizing<Vec<u8>> {
        let header = Header { version: self.version, kind: self.kind, body: self.body.len() };
        let mut bytes = Zeroizing::new(Vec::with_capacity(prefix.len() + HEADER + self.body.len()));
        bytes.extend_from_slice(prefix);
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Reads one frame of at most `cap` bytes from a blocking stream.
    ///
    /// # Errors
    /// [`FrameError`]; [`FrameError::Io`] with `UnexpectedEof` if the stream ends before the frame does.
    pub fn read(stream: &mut impl Read, cap: usize) -> Result<Self, FrameError> {
        // Most answers fit the first read: one system call for header and body.
        let mut first = Zeroizing::new([0_u8; 2048]);
        let mut have = 0;
        while have < HEADER {
            have += read_some(stream, &mut first[have..])?;
        }
        let (header, _) = first.split_first_chunk::<HEADER>().ok_or(FrameError::TooShort)?;
        let header = Header::parse(*header, cap)?;
        if have - HEADER > header.body {
            return Err(FrameError::Trailing);
        }
        let mut body = Zeroizing::new(Vec::with_capacity(header.body));
        body.extend_from_slice(&first[HEADER..have]);
        if body.len() < header.body {
            read_rest(stream, &mut body, header.body)?;
        }
        Ok(Self { version: header.version, kind: header.kind, body })
    }

    /// The frame which tells that none of the client's versions is spoken here.
    #[must_use]
    pub fn version_refused(spoken: &[u16]) -> Self {
        let mut body = vec![u8::try_from(spoken.len()).unwrap_or(u8::MAX)];
        for version in spoken.iter().take(usize::from(u8::MAX)) {
            body.extend_from_slice(&version.to_le_bytes());
        }
        Self { version: 0, kind: KIND_VERSION_REFUSED, body: Zeroizing::new(body) }
    }

    /// The versions in a refusal frame, or `None` if this is not one.
    #[must_use]
    pub fn refused_versions(&self) -> Option<Vec<u16>> {
        let (&count, list) = self.body.split_first().filter(|_| self.kind == KIND_VERSION_REFUSED)?;
        let list = list.get(..2 * usize::from(count))?;
        Some(list.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
    }
}

/// Fills `body` up to `len`, for which it has room: growing would leave a copy behind.
#[cold]
fn read_rest(stream: &mut impl Read, body: &mut Vec<u8>, len: usize) -> Result<(), FrameError> {
    let have = body.len();
    body.resize(len, 0);
    stream.read_exact(&mut body[have..]).map_err(FrameError::Io)
}

fn read_some(stream: &mut impl Read, into: &mut [u8]) -> Result<usize, FrameError> {
    loop {
        match stream.read(into) {
            Ok(0) => return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => return Ok(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(FrameError::Io(e)),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame {{ version: {}, kind: {:#06x}, body: {} bytes }}", self.version, self.kind, self.body.len())
    }
}

/// Why bytes are not a frame or not a message.
#[derive(Debug)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is above the cap.
    TooLong {
        /// What the header said.
        len: usize,
        /// What is allowed for a whole frame.
        cap: usize,
    },
    /// The length is too small for a header.
    TooShort,
    /// There are bytes behind the frame where none may be.
    Trailing,
    /// The message number is not known in this version.
    UnknownKind(u16),
    /// The body is not the message that its header announces.
    Body(String),
    /// The stream failed or ended.
    Io(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, cap } => write!(f, "a frame of {len} bytes is longer than the {cap} allowed"),
            Self::TooShort => f.write_str("a frame is shorter than its header"),
            Self::Trailing => f.write_str("bytes behind the end of a frame"),
            Self::UnknownKind(kind) => write!(f, "unknown message {kind:#06x}"),
            Self::Body(why) => write!(f, "the body does not decode: {why}"),
            Self::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => f.write_str("the connection was closed early"),
            Self::Io(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Frame {
        Frame { version: 1, kind: 7, body: Zeroizing::new(body.to_vec()) }
    }

    #[test]
    fn frames_of_every_size_up_to_the_cap_are_read_back() {
        for size in [0, 1, 2039, 2040, 2041, MAX_RESPONSE - HEADER] {
            let sent = frame(&vec![9; size]);
            let bytes = sent.encode();
            assert_eq!(Frame::read(&mut bytes.as_slice(), MAX_RESPONSE).unwrap(), sent, "{size}");
        }
    }

    #[test]
    fn a_length_above_the_cap_is_refused_before_anything_is_allocated() {
        for len in [u32::MAX, u32::try_from(MAX_RESPONSE).unwrap() - 3] {
            let mut bytes = len.to_le_bytes().to_vec();
            bytes.extend_from_slice(&[1, 0, 7, 0]);
            assert!(matches!(Frame::read(&mut bytes.as_slice(), MAX_RESPONSE), Err(FrameError::TooLong { .. })));
        }
    }

    #[test]
    fn a_length_that_does_not_cover_the_header_is_refused() {
        assert!(matches!(Header::parse([3, 0, 0, 0, 1, 0, 7, 0], 64), Err(FrameError::TooShort)));
    }

    #[test]
    fn every_truncation_is_an_early_end() {
        let bytes = frame(b"hello").encode();
        for cut in 0..bytes.len() {
            let error = Frame::read(&mut &bytes[..cut], MAX_RESPONSE).unwrap_err();
            assert_eq!(error.to_string(), "the connection was closed early", "{cut}");
        }
    }

    #[test]
    fn bytes_behind_a_frame_are_noticed() {
        let mut bytes = frame(b"hello").encode().to_vec();
        bytes.push(0);
        assert!(matches!(Frame::read(&mut bytes.as_slice(), MAX_RESPONSE), Err(FrameError::Trailing)));
    }

    #[test]
    fn a_refusal_tells_the_versions_and_only_a_refusal_does() {
        assert_eq!(Frame::version_refused(&[3, 2]).refused_versions(), Some(vec![3, 2]));
        assert_eq!(frame(b"\x01\x02\x00").refused_versions(), None);
    }

    #[test]
    fn debug_does_not_show_the_body() {
        assert_eq!(format!("{:?}", frame(b"hunter2")), "Frame { version: 1, kind: 0x0007, body: 7 bytes }");
    }
}
