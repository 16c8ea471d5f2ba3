//! The judgement of silences: phi accrual [Hayashibara 2004] under the normal model.
//!
//! In go the silences that ended, which are called gaps; out comes how long a silence may last. The
//! suspicion φ of a silence is `-log10` of the chance that a gap is that long; φ = 8 is 5.612
//! standard deviations above the mean. Mean and variance are exponentially weighted, the newest gap
//! with 1 / [`WINDOW`], so a peer costs a few words whatever its history, and what the network was
//! like is forgotten.
//!
//! All in integers of microseconds. Nothing overflows: gaps are cut off at [`GAP_MAX`], below 2^32,
//! so means lie below 2^32 too, variances and squared deviations below 2^64, and with their factors
//! all stay below 2^80, in 128 bits. Only a silence may be of any length: its square fits, and a
//! thousand times that saturates.

use crate::time::Span;

/// The weight of the newest gap is one part in this many.
pub(super) const WINDOW: u64 = 32;

/// The limit of a gap; longer ones count as this long. It is over an hour, the longest interval a
/// minute.
pub(super) const GAP_MAX: Span = Span::from_ms(64 * 64_000);

/// 1,000 × 5.612², from which on φ exceeds 8.
const SIGMAS_SQUARED_MILLIS: u128 = 31_495;

/// Mean and variance of a peer's gaps, and the silence that they allow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimator {
    /// [`WINDOW`] times the mean, so that rounding costs less than a microsecond.
    pub(super) mean_scaled: u64,
    /// [`WINDOW`] times the variance.
    pub(super) variance_scaled: u128,
    /// The least variance: gaps that seem more regular than this are not trusted to stay so.
    pub(super) variance_min: u128,
}

impl Estimator {
    /// The estimate before anything arrived, for a peer that speaks once per interval: a gap lasts
    /// one interval and half of one for the way, with a standard deviation of half an interval. The
    /// deviation will never be taken for less than a quarter of the interval.
    pub(super) fn new(interval: Span) -> Self {
        let interval = interval.min(GAP_MAX).0;
        let square = |us: u64| u128::from(us) * u128::from(us);
        Self {
            mean_scaled: (interval + interval / 2) * WINDOW,
            variance_scaled: square(interval / 2) * u128::from(WINDOW),
            variance_min: square(interval / 4),
        }
    }

    /// Counts a gap between two heartbeats.
    pub(super) fn record(&mut self, gap: Span) {
        let window = u128::from(WINDOW);
        let gap = gap.min(GAP_MAX).0;
        let deviation_scaled = u128::from((gap * WINDOW).abs_diff(self.mean_scaled));
        let spread = self.variance_scaled + deviation_scaled * deviation_scaled / (window * window);
        self.variance_scaled = spread - spread / window;
        self.mean_scaled = self.mean_scaled - self.mean_scaled / WINDOW + gap;
    }

    /// Tells whether a silence is so long that φ exceeds 8.
    pub(super) fn suspects(&self, silence: Span) -> bool {
        let excess = u128::from((silence - self.mean()).0);
        (excess * excess).saturating_mul(1_000) > SIGMAS_SQUARED_MILLIS * self.variance()
    }

    /// The longest silence that is not suspect.
    pub(super) fn timeout(&self) -> Span {
        // An integer's square exceeds a number if and only if it exceeds the number's whole root.
        let excess = (SIGMAS_SQUARED_MILLIS * self.variance() / 1_000).isqrt();
        self.mean() + Span(u64::try_from(excess).unwrap_or(u64::MAX))
    }

    /// The mean of the gaps.
    pub(super) fn mean(&self) -> Span {
        Span(self.mean_scaled / WINDOW)
    }

    /// The standard deviation of the gaps.
    pub(super) fn deviation(&self) -> Span {
        Span(u64::try_from(self.variance().isqrt()).unwrap_or(u64::MAX))
    }

