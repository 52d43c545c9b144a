//! What the agent counts of its own work, for `status --metrics`. Numbers, names of accounts and nothing else: it sees no
//! credential, no address and no caller.
//!
//! A count costs a cached answer an increment, and no system call. Time costs more, so of cached answers only every
//! [`EACH`]th is timed.

mod counter;
mod text;

use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

pub(crate) use counter::Counter;
use counter::{Bound, Histogram};

/// One of so many cached answers is timed: two readings of a clock, which take no system call either.
const EACH: u64 = 64;

/// The requests that are counted by name, with their numbers. What is not here is counted as `other`.
const REQUESTS: [(u16, &str); 25] = [
    (1, "get"),
    (2, "login"),
    (4, "logout"),
    (5, "status"),
    (6, "clouds"),
    (7, "reject"),
    (8, "stop"),
    (9, "check"),
    (10, "do"),
    (11, "vault"),
    (12, "unlock"),
    (13, "lock"),
    (14, "drop"),
    (15, "get-for"),
    (16, "reject-for"),
    (17, "list-served"),
    (18, "restart"),
    (19, "await-human"),
    (20, "read-log"),
    (21, "verify-log"),
    (22, "forward"),
    (23, "forwarded"),
    (24, "metrics"),
    (26, "overview"),
    (27, "examine"),
];

/// How something may end: well, or by a fault of one of these kinds; the last stands for those that are not here.
const FAULTS: [FaultKind; 13] = [
    FaultKind::Refused,
    FaultKind::NeedsHuman,
    FaultKind::Unreachable,
    FaultKind::UnknownAccount,
    FaultKind::UnknownCloud,
    FaultKind::Usage,
    FaultKind::Config,
    FaultKind::MalformedReply,
    FaultKind::Version,
    FaultKind::Unsupported,
    FaultKind::Busy,
    FaultKind::Internal,
    FaultKind::Other(0),
];

const MICRO: Duration = Duration::from_micros(1);
const MILLI: Duration = Duration::from_millis(1);

/// From a cached answer to a caller that waited for as long as one may.
static ANSWERS: [Bound; 12] = [
    Bound(MICRO.saturating_mul(10), "1e-05"),
    Bound(MICRO.saturating_mul(25), "2.5e-05"),
    Bound(MICRO.saturating_mul(50), "5e-05"),
    Bound(MICRO.saturating_mul(100), "0.0001"),
    Bound(MICRO.saturating_mul(250), "0.00025"),
    Bound(MILLI, "0.001"),
    Bound(MILLI.saturating_mul(10), "0.01"),
    Bound(MILLI.saturating_mul(100), "0.1"),
    Bound(MILLI.saturating_mul(500), "0.5"),
    Bound(MILLI.saturating_mul(2500), "2.5"),
    Bound(MILLI.saturating_mul(10_000), "10.0"),
    Bound(MILLI.saturating_mul(30_000), "30.0"),
];

/// From a cloud next door to one that is cut off by the agent's own limits.
static RENEWALS: [Bound; 8] = [
    Bound(MILLI.saturating_mul(50), "0.05"),
    Bound(MILLI.saturating_mul(100), "0.1"),
    Bound(MILLI.saturating_mul(250), "0.25"),
    Bound(MILLI.saturating_mul(500), "0.5"),
    Bound(MILLI.saturating_mul(1000), "1.0"),
    Bound(MILLI.saturating_mul(2500), "2.5"),
    Bound(MILLI.saturating_mul(10_000), "10.0"),
    Bound(MILLI.saturating_mul(30_000), "30.0"),
];

/// How often something ended in each way.
#[derive(Debug, Default)]
struct Ends {
    well: Counter,
    faults: [Counter; FAULTS.len()],
}

impl Ends {
    fn count(&self, end: Result<(), FaultKind>) {
        match end {
            Ok(()) => self.well.bump(),
            Err(kind) => {
                let index = FAULTS.iter().position(|known| *known == kind).unwrap_or(FAULTS.len() - 1);
                self.faults[index].bump();
            }
        }
    }

