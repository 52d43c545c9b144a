//! Messages about what only the human can do.

use serde::{Deserialize, Serialize};

/// Wait until the human has done what an account needs: a login, a code, an unlock. It is answered once the account has a
/// credential again, which is then asked for as always; or by the fault that stands when the time is over. Whoever leaves
/// changes nothing for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitHuman {
    /// The account; compared without case. Empty to wait only for the agent to be open, because whose credential is wanted is not
    /// told before.
    pub account: String,
    /// How long the caller waits for the human, in milliseconds.
    pub wait_ms: u32,
    /// How long it then waits for the cloud, in milliseconds.
    pub deadline_ms: u32,
}
