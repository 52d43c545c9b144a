//! Takes requests out of the bytes of a connection, however they were cut.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;

use cloud_agent_protocol::frame::{HEADER, MAX_REQUEST};
use cloud_agent_protocol::{FrameError, FrameHeader, hello};
use tokio::io::{AsyncRead as _, ReadBuf};
use zeroize::Zeroize as _;

use super::connection::Connection;

/// Most requests come in one read of this many bytes.
const READ: usize = 1024;

/// Bytes that were received and not yet taken. May hold secrets; wiped as they are taken.
#[derive(Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
}

/// The next thing in an inbox.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing, or not yet all of it.
    Incomplete,
    /// A request, and whether it is in a version that is spoken here. Its bytes are `inbox.body()` until `take`.
    Request { header: FrameHeader, start: usize },
    /// Nobody speaks our protocol there.
    Broken(FrameError),
    /// The first frame came without a hello.
    NoHello,
}

impl Inbox {
    /// Whether a request has begun.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds what the client sends next, and says how many bytes that are: none at the end. The buffer is on the stack only while it
    /// is filled, so that a thousand idle connections cost nothing, and is wiped, because a login's secrets pass through it.
    ///
    /// # Errors
    /// As `recv(2)`.
    pub(super) async fn receive(&mut self, connection: &mut Connection) -> io::Result<usize> {
        poll_fn(|context| {
            let mut space = [MaybeUninit::<u8>::uninit(); READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            Pin::new(&mut *connection).poll_read(context, &mut buffer).map_ok(|()| {
                self.extend(buffer.filled());
                buffer.filled_mut().zeroize();
                buffer.filled().len()
            })
        })
        .await
    }

    pub(super) fn extend(&mut self, received: &[u8]) {
        self.bytes.extend_from_slice(received);
    }

    /// All that was not taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Looks at what is there. `greeted`: a hello has been seen on this connection.
    pub(super) fn next(&mut self, greeted: bool) -> Next {
        let start = match hello::parse(&self.bytes) {
            hello::Parsed::Hello { consumed, .. } => consumed,
            hello::Parsed::Partial => return Next::Incomplete,
            hello::Parsed::NotHello if greeted => 0,
            hello::Parsed::NotHello => return Next::NoHello,
        };
        let Some(header) = self.bytes.get(start..start + HEADER) else { return Next::Incomplete };
        let header: [u8; HEADER] = header.try_into().expect("the range has that length");
        match FrameHeader::parse(header, MAX_REQUEST) {
            Err(error) => Next::Broken(error),
            Ok(header) if self.bytes.len() < start + HEADER + header.body => {
                // All at once: a buffer that grows step by step leaves copies behind.
                let whole = start + HEADER + header.body;
                self.bytes.reserve_exact(whole - self.bytes.len());
                Next::Incomplete
            }
            Ok(header) => Next::Request { header, start: start + HEADER },
        }
    }

    /// The body of a request that [`Inbox::next`] found.
    pub(super) fn body(&self, header: FrameHeader, start: usize) -> &[u8] {
        &self.bytes[start..start + header.body]
    }

    /// Takes that request out and wipes it.
    pub(super) fn take(&mut self, header: FrameHeader, start: usize) {
        let end = start + header.body;
        self.bytes[..end].zeroize();
        if end == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..end);
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::v1::Request;

    use super::*;

    fn request() -> Vec<u8> {
        Request::Status.encode().unwrap().encode_after(&hello::encode(&[1])).to_vec()
    }

    #[test]
    fn a_request_is_found_however_its_bytes_arrive() {
        let bytes = request();
        for cut in 1..bytes.len() {
            let mut inbox = Inbox::default();
            inbox.extend(&bytes[..cut]);
            assert!(matches!(inbox.next(false), Next::Incomplete), "{cut}");
            inbox.extend(&bytes[cut..]);
            let Next::Request { header, start } = inbox.next(false) else { panic!("{cut}") };
            assert_eq!(header.kind, 5);
            inbox.take(header, start);
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn two_requests_in_one_write_are_taken_one_by_one_with_or_without_a_second_hello() {
        let bare = Request::Stop.encode().unwrap().encode().to_vec();
        for second in [request(), bare] {
            let mut inbox = Inbox::default();
            inbox.extend(&[request(), second].concat());
            let Next::Request { header, start } = inbox.next(false) else { panic!() };
            inbox.take(header, start);
            assert!(matches!(inbox.next(true), Next::Request { .. }));
        }
    }

    #[test]
    fn a_frame_without_a_hello_before_it_is_not_ours() {
        let mut inbox = Inbox::default();
        inbox.extend(&Request::Stop.encode().unwrap().encode());
        assert!(matches!(inbox.next(false), Next::NoHello));
    }

    #[test]
    fn a_length_above_the_cap_is_seen_before_its_bytes_come() {
        let mut inbox = Inbox::default();
        inbox.extend(&hello::encode(&[1]));
        inbox.extend(&[0xff, 0xff, 0xff, 0x7f, 1, 0, 1, 0]);
        assert!(matches!(inbox.next(false), Next::Broken(FrameError::TooLong { .. })));
    }
}
