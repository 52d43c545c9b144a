//! What is held of an account, on its way from the vault and back.
//!
//! The vault may fail, and may be shared with others. What it would not take is kept in memory, said loudly, and tried
//! again; whoever was faster there is believed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

use super::entry::Entry;
use super::intent::Intent;
use super::renew::refuse_retired;
use super::term::Marks;
use super::{Broker, idle, lifetime, place};
use crate::clock::Clock;
use crate::provider::{Account, Boxed, Held, Keep};
use crate::vault::{Record, Saved, Turn, Vault};

/// The pauses between two tries to save what the vault would not take.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long a vault is given to say what was saved last when nothing more can be done about it.
const LAST_TRY: Duration = Duration::from_secs(5);

/// What is held of an account.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) held: Held,
    /// Which state of the vault this is; `None` if it is newer than whatever is there.
    pub(super) generation: Option<u64>,
    /// Somebody was about to spend it, and nobody has written down what came of that.
    pub(super) intent: Option<Intent>,
    /// When it was logged in, and asked for.
    pub(super) marks: Marks,
}

/// What could not be saved.
#[derive(Debug)]
pub(super) struct Unsaved {
    /// With all that lies beside it.
    pub(super) held: Held,
    /// Which state it is to follow; `None`: whichever is there.
    pub(super) follows: Option<u64>,
}

impl Unsaved {
    /// It, with all that lies beside it.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }
}

/// The account's turn: nobody else in this agent, nor in another one on this machine, talks to its cloud.
pub(super) struct Turns<'a> {
    _here: tokio::sync::MutexGuard<'a, ()>,
    _elsewhere: Turn,
}

impl Broker {
    /// Waits for the account's turn; nobody gets one of a locked agent.
    pub(super) async fn turn<'a>(&self, entry: &'a Entry) -> Result<Turns<'a>, Fault> {
        let here = entry.turn.lock().await;
        self.lock.refuse()?;
        let elsewhere = self.vault_of(entry).turn(&entry.name.key()).await?;
        Ok(Turns { _here: here, _elsewhere: elsewhere })
    }

    /// Where this account's secrets rest.
    pub(super) fn vault_of(&self, entry: &Entry) -> &dyn Vault {
        if entry.is_ephemeral() { &self.scratch } else { &*self.vault }
    }

    /// What is held of an account, be it only in memory; nothing of it if the account has moved since, or may be held no
    /// longer.
    pub(super) async fn held_of(&self, entry: &Entry, account: &Account) -> Result<Option<Hold>, Fault> {
        let unsaved = entry.state().unsaved.as_ref().map(|unsaved| (unsaved.held.clone(), unsaved.follows));
        if let Some((mut held, follows)) = unsaved {
            let marks = Marks::take(&mut held);
            let hold = Hold { held, generation: follows, intent: None, marks };
            let hold = hold.unbound(entry, account, &*self.clock)?;
            return self.refuse_ended(entry, hold.marks).map(|()| Some(hold));
        }
        let Some(record) = self.vault_of(entry).load(&entry.name.key()).await? else { return Ok(None) };
        let hold = Hold::from(record).unbound(entry, account, &*self.clock)?;
        self.refuse_ended(entry, hold.marks).map(|()| Some(hold))
    }

    /// Saves what is held, to follow the generation `follows`. Which one it is then; `None` if it is in memory only.
    ///
    /// A vault that fails does not cost the user the token that the cloud just gave. One that has something newer is
    /// believed: whoever wrote that has spent what this came from, or has logged in since.
    pub(super) async fn save(&self, entry: &Entry, account: &Account, held: Held, follows: Option<u64>) -> Option<u64> {
        self.put(entry, Unsaved { held: self.bound(entry, account, held), follows }).await
    }

    /// What is held, with all that is to lie beside it.
    fn bound(&self, entry: &Entry, account: &Account, held: Held) -> Held {
        let mut held = place::bind(held, account);
        let mut state = entry.state();
        lifetime::write(state.learned, &mut held);
        idle::write(&state, &*self.clock, &mut held);
        state.write_marks(&mut held);
        held
    }

    async fn put(&self, entry: &Entry, unsaved: Unsaved) -> Option<u64> {
        let saved = self.vault_of(entry).save(&entry.name.key(), &unsaved.held, unsaved.follows).await;
        let first = entry.state().unsaved.is_none();
        let (left, generation) = match saved {
            Ok(Saved::As(generation)) => (None, Some(generation)),
            Ok(Saved::Newer(newer)) => {
                tracing::warn!(account = %entry.name, "somebody else has saved something newer; that is used from now on");
                (None, Some(newer.map_or(0, |record| record.generation)))
            }
            Err(fault) => {
                if first {
                    tracing::error!(account = %entry.name, "what must be kept could not be saved and is in memory only: {fault}");
                }
                (Some(Box::new(unsaved)), None)
            }
        };
        entry.state().unsaved = left;
        generation
    }

    /// Sees to it that what could not be saved is tried again, until it is saved. Only then is a timer armed.
    pub(super) fn save_later(self: &Arc<Self>, entry: &Arc<Entry>) {
        if entry.state().unsaved.is_none() || entry.is_saving.swap(true, Ordering::AcqRel) {
            return;
        }
        let (broker, entry) = (self.clone(), entry.clone());
        tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            while entry.state().unsaved.is_some() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                if !broker.is_still() {
                    let tracked = broker.under_way.track();
                    broker.save_again(&entry).await;
                    drop(tracked);
                }
            }
            entry.is_saving.store(false, Ordering::Release);
        });
    }

    async fn save_again(&self, entry: &Entry) {
        let Ok(_turn) = self.turn(entry).await else { return };
        let Some(unsaved) =
            entry.state().unsaved.as_ref().map(|it| Unsaved { held: it.held.clone(), follows: it.follows })
        else {
            return;
        };
        if !entry.is_retired() && self.put(entry, unsaved).await.is_some() {
            tracing::info!(account = %entry.name, "what was in memory only is saved now");
        }
    }

    /// Tries once more to save what is in memory only, because nothing of that outlives the agent.
    pub(super) async fn save_all(&self) -> bool {
        let entries: Vec<_> = self.entries().values().cloned().collect();
        let mut all = true;
        for entry in entries.iter().filter(|entry| entry.state().unsaved.is_some()) {
            let _ = tokio::time::timeout(LAST_TRY, self.save_again(entry)).await;
            if entry.state().unsaved.is_some() {
                tracing::error!(account = %entry.name, "what is held is lost with this agent: it could not be saved");
                all = false;
            }
        }
        all
    }
}

