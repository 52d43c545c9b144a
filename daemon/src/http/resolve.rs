//! Looking names up on a thread that ends with the answer.
//!
//! The runtime's own pool would keep its thread for ten seconds and then wake up to end it: a wake-up of an idle agent.

use std::net::{SocketAddr, ToSocketAddrs as _};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A thread for each lookup.
pub(super) struct Threads;

impl Resolve for Threads {
    fn resolve(&self, name: Name) -> Resolving {
        let (send, receive) = tokio::sync::oneshot::channel();
        let name = name.as_str().to_owned();
        let spawned = std::thread::Builder::new().name("dns".to_owned()).spawn(move || {
            let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<SocketAddr>>);
            // Nobody waits for it any more if the deadline has passed.
            let _ = send.send(found);
        });
        Box::pin(async move {
            spawned?;
            let found = receive.await??;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
