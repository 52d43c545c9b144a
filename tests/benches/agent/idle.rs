//! `idle`: how often an agent wakes up that nobody asks: for a minute, and for two after a refresh.
//!
//! Two of ours run: one is watched from outside, by its context switches, and its twin by strace, which would itself
//! wake the first.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use cloud_agent_tests::bench::process::{cpu_ns, switches};
use cloud_agent_tests::bench::tools::find;
use rustix::process::{Pid, Signal, kill_process};

use crate::context::{Context, pause};
use crate::ours::{ACCOUNT, Build, Ours};
use crate::peers::{Peer, start_all};
use crate::report::{Bound, Report, number};

/// What is over this long after an answer is no longer part of it.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures and judges.
pub(crate) fn run(context: &Context, builds: &[Build], report: &mut Report) -> Result<(), String> {
    report.section("Idle: wake-ups");
    let (peers, missing) = start_all(context);
    report.skip_all(&missing);
    let mut pairs = Vec::new();
    for build in builds {
        let watched = started(context, build, "idle")?;
        pairs.push((watched, started(context, build, "twin")?, build));
    }
    let mut rows = Vec::new();
    let calm = context.options.seconds("IDLE_SECS", 60, 3);
    pause(SETTLE + context.options.of(Duration::from_secs(13), Duration::ZERO));
    watch(context, "calm", calm, &peers, &pairs, &mut rows, report);
    for (watched, twin, _) in &pairs {
        watched.get(context, &[ACCOUNT, "--fresh"])?;
        twin.get(context, &[ACCOUNT, "--fresh"])?;
    }
    pause(SETTLE);
    let after = context.options.seconds("IDLE_AFTER", 120, 4);
    watch(context, "after a refresh", after, &[], &pairs, &mut rows, report);
    report.table(&["agent", "when", "seconds", "context switches", "CPU µs", "system calls of a twin"], &rows);
    Ok(())
}

fn started(context: &Context, build: &Build, role: &str) -> Result<Ours, String> {
    let ours = Ours::start(context, build, &format!("{role}-{}", build.name))?;
    let url = if build.name == "stand-in" { &context.cloud.http } else { &context.cloud.https };
    ours.prepare_account(context, ACCOUNT, url)?;
    Ok(ours)
}

fn watch(
    context: &Context,
    when: &str,
    duration: Duration,
    peers: &[Peer],
    pairs: &[(Ours, Ours, &Build)],
    rows: &mut Vec<Vec<String>>,
    report: &mut Report,
) {
    let tracers: Vec<Option<Tracer>> = pairs.iter().map(|(_, twin, _)| Tracer::attach(context, &twin.peer)).collect();
    let watched: Vec<&Peer> = peers.iter().chain(pairs.iter().map(|(ours, _, _)| &ours.peer)).collect();
    let read = || watched.iter().map(|peer| (switches(&peer.pids()), cpu_ns(&peer.pids()))).collect::<Vec<_>>();
    let before = read();
    pause(duration);
    let after = read();
    let mut calls = vec![None; peers.len()];
    calls.extend(tracers.into_iter().map(|tracer| tracer.and_then(Tracer::detach)));
    for (index, peer) in watched.iter().enumerate() {
        let woken = after[index].0.saturating_sub(before[index].0);
        let busy = after[index].1.saturating_sub(before[index].1) / 1_000;
        let traced = calls[index].map_or_else(|| "–".to_owned(), |calls: usize| calls.to_string());
        let seconds = duration.as_secs().to_string();
        rows.push(vec![peer.name.clone(), when.to_owned(), seconds, woken.to_string(), busy.to_string(), traced]);
        if index >= peers.len() {
            let woken = f64::from(u32::try_from(woken).unwrap_or(u32::MAX));
            let what = format!("{}: wake-ups in {} s, {when}", peer.name, number(duration.as_secs_f64()));
            report.judge(&what, Some(woken), Bound::AtMost(0.0), None);
        }
    }
}

/// strace on a running agent.
struct Tracer {
    strace: Child,
    log: std::path::PathBuf,
}

impl Tracer {
    fn attach(context: &Context, peer: &Peer) -> Option<Self> {
        find("strace")?;
        let log = context.file(&format!("strace-{}.log", peer.pids()[0]));
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(&log);
        command.args(peer.pids().iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]));
        let strace = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        pause(Duration::from_secs(1)); // attaching is not part of what is watched
        Some(Self { strace, log })
    }

    /// How many calls were made since it was attached. A call that was under way then, and still is, counts as none.
    fn detach(mut self) -> Option<usize> {
        let pid = Pid::from_child(&self.strace);
        kill_process(pid, Signal::INT).ok()?;
        self.strace.wait().ok()?;
        let text = fs::read_to_string(&self.log).ok()?;
        let begun = |line: &&str| line.contains('(') || line.contains("resumed");
        let waiting = |line: &&str| line.contains("<unfinished ...>") || line.contains("<detached ...>");
        Some(text.lines().filter(begun).filter(|line| !waiting(line)).count())
    }
}
