//! Which vault it is: chosen once when the agent starts, told with its reason, and changed by nobody but the user.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::command::Command;
use super::config::Config;
use super::keyring::Keyring;
use super::passphrase::Passphrase;
use super::sealed::Sealed;
use super::{Memory, Record, Saved, Turn, UNLOCK, Vault};
use crate::clock::Clock;
use crate::paths::Paths;
use crate::provider::{Ask, Boxed, Held};

/// A kind of vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sealed files, whose key rests in the desktop's keyring.
    Keyring,
    /// Sealed files, whose key comes from a passphrase.
    Passphrase,
    /// No file.
    Memory,
    /// A program of the user's.
    Command,
}

impl Kind {
    /// All of them.
    pub const ALL: [(&'static str, Self); 4] = [
        ("keyring", Self::Keyring),
        ("passphrase", Self::Passphrase),
        ("command", Self::Command),
        ("memory", Self::Memory),
    ];

    /// The kind of that name.
    ///
    /// # Errors
    /// `Usage`, with those that there are.
    pub fn parse(name: &str) -> Result<Self, Fault> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or_else(|| {
            let known = Self::ALL.map(|(name, _)| name);
            let fault = Fault::new(FaultKind::Usage, format!("there is no vault `{}`", name.escape_debug()));
            fault.hint(match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the kinds are {}", known.map(|name| format!("`{name}`")).join(", ")),
            })
        })
    }
}

/// What the choice depends on.
#[derive(Clone)]
pub(super) struct Setup {
    clock: Arc<dyn Clock>,
    /// `vault.toml`.
    file: PathBuf,
    /// Where sealed files are, a directory for each kind.
    dir: PathBuf,
    config: Config,
    /// The passphrase that the service manager hands over.
    credential: Option<PathBuf>,
    /// Whether there may be a keyring.
    session: bool,
}

/// The vault that the agent uses.
pub struct Choice {
    setup: Setup,
    current: RwLock<Arc<dyn Vault>>,
}

impl Choice {
    /// Chooses: by `flag`, else by `vault.toml`, else by what there is.
    ///
    /// # Errors
    /// `Config` if `vault.toml` cannot be used. A vault that does not open is no error: it is locked.
    pub async fn at_start(flag: Option<Kind>, paths: &Paths, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let setup = Setup::read(paths, clock)?;
        let chosen = match (flag, &setup.config.kind) {
            (Some(kind), _) => Some((kind, "chosen by `--vault`".to_owned())),
            (None, Some(name)) => {
                let kind = Kind::parse(name).map_err(|fault| setup.unusable(fault))?;
                Some((kind, format!("chosen in `{}`", setup.file.display())))
            }
            (None, None) => None,
        };
        let current = match chosen {
            Some((kind, reason)) => {
                let vault = setup.vault(kind, reason)?;
                open_silently(&*vault).await;
                vault
            }
            None => setup.best().await,
        };
        Ok(Self { setup, current: RwLock::new(current) })
    }

    /// The one that the agent before had chosen, not opened: what it takes comes from that agent.
    ///
    /// # Errors
    /// As [`Self::at_start`]; `Usage` if there is no such kind any more.
    #[cfg(target_os = "linux")]
    pub(crate) fn inherited(kind: &str, reason: &str, paths: &Paths, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let setup = Setup::read(paths, clock)?;
        let reason = reason.strip_suffix(&format!("; {GONE}")).unwrap_or(reason);
        let current = setup.vault(Kind::parse(kind)?, reason.to_owned())?;
        Ok(Self { setup, current: RwLock::new(current) })
    }

    fn current(&self) -> Arc<dyn Vault> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Choice({})", self.kind())
    }
}

impl Setup {
    fn read(paths: &Paths, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let file = paths.vault();
        let config = Config::read(&file)?;
        let credential = paths.credentials.as_ref().map(|dir| dir.join(CREDENTIAL)).filter(|path| path.exists());
        let (dir, session) = (paths.state.join("vault"), paths.session);
        Ok(Self { clock, file, dir, config, credential, session })
    }

    /// A vault of that kind, not opened yet.
    fn vault(&self, kind: Kind, reason: String) -> Result<Arc<dyn Vault>, Fault> {
        Ok(match kind {
            Kind::Memory => Arc::new(Memory::new(format!("{reason}; {GONE}"))),
            Kind::Keyring => {
                Arc::new(Keyring::vault(self.dir.join("keyring"), self.session, self.clock.clone(), reason))
            }
            Kind::Command => {
                let Some((program, patience)) = self.config.program.clone() else {
                    return Err(Fault::new(FaultKind::Config, "the vault `command` has no program")
                        .because(format!("`{}` names none", self.file.display()))
                        .hint("write `[command]` and `program = [\"/path/to/it\"]` into it"));
                };
                let dir = self.dir.join("command");
                Arc::new(Command::new(program, patience, dir, self.clock.clone(), reason)?)
            }
            Kind::Passphrase => {
                let file = self.config.passphrase.clone().or_else(|| self.credential.clone());
                Arc::new(Passphrase::vault(self.dir.join("passphrase"), file, self.clock.clone(), reason))
            }
        })
    }

    /// What `auto` comes to: the keyring if it answers in time, else no file. A keyring that keeps the key of something
    /// is the vault even if it does not answer: without it, every login would seem to be gone.
    async fn best(&self) -> Arc<dyn Vault> {
        let dir = self.dir.join("keyring");
        let there = Sealed::exists(&dir);
        let reason = if there { "auto: its keyring has the key of what is held" } else { "auto: the keyring answers" };
        let keyring = Keyring::vault(dir, self.session, self.clock.clone(), reason);
        match keyring.unlock(None, &Nobody).await {
            Ok(_) => Arc::new(keyring),
            Err(fault) if there => {
                tracing::warn!("{fault}");
                Arc::new(keyring)
            }
            Err(fault) => {
                let why = fault.causes.first().cloned().unwrap_or(fault.message);
                tracing::warn!("what is held will be gone when the agent ends, for want of a keyring: {why}");
                Arc::new(Memory::new(format!("auto: {why}; {GONE}")))
            }
        }
    }

