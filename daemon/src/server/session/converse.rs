//! Requests that take their time and may have questions for the human, who is at the other end of the same connection.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Fault, FaultKind, Secret, v1};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{End, Session, malformed};
use crate::server::asker::{Asked, Asker};
use crate::shutdown::Shutdown;

impl Session<'_> {
    pub(super) async fn login(&mut self, login: v1::Login) -> Result<Result<Vec<String>, Fault>, End> {
        let command = format!("login {}", login.account);
        let (asker, questions) = Asker::new(login.interactive, command.clone());
        let given = Duration::from_millis(login.deadline_ms.into());
        let broker = self.shared.broker.clone();
        self.converse(broker.login(login, Arc::new(asker)), questions, given, &command).await
    }

    pub(super) async fn act(&mut self, act: v1::Do) -> Result<Result<Response, Fault>, End> {
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

    pub(super) async fn vault(&mut self, vault: v1::Vault) -> Result<Result<Response, Fault>, End> {
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

    pub(super) async fn unlock(&mut self, unlock: v1::Unlock) -> Result<Result<Vec<String>, Fault>, End> {
        let (asker, questions) = Asker::new(unlock.interactive, "unlock".into());
        let given = Duration::from_millis(unlock.deadline_ms.into());
        let broker = self.shared.broker.clone();
        let work = async move { broker.unlock(unlock.passphrase, &asker).await };
        let work = unless_it_ends(self.shared.shutdown.clone(), work);
        self.converse(work, questions, given, "unlock").await
    }

    pub(super) async fn lock(&mut self, lock: v1::Lock) -> Result<Result<Vec<String>, Fault>, End> {
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

    async fn read_answer(&mut self) -> Result<Option<Secret>, End> {
        loop {
            if let Some((header, start)) = self.next_request()? {
                let request = Request::decode_body(header.kind, self.inbox.body(header, start));
                self.inbox.take(header, start);
                return match request {
                    Ok(Request::Answer(answer)) => Ok(answer.value),
                    Ok(_) => Err(Fault::new(FaultKind::Usage, "a question was asked and not answered").into()),
                    Err(error) => Err(malformed(&error).into()),
                };
            }
            self.receive().await?;
        }
    }
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
