//! A circuit per origin: a cloud that keeps failing is left in peace, whichever of its accounts somebody asks for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};
use reqwest::Url;

use super::{NoReply, Replied, Reply, Request, Transport};
use crate::clock::Clock;

/// Failures in a row that open a circuit.
const FAILURES: u32 = 5;

/// How long an open circuit lets nothing through; then one request goes ahead to see.
const OPEN: Duration = Duration::from_secs(30);

/// Passes requests on to `T`, but not to an origin that has failed too often.
///
/// What counts is what may pass by itself: no reply in time, and the statuses 408, 425, 429 and 5xx. A request that is
/// [urgent](Request::urgent), because a human is waiting for it, is always let through.
pub struct Circuit<T> {
    inner: T,
    clock: Arc<dyn Clock>,
    /// Only those that have failed since they last answered.
    failing: Mutex<HashMap<String, Failing>>,
}

#[derive(Debug, Default)]
struct Failing {
    in_a_row: u32,
    /// The uptime until which the circuit is open.
    open_until: Duration,
    /// One request is on its way to see whether it is over.
    probing: bool,
}

impl<T: Transport> Circuit<T> {
    /// Circuits before `inner`, all of them closed.
    #[must_use]
    pub fn new(inner: T, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, failing: Mutex::default() }
    }

    async fn pass(&self, request: Request) -> Result<Reply, NoReply> {
        let Some(origin) = origin(&request.url) else { return self.inner.send(request).await };
        let probe = self.admit(&origin, request.urgent)?;
        let outcome = self.inner.send(request).await;
        drop(probe);
        self.learn(&origin, is_transient(&outcome));
        outcome
    }

    /// Lets a request through, or not. What is returned is held while the request is under way.
    fn admit(&self, origin: &str, urgent: bool) -> Result<Option<Probe<'_, T>>, Fault> {
        let mut failing = self.failing();
        let Some(state) = failing.get_mut(origin).filter(|state| state.in_a_row >= FAILURES && !urgent) else {
            return Ok(None);
        };
        let left = state.open_until.saturating_sub(self.clock.uptime());
        if left.is_zero() && !state.probing {
            state.probing = true;
            return Ok(Some(Probe { circuit: self, origin: origin.to_owned() }));
        }
        let message =
            format!("`{origin}` has failed {} times in a row and is left in peace for a while", state.in_a_row);
        // Rounded up, and never at once: somebody else's probe has to come back first.
        let wait = left.max(Duration::from_secs(1)) + Duration::from_millis(999);
        Err(Fault::new(FaultKind::Unreachable, message).retry_at(self.clock.now().after(wait).seconds()))
    }

    fn learn(&self, origin: &str, failed: bool) {
        let mut failing = self.failing();
        if !failed {
            failing.remove(origin);
            return;
        }
        let state = failing.entry(origin.to_owned()).or_default();
        state.in_a_row = state.in_a_row.saturating_add(1);
        if state.in_a_row >= FAILURES {
            state.open_until = self.clock.uptime() + OPEN;
            tracing::warn!("`{origin}` has failed {} times in a row", state.in_a_row);
        }
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Transport> Transport for Circuit<T> {
    fn send(&self, request: Request) -> Replied<'_> {
        Box::pin(self.pass(request))
    }
}

/// The one request that goes ahead. One that is given up before it ends must not block the next for ever.
struct Probe<'a, T: Transport> {
    circuit: &'a Circuit<T>,
    origin: String,
}

impl<T: Transport> Drop for Probe<'_, T> {
    fn drop(&mut self) {
        if let Some(state) = self.circuit.failing().get_mut(&self.origin) {
            state.probing = false;
        }
    }
}

fn is_transient(outcome: &Result<Reply, NoReply>) -> bool {
    match outcome {
        Ok(reply) => matches!(reply.status, 408 | 425 | 429 | 500..=599),
        Err(none) => none.fault.kind == FaultKind::Unreachable,
    }
}

