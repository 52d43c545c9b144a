//! The key in the desktop's keyring, read once when the agent starts.
//!
//! A keyring may hang for as long as it likes: behind a prompt that nobody sees, or a service that died. Its library has
//! no deadline, brings threads that stay, and cannot be interrupted. So another process asks it, this same program
//! ([`store`]), which is killed when its time is up: whatever it had begun ends with it, and the agent has neither its
//! threads nor its memory.

pub(crate) mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_agent_protocol::{Fault, Secret};
use zeroize::Zeroizing;

use super::head::Head;
use super::program::{self, Ended};
use super::seal::Key;
use super::sealed::{Keeper, Sealed, locked};
use crate::clock::Clock;
use crate::provider::{Ask, Boxed};
use store::{Answer, Asked};

/// How long a keyring is given while nobody is there to answer its prompt …
const PATIENCE: Duration = Duration::from_secs(3);
/// … and while somebody is.
const PATIENCE_OF_A_HUMAN: Duration = Duration::from_mins(1);

/// Keeps the key in the keyring of the session.
#[derive(Debug)]
pub struct Keyring {
    /// Whether there is anything to ask at all.
    reachable: bool,
}

impl Keyring {
    /// The vault in `dir`. Without a session (`reachable`), nothing is asked.
    #[must_use]
    pub fn vault(dir: PathBuf, reachable: bool, clock: Arc<dyn Clock>, reason: impl Into<String>) -> Sealed {
        Sealed::new(dir, Box::new(Self { reachable }), clock, reason)
    }

    async fn open(&self, head: Option<Head>, ask: &dyn Ask) -> Result<(Head, Key), Fault> {
        let patience = if ask.is_anyone_there() { PATIENCE_OF_A_HUMAN } else { PATIENCE };
        if let Some(head) = head {
            let key = self.read(&head.id, patience).await?;
            return Ok((head, key));
        }
        let key = Key::random()?;
        let head = Head::new(&key)?;
        let text = Zeroizing::new(STANDARD.encode(key.expose()));
        self.ask(Asked::Set, &head.id, text.as_bytes(), patience).await?;
        // Believed when it comes back: some keyrings take what they do not keep.
        let kept = self.read(&head.id, patience).await?;
        if kept.expose() != key.expose() {
            return Err(locked("the keyring returns something other than it was given"));
        }
        Ok((head, key))
    }

    async fn read(&self, id: &str, patience: Duration) -> Result<Key, Fault> {
        let ended = self.ask(Asked::Get, id, b"", patience).await?;
        let bytes = STANDARD.decode(ended.said.trim_ascii()).map(Zeroizing::new).unwrap_or_default();
        Key::from_bytes(&bytes).ok_or_else(|| locked("what the keyring has under the vault's name is no key"))
    }

    async fn ask(&self, asked: Asked, id: &str, told: &[u8], patience: Duration) -> Result<Ended, Fault> {
        if !self.reachable {
            return Err(locked("there is no session of D-Bus, over which a keyring is asked"));
        }
        let program = [program::ourselves(), "keyring".into(), asked.word().into(), id.into()];
        let ended = match program::run(&program, told, patience).await {
            Ok(ended) => ended,
            Err(why) => return Err(locked(format!("the keyring does not answer: {why}"))),
        };
        let why = if ended.complaint.is_empty() { "it does not say why".to_owned() } else { ended.complaint.clone() };
        match Answer::of(ended.code) {
            Answer::Done => Ok(ended),
            // Of a vault that is there: another keyring, or one that is not there yet. Never that nothing is held.
            Answer::NoEntry => {
                Err(locked("the keyring does not have this vault's key; is it the right one, and unlocked?"))
            }
            Answer::NoAccess => Err(locked(format!("the keyring is locked, or there is none to keep a key in: {why}"))),
            Answer::Failed => Err(locked(format!("the keyring failed: {why}"))),
        }
    }
}

impl Keeper for Keyring {
    fn kind(&self) -> &'static str {
        "keyring"
    }

    fn open<'a>(&'a self, head: Option<Head>, _: Option<Secret>, ask: &'a dyn Ask) -> Boxed<'a, (Head, Key)> {
        Box::pin(self.open(head, ask))
    }

    fn probe<'a>(&'a self, head: &'a Head) -> Boxed<'a, ()> {
        Box::pin(async move {
            let key = self.read(&head.id, PATIENCE).await?;
            head.fits(&key).then_some(()).ok_or_else(|| locked("the key that was found is another vault's"))
        })
    }

    fn forget<'a>(&'a self, head: &'a Head) -> Boxed<'a, ()> {
        Box::pin(async move { self.ask(Asked::Erase, &head.id, b"", PATIENCE).await.map(drop) })
    }
}
