//! Where the figures come from, without which they mean nothing.

use std::fs;

use cloud_agent_tests::bench::tools::{find, first_line};

use crate::context::Context;
use crate::ours::Build;
use crate::report::Report;

/// The machine, its noise, and the versions of everybody.
pub(crate) fn describe(context: &Context, builds: &[Build], report: &mut Report) {
    let options = &context.options;
    report.line("# Measured");
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    report.line(&format!(
        "\n- machine: {}, {cores} cores, kernel {}, {}{}",
        model.map_or("unknown processor", |(_, name)| name),
        kernel.trim(),
        if options.realtime { "SCHED_RR (RT=1)" } else { "normal scheduling" },
        if options.quick { ", **quick: not to be quoted**" } else { "" },
    ));
    let names: Vec<&str> = builds.iter().map(|build| build.name).collect();
    report.line(&format!("- builds of ours: {}", names.join(", ")));
    let versions: Vec<String> = [
        ("rustc", "--version"),
        ("git", "--version"),
        ("ssh", "-V"),
        ("oidc-agent", "--version"),
        ("cc", "--version"),
        ("strace", "-V"),
        ("valgrind", "--version"),
    ]
    .iter()
    .map(|(program, flag)| {
        let version = find(program).and_then(|_| first_line(program, &[flag]));
        version.unwrap_or_else(|| format!("{program}: not installed"))
    })
    .collect();
    report.line(&format!("- versions: {}", versions.join(" · ")));
    noise("before", report);
}

/// How busy the machine is.
pub(crate) fn noise(when: &str, report: &mut Report) {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let pressure = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let pressure = pressure.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    report.line(&format!("- load {when}: {load}; processor pressure: {pressure}"));
}
