//! The journal, for whoever asks to read it.

use cloud_agent_protocol::Fault;
use cloud_agent_protocol::v1::{Log, LogEntry, LogProcess, ReadLog, Response, Verified};

use crate::cache::fingerprint;
use crate::journal::{Entry, Journal};

/// So many bytes of entries go into one answer, as they are written; less than that on the wire.
const ROOM: usize = 48 * 1024;

/// One page.
pub(super) async fn read(journal: &Journal, read: ReadLog) -> Result<Response, Fault> {
    let (entries, more) = journal.entries(read.after, read.token.as_ref().map(fingerprint), ROOM).await?;
    Ok(Response::Log(Log { entries: entries.into_iter().map(told).collect(), more }))
}

/// Whether it is whole.
pub(super) async fn verify(journal: &Journal) -> Result<Response, Fault> {
    let verdict = journal.verify().await?;
    Ok(Response::Verified(Verified { sound: verdict.sound, faults: verdict.faults }))
}

fn told(entry: Entry) -> LogEntry {
    let Entry { n, at, account, token, outcome, times, origin, caller, unit, terminal, session, lost, prev: _ } = entry;
    let caller = caller.into_iter().map(|step| LogProcess {
        pid: step.pid,
        started: step.started,
        name: step.name,
        program: step.program,
    });
    let caller = caller.collect();
    LogEntry {
        n,
        at: at.div_euclid(1000),
        account,
        fingerprint: token,
        outcome,
        times,
        origin,
        caller,
        unit,
        terminal,
        session,
        lost,
    }
}
