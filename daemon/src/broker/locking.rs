//! What is sealed when the agent is locked, and where it goes when it is opened.

use std::sync::Arc;

use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::Broker;
use super::hold::Unsaved;
use super::lock::{Prepared, locked};
use super::notices::ALL;
use crate::hardening;
use crate::packed::Packed;
use crate::provider::{Ask, Held};
use crate::vault::Vault as _;

/// Names and secrets, one behind the other.
type Pairs = Vec<(String, Secret)>;

impl Broker {
    /// Whether the agent is locked, and why nothing is to be had then.
    ///
    /// # Errors
    /// `NeedsHuman` if it is.
    pub fn refuse_locked(&self) -> Result<(), Fault> {
        self.lock.refuse()
    }

    /// Seals all that is secret. From now on nothing is handed out or begun; what is under way comes to its end first,
    /// because it may hold the only copy of a rotated secret.
    ///
    /// # Errors
    /// `NeedsHuman` if there is no passphrase to lock with, `Refused` if it is empty. The agent is open then.
    pub async fn lock(self: &Arc<Self>, given: Option<Secret>, ask: &dyn Ask) -> Result<Vec<String>, Fault> {
        if self.lock.is_shut() {
            return Ok(vec!["the agent is locked already; it opens with the passphrase of that time".into()]);
        }
        let prepared = self.lock.prepare(given, ask).await?;
        self.lock_with(prepared).await
    }

    /// As [`Self::lock`], and to its end whether or not the caller is still there.
    pub(super) async fn lock_with(self: &Arc<Self>, prepared: Prepared) -> Result<Vec<String>, Fault> {
        if !self.lock.shut() {
            return Ok(vec!["the agent is locked already; it opens with the passphrase of that time".into()]);
        }
        self.drop_cached();
        let broker = self.clone();
        let task = tokio::spawn(async move {
            broker.under_way.idle().await;
            let sealed = broker.seal(prepared);
            // From here, where the stack is short.
            hardening::wipe_stack();
            sealed
        });
        task.await.unwrap_or_else(|e| {
            // Still shut: whoever fails at locking does not hand out anything either.
            Err(Fault::new(FaultKind::Internal, "the lock ended without a result").because(e.to_string()))
        })
    }

    fn seal(&self, prepared: Prepared) -> Result<Vec<String>, Fault> {
        let mut notes = vec!["locked: nothing is handed out or renewed until `cloud-token unlock`".to_owned()];
        self.drop_cached();
        let mut unsaved = Pairs::new();
        for (account, entry) in self.entries().iter() {
            let mut state = entry.state();
            // Something to try passphrases at, if a password was short.
            state.login = None;
            if let Some(it) = state.unsaved.take() {
                notes
                    .push(format!("what is held of `{}` could not be saved; it is lost if the agent ends", entry.name));
                let follows = it.follows.map_or_else(|| "-".to_owned(), |follows| follows.to_string());
                unsaved.push((String::from(&**account), Secret::new(format!("{follows} {}", it.held.0.len()))));
                unsaved.extend(it.held.0);
            }
        }
        let sections = [self.vault.surrender(), self.scratch.surrender(), unsaved];
        let counts: Vec<String> = sections.iter().map(|pairs| pairs.len().to_string()).collect();
        let heads = counts.iter().map(|count| ("", count.as_str()));
        let all = sections.iter().flatten().map(|(name, secret)| (name.as_str(), secret.expose()));
        if let Err(fault) = self.lock.seal(prepared, &Packed::new(heads.chain(all))) {
            // Nothing can be sealed here, so nothing is.
            self.put_back(sections);
            self.lock.reopen();
            return Err(fault);
        }
        tracing::info!("locked");
        Ok(notes)
    }

    /// Opens the agent if it is locked, else its vault. Whatever failed because of that is tried again when somebody asks.
    ///
    /// # Errors
    /// `Refused` if what was said is wrong, `NeedsHuman` if nobody is there to say it; of the vault as
    /// [`crate::vault::Vault::unlock`].
    pub async fn unlock(self: &Arc<Self>, given: Option<Secret>, ask: &dyn Ask) -> Result<Vec<String>, Fault> {
        let _attended = self.notices.attend(ALL);
        if !self.lock.is_shut() {
            return self.unlock_vault(given, ask).await;
        }
        let Some((packed, key)) = self.lock.open(given, ask).await? else {
            return Ok(vec!["the agent is open already".into()]);
        };
        if !read(&packed).is_some_and(|sections| self.put_back(sections)) {
            // It opened, so it is what was sealed: whatever is wrong with it, nobody is given a part.
            return Err(Fault::new(FaultKind::Internal, "what was sealed cannot be read")
                .because(locked().message)
                .hint("`cloud-token stop`, and log in again; this is a defect"));
        }
        self.lock.opened(key);
        self.forget_failures();
        for entry in self.every_entry() {
            self.save_later(&entry);
        }
        self.look_again();
        tracing::info!("unlocked");
        let mut notes = vec!["unlocked".to_owned()];
        notes.extend(self.vault.ready().err().map(|fault| format!("{fault}; `cloud-token unlock` once more opens it")));
        Ok(notes)
    }

    /// Puts everything where it was.
    fn put_back(&self, [vault, scratch, unsaved]: [Pairs; 3]) -> bool {
        let mut rest = unsaved.as_slice();
        while let Some(((account, head), behind)) = rest.split_first() {
            let Some((follows, Some(count))) =
                head.expose().split_once(' ').map(|(follows, count)| (follows.parse().ok(), count.parse().ok()))
            else {
                return false;
            };
            let Some((pairs, behind)) = behind.split_at_checked(count) else { return false };
            let Some(entry) = self.entry_of(account) else { return false };
            let held = Held(pairs.iter().cloned().collect());
            entry.state().unsaved = Some(Box::new(Unsaved { held, follows }));
            rest = behind;
        }
        self.vault.restore(vault) && self.scratch.restore(scratch)
    }
}

/// The three sections of what was sealed.
fn read(packed: &Packed) -> Option<[Pairs; 3]> {
    let mut pairs = packed.pairs();
    let mut counts = [0_usize; 3];
    for count in &mut counts {
        *count = pairs.next()?.1.parse().ok()?;
    }
    let mut sections = [Pairs::new(), Pairs::new(), Pairs::new()];
    for (section, count) in sections.iter_mut().zip(counts) {
        section.extend(pairs.by_ref().take(count).map(|(name, secret)| (name.to_owned(), Secret::from(secret))));
        if section.len() != count {
            return None;
        }
    }
    Some(sections)
}
