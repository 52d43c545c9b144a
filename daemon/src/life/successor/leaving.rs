//! The agent that leaves, if the one that comes can take its place.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cloud_agent_protocol::frame::MAX_RESPONSE;
use cloud_agent_protocol::v1::Response;
use cloud_agent_protocol::{Fault, FaultKind, Frame};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::channel::{Channel, Kind, Message};
use super::{CONTEXT, FORMAT};
use crate::life::Leaving;
use crate::life::bond::Bond;
use crate::server::{Control, Moving, Renewal};
use crate::vault::seal::{self, Key};

/// The most that is read of what a program says that did not come up.
const MAX_WORDS: u64 = 8 * 1024;

/// The new one, from the first sign of life on. It is killed if it is not wanted after all: never are there two.
struct Successor {
    child: Child,
    channel: Channel,
    version: String,
    wanted: bool,
}

impl Leaving {
    /// Starts the program anew whenever somebody wants that. Ends once another agent has taken over, and all connections
    /// were passed on to it.
    pub(crate) async fn serve(self, mut renewals: mpsc::Receiver<Renewal>) {
        while let Some(Renewal { patience, answer }) = renewals.recv().await {
            let handed_over = tokio::select! {
                biased;
                () = self.shutdown.requested() => Err(gone_on("it was told to end")),
                done = tokio::time::timeout(patience, self.hand_over()) => {
                    done.unwrap_or_else(|_| Err(too_slow(patience)))
                }
            };
            match handed_over {
                Ok(successor) => return self.leave(successor, answer).await,
                Err(fault) => {
                    tracing::warn!("not restarted: {fault}");
                    self.place.take_over();
                    self.manager.main_process(std::process::id());
                    self.broker.hold_still(false);
                    self.gate.open();
                    let _ = answer.send(Err(fault));
                }
            }
        }
    }

    /// All up to the word that lets the other one serve. Whoever drops this before changes nothing.
    async fn hand_over(&self) -> Result<Successor, Fault> {
        let mut successor = self.start().await?;
        // From here on nothing may change that is not handed over; so whatever is under way comes to its end first.
        self.broker.hold_still(true);
        self.gate.shut();
        self.gate.empty().await;
        self.broker.quiet().await;
        self.place.pass_on();
        let given = self.give(&successor.channel).await;
        let answer = match given {
            Ok(()) => successor.channel.receive().await,
            Err(why) => Err(why),
        };
        match answer {
            Ok(Some(Message { kind: Kind::Ready, .. })) => {
                self.manager.main_process(successor.child.id());
                // Either it goes, whole, or the other one is dead already and this one goes on.
                if successor.channel.send(Kind::Go, b"", &[]).await.is_err() {
                    return Err(successor.complaint());
                }
                successor.wanted = true;
                Ok(successor)
            }
            Ok(Some(Message { kind: Kind::Fault, body, .. })) => Err(told(&body)),
            _ => Err(successor.complaint()),
        }
    }

