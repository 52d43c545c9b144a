//! Credentials on their way out, and the note that says who got them.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::Fault;
use cloud_agent_protocol::v1::{Get, GetFor, Response};

use super::peer;
use super::session::{End, Session};
use crate::broker::Need;
use crate::cache::Cached;
use crate::callers::Process;
use crate::journal::Outcome;

impl Session<'_> {
    pub(super) async fn get(&mut self, get: Get) -> Result<(), End> {
        let who = self.who();
        let need =
            Need { min_valid: get.min_valid.map(|seconds| Duration::from_secs(seconds.into())), fresh: get.fresh };
        let cached = if let Some(cached) = self.shared.broker.warm(&get.account, need) {
            Ok(cached)
        } else {
            let wait = self.patience(get.deadline_ms);
            self.shared.broker.get(&get.account, need, wait).await
        };
        self.hand_out(&who, &get.account, cached, get.environment).await
    }

    pub(super) async fn get_for(&mut self, get: GetFor) -> Result<(), End> {
        let who = self.who();
        let caller = if get.repeat_rejects { peer::parent(self.peer) } else { None };
        let cached = self.shared.broker.get_for(&get, caller, self.patience(get.deadline_ms)).await;
        self.hand_out(&who, get.account.as_deref().unwrap_or_default(), cached, get.environment).await
    }

    /// How long the caller waits for a renewal.
    pub(super) fn patience(&self, deadline_ms: u32) -> Duration {
        Duration::from_millis(deadline_ms.into()).min(self.shared.limits.longest_wait)
    }

    /// Answers, and notes it after: a note is nothing that a caller should wait for.
    async fn hand_out(
        &mut self,
        who: &Arc<Process>,
        account: &str,
        cached: Result<Arc<Cached>, Fault>,
        environment: bool,
    ) -> Result<(), End> {
        let access = &self.shared.access;
        match cached {
            Ok(cached) => {
                let answered = if environment {
                    self.answer(&Response::Credential(cached.credential())).await
                } else {
                    self.write(cached.frame()).await
                };
                // Also where the client has gone: it may have read before.
                access.given(who, &cached);
                answered
            }
            Err(fault) => {
                let outcome = Outcome::Failed(fault.kind);
                let answered = self.answer(&Response::Fault(fault)).await;
                access.failed(who, account, outcome);
                answered
            }
        }
    }

    /// The caller, looked at once for each connection.
    fn who(&mut self) -> Arc<Process> {
        let access = &self.shared.access;
        self.who.get_or_insert_with(|| access.asking(self.peer, self.since)).clone()
    }
}
