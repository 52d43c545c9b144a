//! Client processes: started by the C spawner, told about in JSON lines.

use std::fs;
use std::path::PathBuf;

use cloud_agent_tests::bench::sample::{Sample, median};
use serde_json::Value;

use crate::context::{Context, argv};

/// A client program and how it is called.
#[derive(Clone)]
pub(crate) struct Client {
    /// Its name in tables.
    pub(crate) label: String,
    /// Program and arguments; the program as a path.
    pub(crate) argv: Vec<String>,
    /// What it reads on stdin.
    pub(crate) stdin: PathBuf,
}

/// What the runs of one client came to.
#[derive(Clone, Default)]
pub(crate) struct Runs {
    /// From the spawn to the end.
    pub(crate) wall: Sample,
    /// User and system time, in microseconds, the middle one.
    pub(crate) cpu: f64,
    /// Page faults, the middle figure.
    pub(crate) faults: f64,
    /// Peak RSS in KiB, the middle figure.
    pub(crate) peak: f64,
    /// Runs that did not exit with 0.
    pub(crate) failed: usize,
    /// Processes per second; of storms only.
    pub(crate) rate: f64,
}

/// Every client once a round, in random order.
pub(crate) fn rounds(context: &Context, clients: &[Client], rounds: usize) -> Result<Vec<Runs>, String> {
    let lines = spawn(context, "rounds", rounds, 5, clients)?;
    Ok((0..clients.len()).map(|index| collect(&lines, index)).collect())
}

/// `parallel` processes of `client` at a time until `total` have run.
pub(crate) fn storm(context: &Context, client: &Client, parallel: usize, total: usize) -> Result<Runs, String> {
    let lines = spawn(context, "storm", parallel, total, std::slice::from_ref(client))?;
    let mut runs = collect(&lines, 0);
    let elapsed = lines.iter().find_map(|line| line["total_ns"].as_f64()).unwrap_or(f64::INFINITY);
    runs.rate = f64::from(u32::try_from(total).unwrap_or(u32::MAX)) / (elapsed / 1e9);
    Ok(runs)
}

fn spawn(context: &Context, mode: &str, first: usize, second: usize, clients: &[Client]) -> Result<Vec<Value>, String> {
    let list = context.file("spawn.list");
    let line = |client: &Client| format!("{}\t{}", client.stdin.display(), client.argv.join("\t"));
    let text = clients.iter().map(line).collect::<Vec<_>>().join("\n");
    fs::write(&list, text).map_err(|e| e.to_string())?;
    let (tool, list) = (context.tool("spawn"), list.to_string_lossy().into_owned());
    let command = [&*tool.to_string_lossy(), mode, &first.to_string(), &second.to_string(), &list].map(str::to_owned);
    let output = context.run(&argv(command), &[])?;
    Ok(output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn collect(lines: &[Value], index: usize) -> Runs {
    let own: Vec<&Value> = lines.iter().filter(|line| line["command"].as_u64() == Some(index as u64)).collect();
    let middle = |name: &str| median(own.iter().filter_map(|run| run[name].as_f64()).collect());
    Runs {
        wall: Sample::new(own.iter().filter_map(|run| run["wall_ns"].as_u64()).collect()),
        cpu: middle("cpu_us"),
        faults: middle("faults"),
        peak: middle("rss_kib"),
        failed: own.iter().filter(|run| run["status"].as_i64() != Some(0)).count(),
        rate: 0.0,
    }
}