    async fn start(&self) -> Result<Successor, Fault> {
        let origin = self.origin.as_ref().ok_or_else(|| {
            gone_on("it is not known where its program lies")
                .hint("`cloud-token stop`; the next use starts another one")
        })?;
        let failed = |why: &io::Error| gone_on(&format!("`{}`: {why}", origin.display()));
        let (channel, theirs) = Channel::pair().map_err(|e| failed(&e))?;
        let mut command = Command::new(origin);
        command.args(&self.arguments).arg("--successor").envs(self.manager.handed_down());
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|e| failed(&e))?;
        // Our copy of its end has to go, or its death would go unnoticed.
        drop(command);
        let mut successor = Successor { child, channel, version: String::new(), wanted: false };
        let hello = match successor.channel.receive().await {
            Ok(Some(Message { kind: Kind::Hello, body, .. })) => String::from_utf8_lossy(&body).into_owned(),
            _ => return Err(successor.complaint()),
        };
        let (format, version) = hello.split_once(' ').unwrap_or((&hello, "?"));
        if format != FORMAT {
            return Err(gone_on(&format!("version {version} does not take over from {}", env!("CARGO_PKG_VERSION")))
                .hint("`cloud-token stop`; the next use starts the newer agent"));
        }
        version.clone_into(&mut successor.version);
        Ok(successor)
    }

    /// Everything: the way to callers, and, sealed under a key that is used once, what is in memory.
    async fn give(&self, channel: &Channel) -> io::Result<()> {
        let (lend, copy) = oneshot::channel();
        let _ = self.server.send(Control::Lend(lend)).await;
        let listener = copy.await.map_err(|_| io::Error::from(io::ErrorKind::NotConnected))??;
        let sealed = |key: &Key| seal::seal(key, CONTEXT, self.broker.estate(self.access.estate()).as_bytes());
        let key = Key::random().map_err(|fault| io::Error::other(fault.to_string()))?;
        let estate = sealed(&key).map_err(|fault| io::Error::other(fault.to_string()))?;
        let stderr = io::stderr();
        let mut names = "listener lock stderr".to_owned();
        let mut descriptors: Vec<BorrowedFd<'_>> = vec![listener.as_fd(), self.place.lock().as_fd(), stderr.as_fd()];
        let bond = self.bond.as_ref().and_then(Bond::descriptor);
        if let Some(bond) = bond {
            names.push_str(" bond");
            descriptors.push(bond);
        }
        let ours = if self.place.is_ours() { "ours" } else { "theirs" };
        let mut body = self.place.path().as_os_str().as_bytes().to_vec();
        for part in [ours, &names] {
            body.push(0);
            body.extend_from_slice(part.as_bytes());
        }
        channel.send(Kind::Key, key.expose(), &[]).await?;
        channel.send(Kind::Place, &body, &descriptors).await?;
        channel.send(Kind::Estate, &estate, &[]).await
    }

    /// Passes on whoever is connected here.
    async fn leave(self, successor: Successor, answer: oneshot::Sender<Result<Vec<String>, Fault>>) {
        let (pid, version) = (successor.child.id(), &successor.version);
        // Before the gate: whoever has this answer to come does not move.
        let _ = answer.send(Ok(vec![format!("restarted: version {version}, process {pid}")]));
        let mut callers = self.gate.hand_over();
        let _ = self.server.send(Control::HandOver).await;
        tracing::info!(pid, version, "another agent has taken over");
        while let Some(Moving { connection, greeted, received }) = callers.recv().await {
            let Some(descriptor) = connection.descriptor() else { continue };
            let mut body = Zeroizing::new(Vec::with_capacity(1 + received.len()));
            body.push(u8::from(greeted));
            body.extend_from_slice(&received);
            if let Err(why) = successor.channel.send(Kind::Caller, &body, &[descriptor]).await {
                tracing::warn!("a caller could not be passed on: {why}");
            }
        }
    }
}

impl Successor {
    /// Why it did not come up, in its own words.
    fn complaint(&mut self) -> Fault {
        let status = self.end();
        let mut words = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            // What it has started may hold the other end.
            let _ = rustix::io::ioctl_fionbio(&stderr, true);
            let _ = stderr.take(MAX_WORDS).read_to_end(&mut words);
        }
        let mut fault = gone_on("the new one did not come up");
        fault.causes.extend(status);
        for line in String::from_utf8_lossy(&words).lines().filter(|line| !line.trim().is_empty()) {
            let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            if let Some(hint) = line.strip_prefix("hint: ") {
                fault.hint = Some(hint.to_owned());
            } else {
                let cause = line.strip_prefix("error: ").or(line.strip_prefix("caused by: "));
                fault.causes.push(cause.unwrap_or(&line).to_owned());
            }
        }
        fault
    }

    /// How it ended; it does so now.
    fn end(&mut self) -> Option<String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(format!("it ended: {status}"));
        }
        let _ = self.child.kill();
        self.child.wait().ok().map(|status| format!("it ended: {status}"))
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.wanted {
            self.end();
        }
    }
}

/// The fault of a restart that came to nothing.
fn gone_on(why: &str) -> Fault {
    Fault::new(FaultKind::Internal, "the agent was not restarted, and goes on as it was").because(why)
}

/// That of one that was not done in time: mostly because somebody is at a login, who is not to begin anew.
fn too_slow(patience: Duration) -> Fault {
    gone_on(&format!("it took more than {} s", patience.as_secs_f32())).hint(
        "`cloud-token restart --timeout 5m` waits longer for a login that is under way, a renewal, or the new program",
    )
}

fn told(body: &[u8]) -> Fault {
    let why = Frame::read(&mut &*body, MAX_RESPONSE).ok().and_then(|frame| Response::decode(&frame).ok());
    match why {
        Some(Response::Fault(why)) => {
            let mut fault = gone_on(&why.message);
            fault.causes.extend(why.causes);
            fault.hint = why.hint;
            fault
        }
        _ => gone_on("the new one gave up"),
    }
}
