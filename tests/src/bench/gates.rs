//! What one warm get costs, in counts: the same on a busy machine as on a quiet one.
//!
//! A test measures with [`count`] and fails if [`Budget::broken`] says anything. What cannot be counted here, because
//! strace, valgrind or a C compiler is missing, is `None`: the caller says so, loudly, and the rest still counts.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::tools::{Linkage, compile, find};

/// The program that starts processes and tells what they cost; see its head for how it is called.
pub const SPAWN: &str = include_str!("../../benches/agent/floor/spawn.c");

/// Runs of which the cheapest counts: the first ones of a fresh binary fault its pages in.
const RUNS: &str = "9";

/// What one run of a client cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// System calls, `execve` and `exit_group` included.
    pub syscalls: Option<u64>,
    /// Page faults.
    pub faults: Option<u64>,
    /// Instructions in user mode.
    pub instructions: Option<u64>,
    /// The most memory that was ever resident, in KiB.
    pub peak_kib: Option<u64>,
    /// Unix connections made or tried.
    pub connections: Option<u64>,
    /// Writes to the agent.
    pub writes: Option<u64>,
    /// Reads from the agent.
    pub reads: Option<u64>,
}

/// What one run may cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Which build it is for.
    pub build: &'static str,
    /// The most system calls.
    pub syscalls: u64,
    /// The most page faults.
    pub faults: u64,
    /// The most instructions in user mode.
    pub instructions: u64,
    /// The most resident memory, in KiB; `None` where the C library alone decides it.
    pub peak_kib: Option<u64>,
}

/// The release client, linked statically with musl.
pub const MUSL: Budget = Budget { build: "musl", syscalls: 40, faults: 24, instructions: 60_000, peak_kib: Some(700) };

/// The release client as plain `cargo build --release` makes it on Linux.
pub const GLIBC: Budget = Budget { build: "glibc", syscalls: 75, faults: 75, instructions: 330_000, peak_kib: None };

impl Budget {
    /// Every count with its bound: name, counted, allowed.
    #[must_use]
    pub fn lines(&self, counts: &Counts) -> Vec<(&'static str, Option<u64>, u64)> {
        let mut lines = vec![
            ("system calls", counts.syscalls, self.syscalls),
            ("page faults", counts.faults, self.faults),
            ("user instructions", counts.instructions, self.instructions),
            ("connections", counts.connections, 1),
            ("writes to the agent", counts.writes, 1),
            ("reads from the agent", counts.reads, 1),
        ];
        lines.extend(self.peak_kib.map(|bound| ("peak RSS, KiB", counts.peak_kib, bound)));
        lines
    }

    /// A sentence for every count that is over its bound.
    #[must_use]
    pub fn broken(&self, counts: &Counts) -> Vec<String> {
        self.lines(counts)
            .into_iter()
            .filter_map(|(what, counted, bound)| {
                let counted = counted.filter(|counted| *counted > bound)?;
                Some(format!("{} build, {what}: {counted}, allowed: {bound}", self.build))
            })
            .collect()
    }
}

