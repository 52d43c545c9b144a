//! The vault of sealed files, whose key somebody else keeps.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_agent_protocol::{Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use super::files::Files;
use super::head::Head;
use super::seal::Key;
use super::{Record, Saved, Turn, UNLOCK, Vault, disk};
use crate::clock::Clock;
use crate::provider::{Ask, Boxed, Held};
use crate::thread;

/// What its key is called among what it gives away.
const KEY: &str = "key";

/// By how much longer each wrong answer in a row has to wait …
const PENALTY: Duration = Duration::from_millis(100);
/// … and no longer than this.
const LONGEST_PENALTY: Duration = Duration::from_secs(10);

/// Whoever keeps the key of sealed files.
pub(super) trait Keeper: Send + Sync + 'static {
    /// What `--vault` calls the vault.
    fn kind(&self) -> &'static str;

    /// The key of the vault with that head, and the head; both are made if there is none.
    ///
    /// # Errors
    /// `NeedsHuman` if it is not there and somebody can change that, `Refused` if what was said is wrong.
    fn open<'a>(&'a self, head: Option<Head>, given: Option<Secret>, ask: &'a dyn Ask) -> Boxed<'a, (Head, Key)>;

    /// Whether the key of the vault with that head is still where it is kept, as far as that can be asked.
    ///
    /// # Errors
    /// As [`Self::open`] with nobody there.
    fn probe<'a>(&'a self, head: &'a Head) -> Boxed<'a, ()> {
        let _ = head;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Forgets the key of the vault with that head.
    fn forget<'a>(&'a self, head: &'a Head) -> Boxed<'a, ()> {
        let _ = head;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// See the module.
pub struct Sealed {
    files: Arc<Files>,
    keeper: Box<dyn Keeper>,
    clock: Arc<dyn Clock>,
    reason: String,
    /// Or why there is none.
    key: Mutex<Result<Arc<Key>, Fault>>,
    /// One attempt at a time.
    opening: tokio::sync::Mutex<()>,
    /// Wrong answers in a row.
    wrong: AtomicU32,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({}, {})", self.keeper.kind(), self.files.dir().display())
    }
}

impl Sealed {
    /// The vault in `dir`, locked until [`Vault::unlock`].
    pub(super) fn new(dir: PathBuf, keeper: Box<dyn Keeper>, clock: Arc<dyn Clock>, reason: impl Into<String>) -> Self {
        let locked = locked("it has not been opened since the agent started");
        Self {
            files: Arc::new(Files::new(dir)),
            keeper,
            clock,
            reason: reason.into(),
            key: Mutex::new(Err(locked)),
            opening: tokio::sync::Mutex::default(),
            wrong: AtomicU32::new(0),
        }
    }

    /// Whether there is a vault in `dir`.
    pub(super) fn exists(dir: &Path) -> bool {
        !matches!(Head::read(dir), Ok(None))
    }

    async fn open(&self, given: Option<Secret>, ask: &dyn Ask) -> Result<(), Fault> {
        let _one = self.opening.lock().await;
        let dir = self.files.dir();
        let _ = disk::make_private(dir);
        // Two agents that begin a vault at once would each make a key, and one of the two would be lost.
        let _turn = Turn::take(&dir.join("vault.lock")).await?;
        let head = Head::read(dir)?;
        let is_new = head.is_none();
        if is_new && !self.files.accounts()?.is_empty() {
            return Err(Fault::new(FaultKind::Config, "the vault cannot be used")
                .because(format!("`{}` has sealed files, and no `vault.toml` that says how they open", dir.display()))
                .hint("put it back; or move the directory away, and log in again"));
        }
        let (head, key) = self.keeper.open(head, given, ask).await?;
        if !head.fits(&key) {
            return Err(locked("the key that was found is another vault's"));
        }
        if is_new {
            head.write(dir)?;
        }
        *self.key() = Ok(Arc::new(key));
        tracing::info!(vault = self.keeper.kind(), "the vault is open");
        Ok(())
    }

    fn key(&self) -> MutexGuard<'_, Result<Arc<Key>, Fault>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` with the key, where it may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files, &Key) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (files, key) = (self.files.clone(), self.key().clone()?);
        thread::run("vault", move || work(&files, &key)).await?
    }
}

/// How long the answer waits after the `times`th wrong one in a row.
pub(crate) fn penalty(times: u32) -> Duration {
    PENALTY.saturating_mul(times).min(LONGEST_PENALTY)
}

