//! `mem`: what an idle agent keeps after a real refresh over https, and what a thousand accounts add.

use std::time::Duration;

use cloud_agent_protocol::v1::Response;
use cloud_agent_tests::bench::process::{Memory, memory, threads};
use cloud_agent_tests::bench::wire;

use crate::context::{Context, pause};
use crate::ours::{ACCOUNT, Build, Ours};
use crate::peers::start_all;
use crate::report::{Bound, Report, number, ratio};

/// Measures and judges.
pub(crate) fn run(context: &Context, builds: &[Build], report: &mut Report) -> Result<(), String> {
    report.section("Memory of the idle agent, in KiB");
    let (peers, missing) = start_all(context);
    report.skip_all(&missing);
    let mut rows = Vec::new();
    // A helper thread of a resolver and the like leaves within seconds.
    let settle = || pause(Duration::from_secs(context.options.of(10, 1)));
    settle();
    for peer in &peers {
        rows.push(row(&peer.name, "one credential", &peer.pids(), memory(&peer.pids())));
    }
    let wanted = std::env::var("MEM_ACCOUNTS").ok().and_then(|accounts| accounts.parse().ok());
    let further: u32 = wanted.unwrap_or_else(|| context.options.of(1_000, 100));
    for build in builds {
        let ours = Ours::start(context, build, &format!("mem-{}", build.name))?;
        let pids = ours.peer.pids();
        rows.push(row(&build.label(), "started", &pids, memory(&pids)));
        let url = if build.name == "stand-in" { &context.cloud.http } else { &context.cloud.https };
        ours.prepare_account(context, ACCOUNT, url)?;
        ours.get(context, &[ACCOUNT, "--fresh"])?;
        settle();
        let one = memory(&pids);
        let scheme = if build.name == "stand-in" { "http" } else { "https" };
        rows.push(row(&build.label(), &format!("one credential, refreshed over {scheme}"), &pids, one));
        let held = add(&ours, &context.cloud.http, further)?;
        settle();
        let many = memory(&pids);
        // Anonymous memory: the code that the logins ran through is resident too, but no credential's.
        let each = kib(many.anonymous.saturating_sub(one.anonymous)) / f64::from(further.max(1));
        rows.push(row(
            &build.label(),
            &format!("{further} more: {} KiB each, {} of them its bytes", number(each), number(held / 1024.0)),
            &pids,
            many,
        ));
        let allowed = if build.name == "musl" { 4.0 } else { 6.0 };
        let resident = ratio(Some(kib(one.resident)), Some(1024.0));
        let what = format!("idle agent after an {scheme} refresh, {}: MiB", build.name);
        report.judge(&what, resident, Bound::AtMost(allowed), Some(Bound::AtMost(3.0)));
        let what = format!("each further credential beyond its bytes, {}: KiB", build.name);
        report.judge(&what, Some(each - held / 1024.0), Bound::AtMost(2.0), None);
    }
    report.table(&["agent", "with", "resident", "anonymous", "proportional", "peak", "processes", "threads"], &rows);
    Ok(())
}

/// Logs `count` accounts in and asks for each once; the bytes of one of their tokens and refresh tokens.
fn add(ours: &Ours, url: &str, count: u32) -> Result<f64, String> {
    let mut token = 0;
    for number in 0..count {
        let account = format!("n{number}");
        match wire::ask(&ours.socket, &wire::login(&account, url))? {
            Response::Done(_) => {}
            other => return Err(format!("login of {account}: {other:?}")),
        }
        match wire::ask(&ours.socket, &wire::get(&account, false))? {
            Response::Credential(credential) => token = credential.token.map_or(0, |token| token.len()),
            other => return Err(format!("get of {account}: {other:?}")),
        }
    }
    // The refresh token is as long as the access token, to a few bytes.
    Ok(f64::from(u32::try_from(2 * token).unwrap_or(u32::MAX)))
}

fn row(name: &str, with: &str, pids: &[u32], memory: Memory) -> Vec<String> {
    let mut row = vec![name.to_owned(), with.to_owned()];
    row.extend([memory.resident, memory.anonymous, memory.proportional, memory.peak].map(|kib| kib.to_string()));
    row.extend([pids.len().to_string(), threads(pids).to_string()]);
    row
}

#[expect(clippy::cast_precision_loss, reason = "KiB of one process")]
fn kib(kib: u64) -> f64 {
    kib as f64
}