/// Counts what `command` (program, then arguments) costs, with nothing but `env` in its environment; `scratch` is a
/// directory for what is needed on the way.
///
/// # Errors
/// If the command cannot be run or does not succeed: a failure's costs would be anything.
pub fn count(command: &[String], env: &[(OsString, OsString)], scratch: &Path) -> Result<Counts, String> {
    let output = prepared(command, env).output().map_err(|e| format!("{command:?}: {e}"))?;
    if !output.status.success() || output.stdout.is_empty() {
        return Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let mut counts = Counts::default();
    trace(command, env, scratch, &mut counts);
    spawn(command, env, scratch, &mut counts);
    instructions(command, env, &mut counts);
    Ok(counts)
}

fn prepared(command: &[String], env: &[(OsString, OsString)]) -> Command {
    let mut prepared = Command::new(&command[0]);
    prepared.args(&command[1..]).env_clear().envs(env.iter().cloned()).stdin(Stdio::null());
    prepared
}

/// `command` as the arguments of `tool`.
fn under(tool: &[&str], command: &[String]) -> Vec<String> {
    tool.iter().map(ToString::to_string).chain(command.iter().cloned()).collect()
}

fn trace(command: &[String], env: &[(OsString, OsString)], scratch: &Path, counts: &mut Counts) {
    let Some(strace) = find("strace") else { return };
    let log = scratch.join("strace.log");
    let tool = [&*strace.to_string_lossy(), "-f", "-qq", "-o", &*log.to_string_lossy()].map(str::to_owned);
    let tool: Vec<&str> = tool.iter().map(String::as_str).collect();
    let done = prepared(&under(&tool, command), env).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let Ok(text) = fs::read_to_string(&log) else { return };
    if done.is_ok_and(|status| status.success()) {
        read_trace(&text, counts);
    }
}

/// Counts the calls in strace's log `text`, and among them those on the connection.
fn read_trace(text: &str, counts: &mut Counts) {
    // With -f every line starts with a pid, padded with blanks; `resumed` lines are the second half of a call.
    let calls = || {
        text.lines()
            .map(|line| line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start())
            .filter(|call| call.contains('(') && !call.starts_with('<'))
    };
    let connects = |call: &str| call.starts_with("connect(") && call.contains("AF_UNIX");
    counts.syscalls = Some(calls().count() as u64);
    counts.connections = Some(calls().filter(|call| connects(call)).count() as u64);
    let connect = calls().rfind(|call| connects(call));
    let Some(descriptor) = connect.and_then(|call| call.strip_prefix("connect(")?.split(',').next()) else { return };
    // The dynamic linker has read libraries through the same number before.
    let after = || calls().skip_while(|call| !connects(call));
    let on_connection = |names: &[&str]| {
        let one_of = |call: &&str| names.iter().any(|name| call.starts_with(&format!("{name}({descriptor},")));
        Some(after().filter(one_of).count() as u64)
    };
    counts.writes = on_connection(&["write", "writev", "send", "sendto", "sendmsg"]);
    counts.reads = on_connection(&["read", "readv", "recv", "recvfrom", "recvmsg"]);
}

fn spawn(command: &[String], env: &[(OsString, OsString)], scratch: &Path, counts: &mut Counts) {
    let (spawn, list) = (scratch.join("gate-spawn"), scratch.join("gate-spawn.list"));
    let line = format!("/dev/null\t{}\n", command.join("\t"));
    if compile(SPAWN, &spawn, Linkage::Static).is_err() || fs::write(&list, line).is_err() {
        return;
    }
    let run = ["rounds", RUNS, "3"].map(str::to_owned);
    let mut whole = vec![spawn.to_string_lossy().into_owned()];
    whole.extend(run);
    whole.push(list.to_string_lossy().into_owned());
    let Ok(output) = prepared(&whole, env).output() else { return };
    let runs: Vec<Value> =
        output.stdout.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let least = |name: &str| runs.iter().filter_map(|run| run[name].as_u64()).min();
    (counts.faults, counts.peak_kib) = (least("faults"), least("rss_kib"));
}

fn instructions(command: &[String], env: &[(OsString, OsString)], counts: &mut Counts) {
    let Some(valgrind) = find("valgrind") else { return };
    let tool = [&*valgrind.to_string_lossy(), "--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let Ok(output) = prepared(&under(&tool, command), env).output() else { return };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let figure = text.lines().find_map(|line| line.split_once("Collected :")?.1.split_whitespace().next());
    counts.instructions = figure.and_then(|figure| figure.parse().ok()).filter(|_| output.status.success());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_tells_the_calls_on_the_connection_from_all_others() {
        let text = "41  execve(\"/x\", [\"x\"], 0x7ffe /* 3 vars */) = 0\n\
                    41  read(3, \"\\177ELF\", 832) = 832\n\
                    41  socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3\n\
                    41  connect(3, {sa_family=AF_UNIX, sun_path=\"/s\"}, 110) = 0\n\
                    41  write(3, \"CAGT\", 30) = 30\n\
                    41  read(3,  <unfinished ...>\n\
                    41  <... read resumed>\"x\", 2048) = 900\n\
                    41  write(1, \"token\\n\", 6) = 6\n\
                    41  exit_group(0) = ?\n\
                    41  +++ exited with 0 +++\n";
        let mut counts = Counts::default();
        read_trace(text, &mut counts);
        assert_eq!(counts.syscalls, Some(8));
        assert_eq!([counts.connections, counts.writes, counts.reads], [Some(1); 3]);
    }

    #[test]
    fn only_what_was_counted_can_break_a_budget() {
        let counts = Counts { syscalls: Some(41), faults: Some(24), ..Counts::default() };
        assert_eq!(MUSL.broken(&counts), ["musl build, system calls: 41, allowed: 40"]);
    }
}
