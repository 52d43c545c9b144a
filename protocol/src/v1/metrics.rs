//! Messages about what the agent counts of its own work.

use serde::{Deserialize, Serialize};

/// What the agent has counted since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// As OpenMetrics text; ends with `# EOF`.
    pub text: String,
}
