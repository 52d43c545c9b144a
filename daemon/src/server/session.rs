//! One connection: requests in, answers out, each within its time.

mod accounting;
mod converse;
mod parked;
mod patience;
mod renewal;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cloud_agent_protocol::v1::{Done, Request, Response};
use cloud_agent_protocol::{Fault, FaultKind, Frame, FrameError, FrameHeader, hello, v1};
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connection::Connection;
use super::log;
use super::message::{Inbox, Next};
use super::{Moving, Shared};
use crate::access::Grant;
use crate::callers::Process;
use patience::Patience;

/// Why a session ends. Each is as ordinary as the next: clients come and go, and some are broken or hostile.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed, or was too slow, or had to make room.
    Over,
    /// It does not speak the protocol; it is told why, if it can be.
    Fault(Box<Fault>),
    /// Another agent answers, from this request on if there is one.
    Moves(Option<Box<Request>>),
}

// What is rare is in boxes, for this is in every result on the way of an answer.
impl End {
    /// Another agent answers, from `request` on.
    pub(super) fn with(request: Request) -> Self {
        Self::Moves(Some(Box::new(request)))
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        tracing::debug!("a connection ended: {error}");
        Self::Over
    }
}

pub(super) struct Session<'a> {
    pub(super) connection: Connection,
    /// The caller's process id; 0 where the kernel does not say.
    pub(super) peer: u32,
    /// The uptime at which the connection was taken.
    pub(super) since: Duration,
    pub(super) who: Option<Arc<Process>>,
    /// What it may, if it comes by a restricted socket.
    pub(super) grant: Option<Arc<Grant>>,
    pub(super) shared: &'a Shared,
    inbox: Inbox,
    idle: Patience,
    greeted: bool,
    /// The number of the request that is being answered.
    kind: u16,
}

impl<'a> Session<'a> {
    pub(super) fn new(moving: Moving, peer: u32, shared: &'a Shared) -> Self {
        let Moving { connection, greeted, received } = moving;
        let mut inbox = Inbox::default();
        if !received.is_empty() {
            inbox.extend(&received);
        }
        let since = shared.access.clock().uptime();
        Self {
            connection,
            peer,
            since,
            who: None,
            grant: None,
            shared,
            inbox,
            idle: Patience::default(),
            greeted,
            kind: 0,
        }
    }

    /// Answers until the client leaves, breaks the rules, or the agent ends; or until another agent does it, to which the
    /// connection then goes.
    pub(super) async fn serve(mut self) -> Option<Moving> {
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        match end {
            End::Over => None,
            End::Fault(fault) => {
                self.shared.broker.metrics().request(0, Err(fault.kind));
                tracing::debug!("a client is told to go: {fault}");
                let _ = self.answer(&Response::Fault(*fault)).await;
                None
            }
            // What a connection may is known here only: on the other side it could do anything.
            End::Moves(_) if self.grant.is_some() => None,
            End::Moves(request) => self.moving(request),
        }
    }

    /// One request and its answer.
    async fn turn(&mut self) -> Result<(), End> {
        let (header, start) = self.await_request().await?;
        if !hello::VERSIONS.contains(&header.version) {
            self.inbox.take(header, start);
            return self.write(&Frame::version_refused(hello::VERSIONS).encode()).await;
        }
        self.kind = header.kind;
        let request = Request::decode_body(header.kind, self.inbox.body(header, start));
        self.inbox.take(header, start);
        if let Some(fault) = request.as_ref().ok().and_then(|request| self.locked_out(request)) {
            return self.conclude(&Response::Fault(fault)).await;
        }
        if let (Ok(request), true) = (&request, self.grant.is_some())
            && let Err(fault) = self.permits(request)
        {
            return self.refuse(request, fault).await;
        }
        match request {
            Ok(Request::Get(get)) => self.get(get).await,
            Ok(Request::GetFor(get)) => self.get_for(get).await,
            Ok(Request::AwaitHuman(wait)) => self.await_human(wait).await,
            Ok(Request::Forward(forward)) => self.forward(forward).await,
            Ok(Request::Restart(restart)) => {
                let response = self.restart(restart).await?;
                self.conclude(&response).await
            }
            Ok(request) => {
                let Some(busy) = self.shared.gate.enter().await else { return Err(End::with(request)) };
                let response = self.perform(request).await?;
                // Whoever is slow to take an answer holds up nobody.
                drop(busy);
                self.conclude(&response).await
            }
            Err(FrameError::UnknownKind(kind)) => {
                let fault = Fault::new(FaultKind::Unsupported, format!("the agent does not know request {kind:#06x}"))
                    .because("it is older than its client")
                    .hint("`cloud-token stop`; the next use starts the newer agent");
                self.conclude(&Response::Fault(fault)).await
            }
            Err(error) => Err(malformed(&error).into()),
        }
    }

