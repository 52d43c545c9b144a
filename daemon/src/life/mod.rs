//! How the agent comes to be where it is, and how it goes: what surrounds the server, and knows nothing of accounts.
//!
//! | module | what it does |
//! |---|---|
//! | `launch` | starts an agent behind this process: for `--fork`, and for a program that is run with one |
//! | `assign` | the assignment that a shell evaluates |
//! | `bond` | ends the agent with the program that it was started for |
//! | `detach` | lets go of whoever started the agent |
//! | `handover` | what goes from an agent to the one that takes its place |
//! | `manager` | what a service manager hands down and is told |
//! | `reload` | has an edited configuration read again |
//! | `signals` | what signals mean |
//! | `successor` | the program started anew, with all that this one has |
//! | `watch` | the kernel's notices of what changes in a directory |
//! | `windows` | what `detach` and `signals` do there |
//! | `origin` | under which path this program was started |

mod assign;
pub(crate) mod bond;
pub(crate) mod detach;
mod handover;
pub(crate) mod launch;
#[cfg(target_os = "linux")]
pub(crate) mod manager;
#[cfg(not(target_os = "linux"))]
#[path = "manager_none.rs"]
pub(crate) mod manager;
mod origin;
pub(crate) mod reload;
pub(crate) mod signals;
#[cfg(target_os = "linux")]
pub(crate) mod successor;
#[cfg(not(target_os = "linux"))]
#[path = "successor_none.rs"]
pub(crate) mod successor;
#[cfg(target_os = "linux")]
pub(crate) mod watch;
#[cfg(not(target_os = "linux"))]
#[path = "watch_none.rs"]
pub(crate) mod watch;
#[cfg(windows)]
mod windows;

use std::path::PathBuf;

pub(crate) use assign::Shell;
use bond::Bond;
pub(crate) use handover::{Begun, Leaving};
use manager::{Handed, Manager};
pub(crate) use origin::origin;

/// What an agent has from whoever started it.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// If it lives for one program.
    pub(crate) bond: Option<Bond>,
    pub(crate) manager: Manager,
    pub(crate) handed: Handed,
    /// Where its program lies.
    pub(crate) origin: Option<PathBuf>,
}
