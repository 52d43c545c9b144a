//! Has the configuration read again when somebody has edited it, or says so.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use super::manager::Manager;
use super::watch::Watch;
use crate::broker::Broker;

/// Does that for ever. `directories` are those whose files count, and need not exist; `told` is rung by a signal.
///
/// Where the kernel gives no notice, or not of a directory that somebody is yet to make, an edit is found at the next use.
pub(crate) async fn reload(broker: Arc<Broker>, directories: [PathBuf; 2], told: Arc<Notify>, manager: Manager) {
    let watch = Watch::new().inspect_err(|why| tracing::debug!("edits are found at the next use only: {why}")).ok();
    loop {
        if let Some(watch) = &watch {
            for directory in &directories {
                if let Err(why) = watch.files_in(directory) {
                    tracing::debug!("`{}` is not watched: {why}", directory.display());
                }
            }
        }
        // After the watch has begun: what was edited in between is seen.
        broker.read_configuration_again();
        let written = async {
            match &watch {
                Some(watch) if watch.written().await.is_ok() => {}
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = written => {}
            () = broker.configured() => {}
            () = told.notified() => {
                tracing::info!("told to read the configuration again");
                manager.reloading();
                broker.read_configuration_again();
                manager.ready();
            }
        }
    }
}
