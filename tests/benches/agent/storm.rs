//! `storm`: many client processes at once, as scripts and build systems start them.

use crate::context::{Context, pause};
use crate::ours::{Build, Ours, best};
use crate::peers::start_all;
use crate::report::{Bound, Report, cell, number, ratio};
use crate::spawn::{Client, Runs, storm};

/// Measures and judges.
pub(crate) fn run(context: &Context, builds: &[Build], report: &mut Report) -> Result<(), String> {
    report.section("Storm: many client processes at once");
    let _ours = Ours::start_with_account(context, best(builds), "ours")?;
    let (peers, missing) = start_all(context);
    report.skip_all(&missing);
    let mut clients: Vec<Client> = peers.iter().flat_map(|peer| peer.clients.clone()).collect();
    clients.extend(builds.iter().map(Build::get));
    let mut rows = Vec::new();
    let mut figures: Vec<(usize, String, Runs)> = Vec::new();
    for parallel in [64, 256] {
        let mut rounds: Vec<Vec<Runs>> = vec![Vec::new(); clients.len()];
        // Everybody in turn, several times: a neighbour's busy second then falls on everybody alike.
        for _ in 0..context.options.of(3, 1) {
            for (client, rounds) in clients.iter().zip(&mut rounds) {
                if context.options.realtime {
                    pause(std::time::Duration::from_secs(1)); // the others on this machine run only now
                }
                rounds.push(storm(context, client, parallel, parallel * context.options.of(10, 4))?);
            }
        }
        for (client, rounds) in clients.iter().zip(rounds) {
            let runs = middle(rounds);
            rows.push(vec![
                client.label.clone(),
                parallel.to_string(),
                number(runs.rate),
                number(runs.wall.median() / 1e3),
                number(runs.wall.percentile(99) / 1e3),
                cell(ratio(Some(runs.wall.percentile(99)), Some(runs.wall.median()))),
                runs.failed.to_string(),
            ]);
            figures.push((parallel, client.label.clone(), runs));
        }
    }
    report.table(&["client", "at once", "processes/s", "p50 ms", "p99 ms", "p99/p50", "failed"], &rows);
    let of = |parallel: usize, label: &str| {
        figures.iter().find(|(p, l, _)| *p == parallel && l == label).map(|(_, _, runs)| runs)
    };
    let label = best(builds).label();
    let (ours, oidc) = (of(64, &label), of(64, "oidc-token"));
    let faster = ratio(ours.map(|runs| runs.rate), oidc.map(|runs| runs.rate));
    report.judge("storm of 64: rate × oidc-token", faster, Bound::AtLeast(3.0), Some(Bound::AtLeast(4.0)));
    let spread = ratio(ours.map(|runs| runs.wall.percentile(99)), ours.map(|runs| runs.wall.median()));
    report.judge("storm of 64: p99 ÷ p50", spread, Bound::AtMost(1.3), None);
    let failed = of(256, &label).map(|runs| f64::from(u32::try_from(runs.failed).unwrap_or(u32::MAX)));
    report.judge("storm of 256: failed", failed, Bound::AtMost(0.0), None);
    Ok(())
}

/// The round of the middle rate; failures of all rounds are added up, because one is too many.
fn middle(mut rounds: Vec<Runs>) -> Runs {
    let failed = rounds.iter().map(|runs| runs.failed).sum();
    rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = rounds.len() / 2;
    Runs { failed, ..rounds.swap_remove(middle) }
}
