//! What `/proc` tells of an agent. A process that is gone counts as nothing: the caller sees that it is gone elsewhere.

use std::fs;

/// Memory of one or several processes, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident, shared pages included.
    pub resident: u64,
    /// Resident and backed by no file.
    pub anonymous: u64,
    /// Resident, with shared pages divided among those who share them.
    pub proportional: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

/// The memory of all of `pids` together.
#[must_use]
pub fn memory(pids: &[u32]) -> Memory {
    pids.iter().fold(Memory::default(), |sum, pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        Memory {
            resident: sum.resident + field(&status, "VmRSS:"),
            anonymous: sum.anonymous + field(&status, "RssAnon:"),
            proportional: sum.proportional + field(&rollup, "Pss:"),
            peak: sum.peak + field(&status, "VmHWM:"),
        }
    })
}

/// How often the threads of `pids` were switched in, wanted or not: each is a wake-up.
#[must_use]
pub fn switches(pids: &[u32]) -> u64 {
    tasks(pids, "status")
        .iter()
        .map(|status| field(status, "voluntary_ctxt_switches:") + field(status, "nonvoluntary_ctxt_switches:"))
        .sum()
}

/// The time that `pids` have spent on a processor, in nanoseconds.
///
/// From `schedstat`: the clock ticks of `stat` are 10 ms, which is longer than most of what is measured here.
#[must_use]
pub fn cpu_ns(pids: &[u32]) -> u64 {
    tasks(pids, "schedstat")
        .iter()
        .filter_map(|line| line.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()))
        .sum()
}

/// How many threads `pids` have.
#[must_use]
pub fn threads(pids: &[u32]) -> usize {
    tasks(pids, "comm").len()
}

/// The children of `parent`.
#[must_use]
pub fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            // The name in parentheses may hold anything, so count from its end: state, then parent.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            after.split_whitespace().nth(1) == Some(&parent.to_string())
        })
        .collect()
}

/// Whether all of `pids` are there and no zombies.
#[must_use]
pub fn alive(pids: &[u32]) -> bool {
    pids.iter().all(|pid| fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|s| s.contains("VmRSS:")))
}

fn tasks(pids: &[u32], file: &str) -> Vec<String> {
    pids.iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok())
        .flat_map(|threads| threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join(file)).ok()))
        .collect()
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}