fn origin(url: &str) -> Option<String> {
    let origin = Url::parse(url).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use zeroize::Zeroizing;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    /// Answers with these statuses, then with 200; no status is no reply.
    #[derive(Default)]
    struct Net {
        statuses: Mutex<VecDeque<Option<u16>>>,
        sent: AtomicUsize,
        hangs: std::sync::atomic::AtomicBool,
    }

    impl Transport for Arc<Net> {
        fn send(&self, _: Request) -> Replied<'_> {
            self.sent.fetch_add(1, Ordering::SeqCst);
            let status = self.statuses.lock().unwrap().pop_front().unwrap_or(Some(200));
            Box::pin(async move {
                if self.hangs.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let status = status.ok_or_else(|| Fault::new(FaultKind::Unreachable, "no reply"))?;
                Ok(Reply { status, headers: Vec::new(), body: Zeroizing::default() })
            })
        }
    }

    fn circuit() -> (Arc<Net>, Arc<ManualClock>, Circuit<Arc<Net>>) {
        let (net, clock) = (Arc::new(Net::default()), Arc::new(ManualClock::new(Timestamp::from_seconds(1_000))));
        (net.clone(), clock.clone(), Circuit::new(net, clock))
    }

    fn request(host: &str) -> Request {
        Request {
            method: "GET".into(),
            url: format!("https://{host}/path"),
            headers: Vec::new(),
            body: None,
            ca_file: None,
            allow_plaintext: false,
            urgent: false,
        }
    }

    async fn fail(net: &Net, circuit: &Circuit<Arc<Net>>, statuses: &[Option<u16>]) {
        net.statuses.lock().unwrap().extend(statuses);
        for _ in statuses {
            let _ = circuit.send(request("a.example")).await;
        }
    }

    const DOWN: &[Option<u16>] = &[None, Some(503), None, Some(429), Some(500)];

    #[tokio::test]
    async fn an_origin_that_fails_five_times_in_a_row_is_left_in_peace_and_then_asked_once() {
        let (net, clock, circuit) = circuit();
        fail(&net, &circuit, DOWN).await;
        for _ in 0..10_000 {
            let fault = circuit.send(request("a.example")).await.unwrap_err().fault;
            assert_eq!((fault.kind, fault.retry_at), (FaultKind::Unreachable, Some(1_030)));
        }
        assert_eq!(net.sent.load(Ordering::SeqCst), 5);
        clock.advance(OPEN);
        fail(&net, &circuit, &[Some(502)]).await;
        assert!(circuit.send(request("a.example")).await.is_err(), "the probe failed");
        clock.advance(OPEN);
        assert!(circuit.send(request("a.example")).await.is_ok());
        assert!(circuit.send(request("a.example")).await.is_ok(), "it is closed again");
        assert_eq!(net.sent.load(Ordering::SeqCst), 8);
    }

    #[tokio::test]
    async fn other_origins_go_on_and_so_does_a_human() {
        let (net, _, circuit) = circuit();
        fail(&net, &circuit, DOWN).await;
        assert!(circuit.send(request("b.example")).await.is_ok());
        assert!(circuit.send(request("a.example:8443")).await.is_ok());
        assert!(circuit.send(Request { urgent: true, ..request("a.example") }).await.is_ok());
        assert!(circuit.send(request("a.example")).await.is_ok(), "what a human saw to be well is well");
    }

    #[tokio::test]
    async fn an_answer_in_between_starts_the_count_anew_and_a_refusal_is_an_answer() {
        let (net, _, circuit) = circuit();
        fail(&net, &circuit, &[None, None, None, None, Some(401), None, None, None, None]).await;
        assert!(circuit.send(request("a.example")).await.is_ok());
    }

    #[tokio::test]
    async fn while_one_request_sees_whether_it_is_over_nobody_else_does_and_one_that_is_given_up_holds_nobody_up() {
        let (net, clock, circuit) = circuit();
        fail(&net, &circuit, DOWN).await;
        clock.advance(OPEN);
        net.hangs.store(true, Ordering::SeqCst);
        {
            let mut probe = circuit.send(request("a.example"));
            assert!(futures_pending(&mut probe));
            assert!(circuit.send(request("a.example")).await.is_err());
        }
        net.hangs.store(false, Ordering::SeqCst);
        assert!(circuit.send(request("a.example")).await.is_ok());
    }

    fn futures_pending(future: &mut Replied<'_>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        future.as_mut().poll(&mut context).is_pending()
    }
}
