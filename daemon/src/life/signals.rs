//! What the signals mean that an agent may be sent.

#[cfg(unix)]
use std::io;
use std::sync::Arc;

use cloud_agent_protocol::Fault;
#[cfg(unix)]
use cloud_agent_protocol::FaultKind;
#[cfg(unix)]
use tokio::sync::Notify;

use crate::broker::Broker;
#[cfg(unix)]
use crate::shutdown::Shutdown;

/// Ends the agent at the first signal in good order. The returned future ends at the second.
///
/// `HUP` is two things: the terminal of an agent in the foreground was closed, which ends it; or somebody wants the configuration
/// read again, which `reload` is told.
#[cfg(unix)]
pub(crate) fn signals(
    shutdown: Shutdown,
    reload: Arc<Notify>,
    detached: bool,
) -> Result<impl Future<Output = ()>, Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |e: io::Error| Fault::new(FaultKind::Internal, "signals cannot be handled").because(e.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let had_terminal = !detached && has_terminal();
    Ok(async move {
        let mut times = 0;
        while times < 2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => if !had_terminal || has_terminal() {
                    reload.notify_one();
                    continue;
                },
            }
            times += 1;
            if times == 1 {
                tracing::info!("told to end");
                shutdown.request();
            }
        }
    })
}

/// Whether there is a terminal that can be hung up.
#[cfg(unix)]
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

#[cfg(windows)]
pub(crate) use super::windows::signals;

/// The signal that has every cached token forgotten, as `drop` does. It is caught from the start on: by default it ends
/// whoever gets it.
pub(crate) struct Drops(#[cfg(unix)] tokio::signal::unix::Signal);

#[cfg(unix)]
pub(crate) fn drops() -> Result<Drops, Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::user_defined1())
        .map(Drops)
        .map_err(|e| Fault::new(FaultKind::Internal, "signals cannot be handled").because(e.to_string()))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as where there is such a signal")]
pub(crate) fn drops() -> Result<Drops, Fault> {
    Ok(Drops())
}

impl Drops {
    /// Does that whenever it comes.
    #[cfg_attr(not(unix), expect(clippy::unused_async, reason = "as where there is such a signal"))]
    pub(crate) async fn serve(self, broker: Arc<Broker>) {
        #[cfg(unix)]
        {
            let Self(mut signal) = self;
            while signal.recv().await.is_some() {
                broker.drop_cached();
            }
        }
        #[cfg(not(unix))]
        let _ = broker;
    }
}