    async fn perform(&mut self, request: Request) -> Result<Response, End> {
        let broker = &self.shared.broker;
        let done = |notes: Result<Vec<String>, Fault>| notes.map(|notes| Response::Done(Done { notes }));
        let result = match request {
            Request::Login(login) => done(self.login(login).await?),
            Request::Logout(logout) => done(broker.logout(&logout).await),
            Request::Reject(reject) => {
                done(broker.reject(&reject.account, reject.token.as_ref()).map(|note| vec![note]))
            }
            Request::RejectFor(reject) => done(broker.reject_for(&reject)),
            Request::ListServed => Ok(Response::Served(broker.served())),
            Request::Status => {
                let mut status = broker.status(&self.shared.surroundings).await;
                self.tell_of_trouble(&mut status);
                Ok(Response::Status(status))
            }
            Request::Overview => {
                let mut overview = broker.overview(&self.shared.surroundings).await;
                self.tell_of_trouble(&mut overview.status);
                Ok(Response::Overview(overview))
            }
            Request::Examine(examine) => Ok(Response::Examined(self.examine(&examine).await)),
            Request::Clouds(list) => broker.clouds(list.name.as_deref()).map(Response::Clouds),
            Request::Stop => {
                tracing::info!("a client asked the agent to end");
                self.shared.shutdown.request();
                done(Ok(vec!["the agent ends".into()]))
            }
            Request::Check(check) => {
                done(broker.check(&check.account, self.patience(check.deadline_ms)).await.map(|note| vec![note]))
            }
            Request::Do(act) if act.action.is_some() => match self.permit(&act.account, act.deadline_ms).await {
                Ok(()) => self.act(act).await?,
                Err((fault, _)) => Err(fault),
            },
            Request::Do(act) => self.act(act).await?,
            Request::Vault(vault) => self.vault(vault).await?,
            Request::Unlock(unlock) => done(self.unlock(unlock).await?),
            Request::Lock(lock) => done(self.lock(lock).await?),
            Request::Drop => done(Ok(vec![broker.drop_cached()])),
            Request::Metrics => Ok(Response::Metrics(v1::Metrics { text: broker.counts(&self.shared.surroundings) })),
            Request::ReadLog(read) => log::read(self.shared.access.journal(), read).await,
            Request::VerifyLog => log::verify(self.shared.access.journal()).await,
            Request::Forwarded(forwarded) => self.restrict(&forwarded),
            Request::Answer(_) => Err(Fault::new(FaultKind::Usage, "nothing was asked")),
            _ => Err(Fault::new(FaultKind::Unsupported, "the agent does not know that request")),
        };
        Ok(result.unwrap_or_else(Response::Fault))
    }

    /// The next request, within the time for it. Between requests the agent's end and a want of room end the session.
    async fn await_request(&mut self) -> Result<(FrameHeader, usize), End> {
        let limits = &self.shared.limits;
        if self.inbox.is_empty() {
            if self.connection.may_be_over() {
                tokio::task::yield_now().await;
            }
            if self.shared.shutdown.is_requested() {
                return Err(End::Over);
            }
            if self.shared.gate.is_gone() {
                return Err(End::Moves(None));
            }
            let shared = self.shared;
            let patience = if self.greeted { limits.idle } else { limits.first_byte };
            tokio::select! {
                biased;
                received = self.inbox.receive(&mut self.connection) => more(received)?,
                () = self.idle.ends(patience) => return Err(End::Over),
                () = shared.leave.notified() => {
                    return Err(if shared.gate.is_gone() { End::Moves(None) } else { End::Over });
                }
            }
        }
        if let Some(found) = self.next_request()? {
            return Ok(found);
        }
        let rest = async {
            loop {
                self.receive().await?;
                if let Some(found) = self.next_request()? {
                    return Ok(found);
                }
            }
        };
        timeout(limits.request, rest).await.map_err(|_| End::Over)?
    }

    fn next_request(&mut self) -> Result<Option<(FrameHeader, usize)>, End> {
        match self.inbox.next(self.greeted) {
            Next::Incomplete => Ok(None),
            Next::Request { header, start } => {
                self.greeted = true;
                Ok(Some((header, start)))
            }
            Next::Broken(error) => Err(malformed(&error).into()),
            Next::NoHello => Err(Fault::new(FaultKind::Usage, "that is not the protocol of cloud-agent")
                .because("it does not begin with a hello")
                .into()),
        }
    }

    pub(super) async fn receive(&mut self) -> Result<(), End> {
        more(self.inbox.receive(&mut self.connection).await)
    }

    pub(super) async fn answer(&mut self, response: &Response) -> Result<(), End> {
        let frame = response.encode().or_else(|error| {
            let fault = Fault::new(FaultKind::Internal, "the answer is too long to be sent").because(error.to_string());
            Response::Fault(fault).encode()
        });
        match frame {
            Ok(frame) => self.write(&frame.encode()).await,
            Err(error) => {
                tracing::error!("an answer could not be written: {error}");
                Err(End::Over)
            }
        }
    }

    /// Writes. Nearly always the kernel takes an answer at once; no timer is made for those.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        let connection = &mut self.connection;
        let taken = poll_fn(|context| match Pin::new(&mut *connection).poll_write(context, bytes) {
            Poll::Ready(taken) => Poll::Ready(taken),
            Poll::Pending => Poll::Ready(Ok(0)),
        });
        let rest = &bytes[taken.await?..];
        if !rest.is_empty() {
            timeout(self.shared.limits.answer, self.connection.write_all(rest)).await.map_err(|_| End::Over)??;
        }
        Ok(())
    }
}

/// Nothing more is the end.
fn more(received: io::Result<usize>) -> Result<(), End> {
    if received? == 0 { Err(End::Over) } else { Ok(()) }
}

fn malformed(error: &FrameError) -> Fault {
    Fault::new(FaultKind::Usage, "the request is malformed").because(error.to_string())
}
