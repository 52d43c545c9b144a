//! The agent that comes.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use cloud_agent_protocol::v1::Response;
use cloud_agent_protocol::{Fault, FaultKind};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::channel::{Channel, Kind, Message};
use super::{CONTEXT, FORMAT};
use crate::access::Access;
use crate::broker::{Broker, vault_of};
use crate::clock::Clock;
use crate::life::Begun;
use crate::life::bond::Bond;
use crate::packed::Packed;
use crate::paths::Paths;
use crate::server::socket;
use crate::server::{Control, Moving};
use crate::vault::Choice;
use crate::vault::seal::{self, Key};

/// What the agent before had in its memory, and the way to it.
#[derive(Debug)]
pub(crate) struct Estate {
    channel: Channel,
    packed: Packed,
}

/// Says hello to the agent at the other end of stdin, and takes what it gives.
///
/// # Errors
/// `Usage` if there is none, `Internal` if what it gives is not whole.
pub(crate) async fn meet() -> Result<Begun, Fault> {
    let nobody = |why: io::Error| {
        let fault = Fault::new(FaultKind::Usage, "no agent hands anything over").because(why.to_string());
        fault.hint("`cloud-token restart`")
    };
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(nobody)?;
    let channel = Channel::of(stdin).map_err(nobody)?;
    let null = File::open("/dev/null").map_err(nobody)?;
    rustix::stdio::dup2_stdin(&null).map_err(|why| nobody(why.into()))?;
    let hello = format!("{FORMAT} {}", env!("CARGO_PKG_VERSION"));
    channel.send(Kind::Hello, hello.as_bytes(), &[]).await.map_err(nobody)?;
    let key = next(&channel, Kind::Key).await?;
    let place = next(&channel, Kind::Place).await?;
    let sealed = next(&channel, Kind::Estate).await?;
    let plain = Key::from_bytes(&key.body).and_then(|key| seal::open(&key, CONTEXT, &sealed.body));
    let plain = plain.ok_or_else(|| broken("what it sealed does not open"))?;
    let estate = Estate { channel, packed: Packed::from_bytes(&plain) };
    arrive(place, estate).ok_or_else(|| broken("it does not say where it listens"))
}

fn arrive(message: Message, estate: Estate) -> Option<Begun> {
    let mut parts = message.body.split(|byte| *byte == 0);
    let path = PathBuf::from(OsStr::from_bytes(parts.next()?));
    let mut part = || std::str::from_utf8(parts.next()?).ok();
    let (ours, names) = (part()? == "ours", part()?);
    let mut descriptors: Vec<_> = names.split(' ').zip(message.descriptors).collect();
    let mut take = |name: &str| {
        let at = descriptors.iter().position(|(known, _)| *known == name)?;
        Some(descriptors.swap_remove(at).1)
    };
    let (listener, lock) = (take("listener")?, File::from(take("lock")?));
    if let Some(stderr) = take("stderr") {
        // So far it was the other agent that wanted to hear what goes wrong.
        let _ = rustix::stdio::dup2_stderr(&stderr);
    }
    let bond = take("bond").map(Bond::inherited);
    let (place, listener) = socket::inherit(&path, listener, lock, ours).ok()?;
    Some(Begun { path, place, listener, bond, estate: Some(estate) })
}

impl Estate {
    /// The vault that the agent before had.
    ///
    /// # Errors
    /// As [`Choice::at_start`].
    pub(crate) fn vault(&self, paths: &Paths, clock: Arc<dyn Clock>) -> Result<Choice, Fault> {
        let (kind, reason) = vault_of(&self.packed).ok_or_else(|| broken("it does not say which vault it had"))?;
        Choice::inherited(&kind, &reason, paths, clock)
    }

    /// Gives `broker` all that the agent before had in its memory.
    ///
    /// # Errors
    /// As [`Broker::inherit`].
    pub(crate) fn give_to(&self, broker: &Broker) -> Result<(), Fault> {
        broker.inherit(&self.packed)
    }

    /// Gives `access` what the agent before remembered of who asked.
    pub(crate) fn tell(&self, access: &Access) {
        access.inherit(&self.packed);
    }

    /// Tells that this agent could serve at once, and waits for its turn. `false` if that does not come.
    pub(crate) async fn is_to_serve(&self) -> bool {
        if self.channel.send(Kind::Ready, b"", &[]).await.is_err() {
            return false;
        }
        match self.channel.receive().await {
            Ok(Some(message)) => message.kind == Kind::Go,
            // It is gone, and this one has all that it had. Had it changed its mind, it would have killed this one.
            Ok(None) | Err(_) => true,
        }
    }

    /// Tells why it cannot.
    pub(crate) async fn refuse(&self, fault: &Fault) {
        if let Ok(frame) = Response::Fault(fault.clone()).encode() {
            let _ = self.channel.send(Kind::Fault, &frame.encode(), &[]).await;
        }
    }

    /// Has the callers served that the agent before still had.
    pub(crate) async fn take_callers(self, server: mpsc::Sender<Control>) {
        let Self { channel, packed } = self;
        drop(packed);
        while let Ok(Some(Message { kind: Kind::Caller, body, descriptors })) = channel.receive().await {
            let Some((greeted, received)) = body.split_first() else { continue };
            let Some(socket) = descriptors.into_iter().next() else { continue };
            let received = Zeroizing::new(received.to_vec());
            let moving = Moving { connection: socket.into(), greeted: *greeted == 1, received };
            if server.send(Control::Serve(moving)).await.is_err() {
                return;
            }
        }
    }
}

async fn next(channel: &Channel, kind: Kind) -> Result<Message, Fault> {
    match channel.receive().await {
        Ok(Some(message)) if message.kind == kind => Ok(message),
        Ok(Some(message)) => Err(broken(&format!("it said {:?}, not {kind:?}", message.kind))),
        Ok(None) => Err(broken("it is gone")),
        Err(why) => Err(broken(&why.to_string())),
    }
}

fn broken(why: &str) -> Fault {
    Fault::new(FaultKind::Internal, "the agent before did not hand over what it has").because(why)
}
