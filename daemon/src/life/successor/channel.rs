//! Messages and open descriptors between the agent that leaves and the one that comes, over a pair of sockets that nobody else
//! has.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// Descriptors that one message may carry.
const MOST_DESCRIPTORS: usize = 8;
/// No agent has as much in its memory.
const LONGEST: usize = 256 << 20;
/// A kind, and the length of the body.
const HEAD: usize = 5;

/// One end.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

/// What came over it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// What a message is. Their numbers never change: the two ends may be of different versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// From the one that comes: it is there, and understands this format; its version.
    Hello,
    /// From the one that leaves: what the estate is sealed with.
    Key,
    /// … where it listens, with the descriptors that go with that.
    Place,
    /// … all that is in its memory, sealed.
    Estate,
    /// From the one that comes: it could serve at once.
    Ready,
    /// … or why it cannot.
    Fault,
    /// From the one that leaves: serve.
    Go,
    /// … a caller, with what it has sent.
    Caller,
}

const KINDS: [(u8, Kind); 8] = [
    (1, Kind::Hello),
    (2, Kind::Key),
    (3, Kind::Place),
    (4, Kind::Estate),
    (5, Kind::Ready),
    (6, Kind::Fault),
    (7, Kind::Go),
    (8, Kind::Caller),
];

impl Channel {
    /// Two ends; the other one is for a child.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (own, theirs) = std::os::unix::net::UnixStream::pair()?;
        Ok((Self::of(own.into())?, theirs.into()))
    }

    /// The end that was handed down.
    pub(super) fn of(end: OwnedFd) -> io::Result<Self> {
        let end = std::os::unix::net::UnixStream::from(end);
        end.set_nonblocking(true)?;
        UnixStream::from_std(end).map(Self)
    }

    /// Sends one message.
    pub(super) async fn send(&self, kind: Kind, body: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let number = KINDS.iter().find(|(_, known)| *known == kind).map(|(number, _)| *number).unwrap_or_default();
        let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut head = [number, 0, 0, 0, 0];
        head[1..].copy_from_slice(&length.to_le_bytes());
        let head_sent = self.0.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            Ok(sendmsg(&self.0, &[IoSlice::new(&head)], &mut control, SendFlags::NOSIGNAL)?)
        });
        if head_sent.await? != HEAD {
            // A socket takes five bytes or none.
            return Err(io::ErrorKind::WriteZero.into());
        }
        let mut rest = body;
        while !rest.is_empty() {
            self.0.writable().await?;
            match self.0.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The next message; `None` if the other end is gone.
    pub(super) async fn receive(&self) -> io::Result<Option<Message>> {
        let (mut head, mut have, mut descriptors) = ([0; HEAD], 0, Vec::new());
        while have < HEAD {
            let count = self.0.async_io(Interest::READABLE, || self.part(&mut head[have..], &mut descriptors)).await?;
            if count == 0 {
                return if have == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            have += count;
        }
        let [number, length @ ..] = head;
        let kind = KINDS.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind);
        let kind = kind.ok_or(io::ErrorKind::InvalidData)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = Zeroizing::new(vec![0; length]);
        let mut at = 0;
        while at < length {
            self.0.readable().await?;
            match self.0.try_read(&mut body[at..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => at += count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Some(Message { kind, body, descriptors }))
    }

    fn part(&self, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(self.0.as_fd(), &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        Ok(received.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    #[tokio::test]
    async fn messages_of_any_length_arrive_with_their_descriptors() {
        let (one, other) = Channel::pair().unwrap();
        let other = Channel::of(other).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"in the file").unwrap();
        let long = vec![7; 3 << 20];
        let sending = async {
            one.send(Kind::Hello, b"", &[]).await.unwrap();
            one.send(Kind::Place, b"here", &[file.as_fd(), file.as_fd()]).await.unwrap();
            one.send(Kind::Estate, &long, &[]).await.unwrap();
        };
        let receiving = async {
            let hello = other.receive().await.unwrap().unwrap();
            assert!(hello.kind == Kind::Hello && hello.body.is_empty() && hello.descriptors.is_empty());
            let place = other.receive().await.unwrap().unwrap();
            assert_eq!((place.kind, place.body.as_slice(), place.descriptors.len()), (Kind::Place, &b"here"[..], 2));
            let mut same = File::from(place.descriptors.into_iter().next().unwrap());
            let mut text = String::new();
            same.rewind().unwrap();
            same.read_to_string(&mut text).unwrap();
            assert_eq!(text, "in the file");
            assert_eq!(*other.receive().await.unwrap().unwrap().body, long);
        };
        tokio::join!(sending, receiving);
        drop(one);
        assert!(other.receive().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_no_message_is_an_error() {
        for bytes in [&[9, 0, 0, 0, 0][..], &[1, 0xff, 0xff, 0xff, 0xff], &[1, 5]] {
            let (mut one, other) = std::os::unix::net::UnixStream::pair().unwrap();
            one.write_all(bytes).unwrap();
            drop(one);
            assert!(Channel::of(other.into()).unwrap().receive().await.is_err(), "{bytes:?}");
        }
    }
}
