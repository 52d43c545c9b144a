//! `hang`: a cloud that takes two seconds for one account, and what everybody else notices of it; and 64 processes that
//! want the same expired token.

use std::path::Path;
use std::time::{Duration, Instant};

use cloud_agent_protocol::v1::Response;
use cloud_agent_tests::bench::load::{Framing, Plan};
use cloud_agent_tests::bench::sample::{Sample, median};
use cloud_agent_tests::bench::wire;

use crate::context::{Context, argv, pause};
use crate::ours::{ACCOUNT, Build, Ours, best};
use crate::peers::{OIDC, Peer, oidc, oidc_target};
use crate::report::{Bound, Report, number, ratio};
use crate::spawn::{Client, storm};

/// How long the cloud hangs.
const HANG: Duration = Duration::from_secs(2);
/// How long others are watched meanwhile: within that.
const WINDOW: Duration = Duration::from_millis(1_700);
/// How long it takes over the expired token.
const DELAY: Duration = Duration::from_millis(300);
/// How many processes want that.
const HERD: usize = 64;

/// Measures and judges.
pub(crate) fn run(context: &Context, builds: &[Build], report: &mut Report) -> Result<(), String> {
    report.section("Hang: gets of B while the cloud hangs over A");
    let ours = Ours::start_with_account(context, best(builds), "ours")?;
    ours.prepare_account(context, "slow", &context.cloud.http)?;
    let peer = oidc(context).map_err(|why| report.skip(OIDC, &why)).ok();
    let mut rows = Vec::new();
    let ask = || match wire::ask(&ours.socket, &wire::get(ACCOUNT, false)) {
        Ok(Response::Credential(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    let refresh = || ours.get(context, &["slow", "--fresh"]).map(drop);
    let mut slowdowns = Vec::new();
    // A few seconds' p99 is one neighbour's time slice: the middle of several is not.
    for _ in 0..context.options.of(3, 1) {
        slowdowns.push(hang(context, &ours.peer.name, "AK-slow", &ask, &refresh, &mut rows)?);
    }
    let slowdown = Some(median(slowdowns));
    report.judge("get of B while A hangs: p99 ÷ calm p99", slowdown, Bound::AtMost(5.0), None);
    if let Some(peer) = &peer {
        let (socket, token) = (context.file("oidc/s"), peer.clients[0].argv[0].clone());
        let plan = oidc_target(socket.clone(), "bench0").plan(1, true);
        let ask = || ask_plain(&socket, &plan);
        let refresh = || context.run(&argv([&*token, "--force-new", "bench1"]), &[]).map(drop);
        hang(context, OIDC, "AK-bench1", &ask, &refresh, &mut rows)?;
    }
    #[rustfmt::skip]
    report.table(&["agent", "calm p50 µs", "calm p99", "gets meanwhile", "p50 µs", "p99 µs", "max µs", "p99 ÷ calm p99",
        "failed"], &rows);
    flight(context, &ours, peer.as_ref(), report)
}

type Asking<'a> = &'a (dyn Fn() -> Result<(), String> + Sync);

/// The ratio of p99 while the cloud hangs over requests with `slow` in them to p99 before.
fn hang(
    context: &Context,
    name: &str,
    slow: &str,
    ask: Asking<'_>,
    refresh: Asking<'_>,
    rows: &mut Vec<Vec<String>>,
) -> Result<f64, String> {
    let (calm, _) = gets(WINDOW, ask);
    context.cloud.slow_for(slow, HANG);
    let asked = context.cloud.asked();
    let (meanwhile, failed) = std::thread::scope(|scope| {
        let hanging = scope.spawn(refresh);
        let end = Instant::now() + Duration::from_secs(2);
        while context.cloud.asked() == asked && Instant::now() < end {
            pause(Duration::from_millis(1));
        }
        let seen = context.cloud.asked() > asked;
        let figures = gets(WINDOW, ask);
        let refreshed = hanging.join().map_err(|_| "the refresh panicked".to_owned())?;
        refreshed.and_then(|()| if seen { Ok(figures) } else { Err("the cloud was never asked".to_owned()) })
    })
    .inspect_err(|_| context.cloud.quick())?;
    context.cloud.quick();
    let slowdown = ratio(Some(meanwhile.percentile(99)), Some(calm.percentile(99))).unwrap_or(f64::INFINITY);
    let mut row =
        vec![name.to_owned(), number(calm.median()), number(calm.percentile(99)), meanwhile.len().to_string()];
    row.extend([meanwhile.median(), meanwhile.percentile(99), meanwhile.max(), slowdown].map(number));
    row.push(failed.to_string());
    rows.push(row);
    Ok(slowdown)
}

/// Asks every millisecond for so long; the times of the answers, and how many there were none of.
fn gets(window: Duration, ask: Asking<'_>) -> (Sample, usize) {
    let (mut times, mut failed, end) = (Vec::new(), 0, Instant::now() + window);
    while Instant::now() < end {
        let begun = Instant::now();
        if ask().is_err() {
            failed += 1;
        }
        times.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        pause(Duration::from_millis(1));
    }
    (Sample::new(times), failed)
}

fn ask_plain(socket: &Path, plan: &Plan) -> Result<(), String> {
    use std::io::{Read as _, Write as _};
    debug_assert_eq!(plan.framing, Framing::Close);
    let mut stream = std::os::unix::net::UnixStream::connect(socket).map_err(|e| e.to_string())?;
    stream.write_all(&plan.request).map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|e| e.to_string())?;
    let good = answer.windows(plan.expect.len()).any(|window| window == plan.expect);
    if good { Ok(()) } else { Err("refused".to_owned()) }
}

/// The herd on an expired token.
fn flight(context: &Context, ours: &Ours, peer: Option<&Peer>, report: &mut Report) -> Result<(), String> {
    report.line(&format!(
        "\n{HERD} processes at once want one expired token, and the cloud takes {} ms:\n",
        DELAY.as_millis()
    ));
    let mut rows = Vec::new();
    context.cloud.tokens_live(2);
    let prepared = ours.get(context, &[ACCOUNT, "--fresh"]);
    let client = &ours.peer.clients[0];
    let figures = prepared.and_then(|_| herd(context, &ours.peer.name, client, &mut rows));
    context.cloud.tokens_live(86_400);
    let (asked, slowest) = figures?;
    report.judge("64 gets of an expired token: upstream requests", Some(asked), Bound::AtMost(1.0), None);
    report.judge("64 gets of an expired token: slowest ÷ delay", Some(slowest), Bound::AtMost(1.2), None);
    if let Some(peer) = peer {
        context.cloud.tokens_live(2);
        let client = &peer.clients[0];
        let force = argv([&*client.argv[0], "--force-new", "bench0"]);
        let figures = context.run(&force, &[]).and_then(|_| herd(context, OIDC, client, &mut rows));
        context.cloud.tokens_live(86_400);
        figures.map_err(|why| format!("{OIDC}: {why}"))?;
    }
    report.table(&["client", "upstream requests", "p50 ms", "slowest ms", "slowest ÷ delay", "failed"], &rows);
    Ok(())
}

/// How often the cloud was asked, and the slowest client's time as a multiple of the cloud's.
fn herd(context: &Context, name: &str, client: &Client, rows: &mut Vec<Vec<String>>) -> Result<(f64, f64), String> {
    pause(Duration::from_secs(4)); // the token lives two seconds
    context.cloud.tokens_live(86_400);
    context.cloud.slow_for("", DELAY);
    let asked = context.cloud.asked();
    let runs = storm(context, client, HERD, HERD).inspect_err(|_| context.cloud.quick())?;
    context.cloud.quick();
    let asked = context.cloud.asked() - asked;
    if asked == 0 {
        return Err("the token had been renewed before anybody asked".to_owned());
    }
    let slowest = runs.wall.max() / 1e3 / (DELAY.as_secs_f64() * 1e3);
    let (p50, max) = (runs.wall.median() / 1e3, runs.wall.max() / 1e3);
    rows.push(vec![
        name.to_owned(),
        asked.to_string(),
        number(p50),
        number(max),
        number(slowest),
        runs.failed.to_string(),
    ]);
    Ok((f64::from(u32::try_from(asked).unwrap_or(u32::MAX)), slowest))
}
