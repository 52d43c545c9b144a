//! `gates`: one warm get of each build in counts, which a busy machine does not change.

use cloud_agent_tests::bench::gates::{Budget, GLIBC, MUSL, count};

use crate::context::Context;
use crate::ours::{Build, Ours, best};
use crate::report::{Bound, Report};

/// Counts, and judges by the budget of the build.
pub(crate) fn run(context: &Context, builds: &[Build], report: &mut Report) -> Result<(), String> {
    report.section("Gates: one warm get in counts");
    let _ours = Ours::start_with_account(context, best(builds), "ours")?;
    let mut rows = Vec::new();
    for build in builds {
        let budget: Budget = if build.name == "musl" { MUSL } else { GLIBC };
        let counts = count(&build.get().argv, &context.env(&[]), &context.file("bin"))?;
        for (what, counted, bound) in budget.lines(&counts) {
            let shown = counted.map_or_else(|| "–".to_owned(), |counted| counted.to_string());
            rows.push(vec![build.label(), what.to_owned(), shown, bound.to_string()]);
            if counted.is_none() {
                report.skip(what, "strace, valgrind or a C compiler is missing");
            }
            let figure = counted.map(to_f64);
            report.judge(
                &format!("{}: {what}", build.name),
                figure,
                Bound::AtMost(to_f64(bound)),
                stretch(build, what),
            );
        }
    }
    report.table(&["client", "what", "counted", "allowed"], &rows);
    Ok(())
}

fn stretch(build: &Build, what: &str) -> Option<Bound> {
    let bound = match what {
        "system calls" => 32.0,
        "page faults" => 18.0,
        "user instructions" => 20_000.0,
        "peak RSS, KiB" => 350.0,
        _ => return None,
    };
    (build.name == "musl").then_some(Bound::AtMost(bound))
}

#[expect(clippy::cast_precision_loss, reason = "counts of one short process")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
