//! Numbers that only grow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts. Bumped by the agent's one thread and no other: a load and a store lose nothing then, and cost what a plain
/// integer costs. It is an atomic only because tasks may, as far as types go, move between threads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn bump(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, count: u64) {
        self.0.store(self.read().wrapping_add(count), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long things took: how many at most as long as each bound, how many longer, and all together.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    bounds: &'static [Bound; N],
    counts: [Counter; N],
    longer: Counter,
    nanos: Counter,
}

/// A bound, and as it is written: in seconds.
#[derive(Debug)]
pub(super) struct Bound(pub(super) Duration, pub(super) &'static str);

impl<const N: usize> Histogram<N> {
    pub(super) fn new(bounds: &'static [Bound; N]) -> Self {
        let counts = std::array::from_fn(|_| Counter::default());
        Self { bounds, counts, longer: Counter::default(), nanos: Counter::default() }
    }

    pub(super) fn observe(&self, took: Duration) {
        let within = self.bounds.iter().position(|Bound(most, _)| took <= *most);
        within.map_or(&self.longer, |index| &self.counts[index]).bump();
        self.nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many took at most as long as each bound, written as it is; the last is all of them.
    pub(super) fn cumulated(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let bounds = self.bounds.iter().map(|Bound(_, written)| *written).chain(["+Inf"]);
        let counts = self.counts.iter().chain([&self.longer]);
        bounds.zip(counts.scan(0, |sum, count| {
            *sum += count.read();
            Some(*sum)
        }))
    }

    /// In seconds, as it is written.
    pub(super) fn sum(&self) -> String {
        let nanos = self.nanos.read();
        format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_as_long_as_a_bound_is_within_it_and_all_are_in_the_last() {
        const BOUNDS: [Bound; 2] = [Bound(Duration::from_millis(1), "0.001"), Bound(Duration::from_secs(1), "1.0")];
        let histogram = Histogram::new(&BOUNDS);
        for took in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(2), Duration::from_secs(3)] {
            histogram.observe(took);
        }
        assert_eq!(histogram.cumulated().collect::<Vec<_>>(), [("0.001", 2), ("1.0", 3), ("+Inf", 4)]);
        assert_eq!(histogram.sum(), "3.003000000");
    }
}