impl Hold {
    /// The same for `account` alone, as long as it has not moved, and without what the agent itself has put beside it.
    ///
    /// # Errors
    /// `NeedsHuman` if it has moved.
    pub(super) fn unbound(mut self, entry: &Entry, account: &Account, clock: &dyn Clock) -> Result<Self, Fault> {
        {
            let mut state = entry.state();
            if let Some(learned) = lifetime::read(&mut self.held) {
                state.learned.get_or_insert(learned);
            }
            idle::read(&mut state, clock, &mut self.held);
        }
        Ok(Self { held: place::unbind(self.held, account)?, ..self })
    }
}

impl From<Record> for Hold {
    fn from(Record { mut held, generation }: Record) -> Self {
        let intent = Intent::take(&mut held);
        let marks = Marks::take(&mut held);
        Self { held, generation: Some(generation), intent, marks }
    }
}

/// Keeps what is rotated in the middle of a renewal, whose turn it is, and writes down what is about to be spent.
pub(super) struct Keeper<'a> {
    broker: &'a Broker,
    entry: &'a Entry,
    account: &'a Account,
    held: Mutex<Held>,
    generation: Mutex<Option<u64>>,
    spent: AtomicBool,
    outrun: AtomicBool,
    lost: AtomicBool,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(broker: &'a Broker, entry: &'a Entry, account: &'a Account, hold: &Hold) -> Self {
        Self {
            broker,
            entry,
            account,
            held: Mutex::new(hold.held.clone()),
            generation: Mutex::new(hold.generation),
            spent: AtomicBool::new(false),
            outrun: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    pub(super) fn broker(&self) -> &'a Broker {
        self.broker
    }

    pub(super) fn entry(&self) -> &'a Entry {
        self.entry
    }

    /// Whose it is, with all that its cloud's description adds.
    pub(super) fn of(&self) -> &'a Account {
        self.account
    }

    /// The state of the vault that the next save follows.
    pub(super) fn generation(&self) -> Option<u64> {
        *of(&self.generation)
    }

    /// Whether a request was sent that may have spent what is held.
    pub(super) fn has_spent(&self) -> bool {
        self.spent.load(Ordering::Acquire)
    }

    /// Whether somebody else saved something meanwhile, so that nothing was sent.
    pub(super) fn was_outrun(&self) -> bool {
        self.outrun.load(Ordering::Acquire)
    }

    /// Whether its reply was lost, so that nobody knows whether it did.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// What is held, as it was last kept.
    pub(super) fn held(&self) -> Held {
        of(&self.held).clone()
    }

    async fn reserve(&self) -> Result<(), Fault> {
        refuse_retired(self.entry)?;
        self.entry.state().held_back = false;
        let vault = self.broker.vault_of(self.entry);
        let intent = Intent { writer: vault.writer(), at: self.broker.clock.now() };
        let held = intent.beside(self.broker.bound(self.entry, self.account, self.held()));
        match vault.reserve(&self.entry.name.key(), &held, self.generation()).await {
            Ok(Saved::As(generation)) => *of(&self.generation) = Some(generation),
            Ok(Saved::Newer(_)) => {
                self.outrun.store(true, Ordering::Release);
                return Err(Fault::new(FaultKind::Unreachable, "somebody else is renewing this account"));
            }
            // What is about to be spent could not be replaced safely. While there is a token, that can wait.
            Err(fault) if self.entry.state().living(&*self.broker.clock).is_some() => {
                self.entry.state().held_back = true;
                return Err(fault);
            }
            Err(fault) => {
                tracing::error!(account = %self.entry.name, "renewed although nothing can be saved: {fault}");
            }
        }
        self.spent.store(true, Ordering::Release);
        Ok(())
    }
}

impl Keep for Keeper<'_> {
    fn keep(&self, held: Held) -> Boxed<'_, ()> {
        Box::pin(async move {
            refuse_retired(self.entry)?;
            let saved = self.broker.save(self.entry, self.account, held.clone(), self.generation()).await;
            if let Some(generation) = saved {
                *of(&self.generation) = Some(generation);
            }
            *of(&self.held) = held;
            Ok(())
        })
    }

    fn spend(&self) -> Boxed<'_, ()> {
        Box::pin(self.reserve())
    }

    fn lost(&self) {
        self.lost.store(true, Ordering::Release);
    }
}

fn of<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one assignment.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
