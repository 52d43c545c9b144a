//! Quantiles of measured times.

/// Measured times in nanoseconds, in order.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<u64>);

impl Sample {
    /// Takes the times in any order.
    #[must_use]
    pub fn new(mut nanoseconds: Vec<u64>) -> Self {
        nanoseconds.sort_unstable();
        Self(nanoseconds)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that `percent` of all are at or below, in microseconds; 0 for an empty sample.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 ns are a hundred days")]
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(rank.min(self.0.len().saturating_sub(1))).map_or(0.0, |ns| *ns as f64 / 1e3)
    }

    /// The middle one, in microseconds.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// The longest, in microseconds.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.percentile(100)
    }

    /// The shortest, in microseconds: what the machine gives when nobody interferes.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.percentile(0)
    }
}

/// The median of a few figures; 0 for none.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole microseconds are exact")]
    fn percentiles_are_by_rank_and_an_empty_sample_has_none() {
        let sample = Sample::new((1..=100).rev().map(|us| us * 1_000).collect());
        assert_eq!([sample.min(), sample.median(), sample.percentile(99), sample.max()], [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(Sample::default().percentile(99), 0.0);
    }
}
