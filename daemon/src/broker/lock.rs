//! Whether the agent is locked, and what it takes to open it again. It knows a passphrase and a sealed piece of bytes, and
//! not what is in them.
//!
//! A lock is no flag that a bug could forget to look at: what was in memory is sealed under a key that nobody has until
//! somebody says the passphrase. The flag only says it sooner, and in better words.

#[cfg(target_os = "linux")]
mod estate;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::v1::{LOCKED, Question, Show};
use cloud_agent_protocol::{Fault, FaultKind, Secret};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::packed::Packed;
use crate::passphrase;
use crate::provider::{Ask, Boxed};
use crate::thread;
use crate::vault::seal::{self, Derivation, Key};
use crate::vault::{UNLOCK, penalty};

/// What is sealed knows what it was sealed for.
const CONTEXT: &[u8] = b"cloud-agent lock 1";

/// See the module.
#[derive(Default)]
pub(super) struct Lock {
    /// Nothing is handed out, and nothing begins.
    shut: AtomicBool,
    /// Rung when it is shut.
    bell: Notify,
    inner: Mutex<Inner>,
    /// One attempt at a time, so that guessing costs what it costs however many guess.
    attempt: tokio::sync::Mutex<()>,
    /// Wrong passphrases in a row.
    wrong: AtomicU32,
}

#[derive(Default)]
struct Inner {
    sealed: Option<Vec<u8>>,
    /// How the passphrase becomes the key.
    derivation: Option<Derivation>,
    /// While it is open: the key of the last time, for when nobody is there to say a passphrase. It is worth no more than
    /// what else is in memory then, and is gone with that.
    last: Option<Key>,
}

/// A key to lock with, and how its passphrase becomes it.
pub(super) struct Prepared(Derivation, Key);

impl Lock {
    /// Whether it is shut.
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// # Errors
    /// `NeedsHuman` if it is shut.
    pub(super) fn refuse(&self) -> Result<(), Fault> {
        if self.is_shut() { Err(locked()) } else { Ok(()) }
    }

    /// What to lock with: what was given, else what somebody says, else what was said the last time.
    pub(super) async fn prepare(&self, given: Option<Secret>, ask: &dyn Ask) -> Result<Prepared, Fault> {
        let passphrase = match given {
            Some(given) => given,
            None if ask.is_anyone_there() => {
                passphrase::twice(ask, "Passphrase to lock the agent with", "`cloud-token lock`").await?
            }
            None => {
                return self.last_time().ok_or_else(|| {
                    Fault::new(FaultKind::NeedsHuman, "a passphrase is needed to lock with")
                        .because("nobody is there to say one, and the agent was not locked before")
                        .hint("`cloud-token lock` in a terminal; or `cloud-token drop`, which takes none")
                });
            }
        };
        if passphrase.is_empty() {
            return Err(Fault::new(FaultKind::Refused, "a passphrase cannot be empty").hint("`cloud-token lock`"));
        }
        let derivation = Derivation::random()?;
        let _one = self.attempt.lock().await;
        // An answer may be under way to somebody else.
        let work = move || derivation.key(&passphrase).map(|key| Prepared(derivation, key));
        thread::run("passphrase", work).await?
    }

    /// The key of the last time, if there was one.
    pub(super) fn last_time(&self) -> Option<Prepared> {
        let inner = self.inner();
        let key = Key::from_bytes(inner.last.as_ref()?.expose())?;
        Some(Prepared(inner.derivation.clone()?, key))
    }

    /// Shuts it; whether it was open.
    pub(super) fn shut(&self) -> bool {
        let was_open = !self.shut.swap(true, Ordering::AcqRel);
        self.bell.notify_waiters();
        was_open
    }

    /// Opens it again, if that is what somebody is allowed to.
    pub(super) fn reopen(&self) {
        self.shut.store(false, Ordering::Release);
    }

    /// Seals `packed`, and forgets the key.
    pub(super) fn seal(&self, Prepared(derivation, key): Prepared, packed: &Packed) -> Result<(), Fault> {
        let sealed = seal::seal(&key, CONTEXT, packed.as_bytes())?;
        *self.inner() = Inner { sealed: Some(sealed), derivation: Some(derivation), last: None };
        Ok(())
    }

    /// What was sealed, for whoever says the passphrase; `None` if somebody else has opened it meanwhile. Whoever is wrong
    /// waits, and nobody else does. It is still sealed, until [`Self::opened`].
    pub(super) async fn open(&self, given: Option<Secret>, ask: &dyn Ask) -> Result<Option<(Packed, Key)>, Fault> {
        let passphrase = match given {
            Some(given) => given,
            None => passphrase::once(ask, "Passphrase that the agent was locked with").await?,
        };
        let opened = {
            let _one = self.attempt.lock().await;
            let (derivation, sealed) = {
                let inner = self.inner();
                match (&inner.derivation, &inner.sealed) {
                    (Some(derivation), Some(sealed)) => (derivation.clone(), sealed.clone()),
                    _ if !self.is_shut() => return Ok(None),
                    _ => {
                        return Err(Fault::new(FaultKind::Busy, "the agent is being locked")
                            .because("a renewal is under way, whose result is sealed with the rest")
                            .hint("`cloud-token unlock` in a moment"));
                    }
                }
            };
            let work = move || -> Result<_, Fault> {
                let key = derivation.key(&passphrase)?;
                let plain: Option<Zeroizing<Vec<u8>>> = seal::open(&key, CONTEXT, &sealed);
                Ok(plain.map(|plain| (Packed::from_bytes(&plain), key)))
            };
            thread::run("passphrase", work).await??
        };
        if let Some(opened) = opened {
            return Ok(Some(opened));
        }
        let times = self.wrong.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        tracing::warn!(times, "a wrong passphrase to unlock with");
        tokio::time::sleep(penalty(times)).await;
        Err(Fault::new(FaultKind::Refused, "that is not the passphrase that the agent was locked with").hint(UNLOCK))
    }

    /// All is where it belongs again.
    pub(super) fn opened(&self, key: Key) {
        let mut inner = self.inner();
        inner.sealed = None;
        inner.last = Some(key);
        self.wrong.store(0, Ordering::Relaxed);
        self.reopen();
    }

    /// Ends when it is shut.
    async fn shutting(&self) {
        loop {
            // Listening begins before the look.
            let mut rung = std::pin::pin!(self.bell.notified());
            rung.as_mut().enable();
            if self.is_shut() {
                return;
            }
            rung.await;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks as long as the agent is open: what waits for a human would keep a secret out of the lock for minutes.
pub(super) struct WhileOpen<'a> {
    pub(super) ask: &'a dyn Ask,
    pub(super) lock: &'a Lock,
}

impl WhileOpen<'_> {
    async fn unless_shut<T>(&self, asked: Boxed<'_, T>) -> Result<T, Fault> {
        tokio::select! {
            biased;
            () = self.lock.shutting() => Err(locked()),
            said = asked => said,
        }
    }
}

impl Ask for WhileOpen<'_> {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        Box::pin(self.unless_shut(self.ask.ask(question)))
    }

    fn is_anyone_there(&self) -> bool {
        self.ask.is_anyone_there()
    }

    fn show(&self, show: Show) -> Boxed<'_, ()> {
        Box::pin(self.unless_shut(self.ask.show(show)))
    }
}

/// The fault of whatever a locked agent does not do.
pub(super) fn locked() -> Fault {
    Fault::new(FaultKind::NeedsHuman, LOCKED).hint(UNLOCK)
}
