//! Every fault at every cloud: two tables, one runner, and a page that tells what came of it.
//!
//! | module | what it holds |
//! |---|---|
//! | `table` | the faults, and what is promised of each |
//! | `clouds` | the clouds, and how an account at each renews by itself |
//! | `play` | one fault at one cloud |
//! | `names` | a world in which names can be taken away |
//! | `turns` | how many do something at a time |
//! | `page` | docs/reliability.md |

mod clouds;
mod names;
mod page;
mod play;
mod table;
mod turns;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use cloud_agent_protocol::v1::{ListClouds, Request, Response};
use cloud_agent_tests::fake::{Authority, Server};
use cloud_agent_tests::sandbox::AGENT;

use crate::support::sandbox;
use clouds::CLOUDS;
use names::Names;
use play::{Seen, Stage, play};
use table::FAULTS;
use turns::Turns;

#[test]
fn every_fault_at_every_cloud_is_told_in_time_loses_nothing_and_is_over_when_it_is_over() {
    let names = Names::new(&sandbox());
    let (authority, elsewhere, turns) = (Arc::new(Authority::new()), Server::unvisited(), Turns::default());
    // An agent for each cloud, as one that has every account spends its time on telling `status` of them.
    let stages: Vec<_> = CLOUDS
        .iter()
        .map(|cloud| {
            let sandbox = sandbox();
            let run = names.as_ref().map_or_else(|| sandbox.command(AGENT), |names| names.agent(&sandbox));
            let agent = sandbox.agent_from(run.args(["--vault", "memory"]).env("SSL_CERT_FILE", authority.ca()));
            let (authority, elsewhere, turns) = (&authority, &elsewhere, &turns);
            Stage { cloud, agent, sandbox, names: names.as_ref(), authority, elsewhere, turns }
        })
        .collect();

    // Those that wait for a deadline begin, so that the whole takes little longer than the longest.
    let mut faults: Vec<_> = FAULTS.iter().collect();
    faults.sort_by_key(|fault| std::cmp::Reverse(fault.silent.then_some(fault.bound)));
    let pairs: Vec<_> = faults.into_iter().flat_map(|fault| stages.iter().map(move |stage| (fault, stage))).collect();
    let seen: Vec<Option<Seen>> = thread::scope(|scope| {
        let threads: Vec<_> = pairs.iter().map(|(fault, stage)| scope.spawn(|| play(stage, fault))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });

    assert!(stages.iter().all(|stage| stage.agent.runs()));
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
    let played: Vec<_> = pairs.iter().map(|(fault, stage)| (*fault, stage.cloud)).zip(seen).collect();
    for ((fault, cloud), seen) in &played {
        if let Some(seen) = seen {
            assert_eq!(*seen, Seen::promised(fault, cloud), "{} at {}", fault.name, cloud.name);
        }
    }
    page::judge(&played);
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
