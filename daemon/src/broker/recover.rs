//! What to do about a refresh whose outcome nobody knows.
//!
//! The cloud may have replaced what was sent, and the reply is lost. Many clouds take the old one again for some seconds,
//! for just this case; others take that for theft and end the session. So it is sent once more, at once: what is refused
//! then is lost, and only a login helps. If that reply is lost, too, the cloud is only unreachable, and the next try waits
//! for its turn like any other. Before anything is given up, the vault is asked whether somebody else has got something
//! newer.

use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

use super::Broker;
use super::entry::Entry;
use super::hold::{Hold, Keeper};
use crate::provider::Account;

/// How long another machine is given to write down what came of its refresh: longer than a cloud may take to answer.
const OTHERS: Duration = Duration::from_secs(30);
/// The pauses between two looks at that.
const LOOK: Duration = Duration::from_millis(250);
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// How often somebody else may be faster before this agent gives up for now.
const MOST_OUTRUN: u32 = 5;

/// How soon after the request a cloud may still take it for the same one: what clouds grant for this is 5 s and more.
const GRACE: Duration = Duration::from_secs(5);

/// What was tried in one renewal.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// Something may have been spent before, by this renewal or by an agent that died.
    doubtful: bool,
    outrun: u32,
    reread: bool,
}

impl Trials {
    /// Before each trial.
    pub(super) fn begin(&mut self, hold: &Hold) {
        self.doubtful |= hold.intent.is_some();
    }

    /// After a trial that began at the uptime `begun` and failed with `fault`: whether there is another one.
    ///
    /// # Errors
    /// What the renewal comes to, if there is not.
    pub(super) async fn judge(&mut self, fault: Fault, keeper: &Keeper<'_>, begun: Duration) -> Result<(), Fault> {
        if keeper.was_outrun() {
            self.outrun += 1;
            keeper.believe_the_vault();
            return if self.outrun < MOST_OUTRUN { Ok(()) } else { Err(fault) };
        }
        if !keeper.has_spent() {
            return Err(fault);
        }
        if keeper.has_lost() {
            let soon = keeper.broker().clock.uptime().saturating_sub(begun) < GRACE;
            if self.doubtful || !soon {
                return Err(fault);
            }
            tracing::warn!(account = keeper.account(), "the cloud may have acted on it; asking once more: {fault}");
            self.doubtful = true;
            return Ok(());
        }
        let refused = matches!(fault.kind, FaultKind::Refused | FaultKind::NeedsHuman);
        if refused && !self.reread && keeper.there_is_newer().await {
            self.reread = true;
            keeper.believe_the_vault();
            return Ok(());
        }
        match (refused, self.doubtful) {
            (true, true) => Err(keeper.lost_session(&fault)),
            // What came was no answer, or what was sent before may yet be: the intent stands.
            (false, true) => Err(fault),
            _ if fault.kind == FaultKind::MalformedReply => Err(fault),
            _ => {
                keeper.nothing_spent().await;
                Err(fault)
            }
        }
    }
}

impl Keeper<'_> {
    fn account(&self) -> &str {
        self.entry().name.as_str()
    }

    /// Whether the vault has another state than the one that was tried.
    async fn there_is_newer(&self) -> bool {
        let loaded = self.broker().vault_of(self.entry()).load(&self.entry().name.key()).await;
        matches!(loaded, Ok(Some(record)) if self.generation().is_some_and(|tried| tried != record.generation))
    }

    /// Forgets what was to be saved, because what is there is newer.
    fn believe_the_vault(&self) {
        self.entry().state().unsaved = None;
    }

    /// Takes the intent back: the cloud has answered, and has replaced nothing.
    async fn nothing_spent(&self) {
        self.broker().save(self.entry(), self.of(), self.held(), self.generation()).await;
    }

    /// What was sent again is refused: the cloud had replaced it.
    fn lost_session(&self, why: &Fault) -> Fault {
        let name = self.account();
        Fault::new(FaultKind::NeedsHuman, format!("the session of `{name}` is lost"))
            .because("the cloud's reply to a renewal never arrived, and what it replaced is refused now")
            .because(why.to_string())
            .hint(format!("`cloud-token login {name}`"))
    }
}

impl Broker {
    /// What is held, once no other machine is about to replace it.
    pub(super) async fn undisturbed(&self, entry: &Entry, account: &Account) -> Result<Option<Hold>, Fault> {
        let (mut pause, mut waited) = (LOOK, Duration::ZERO);
        loop {
            let hold = self.held_of(entry, account).await?;
            let ours = self.vault_of(entry).writer();
            let others = hold.as_ref().and_then(|hold| hold.intent.as_ref()).filter(|intent| intent.writer != ours);
            // One that is old is of a machine that died. Its clock may be wrong: the wait has an end of its own.
            let waits = others.is_some_and(|intent| self.clock.now().since(intent.at) < OTHERS && waited < OTHERS);
            if !waits {
                return Ok(hold);
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}
