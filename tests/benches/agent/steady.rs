//! `steady`: tokens that live ten seconds at a cloud that takes half of one, for a minute: renewal ahead of time means
//! that nobody waits for it.

use std::time::{Duration, Instant};

use cloud_agent_protocol::v1::Response;
use cloud_agent_tests::bench::sample::Sample;
use cloud_agent_tests::bench::wire;

use crate::context::{Context, pause};
use crate::ours::{ACCOUNT, Build, Ours, best};
use crate::report::{Bound, Report, number};

/// How long the cloud takes.
const DELAY: Duration = Duration::from_millis(500);

/// Measures and judges.
pub(crate) fn run(context: &Context, builds: &[Build], report: &mut Report) -> Result<(), String> {
    report.section("Steady: ten-second tokens from a slow cloud");
    context.cloud.tokens_live(10);
    context.cloud.slow_for("", DELAY);
    let figures = ask_for_a_minute(context, best(builds));
    context.cloud.quick();
    context.cloud.tokens_live(86_400);
    let (sample, failed, asked) = figures?;
    let row = [sample.median(), sample.percentile(99), sample.max() / 1e3].map(number);
    let mut rows = vec![vec![best(builds).label(), sample.len().to_string()]];
    rows[0].extend(row);
    rows[0].extend([asked.to_string(), failed.to_string()]);
    report.table(&["agent", "gets", "p50 µs", "p99 µs", "slowest ms", "upstream requests", "failed"], &rows);
    let slowest = sample.max() / 1e6 / DELAY.as_secs_f64();
    report.judge("steady: slowest get ÷ the cloud's delay", Some(slowest), Bound::AtMost(0.5), None);
    Ok(())
}

fn ask_for_a_minute(context: &Context, build: &Build) -> Result<(Sample, usize, u64), String> {
    let ours = Ours::start_with_account(context, build, "ours")?;
    let (mut times, mut failed, asked) = (Vec::new(), 0, context.cloud.asked());
    let end = Instant::now() + context.options.seconds("STEADY_SECS", 60, 12);
    while Instant::now() < end {
        let begun = Instant::now();
        if !matches!(wire::ask(&ours.socket, &wire::get(ACCOUNT, false)), Ok(Response::Credential(_))) {
            failed += 1;
        }
        times.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        pause(Duration::from_millis(20));
    }
    Ok((Sample::new(times), failed, context.cloud.asked() - asked))
}
