//! `cold`: a client process from spawn to exit, everybody once a round in random order.

use std::env;

use crate::context::Context;
use crate::ours::{Build, Ours, best};
use crate::peers::{FLOOR, nothing, start_all};
use crate::report::{Bound, Report, cell, number, ratio};
use crate::spawn::{Client, rounds};

/// The one whose times the budgets are ratios of.
const GIT_GET: &str = "git credential-cache get";
const OIDC_TOKEN: &str = "oidc-token";

/// Measures and judges.
pub(crate) fn run(context: &Context, builds: &[Build], report: &mut Report) -> Result<(), String> {
    report.section("Cold: a warm get by a client process");
    let _ours = Ours::start_with_account(context, best(builds), "ours")?;
    let (peers, missing) = start_all(context);
    report.skip_all(&missing);
    let mut clients: Vec<Client> = nothing(context);
    clients.extend(peers.iter().flat_map(|peer| peer.clients.clone()));
    clients.extend(builds.iter().map(Build::get));
    // One that fails would be fast.
    clients.retain(|client| {
        let tried = fails(context, client);
        if let Some(why) = &tried {
            report.skip(&client.label, why);
        }
        tried.is_none()
    });
    let wanted = env::var("COLD_RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs = rounds(context, &clients, wanted.unwrap_or_else(|| context.options.of(300, 40)))?;
    let of = |label: &str| clients.iter().position(|client| client.label == label).map(|at| &runs[at]);
    let median = |label: &str| of(label).map(|runs| runs.wall.median());
    let rows: Vec<Vec<String>> = clients
        .iter()
        .zip(&runs)
        .map(|(client, runs)| {
            let wall = runs.wall.median();
            vec![
                client.label.clone(),
                number(wall),
                number(runs.wall.min()),
                number(runs.wall.percentile(99)),
                cell(ratio(Some(wall), median(FLOOR))),
                cell(ratio(Some(wall), median(GIT_GET))),
                cell(ratio(Some(wall), median(OIDC_TOKEN))),
                number(runs.cpu),
                number(runs.faults),
                number(runs.peak),
                runs.failed.to_string(),
            ]
        })
        .collect();
    #[rustfmt::skip]
    report.table(&["client", "median µs", "min", "p99", "× floor", "× git", "× oidc-token", "user+sys µs", "page faults",
        "peak RSS KiB", "failed"], &rows);
    for build in builds {
        let ours = median(&build.label());
        let mut judge = |peer: &str, must: f64, stretch: Option<f64>| {
            let what = format!("cold {}: × {peer}", build.name);
            report.judge(&what, ratio(ours, median(peer)), Bound::AtMost(must), stretch.map(Bound::AtMost));
        };
        if build.name == "musl" {
            judge(FLOOR, 2.0, Some(1.6));
            judge(OIDC_TOKEN, 0.40, None);
            judge(GIT_GET, 0.42, None);
        } else {
            judge(GIT_GET, 0.85, Some(0.75));
        }
    }
    Ok(())
}

/// Why `client` does not do what it should, if it does not.
fn fails(context: &Context, client: &Client) -> Option<String> {
    let mut command = context.command(&client.argv, &[]);
    match std::fs::File::open(&client.stdin).and_then(|stdin| command.stdin(stdin).output()) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))),
        Err(e) => Some(e.to_string()),
    }
}
