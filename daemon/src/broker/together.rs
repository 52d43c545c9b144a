//! One login of an account is pending at a time: a second one that asks for the same answers its question, too, and ends as it ends.
//!
//! A cloud that sends a text message for each login would send two, and take only the second code; whoever has one in hand should
//! be able to say it in whichever terminal they look at.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::v1::{Login, Question, Show};
use cloud_agent_protocol::{AccountName, Fault, FaultKind, Secret};
use tokio::sync::{Notify, mpsc, watch};

use super::Broker;
use super::login::{brings_nothing, fingerprint};
use crate::provider::{Ask, Boxed};

/// The logins that wait for an answer, by the account's key: nearly always none.
#[derive(Debug, Default)]
pub(super) struct Together {
    open: Mutex<HashMap<String, Open>>,
    /// Rung when a question is put.
    bell: Notify,
}

/// A question that is open.
#[derive(Debug, Clone)]
struct Open {
    question: Question,
    answers: mpsc::Sender<Secret>,
    /// Closes when it is no longer open.
    over: watch::Receiver<()>,
    /// What the login asks for that it belongs to.
    login: [u8; 16],
}

impl Together {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        // Every change leaves it whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks whoever started a login, and whoever has joined it.
pub(super) struct Everybody<'a> {
    pub(super) ask: &'a dyn Ask,
    pub(super) together: &'a Together,
    pub(super) key: String,
    pub(super) login: [u8; 16],
}

/// Nobody joins any more, once this is dropped.
struct Listed<'a>(&'a Everybody<'a>);

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.together.open().remove(&self.0.key);
    }
}

impl Everybody<'_> {
    async fn put(&self, question: Question) -> Result<Secret, Fault> {
        let (answers, mut said) = mpsc::channel(1);
        let (_open, over) = watch::channel(());
        let open = Open { question: question.clone(), answers, over, login: self.login };
        self.together.open().insert(self.key.clone(), open);
        let listed = Listed(self);
        self.together.bell.notify_waiters();
        let own = tokio::select! {
            biased;
            Some(said) = said.recv() => return Ok(said),
            own = self.ask.ask(question) => own,
        };
        drop(listed);
        match own {
            Ok(own) => Ok(own),
            // Whoever started it has gone, or gave up. Somebody else may be looking at the same question.
            Err(fault) => said.recv().await.ok_or(fault),
        }
    }
}

impl Ask for Everybody<'_> {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        Box::pin(self.put(question))
    }

    fn is_anyone_there(&self) -> bool {
        self.ask.is_anyone_there()
    }

    fn show(&self, show: Show) -> Boxed<'_, ()> {
        self.ask.show(show)
    }
}

impl Broker {
    /// Joins the login of `name` that waits for an answer, if there is one; what came of it.
    ///
    /// # Errors
    /// `Busy` if that login is another one than `request` asks for; `NeedsHuman` if nothing came of it.
    pub(super) async fn join_login(
        &self,
        name: &AccountName,
        request: &Login,
        ask: &dyn Ask,
    ) -> Option<Result<Vec<String>, Fault>> {
        let key = name.key();
        let open = self.together.open().get(&key).cloned()?;
        if !(is_plain(request) || open.login == fingerprint(request)) {
            return Some(Err(waits(name, &open.question)));
        }
        // Nobody is there to answer it here: as with any login, the account's turn is waited for.
        ask.is_anyone_there().then_some(())?;
        let entry = self.entries().get(&*key).cloned()?;
        let before = entry.state().logins;
        if let Err(fault) = self.answer_together(&key, name, &entry, open, ask).await {
            return Some(Err(fault));
        }
        if entry.state().logins == before {
            return Some(Err(Fault::new(FaultKind::NeedsHuman, format!("the login of `{name}` did not succeed"))
                .because("it was begun in another terminal, which says why")
                .hint(format!("`cloud-token login {name}`"))));
        }
        Some(Ok(vec![format!("logged in: `{name}`, by a login that was waiting for its answer already")]))
    }

    /// Answers whatever the login asks, unless somebody else does, until it has ended.
    async fn answer_together(
        &self,
        key: &str,
        name: &AccountName,
        entry: &super::entry::Entry,
        first: Open,
        ask: &dyn Ask,
    ) -> Result<(), Fault> {
        let mut next = Some(first);
        loop {
            let mut bell = std::pin::pin!(self.together.bell.notified());
            bell.as_mut().enable();
            if let Some(mut open) = next.take() {
                let what = format!("another login of `{name}` waits for it; one answer is enough");
                let detail = open.question.detail.iter().chain([&what]).cloned().collect::<Vec<_>>().join("; ");
                let question = Question { detail: Some(detail), ..open.question };
                tokio::select! {
                    biased;
                    _ = open.over.changed() => {}
                    said = ask.ask(question) => {
                        // Too late, if somebody else was faster.
                        let _ = open.answers.try_send(said?);
                        let _ = open.over.changed().await;
                    }
                }
            }
            // The bell is the next question; the turn, the end of the login.
            tokio::select! {
                biased;
                () = bell => next = self.together.open().get(key).cloned(),
                _turn = entry.turn.lock() => return Ok(()),
            }
        }
    }
}

/// Whether `request` asks for no other login than the account's own, whichever that is.
fn is_plain(request: &Login) -> bool {
    let as_it_is = request.cloud.is_none() && request.method.is_none();
    brings_nothing(request) && as_it_is && request.origins.is_empty() && request.settings.is_empty()
}

fn waits(name: &AccountName, question: &Question) -> Fault {
    Fault::new(FaultKind::Busy, format!("another login of `{name}` waits for its `{}`", question.name))
        .because("two at once would end each other")
        .hint(format!("answer it where it was asked; here, `cloud-token login {name}` takes the answer, too"))
}
