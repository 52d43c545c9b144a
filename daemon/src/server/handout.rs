//! Credentials on their way out, and the note that says who got them.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::Fault;
use cloud_agent_protocol::v1::{Get, GetFor, Request, Response, Withheld};

use super::peer::{self, Peer};
use super::session::{End, Session};
use crate::access::{Refusal, Wanted};
use crate::broker::Need;
use crate::cache::Cached;
use crate::callers::Process;
use crate::journal::Outcome;

impl Session<'_> {
    pub(super) async fn get(&mut self, get: Get) -> Result<(), End> {
        let who = self.who();
        let mut lap = self.shared.broker.lap();
        let need =
            Need { min_valid: get.min_valid.map(|seconds| Duration::from_secs(seconds.into())), fresh: get.fresh };
        let cached = if let Err(refusal) = self.permit(&get.account, get.deadline_ms).await {
            Err(refusal)
        } else if let Some(cached) = self.shared.broker.warm(&get.account, need) {
            Ok(cached)
        } else {
            lap = Some(self.shared.broker.waits(lap));
            let Some(busy) = self.shared.gate.enter().await else {
                return Err(End::with(Request::Get(get)));
            };
            let cached = self.shared.broker.get(&get.account, need, self.patience(get.deadline_ms)).await;
            drop(busy);
            failing(cached)
        };
        let done = self.hand_out(&who, &get.account, cached, get.environment, Told::Fault).await;
        self.shared.broker.finish(lap);
        done
    }

    pub(super) async fn get_for(&mut self, get: GetFor) -> Result<(), End> {
        let who = self.who();
        let lap = self.shared.broker.waits(None);
        let caller = if get.repeat_rejects { peer::parent(self.peer) } else { None };
        let broker = &self.shared.broker;
        let name = match &self.grant {
            None => broker.whose(&get),
            Some(grant) => {
                grant.account_for(get.account.as_deref(), |name| broker.account_for(&get.url, Some(name.as_str())))
            }
        };
        // Whoever comes by a restricted socket has the same parent as all that do, and is told apart from nobody.
        let get = match &name {
            Ok(name) if self.grant.is_some() => {
                GetFor { account: Some(name.as_str().to_owned()), repeat_rejects: false, ..get }
            }
            _ => get,
        };
        let account = name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default();
        let permitted = match failing(name) {
            Ok(name) => self.permit(name.as_str(), get.deadline_ms).await.map(|()| name),
            Err(refusal) => Err(refusal),
        };
        let cached = match permitted {
            Ok(name) => {
                let Some(busy) = self.shared.gate.enter().await else {
                    return Err(End::with(Request::GetFor(get)));
                };
                let cached = broker.get_for(&name, &get, caller, self.patience(get.deadline_ms)).await;
                drop(busy);
                failing(cached)
            }
            Err(refusal) => Err(refusal),
        };
        let told = if account.is_empty() { Told::Fault } else { Told::Withheld };
        let done = self.hand_out(&who, &account, cached, get.environment, told).await;
        self.shared.broker.finish(Some(lap));
        done
    }

    /// Whether the rules let the caller have a credential of `account`.
    pub(super) async fn permit(&self, account: &str, deadline_ms: u32) -> Result<(), Refusal> {
        let peer = Peer { connection: &self.connection, pid: self.peer, since: self.since };
        let wanted = Wanted {
            account,
            origin: self.grant.as_ref().map(|grant| &*grant.origin),
            confirm: self.grant.as_ref().is_some_and(|grant| grant.confirm),
            wait: self.patience(deadline_ms),
        };
        self.shared.access.permit(&peer, wanted, |name| self.shared.broker.exists(name)).await
    }

    /// Answers what may not come by a restricted socket. Tokens that were asked for in vain are noted.
    pub(super) async fn refuse(&mut self, request: &Request, fault: Fault) -> Result<(), End> {
        let who = self.who();
        let account = match request {
            Request::Get(get) => get.account.as_str(),
            Request::GetFor(get) => get.account.as_deref().unwrap_or_default(),
            _ => "",
        };
        self.hand_out(&who, account, Err((fault, Outcome::Denied)), false, Told::Fault).await
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
        cached: Result<Arc<Cached>, Refusal>,
        environment: bool,
        told: Told,
    ) -> Result<(), End> {
        let access = &self.shared.access;
        let origin = self.grant.as_ref().map(|grant| grant.origin.clone());
        self.count(cached.as_ref().map(drop).map_err(|(fault, _)| fault.kind));
        match cached {
            Ok(cached) => {
                let answered = if environment {
                    self.answer(&Response::Credential(cached.credential())).await
                } else {
                    self.write(cached.frame()).await
                };
                // Also where the client has gone: it may have read before.
                access.given(who, &cached, origin.as_ref());
                answered
            }
            Err((fault, outcome)) => {
                let response = match (told, self.shared.broker.refuse_locked()) {
                    (Told::Fault, _) => Response::Fault(fault),
                    (Told::Withheld, Ok(())) => Response::Withheld(Withheld { account: account.to_owned(), fault }),
                    // Locked meanwhile: no account is named any more.
                    (Told::Withheld, Err(locked)) => Response::Fault(locked),
                };
                let answered = self.answer(&response).await;
                access.failed(who, account, outcome, origin.as_ref());
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

/// How somebody is told that there is nothing.
#[derive(Debug, Clone, Copy)]
enum Told {
    Fault,
    /// With the account whose the address is: else a consumer takes it for nobody's, and asks elsewhere.
    Withheld,
}

/// What a fault is noted as.
fn failing<T>(result: Result<T, Fault>) -> Result<T, Refusal> {
    result.map_err(|fault| {
        let outcome = Outcome::Failed(fault.kind);
        (fault, outcome)
    })
}
