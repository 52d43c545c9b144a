//! One connection: requests in, answers out, each within its time.

mod renewal;

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::v1::{Done, Request, Response};
use cloud_agent_protocol::{Fault, FaultKind, Frame, FrameError, FrameHeader, hello, v1};
use interprocess::local_socket::tokio::Stream;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::timeout;
use zeroize::Zeroize as _;

use super::asker::{Asked, Asker};
use super::log;
use super::message::{Inbox, Next};
use super::{Moving, Shared};
use crate::access::Grant;
use crate::callers::Process;
use crate::shutdown::Shutdown;

/// Most requests come in one read of this many bytes.
const READ: usize = 1024;

/// Why a session ends. Each is as ordinary as the next: clients come and go, and some are broken or hostile.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed, or was too slow, or had to make room.
    Over,
    /// It does not speak the protocol; it is told why, if it can be.
    Fault(Fault),
    /// Another agent answers, from this request on if there is one.
    Moves(Option<Request>),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        tracing::debug!("a connection ended: {error}");
        Self::Over
    }
}

pub(super) struct Session<'a> {
    pub(super) stream: Stream,
    /// The caller's process id; 0 where the kernel does not say.
    pub(super) peer: u32,
    /// The uptime at which the connection was taken.
    pub(super) since: Duration,
    pub(super) who: Option<Arc<Process>>,
    /// What it may, if it comes by a restricted socket.
    pub(super) grant: Option<Arc<Grant>>,
    pub(super) shared: &'a Shared,
    inbox: Inbox,
    greeted: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(moving: Moving, peer: u32, shared: &'a Shared) -> Self {
        let Moving { stream, greeted, received } = moving;
        let mut inbox = Inbox::default();
        if !received.is_empty() {
            inbox.extend(&received);
        }
        let since = shared.access.clock().uptime();
        Self { stream, peer, since, who: None, grant: None, shared, inbox, greeted }
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
                tracing::debug!("a client is told to go: {fault}");
                let _ = self.answer(&Response::Fault(fault)).await;
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
        let request = Request::decode_body(header.kind, self.inbox.body(header, start));
        self.inbox.take(header, start);
        if let (Ok(request), Err(fault)) = (&request, self.shared.broker.refuse_locked())
            && !is_for_the_locked(request)
        {
            // Whoever asks for what is nobody's has no business with the lock.
            let fault = address_of(request).and_then(|url| self.shared.broker.disowned(url)).unwrap_or(fault);
            return self.answer(&Response::Fault(fault)).await;
        }
        if let (Ok(request), true) = (&request, self.grant.is_some())
            && let Err(fault) = self.permits(request)
        {
            return self.refuse(request, fault).await;
        }
        match request {
            Ok(Request::Get(get)) => self.get(get).await,
            Ok(Request::GetFor(get)) => self.get_for(get).await,
            Ok(Request::Forward(forward)) => self.forward(forward).await,
            Ok(Request::Restart(restart)) => {
                let response = self.restart(&restart).await;
                self.answer(&response).await
            }
            Ok(request) => {
                let Some(busy) = self.shared.gate.enter().await else { return Err(End::Moves(Some(request))) };
                let response = self.perform(request).await?;
                // Whoever is slow to take an answer holds up nobody.
                drop(busy);
                self.answer(&response).await
            }
            Err(FrameError::UnknownKind(kind)) => {
                let fault = Fault::new(FaultKind::Unsupported, format!("the agent does not know request {kind:#06x}"))
                    .because("it is older than its client")
                    .hint("`cloud-token stop`; the next use starts the newer agent");
                self.answer(&Response::Fault(fault)).await
            }
            Err(error) => Err(End::Fault(malformed(&error))),
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
            Request::ReadLog(read) => log::read(self.shared.access.journal(), read).await,
            Request::VerifyLog => log::verify(self.shared.access.journal()).await,
            Request::Forwarded(forwarded) => self.restrict(&forwarded),
            Request::Answer(_) => Err(Fault::new(FaultKind::Usage, "nothing was asked")),
            _ => Err(Fault::new(FaultKind::Unsupported, "the agent does not know that request")),
        };
        Ok(result.unwrap_or_else(Response::Fault))
    }

    /// What is wrong with the rules is among what the human should know.
    fn tell_of_trouble(&self, status: &mut v1::Status) {
        let trouble = self.shared.access.trouble().map(|fault| fault.to_string());
        let is_news = |words: &String| !status.warnings.iter().any(|known| known.starts_with(words.as_str()));
        let news = trouble.filter(|words| self.shared.broker.refuse_locked().is_ok() && is_news(words));
        status.warnings.extend(news);
    }

    async fn login(&mut self, login: v1::Login) -> Result<Result<Vec<String>, Fault>, End> {
        let command = format!("login {}", login.account);
        let (asker, questions) = Asker::new(login.interactive, command.clone());
        let given = Duration::from_millis(login.deadline_ms.into());
        let broker = self.shared.broker.clone();
        self.converse(broker.login(login, Arc::new(asker)), questions, given, &command).await
    }

    async fn act(&mut self, act: v1::Do) -> Result<Result<Response, Fault>, End> {
        let command = format!("do {} {}", act.account, act.action.as_deref().unwrap_or_default());
        let (asker, questions) = Asker::new(act.interactive, command.trim_end().to_owned());
        let given = Duration::from_millis(act.deadline_ms.into());
        let broker = self.shared.broker.clone();
        let work = async move {
            match act.action {
                Some(_) => broker.act(act, Arc::new(asker)).await.map(Response::Acted),
                None => broker.actions(&act, &asker).await.map(Response::Actions),
            }
        };
        self.converse(work, questions, given, &command).await
    }

    async fn vault(&mut self, vault: v1::Vault) -> Result<Result<Response, Fault>, End> {
        let broker = self.shared.broker.clone();
        let Some(kind) = vault.move_to else { return Ok(broker.vault().await.map(Response::Vault)) };
        let command = format!("vault move {kind}");
        let (asker, questions) = Asker::new(vault.interactive, command.clone());
        let given = Duration::from_millis(vault.deadline_ms.into());
        // In a task of its own: a client that leaves must not leave two vaults behind, each with a half.
        let work = tokio::spawn(async move { broker.move_vault(&kind, vault.passphrase, &asker).await });
        let work = async { work.await.unwrap_or_else(|e| Err(broken_off(&e))).map(Response::Vault) };
        let work = unless_it_ends(self.shared.shutdown.clone(), work);
        self.converse(work, questions, given, &command).await
    }

    async fn unlock(&mut self, unlock: v1::Unlock) -> Result<Result<Vec<String>, Fault>, End> {
        let (asker, questions) = Asker::new(unlock.interactive, "unlock".into());
        let given = Duration::from_millis(unlock.deadline_ms.into());
        let broker = self.shared.broker.clone();
        let work = async move { broker.unlock(unlock.passphrase, &asker).await };
        let work = unless_it_ends(self.shared.shutdown.clone(), work);
        self.converse(work, questions, given, "unlock").await
    }

    async fn lock(&mut self, lock: v1::Lock) -> Result<Result<Vec<String>, Fault>, End> {
        let (asker, questions) = Asker::new(lock.interactive, "lock".into());
        let given = Duration::from_millis(lock.deadline_ms.into());
        let broker = self.shared.broker.clone();
        let work = async move { broker.lock(lock.passphrase, &asker).await };
        self.converse(work, questions, given, "lock").await
    }

    /// Waits for `work`, and puts the questions that it has in between. It belongs to this connection: if the client
    /// leaves, the next question finds nobody. The time that a human takes does not count.
    async fn converse<T>(
        &mut self,
        work: impl Future<Output = Result<T, Fault>>,
        mut questions: mpsc::Receiver<Asked>,
        given: Duration,
        command: &str,
    ) -> Result<Result<T, Fault>, End> {
        let given = given.min(self.shared.limits.longest_wait);
        let mut deadline = tokio::time::Instant::now() + given;
        let mut work = std::pin::pin!(work);
        loop {
            let open = tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                Some(open) = questions.recv() => open,
                () = tokio::time::sleep_until(deadline) => return Ok(Err(still_under_way(command, given))),
            };
            let since = tokio::time::Instant::now();
            self.answer(&open.message).await?;
            let said = timeout(self.shared.limits.question, self.read_answer()).await.map_err(|_| End::Over)??;
            deadline += since.elapsed();
            // The work may have ended meanwhile; then nobody wants the answer.
            let _ = open.answer.send(said);
        }
    }

    async fn read_answer(&mut self) -> Result<Option<cloud_agent_protocol::Secret>, End> {
        loop {
            if let Some((header, start)) = self.next_request()? {
                let request = Request::decode_body(header.kind, self.inbox.body(header, start));
                self.inbox.take(header, start);
                return match request {
                    Ok(Request::Answer(answer)) => Ok(answer.value),
                    Ok(_) => Err(End::Fault(Fault::new(FaultKind::Usage, "a question was asked and not answered"))),
                    Err(error) => Err(End::Fault(malformed(&error))),
                };
            }
            self.receive().await?;
        }
    }

    /// The next request, within the time for it. Between requests the agent's end and a want of room end the session.
    async fn await_request(&mut self) -> Result<(FrameHeader, usize), End> {
        let limits = &self.shared.limits;
        if self.inbox.is_empty() {
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
                received = timeout(patience, self.receive()) => received.map_err(|_| End::Over)??,
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
            Next::Broken(error) => Err(End::Fault(malformed(&error))),
            Next::NoHello => Err(End::Fault(
                Fault::new(FaultKind::Usage, "that is not the protocol of cloud-agent").because("no hello"),
            )),
        }
    }

    /// Adds what the client sends next to the inbox. The buffer is on the stack only while it is filled, so that a
    /// thousand idle connections cost nothing, and is wiped, because a login's secrets pass through it.
    pub(super) async fn receive(&mut self) -> Result<(), End> {
        let (stream, inbox) = (&mut self.stream, &mut self.inbox);
        let count = poll_fn(|context| {
            let mut space = [MaybeUninit::<u8>::uninit(); READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            Pin::new(&mut *stream).poll_read(context, &mut buffer).map_ok(|()| {
                inbox.extend(buffer.filled());
                buffer.filled_mut().zeroize();
                buffer.filled().len()
            })
        })
        .await?;
        if count == 0 { Err(End::Over) } else { Ok(()) }
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

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        timeout(self.shared.limits.answer, self.stream.write_all(bytes)).await.map_err(|_| End::Over)??;
        Ok(())
    }
}