/// The fault of a vault that somebody has to open.
pub(crate) fn locked(why: impl Into<String>) -> Fault {
    Fault::new(FaultKind::NeedsHuman, "the vault is locked").because(why).hint(UNLOCK)
}

impl Vault for Sealed {
    fn kind(&self) -> &'static str {
        self.keeper.kind()
    }

    fn reason(&self) -> String {
        self.reason.clone()
    }

    fn ready(&self) -> Result<(), Fault> {
        self.key().as_ref().map(drop).map_err(Clone::clone)
    }

    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Record>> {
        let account = account.to_owned();
        Box::pin(self.with(move |files, key| files.load(key, &account)))
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        let (account, held, now) = (account.to_owned(), held.clone(), self.clock.now());
        Box::pin(self.with(move |files, key| files.save(key, &account, &held, follows, now)))
    }

    fn reserve<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        let (account, held, now) = (account.to_owned(), held.clone(), self.clock.now());
        Box::pin(self.with(move |files, key| files.reserve(key, &account, &held, follows, now)))
    }

    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool> {
        let (files, account) = (self.files.clone(), account.to_owned());
        Box::pin(async move { thread::run("vault", move || files.erase(&account)).await? })
    }

    fn accounts(&self) -> Boxed<'_, Vec<String>> {
        let files = self.files.clone();
        Box::pin(async move { thread::run("vault", move || files.accounts()).await? })
    }

    fn turn<'a>(&'a self, account: &'a str) -> Boxed<'a, Turn> {
        Box::pin(async move {
            // The very first login finds no directory.
            let _ = disk::make_private(self.files.dir());
            Turn::take(&self.files.lock(account)).await
        })
    }

    fn unlock<'a>(&'a self, given: Option<Secret>, ask: &'a dyn Ask) -> Boxed<'a, String> {
        Box::pin(async move {
            if self.ready().is_ok() {
                return Ok(format!("the vault `{}` is open already", self.kind()));
            }
            let opened = self.open(given, ask).await;
            match opened {
                Ok(()) => {
                    self.wrong.store(0, Ordering::Relaxed);
                    Ok(format!("the vault `{}` is open", self.kind()))
                }
                Err(fault) => {
                    if fault.kind == FaultKind::Refused {
                        // Whoever guesses waits, and nobody else: others are answered meanwhile.
                        let times = self.wrong.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                        tokio::time::sleep(penalty(times)).await;
                    } else {
                        let mut key = self.key();
                        if key.is_err() {
                            *key = Err(fault.clone());
                        }
                    }
                    Err(fault)
                }
            }
        })
    }

    fn surrender(&self) -> Vec<(String, Secret)> {
        let key = std::mem::replace(&mut *self.key(), Err(locked("the agent is")));
        key.map(|key| (KEY.to_owned(), Secret::new(STANDARD.encode(key.expose())))).into_iter().collect()
    }

    fn restore(&self, given_away: Vec<(String, Secret)>) -> bool {
        *self.key() = match given_away.as_slice() {
            [] => Err(locked("it was locked before the agent was")),
            [(name, text)] if name == KEY => {
                let bytes = STANDARD.decode(text.expose()).map(Zeroizing::new);
                let Some(key) = bytes.ok().and_then(|bytes| Key::from_bytes(&bytes)) else { return false };
                Ok(Arc::new(key))
            }
            _ => return false,
        };
        true
    }

    fn destroy(&self) -> Boxed<'_, ()> {
        Box::pin(async move {
            for account in self.accounts().await? {
                self.erase(&account).await?;
            }
            let dir = self.files.dir();
            if let Some(head) = Head::read(dir)? {
                // First the key: whatever is left of the files is noise from then on.
                self.keeper.forget(&head).await?;
                Head::erase(dir)?;
            }
            *self.key() = Err(locked("it was moved"));
            Ok(())
        })
    }

    fn probe(&self) -> Boxed<'_, ()> {
        Box::pin(async move {
            match Head::read(self.files.dir())? {
                Some(head) => self.keeper.probe(&head).await,
                None => Ok(()),
            }
        })
    }

    fn place(&self) -> String {
        self.files.dir().display().to_string()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.files.warnings();
        warnings.extend(self.ready().err().map(|fault| match &fault.hint {
            Some(hint) => format!("{fault} ({hint})"),
            None => fault.to_string(),
        }));
        warnings
    }
}
