//! `load`: answers per second over the raw socket, from one client to a thousand.

use std::time::Duration;

use cloud_agent_tests::bench::load::{self, Framing, Outcome, Plan};
use cloud_agent_tests::bench::process::alive;
use cloud_agent_tests::bench::sample::median;

use crate::context::{Context, argv, pause};
use crate::ours::{Build, Ours, best};
use crate::peers::{FLOOR, OIDC, Peer, SSH, start_all};
use crate::report::{Bound, Report, cell, number, ratio};

const CLIENTS: [usize; 5] = [1, 16, 64, 256, 1000];

/// One cell of the table: who, how, and what came of it.
struct Figure {
    name: String,
    clients: usize,
    reconnect: bool,
    outcome: Outcome,
}

/// Measures and judges.
pub(crate) fn run(context: &Context, builds: &[Build], report: &mut Report) -> Result<(), String> {
    report.section("Load: answers per second over the raw socket");
    let (mut peers, missing) = start_all(context);
    report.skip_all(&missing);
    for build in builds {
        peers.push(Ours::start_with_account(context, build, &format!("load-{}", build.name))?.peer);
    }
    let wanted = std::env::var("LOAD_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let rounds = wanted.unwrap_or_else(|| context.options.of(3, 1));
    let mut figures = Vec::new();
    for reconnect in [true, false] {
        for clients in CLIENTS {
            // Everybody in turn, several times: a neighbour's busy second then falls on everybody alike.
            let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); peers.len()];
            for _ in 0..rounds {
                for (peer, outcomes) in peers.iter().zip(&mut outcomes).filter(|(peer, _)| alive(&peer.pids())) {
                    outcomes.extend(measure(context, peer, clients, reconnect)?);
                    if !alive(&peer.pids()) {
                        let how = if reconnect { "a connection each" } else { "persistent" };
                        report.skip(&peer.name, &format!("it died under {clients} clients, {how}"));
                    }
                }
            }
            for (peer, outcomes) in peers.iter().zip(outcomes).filter(|(_, outcomes)| !outcomes.is_empty()) {
                figures.push(Figure { name: peer.name.clone(), clients, reconnect, outcome: middle(&outcomes) });
            }
        }
    }
    tables(&figures, report);
    judge(&figures, best(builds), report);
    Ok(())
}

/// The load generator in a process of its own, so that its scheduling and its file descriptors are its own.
pub(crate) fn generate(args: &[String]) -> Result<(), String> {
    let plan = args.first().and_then(|text| Plan::from_json(text)).ok_or("not a plan")?;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let files = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files).map_err(|e| e.to_string())?;
    println!("{}", load::run(&plan).map_err(|e| e.to_string())?.to_json());
    Ok(())
}

/// `None` if `peer` cannot be asked so.
fn measure(context: &Context, peer: &Peer, clients: usize, reconnect: bool) -> Result<Option<Outcome>, String> {
    let Some(target) = peer.target.as_ref().filter(|target| reconnect || target.framing != Framing::Close) else {
        return Ok(None);
    };
    if context.options.realtime {
        pause(Duration::from_secs(1)); // the others on this machine run only now
    }
    let mut plan = target.plan(clients, reconnect);
    plan.duration = Duration::from_millis(context.options.of(1_000, 300));
    plan.server = peer.pids();
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = context.run(&argv([&*exe.to_string_lossy(), "--load-generator", &plan.to_json()]), &[])?;
    Outcome::from_json(&String::from_utf8_lossy(&output)).map(Some).ok_or_else(|| "no outcome".to_owned())
}

/// The middle of each figure over the rounds; failures are added up, because one is too many.
fn middle(outcomes: &[Outcome]) -> Outcome {
    let of = |figure: fn(&Outcome) -> f64| median(outcomes.iter().map(figure).collect());
    let sum = |figure: fn(&Outcome) -> u64| outcomes.iter().map(figure).sum();
    Outcome {
        rate: of(|outcome| outcome.rate),
        p50: of(|outcome| outcome.p50),
        p99: of(|outcome| outcome.p99),
        cpu: of(|outcome| outcome.cpu),
        failed: sum(|outcome| outcome.failed),
        backlog_full: sum(|outcome| outcome.backlog_full),
        starved: sum(|outcome| outcome.starved),
    }
}

fn find<'f>(figures: &'f [Figure], name: &str, clients: usize, reconnect: bool) -> Option<&'f Outcome> {
    let same = |figure: &&Figure| figure.name == name && figure.clients == clients && figure.reconnect == reconnect;
    figures.iter().find(same).map(|figure| &figure.outcome)
}

fn tables(figures: &[Figure], report: &mut Report) {
    for (reconnect, title) in [(true, "A connection for every request"), (false, "Persistent connections")] {
        report.line(&format!("\n{title}:\n"));
        let rows: Vec<Vec<String>> = figures
            .iter()
            .filter(|figure| figure.reconnect == reconnect)
            .map(|figure| {
                let outcome = &figure.outcome;
                let floor = find(figures, FLOOR, figure.clients, reconnect);
                vec![
                    figure.clients.to_string(),
                    figure.name.clone(),
                    number(outcome.rate.round()),
                    cell(ratio(Some(outcome.rate), floor.map(|floor| floor.rate))),
                    number(outcome.p50),
                    number(outcome.p99),
                    number(outcome.cpu),
                    cell(ratio(Some(outcome.cpu), floor.map(|floor| floor.cpu))),
                    outcome.failed.to_string(),
                    outcome.starved.to_string(),
                    outcome.backlog_full.to_string(),
                ]
            })
            .collect();
        #[rustfmt::skip]
        report.table(&["clients", "agent", "answers/s", "× floor", "p50 µs", "p99 µs", "server CPU µs/answer", "× floor",
            "failed", "starved", "backlog full"], &rows);
    }
}

fn judge(figures: &[Figure], build: &Build, report: &mut Report) {
    let label = build.label();
    let rate = |name: &str, clients: usize, reconnect: bool| {
        find(figures, name, clients, reconnect).map(|outcome| outcome.rate)
    };
    let against = |name: &str, reconnect: bool| ratio(rate(&label, 64, reconnect), rate(name, 64, reconnect));
    let least = |bound: f64| Bound::AtLeast(bound);
    report.judge("load 64, a connection each: × floor", against(FLOOR, true), least(0.85), Some(least(0.95)));
    report.judge("load 64, a connection each: × ssh-agent", against(SSH, true), least(1.2), None);
    report.judge("load 64, a connection each: × oidc-agent", against(OIDC, true), least(2.2), None);
    report.judge("load 64, persistent: × ssh-agent", against(SSH, false), least(2.0), Some(least(2.5)));
    let kept = ratio(rate(&label, 1000, true), rate(&label, 64, true));
    report.judge("load: rate at 1,000 ÷ rate at 64", kept, least(0.7), None);
    let lost: u64 = figures
        .iter()
        .filter(|figure| figure.name == label)
        .map(|figure| figure.outcome.failed + figure.outcome.starved + figure.outcome.backlog_full)
        .sum();
    let lost = f64::from(u32::try_from(lost).unwrap_or(u32::MAX));
    report.judge("load: failed, starved, or met a full backlog", Some(lost), Bound::AtMost(0.0), None);
}
