//! Every fault at every cloud: two tables, one runner, and a page that tells what came of it.
//!
//! | module | what it holds |
//! |---|---|
//! | `table` | the faults, and what is promised of each |
//! | `clouds` | the clouds, and how an account at each renews by itself |
//! | `play` | one fault at one cloud |
//! | `names` | a world in which names can be taken away |
//! | `page` | docs/reliability.md |

mod clouds;
mod names;
mod page;
mod play;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cloud_agent_protocol::v1::{ListClouds, Request, Response};
use cloud_agent_tests::fake::{Authority, Server};
use cloud_agent_tests::sandbox::AGENT;

use crate::support::sandbox;
use clouds::CLOUDS;
use names::Names;
use play::{Seen, Stage, play};
use table::FAULTS;

/// How many pairs are played at a time of those that need no waiting.
const AT_A_TIME: usize = 6;

#[test]
fn every_fault_at_every_cloud_is_told_in_time_loses_nothing_and_is_over_when_it_is_over() {
    let sandbox = sandbox();
    let names = Names::new(&sandbox);
    let authority = Arc::new(Authority::new());
    let run = names.as_ref().map_or_else(|| sandbox.command(AGENT), |names| names.agent(&sandbox));
    let agent = sandbox.agent_from(run.args(["--vault", "memory"]).env("SSL_CERT_FILE", authority.ca()));
    let stage = Stage { sandbox: &sandbox, names: names.as_ref(), authority, elsewhere: Server::unvisited() };

    let pairs: Vec<_> = FAULTS.iter().flat_map(|fault| CLOUDS.iter().map(move |cloud| (fault, cloud))).collect();
    let (waiting, quick): (Vec<_>, Vec<_>) = (0..pairs.len()).partition(|at| waits(pairs[*at].0));
    let one = |at: usize| (at, play(&stage, pairs[at].0, pairs[at].1));
    let next = AtomicUsize::new(0);
    let mut seen: Vec<(usize, Option<Seen>)> = thread::scope(|scope| {
        // Those that wait for a deadline do so side by side, beside the others: the whole takes as long as the slowest.
        let (one, quick, next) = (&one, &quick, &next);
        let waiting = waiting.iter().map(|at| scope.spawn(move || vec![one(*at)])).collect::<Vec<_>>();
        let some = || std::iter::from_fn(|| quick.get(next.fetch_add(1, Ordering::SeqCst)).map(|at| one(*at)));
        let quick = (0..AT_A_TIME).map(|_| scope.spawn(move || some().collect())).collect::<Vec<_>>();
        let threads = waiting.into_iter().chain(quick);
        threads.flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    seen.sort_by_key(|(at, _)| *at);

    assert!(agent.runs());
    assert_eq!(stage.elsewhere.connections(), 0, "a redirect was followed");
    for ((fault, cloud), (_, seen)) in pairs.iter().zip(&seen) {
        if let Some(seen) = seen {
            assert_eq!(*seen, Seen::promised(fault, cloud), "{} at {}", fault.name, cloud.name);
        }
    }
    page::judge(&pairs.into_iter().zip(seen.into_iter().map(|(_, seen)| seen)).collect::<Vec<_>>());
}

#[test]
fn every_cloud_that_is_built_in_has_its_row() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let Response::Clouds(known) = sandbox.raw().answer(&Request::Clouds(ListClouds { name: None })) else {
        panic!("the agent lists its clouds")
    };
    let built_in: Vec<_> = known.clouds.iter().map(|cloud| cloud.name.as_str()).collect();
    assert_eq!(CLOUDS.iter().map(|row| row.name).collect::<Vec<_>>(), built_in);
}

/// Whether somebody waits for a deadline, or for a time that the cloud names.
fn waits(fault: &table::Row) -> bool {
    fault.silent || fault.patience.is_some()
}
