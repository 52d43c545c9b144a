//! How the agent leaves whoever started it, and is told to end, where there are neither sessions nor signals.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use cloud_agent_protocol::{Fault, FaultKind};
use tokio::sync::Notify;

use super::detach::LONGEST_LOG;
use crate::hardening::windows::replace_streams;
use crate::rights;
use crate::shutdown::Shutdown;

/// Ends the agent in good order at ^C, when its console is closed, or when the user logs off. The returned future ends at the
/// second such event. An agent without a console is told by `cloud-token stop` only; at a logoff it is ended, and what it has
/// saved is saved.
pub(crate) fn signals(shutdown: Shutdown, _: Arc<Notify>, _: bool) -> Result<impl Future<Output = ()>, Fault> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};

    let failed =
        |e: io::Error| Fault::new(FaultKind::Internal, "console events cannot be handled").because(e.to_string());
    let mut interrupt = ctrl_c().map_err(failed)?;
    let mut stop = ctrl_break().map_err(failed)?;
    let mut close = ctrl_close().map_err(failed)?;
    let mut logoff = ctrl_logoff().map_err(failed)?;
    let mut end = ctrl_shutdown().map_err(failed)?;
    Ok(async move {
        for times in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = stop.recv() => {}
                _ = close.recv() => {}
                _ = logoff.recv() => {}
                _ = end.recv() => {}
            }
            if times == 0 {
                tracing::info!("told to end");
                shutdown.request();
            }
        }
    })
}

/// Lets go of the pipes of whoever started us; what there is to say goes to `log`.
pub(super) fn let_go(log: &Path) -> io::Result<()> {
    let null = || OpenOptions::new().read(true).write(true).open("NUL");
    match open_log(log) {
        Ok(file) => replace_streams(null()?, null()?, file),
        Err(e) => replace_streams(null()?, null()?, null()?).and(Err(e)),
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        rights::make_private(dir)?;
    }
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LONGEST_LOG) {
        OpenOptions::new().write(true).truncate(true).open(path)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}
