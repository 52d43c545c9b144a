//! What is asked, how it ended, and what of it a locked agent answers.

use std::time::Duration;

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Fault, FaultKind};

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

/// What a locked agent answers. Whatever is new is not in it until somebody puts it there.
pub(super) fn is_for_the_locked(request: &Request) -> bool {
    use Request::{Answer, Drop, Forwarded, Lock, Metrics, Overview, Restart, Status, Stop, Unlock};
    matches!(
        request,
        Answer(_) | Drop | Forwarded(_) | Lock(_) | Metrics | Overview | Restart(_) | Status | Stop | Unlock(_)
    )
}

/// The address that a request is about.
pub(super) fn address_of(request: &Request) -> Option<&str> {
    let url = match request {
        Request::GetFor(get) => &get.url,
        Request::RejectFor(reject) => &reject.url,
        _ => return None,
    };
    Some(url.as_str()).filter(|url| !url.is_empty())
}

pub(super) fn broken_off(why: &tokio::task::JoinError) -> Fault {
    Fault::new(FaultKind::Internal, "it ended without a result").because(why.to_string())
}

pub(super) fn still_under_way(command: &str, waited: Duration) -> Fault {
    Fault::new(FaultKind::Unreachable, format!("`cloud-token {command}` has not ended in time"))
        .because(format!("the cloud has not answered within {} s; it goes on", waited.as_secs_f32()))
        .hint("look at `cloud-token status` in a moment")
}
