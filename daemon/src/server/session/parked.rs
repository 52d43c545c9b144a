//! A caller who waits until the human has done what an account needs. Nothing is asked again and again meanwhile: whatever a human
//! does rings a bell.

use std::time::Duration;

use cloud_agent_protocol::Fault;
use cloud_agent_protocol::v1::{AwaitHuman, Done, Request, Response};
use tokio::time::Instant;

use super::{End, Session};

impl Session<'_> {
    /// Waits, and answers. A connection that waits holds up neither a restart, on which it moves on with what is left of its time,
    /// nor the agent's end.
    pub(super) async fn await_human(&mut self, wait: AwaitHuman) -> Result<(), End> {
        let (shared, patience) = (self.shared, self.patience(wait.deadline_ms));
        let until = Instant::now() + Duration::from_millis(wait.wait_ms.into());
        // A locked agent tells nobody what may be theirs; whoever comes out of this asks for the credential, and is judged then.
        if !wait.account.is_empty()
            && shared.broker.refuse_locked().is_ok()
            && let Err((fault, _)) = self.permit(&wait.account, wait.deadline_ms).await
        {
            return self.conclude(&Response::Fault(fault)).await;
        }
        let place = shared.places.try_acquire();
        loop {
            let mut mends = shared.broker.mends();
            let Some(busy) = shared.gate.enter().await else { return Err(moves(&wait, until)) };
            let asked = shared.broker.ask_again(&wait.account, patience).await;
            drop(busy);
            let fault = match asked {
                Ok(None) => return self.conclude(&Response::Done(Done { notes: Vec::new() })).await,
                Ok(Some(fault)) => fault,
                Err(fault) => return self.conclude(&Response::Fault(fault)).await,
            };
            let fault = tokio::select! {
                biased;
                () = std::future::ready(()), if place.is_err() => fault.because("too many callers wait for that already"),
                () = shared.gate.gone() => return Err(moves(&wait, until)),
                // The agent has its sender for as long as it lives.
                _ = mends.changed() => continue,
                () = shared.shutdown.requested() => ended(fault),
                () = tokio::time::sleep_until(until) => fault,
                end = self.leaves() => return Err(end),
            };
            return self.conclude(&Response::Fault(fault)).await;
        }
    }

    /// Ends when the client leaves. What else it may send is for later.
    async fn leaves(&mut self) -> End {
        match self.receive().await {
            Ok(()) => std::future::pending().await,
            Err(end) => end,
        }
    }
}

fn moves(wait: &AwaitHuman, until: Instant) -> End {
    let left = until.saturating_duration_since(Instant::now()).as_millis();
    let wait_ms = u32::try_from(left).unwrap_or(wait.wait_ms);
    End::with(Request::AwaitHuman(AwaitHuman { wait_ms, ..wait.clone() }))
}

fn ended(fault: Fault) -> Fault {
    fault.because("the agent was told to end while this waited")
}
