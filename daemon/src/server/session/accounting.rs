//! What is asked, and how it ended, are counted.

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::Response;

use super::{End, Session};

impl Session<'_> {
    /// Answers, and counts how that ended.
    pub(super) async fn conclude(&mut self, response: &Response) -> Result<(), End> {
        self.count(if let Response::Fault(fault) = response { Err(fault.kind) } else { Ok(()) });
        self.answer(response).await
    }

    /// Counts how the request that is being answered has ended.
    pub(in super::super) fn count(&self, end: Result<(), FaultKind>) {
        self.shared.broker.metrics().request(self.kind, end);
    }
}
