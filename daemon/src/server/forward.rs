//! The connection that owns a restricted socket, and those that come by it.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::v1::{Done, Forward, Forwarded, Forwarding, Request, Response};
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::session::{End, Session};
use crate::access::Grant;

impl Session<'_> {
    /// Opens a grant and keeps it for as long as the connection is open, the lifetime lasts and the agent lives.
    pub(super) async fn forward(&mut self, forward: Forward) -> Result<(), End> {
        let clock = self.shared.access.clock().clone();
        let lifetime = forward.lifetime.map(|seconds| Duration::from_secs(seconds.into()));
        let ends = lifetime.map(|lifetime| clock.uptime() + lifetime);
        let opened = self.accounts(&forward.accounts).and_then(|accounts| {
            let grant = Arc::new(Grant::new(accounts, &forward.name, forward.confirm, ends));
            let id = self.shared.access.grants().open(&grant)?;
            Ok((grant, id))
        });
        let (grant, id) = match opened {
            Ok(opened) => opened,
            Err(fault) => return self.answer(&Response::Fault(fault)).await,
        };
        let accounts = grant.accounts.iter().map(|name| name.as_str().to_owned()).collect();
        let until = lifetime.map(|lifetime| clock.now().after(lifetime).seconds());
        self.answer(&Response::Forwarding(Forwarding { id, accounts, until })).await?;
        tracing::info!(socket = %grant.origin, "a forwarded socket is open");
        let shutdown = self.shared.shutdown.clone();
        let over = async {
            match ends {
                Some(ends) => clock.alarm(ends).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => {}
            () = shutdown.requested() => {}
            // The next agent knows nothing of it, and must not: what it may was said to this one.
            () = self.shared.gate.gone() => {}
            // It has nothing more to say: whatever it says, or that it goes, ends it.
            _ = self.receive() => {}
        }
        tracing::info!(socket = %grant.origin, "a forwarded socket is closed");
        Err(End::Over)
    }

    /// From here on the connection is restricted.
    pub(super) fn restrict(&mut self, forwarded: &Forwarded) -> Result<Response, Fault> {
        self.grant = Some(self.shared.access.grants().find(&forwarded.id)?);
        Ok(Response::Done(Done { notes: Vec::new() }))
    }

    /// Whether `request` may come by this connection.
    pub(super) fn permits(&self, request: &Request) -> Result<(), Fault> {
        let up = || self.shared.access.clock().uptime();
        self.grant.as_ref().map_or(Ok(()), |grant| grant.permits(request, up()))
    }

    fn accounts(&self, names: &[String]) -> Result<Vec<AccountName>, Fault> {
        if names.is_empty() {
            return Err(Fault::new(FaultKind::Usage, "a forwarded socket needs an account"));
        }
        names.iter().map(|name| self.shared.broker.known(&AccountName::parse(name)?)).collect()
    }
}
