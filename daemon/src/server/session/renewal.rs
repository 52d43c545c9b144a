//! A session while the agent itself is renewed: it may ask for that, and it may move.

use std::time::Duration;

use cloud_agent_protocol::v1::{Done, Request, Response, Restart};
use cloud_agent_protocol::{Fault, FaultKind};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{End, Session};
use crate::server::{Moving, Renewal};

impl Session<'_> {
    /// The connection, with all that nobody has answered yet: `request`, and what came behind it.
    pub(super) fn moving(self, request: Option<Box<Request>>) -> Option<Moving> {
        let mut received = match request {
            Some(request) => request.encode().ok()?.encode(),
            None => Zeroizing::default(),
        };
        let rest = self.inbox.bytes();
        // In one step: a buffer that grows leaves copies behind.
        received.reserve_exact(rest.len());
        received.extend_from_slice(rest);
        Some(Moving { connection: self.connection, greeted: self.greeted, received })
    }

    /// The program started anew, and all that this one has handed to it. Whoever asks for that while somebody else's wish is
    /// fulfilled is answered by the other agent, which starts anew what lies there by then.
    pub(super) async fn restart(&self, restart: Restart) -> Result<Response, End> {
        let patience = Duration::from_millis(restart.deadline_ms.into()).min(self.shared.limits.longest_wait);
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let asked = self.shared.renewals.send(Renewal { patience, answer }).await;
            if asked.is_ok() { answered.await.ok() } else { None }
        };
        let done = tokio::select! {
            biased;
            done = asked => done,
            () = self.shared.gate.gone() => None,
        };
        if done.is_none() && self.shared.gate.is_gone() {
            return Err(End::with(Request::Restart(restart)));
        }
        let done = done.unwrap_or_else(|| {
            Err(Fault::new(FaultKind::Unsupported, "this agent cannot be restarted in place")
                .hint("`cloud-token stop`; the next use starts another one"))
        });
        Ok(done.map_or_else(Response::Fault, |notes| Response::Done(Done { notes })))
    }
}