    fn unusable(&self, fault: Fault) -> Fault {
        let message = format!("`{}` cannot be used", self.file.display());
        Fault { kind: FaultKind::Config, message, causes: vec![fault.message], ..fault }
    }
}

/// Why nothing is moved there. `cloud-token unlock` opens the vault that is in use, and so would not help.
fn unopened(kind: &str, fault: Fault) -> Fault {
    if fault.hint.as_deref() != Some(UNLOCK) {
        return fault;
    }
    let message = format!("the vault `{kind}`, to which all was to be moved, does not open");
    Fault { message, ..fault }
        .hint(format!("`cloud-token vault move {kind}` once it can be opened; nothing was changed"))
}

/// What a vault without a file means.
pub(crate) const GONE: &str = "what is held is gone when the agent ends";

/// What the service manager calls the passphrase.
const CREDENTIAL: &str = "cloud-agent.passphrase";

/// Opens it if that takes nobody. If not, it stays locked, and says why.
async fn open_silently(vault: &dyn Vault) {
    if vault.ready().is_err()
        && let Err(fault) = vault.unlock(None, &Nobody).await
    {
        tracing::warn!(vault = vault.kind(), "{fault}");
    }
}

/// There is nobody to ask while the agent starts.
struct Nobody;

impl Ask for Nobody {
    fn ask(&self, _: cloud_agent_protocol::v1::Question) -> Boxed<'_, Secret> {
        Box::pin(std::future::ready(Err(Fault::new(FaultKind::NeedsHuman, "nobody is there to be asked"))))
    }

    fn is_anyone_there(&self) -> bool {
        false
    }

    fn show(&self, _: cloud_agent_protocol::v1::Show) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(Err(Fault::new(FaultKind::NeedsHuman, "nobody is there to see it"))))
    }
}

impl Vault for Choice {
    fn kind(&self) -> &'static str {
        self.current().kind()
    }

    fn reason(&self) -> String {
        self.current().reason()
    }

    fn ready(&self) -> Result<(), Fault> {
        self.current().ready()
    }

    fn is_quiet(&self) -> bool {
        self.current().is_quiet()
    }

    fn outlives_agent(&self) -> bool {
        self.current().outlives_agent()
    }

    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Record>> {
        let vault = self.current();
        Box::pin(async move { vault.load(account).await })
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        let vault = self.current();
        Box::pin(async move { vault.save(account, held, follows).await })
    }

    fn reserve<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        let vault = self.current();
        Box::pin(async move { vault.reserve(account, held, follows).await })
    }

    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool> {
        let vault = self.current();
        Box::pin(async move { vault.erase(account).await })
    }

    fn accounts(&self) -> Boxed<'_, Vec<String>> {
        let vault = self.current();
        Box::pin(async move { vault.accounts().await })
    }

    fn turn<'a>(&'a self, account: &'a str) -> Boxed<'a, Turn> {
        let vault = self.current();
        Box::pin(async move { vault.turn(account).await })
    }

    fn writer(&self) -> String {
        self.current().writer()
    }

    fn unlock<'a>(&'a self, given: Option<Secret>, ask: &'a dyn Ask) -> Boxed<'a, String> {
        let vault = self.current();
        Box::pin(async move { vault.unlock(given, ask).await })
    }

    fn surrender(&self) -> Vec<(String, Secret)> {
        self.current().surrender()
    }

    fn restore(&self, given_away: Vec<(String, Secret)>) -> bool {
        self.current().restore(given_away)
    }

    fn prepare<'a>(&'a self, kind: &'a str, given: Option<Secret>, ask: &'a dyn Ask) -> Boxed<'a, Arc<dyn Vault>> {
        Box::pin(async move {
            let reason = "chosen by `cloud-token vault move`".to_owned();
            // The user may have written into it since the start.
            let setup = Setup { config: Config::read(&self.setup.file)?, ..self.setup.clone() };
            let vault = setup.vault(Kind::parse(kind)?, reason)?;
            if vault.ready().is_err() {
                vault.unlock(given, ask).await.map_err(|fault| unopened(kind, fault))?;
            }
            Ok(vault)
        })
    }

    fn adopt(&self, other: Arc<dyn Vault>) -> Boxed<'_, Arc<dyn Vault>> {
        Box::pin(async move {
            Config::write_kind(&self.setup.file, other.kind())?;
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            Ok(std::mem::replace(&mut *current, other))
        })
    }

    fn destroy(&self) -> Boxed<'_, ()> {
        let vault = self.current();
        Box::pin(async move { vault.destroy().await })
    }

    fn probe(&self) -> Boxed<'_, ()> {
        let vault = self.current();
        Box::pin(async move { vault.probe().await })
    }

    fn misconfigured(&self) -> Option<Fault> {
        let config = Config::read(&self.setup.file);
        let kind = config.and_then(|config| config.kind.as_deref().map(Kind::parse).transpose());
        kind.err().map(|fault| match fault.kind {
            FaultKind::Config => fault,
            _ => self.setup.unusable(fault),
        })
    }

    fn place(&self) -> String {
        self.current().place()
    }

    fn warnings(&self) -> Vec<String> {
        self.current().warnings()
    }
}
