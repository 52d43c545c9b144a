//! Everything that is measured, side by side in one run: `cargo bench -p cloud-agent-tests [-- STEP…]`.
//!
//! | step | what it answers |
//! |---|---|
//! | `gates` | what does one warm get cost in system calls, page faults and instructions |
//! | `cold` | how long does a client process take, beside a floor in C and beside other agents' clients |
//! | `storm` | what if 64 or 256 of them start at once |
//! | `load` | how many answers per second, to how many clients, how late |
//! | `mem` | how much memory does an idle agent keep, and how much more for each account |
//! | `hang` | does a cloud that hangs for one account delay another; how often is it asked when many wait |
//! | `steady` | does anybody wait when tokens live for ten seconds |
//! | `idle` | how often does an idle agent wake up |
//!
//! Figures of one run are compared with each other, never with another run's. Nothing fails by wall time.

mod cold;
mod context;
mod counts;
mod hang;
mod idle;
mod load;
mod machine;
mod mem;
mod ours;
mod peers;
mod report;
mod spawn;
mod standin;
mod steady;
mod storm;

use std::process::ExitCode;

use context::{Context, Options};
use ours::Build;
use report::Report;

const USAGE: &str = "usage: cargo bench -p cloud-agent-tests [-- [STEP]... [--quick] [--out FILE] [--stand-in]]
steps: gates cold storm load mem hang steady idle (default: all)
  --quick      short rounds: to see that it runs, not to quote
  --out FILE   writes the report there too
  --stand-in   the bench's own agent in the place of ours
environment: RT=1 (SCHED_RR, as root), BENCH_AGENT, BENCH_CLIENT, BENCH_AGENT_MUSL, BENCH_CLIENT_MUSL (instead of
  building), IDLE_SECS, IDLE_AFTER, MEM_ACCOUNTS, COLD_RUNS, LOAD_ROUNDS";

type Step = fn(&Context, &[Build], &mut Report) -> Result<(), String>;

/// Those that want a quiet machine come first, the one that only waits last.
const STEPS: &[(&str, Step)] = &[
    ("gates", counts::run),
    ("cold", cold::run),
    ("storm", storm::run),
    ("load", load::run),
    ("mem", mem::run),
    ("hang", hang::run),
    ("steady", steady::run),
    ("idle", idle::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first() {
        Some((role, rest)) if role == "--stand-in-agent" => standin::agent(rest).map_err(|e| e.to_string()),
        Some((role, rest)) if role == "--stand-in-client" => standin::client(rest),
        Some((role, rest)) if role == "--load-generator" => load::generate(rest),
        _ => bench(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &[String]) -> Result<(), String> {
    let Some(options) = parse(args)? else { return Ok(()) };
    let builds = ours::builds(&options)?;
    let context = Context::new(options)?;
    let mut report = Report::default();
    machine::describe(&context, &builds, &mut report);
    for (name, step) in STEPS {
        if context.options.steps.is_empty() || context.options.steps.iter().any(|step| step == name) {
            // One step that cannot be taken does not cost the others' figures.
            if let Err(why) = step(&context, &builds, &mut report) {
                report.skip(name, &why);
            }
        }
    }
    machine::noise("after", &mut report);
    let text = report.finish();
    match &context.options.out {
        Some(file) => std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display())),
        None => Ok(()),
    }
}

/// The options; `None` if there is nothing to do.
fn parse(args: &[String]) -> Result<Option<Options>, String> {
    let realtime = std::env::var("RT").is_ok_and(|value| value == "1");
    let mut options = Options { steps: Vec::new(), out: None, quick: false, stand_in: false, realtime };
    let (mut args, mut benching) = (args.iter(), false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => benching = true,
            "--quick" => options.quick = true,
            "--stand-in" => options.stand_in = true,
            "--out" => options.out = Some(args.next().ok_or("--out needs a file")?.into()),
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(None);
            }
            step if STEPS.iter().any(|(name, _)| *name == step) => options.steps.push(step.to_owned()),
            other => return Err(format!("unknown argument `{other}`\n{USAGE}")),
        }
    }
    if !benching && options.steps.is_empty() {
        // `cargo test --all-targets` runs this program too, and must not wait minutes for figures that nobody asked for.
        println!("not run by `cargo bench`: nothing measured");
        return Ok(None);
    }
    if options.realtime && !rustix::process::geteuid().is_root() {
        return Err("RT=1 needs root".to_owned());
    }
    Ok(Some(options))
}