/// What a locked agent answers. Whatever is new is not in it until somebody puts it there.
fn is_for_the_locked(request: &Request) -> bool {
    use Request::{Answer, Drop, Forwarded, Lock, Overview, Restart, Status, Stop, Unlock};
    matches!(request, Answer(_) | Drop | Forwarded(_) | Lock(_) | Overview | Restart(_) | Status | Stop | Unlock(_))
}

/// The address that a request is about.
fn address_of(request: &Request) -> Option<&str> {
    let url = match request {
        Request::GetFor(get) => &get.url,
        Request::RejectFor(reject) => &reject.url,
        _ => return None,
    };
    Some(url.as_str()).filter(|url| !url.is_empty())
}

/// What waits for a keyring may wait for a human who has gone home: the agent's end does not.
async fn unless_it_ends<T>(shutdown: Shutdown, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::select! {
        biased;
        done = work => done,
        () = shutdown.requested() => Err(Fault::new(FaultKind::Unreachable, "the agent is told to end")),
    }
}

fn broken_off(why: &tokio::task::JoinError) -> Fault {
    Fault::new(FaultKind::Internal, "it ended without a result").because(why.to_string())
}

fn still_under_way(command: &str, waited: Duration) -> Fault {
    Fault::new(FaultKind::Unreachable, format!("`cloud-token {command}` has not ended in time"))
        .because(format!("the cloud has not answered within {} s; it goes on", waited.as_secs_f32()))
        .hint("look at `cloud-token status` in a moment")
}

fn malformed(error: &FrameError) -> Fault {
    Fault::new(FaultKind::Usage, "the request is malformed").because(error.to_string())
}
