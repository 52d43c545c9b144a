//! Messages about the agent's own life.

use serde::{Deserialize, Serialize};

/// Start the agent's program anew, as it is installed now, and hand it all that is in memory. Nobody has to log in or unlock
/// again, and no caller is turned away. If nothing comes of it, the agent goes on as it was, and says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// How long the caller waits, in milliseconds.
    pub deadline_ms: u32,
}
