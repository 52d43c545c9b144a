//! One at a time, across processes: two agents that refresh with the same single-use token revoke each other.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

use super::disk;

/// Longer than a renewal of another agent may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pauses while another agent is busy.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// An account's turn, until it is dropped. The kernel ends it even if the agent is killed.
#[derive(Debug, Default)]
pub struct Turn {
    _lock: Option<File>,
}

impl Turn {
    /// Waits for the lock at `path`. Where none can be made, nobody else can write either, and none is needed.
    ///
    /// # Errors
    /// `Unreachable` if another agent has it for too long.
    pub(super) async fn take(path: &Path) -> Result<Self, Fault> {
        let file = match disk::open_lock(path) {
            Ok(file) => file,
            Err(why) => {
                tracing::debug!("no lock at `{}`: {why}", path.display());
                return Ok(Self::default());
            }
        };
        let wait = async {
            let mut pause = PAUSE;
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(why)) => return Err(why),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "another agent has not let go of it");
        match tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| Err(late())) {
            Ok(()) => Ok(Self { _lock: Some(file) }),
            Err(why) => {
                Err(Fault::new(FaultKind::Unreachable, "another agent is busy with this account")
                    .because(why.to_string()))
            }
        }
    }
}