    fn variance(&self) -> u128 {
        (self.variance_scaled / u128::from(WINDOW)).max(self.variance_min)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Span = Span::from_ms(1_000);

    fn after(gaps: impl IntoIterator<Item = u64>) -> Estimator {
        let mut estimator = Estimator::new(SECOND);
        gaps.into_iter().for_each(|ms| estimator.record(Span::from_ms(ms)));
        estimator
    }

    /// Mean and variance by the definition: every sample with its weight, the prior with what is
    /// left.
    fn dumb(gaps: &[u64]) -> (f64, f64) {
        let decay = 1.0 - 1.0 / WINDOW as f64;
        let age = |place: usize| (gaps.len() - 1 - place) as i32;
        let weight = |place: usize| decay.powi(age(place)) / WINDOW as f64;
        let prior_weight = decay.powi(gaps.len() as i32);
        let prior_mean = (SECOND.0 + SECOND.0 / 2) as f64;
        let prior_variance = (SECOND.0 / 2) as f64 * (SECOND.0 / 2) as f64;

        let sum: f64 = gaps.iter().enumerate().map(|(i, &gap)| weight(i) * gap as f64).sum();
        let mean = prior_weight * prior_mean + sum;
        let square = |x: f64| (x - mean) * (x - mean);
        let squares: f64 =
            gaps.iter().enumerate().map(|(i, &gap)| weight(i) * square(gap as f64)).sum();
        (mean, prior_weight * (prior_variance + square(prior_mean)) + squares)
    }

    #[test]
    fn a_peer_of_which_nothing_was_heard_is_given_four_intervals_and_some() {
        let timeout = Estimator::new(SECOND).timeout();
        assert_eq!(timeout.as_ms(), 4_306);
    }

    #[test]
    fn however_regular_the_arrivals_a_silence_of_two_intervals_is_allowed() {
        let regular = after([1_000; 1_000]);
        assert_eq!(regular.timeout().as_ms(), 2_403);
        assert!(!regular.suspects(Span::from_ms(2_403)));
        assert!(regular.suspects(Span::from_ms(2_404)));
    }

    #[test]
    fn irregular_arrivals_earn_a_longer_timeout_and_lose_it_again() {
        let mut estimator = after([500, 1_500].repeat(500));
        assert!(estimator.timeout() > Span::from_ms(3_700), "{estimator:?}");
        (0..200).for_each(|_| estimator.record(SECOND));
        assert!(estimator.timeout() < Span::from_ms(2_410), "{estimator:?}");
    }

    #[test]
    fn the_longest_gaps_and_silences_overflow_nothing() {
        let mut estimator = Estimator::new(Span(u64::MAX));
        for gap in [u64::MAX, 0].repeat(1_000) {
            estimator.record(Span(gap));
            assert!(estimator.timeout() < GAP_MAX.times(7));
            assert!(estimator.suspects(Span(u64::MAX)));
        }
    }

    proptest! {
        #[test]
        fn mean_and_variance_are_those_of_the_weighted_history(
            gaps in prop::collection::vec(0_u64..20_000_000, 1..400),
        ) {
            let mut estimator = Estimator::new(SECOND);
            gaps.iter().for_each(|&gap| estimator.record(Span(gap)));
            let (mean, variance) = dumb(&gaps);
            let mean_error = (estimator.mean().0 as f64 - mean).abs();
            prop_assert!(mean_error <= 2.0, "the mean is off by {mean_error}");
            // A mean that is off by two moves each square by four deviations.
            let bound = 4.0 * 20_000_000.0 + 5.0;
            let variance_error =
                (estimator.variance_scaled as f64 / WINDOW as f64 - variance).abs();
            prop_assert!(variance_error <= bound, "the variance is off by {variance_error}");
        }

        #[test]
        fn a_silence_is_suspect_just_when_it_exceeds_the_timeout(
            gaps in prop::collection::vec(any::<u64>(), 0..50),
            silence: u64,
        ) {
            let mut estimator = Estimator::new(SECOND);
            gaps.iter().for_each(|&gap| estimator.record(Span(gap % (2 * GAP_MAX.0))));
            let timeout = estimator.timeout();
            for silence in [timeout.0 - 1, timeout.0, timeout.0 + 1, silence] {
                prop_assert_eq!(estimator.suspects(Span(silence)), Span(silence) > timeout);
            }
        }
    }
}