    /// The words of all ends that were seen.
    fn seen(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let faults = FAULTS.iter().map(|kind| kind.word()).zip(&self.faults);
        let all = [("ok", &self.well)].into_iter().chain(faults).map(|(word, count)| (word, count.read()));
        all.filter(|(_, count)| *count > 0)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: [Ends; REQUESTS.len() + 1],
    /// Connections of the user's own programs, and of others.
    connections: [Counter; 2],
    hits: Counter,
    misses: Counter,
    /// Answers from the cache, every [`EACH`]th; and all others that had to be waited for.
    cached: Histogram<{ ANSWERS.len() }>,
    waited: Histogram<{ ANSWERS.len() }>,
    renewals: Ends,
    renewed: Histogram<{ RENEWALS.len() }>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: std::array::from_fn(|_| Ends::default()),
            connections: Default::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            cached: Histogram::new(&ANSWERS),
            waited: Histogram::new(&ANSWERS),
            renewals: Ends::default(),
            renewed: Histogram::new(&RENEWALS),
        }
    }
}

impl Metrics {
    /// Somebody connected, who is trusted or was turned away.
    pub(crate) fn connection(&self, trusted: bool) {
        self.connections[usize::from(!trusted)].bump();
    }

    /// The request of number `kind` was answered.
    pub(crate) fn request(&self, kind: u16, end: Result<(), FaultKind>) {
        let index = REQUESTS.iter().position(|(number, _)| *number == kind).unwrap_or(REQUESTS.len());
        self.requests[index].count(end);
    }

    /// A credential was in the cache, or was not.
    pub(crate) fn lookup(&self, hit: bool) {
        if hit { self.hits.bump() } else { self.misses.bump() }
    }

    /// Whether the next cached answer is to be timed.
    pub(crate) fn is_timed(&self) -> bool {
        self.hits.read().is_multiple_of(EACH)
    }

    /// An answer out of the cache, or one that had to be waited for, took so long from the request to its last byte.
    pub(crate) fn answered(&self, cached: bool, took: Duration) {
        if cached { self.cached.observe(took) } else { self.waited.observe(took) }
    }

    /// A renewal has ended.
    pub(crate) fn renewal(&self, fault: Option<&Fault>, took: Duration) {
        self.renewals.count(fault.map_or(Ok(()), |fault| Err(fault.kind)));
        self.renewed.observe(took);
    }
}

/// What is told of an account besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountCounts {
    /// As it was set up.
    pub(crate) name: String,
    /// How often its credential was handed out.
    pub(crate) handed_out: u64,
    /// How often it was renewed, and could not be.
    pub(crate) renewed: u64,
    pub(crate) failed: u64,
    /// There is a credential that has not ended.
    pub(crate) valid: bool,
    /// When that ends, in seconds since the Unix epoch.
    pub(crate) expires_at: Option<i64>,
}

impl AccountCounts {
    /// Of an account that nobody has asked for.
    pub(crate) fn of(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, handed_out: 0, renewed: 0, failed: 0, valid: false, expires_at: None }
    }
}

/// What is told of the agent besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentCounts {
    /// When it started, in seconds since the Unix epoch.
    pub(crate) started_at: i64,
    /// Nothing is handed out until somebody unlocks it.
    pub(crate) locked: bool,
    /// Accounts of which something is in memory only, because the vault would not take it.
    pub(crate) unsaved: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_the_protocol_is_counted_under_a_name_of_its_own() {
        let metrics = Metrics::default();
        for (number, _) in REQUESTS {
            metrics.request(number, Ok(()));
        }
        metrics.request(9999, Err(FaultKind::Unsupported));
        let seen: Vec<Vec<_>> = metrics.requests.iter().map(|ends| ends.seen().collect()).collect();
        assert!(seen[..REQUESTS.len()].iter().all(|ends| ends == &[("ok", 1)]), "{seen:?}");
        assert_eq!(seen[REQUESTS.len()], [("unsupported", 1)]);
    }

    #[test]
    fn a_kind_of_fault_that_has_no_name_is_counted_too() {
        let ends = Ends::default();
        ends.count(Err(FaultKind::Other(77)));
        ends.count(Err(FaultKind::Busy));
        assert_eq!(ends.seen().collect::<Vec<_>>(), [("busy", 1), (FaultKind::Other(0).word(), 1)]);
    }

    #[test]
    fn one_cached_answer_of_many_is_timed() {
        let metrics = Metrics::default();
        let timed = (0..EACH * 3).filter(|_| {
            let timed = metrics.is_timed();
            metrics.lookup(true);
            timed
        });
        assert_eq!(timed.count(), 3);
    }
}
