//! What an attacker, a hostile cloud or bad luck may try, a row of the threat table each (`T1` …), and what must come of it.
//!
//! | module | who attacks |
//! |---|---|
//! | `callers` | other users and namespaces at the socket |
//! | `places` | whoever gets to the socket's path first |
//! | `starts` | agents that start and die beside each other |
//! | `displaced` | whoever removes or displaces the socket |
//! | `prying` | debuggers and crash dumps |
//! | `recycled` | whoever wants to be taken for another process |
//! | `locks` | whoever meets a locked agent, or guesses its passphrase |
//! | `memory` | whoever reads the agent's memory afterwards |
//! | `crowds` | too many clients, and silent ones |
//! | `frames` | hostile bytes from a client, other versions |
//! | `helpers` | a repository, a link or a server that wants a token through a helper |
//! | `keyrings` | a keyring that is locked, absent, lying, hanging or dying |
//! | `leaks` | readers of arguments, environments, logs |
//! | `terminals` | whoever looks over a shoulder |
//! | `tokens` | a cloud whose tokens are no tokens |
//! | `network` | whoever sits between the agent and the cloud |
//! | `replies` | a cloud whose replies are no replies |
//! | `vaults` | whoever gets at the sealed files, and disks that fail |

mod callers;
mod crowds;
#[cfg(target_os = "linux")]
mod displaced;
mod frames;
mod helpers;
#[cfg(target_os = "linux")]
mod keyrings;
mod leaks;
mod locks;
mod memory;
mod network;
mod places;
mod prying;
#[cfg(target_os = "linux")]
mod recycled;
mod replies;
mod starts;
mod terminals;
mod tokens;
#[cfg(target_os = "linux")]
mod vaults;

use std::thread;

use cloud_agent_tests::fake::echome::{EcHome, Options};
use cloud_agent_tests::sandbox::{Outcome, Run, Sandbox, TOKEN};
use rustix::process::{Gid, Uid};

/// Users that nobody is.
const ALICE: u32 = 4001;
const MALLORY: u32 = 4002;

/// The two programs in an empty home.
fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_it-agent"), env!("CARGO_BIN_EXE_it-token"))
}

/// A home, a cloud, and a key for it.
struct Scene {
    sandbox: Sandbox,
    cloud: EcHome,
    secret: String,
}

impl Scene {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let cloud = EcHome::with(options);
        let secret = cloud.add_key("AKIA1");
        Self { sandbox: sandbox(), cloud, secret }
    }

    /// A login as a script does it, still to be run.
    fn login(&self) -> Run<'_> {
        self.login_as("ecHome")
    }

    fn login_as(&self, account: &str) -> Run<'_> {
        let run = self.sandbox.command(TOKEN).args(["login", account, "--no-input", "--url", &self.cloud.url()]);
        run.args(["--set", "access-id=AKIA1", "--secret", "secret=env:ECHOME_SECRET"])
            .env("ECHOME_SECRET", &self.secret)
    }

    /// Asks for the token.
    fn get(&self) -> Outcome {
        self.sandbox.token(["ecHome", "--no-input"])
    }

    /// Asks for a new one.
    fn renew(&self) -> Outcome {
        self.sandbox.token(["ecHome", "--no-input", "--fresh"])
    }
}

/// Does `work` on a thread that is another user's, with none of root's rights: the kernel asks threads, not processes.
pub(crate) fn as_user<T: Send>(user: u32, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
            rustix::thread::set_thread_groups(&[]).expect("only root can");
            rustix::thread::set_thread_res_gid(gid, gid, gid).expect("only root can");
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("only root can");
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Whether any of `texts` holds any of `secrets`; the first that does, cut so that a log shows it is one.
fn found<'a>(texts: impl IntoIterator<Item = (String, &'a [u8])>, secrets: &[String]) -> Option<String> {
    texts.into_iter().find_map(|(name, text)| {
        let secret = secrets.iter().find(|secret| contains(text, secret.as_bytes()))?;
        Some(format!("{name} holds {}… of {} bytes", &secret[..6], secret.len()))
    })
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    let Some((first, _)) = what.split_first() else { return false };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(what) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
