//! Work that may block, on a thread that ends with its result: a pool's threads would outlive it and wake an idle agent.

use cloud_agent_protocol::{Fault, FaultKind};
use tokio::sync::oneshot;

/// What `work` comes to. It goes on even if nobody waits for it any more.
///
/// # Errors
/// `Busy` if no thread could be started, `Internal` if the work panicked.
pub(crate) async fn run<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let (send, receive) = oneshot::channel();
    let work = move || {
        let _ = send.send(work());
    };
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|why| Fault::new(FaultKind::Busy, "no thread could be started").because(why.to_string()))?;
    receive.await.map_err(|_| Fault::new(FaultKind::Internal, format!("the thread `{name}` broke off")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_result_comes_back_and_a_panic_is_a_fault() {
        assert_eq!(run("answer", || 42).await.unwrap(), 42);
        assert_eq!(run("panic", || panic!("on purpose")).await.map(|(): ()| ()).unwrap_err().kind, FaultKind::Internal);
    }
}
