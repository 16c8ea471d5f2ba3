//! The suspicion φ as people know it: `-log10` of the chance that a silence lasts that long, under
//! the normal model (Hayashibara 2004). For display alone: nodes compare silences with a timeout,
//! in integers.

use kv_core::time::Span;

/// The largest φ that is shown.
const PHI_MAX: f64 = 999.0;

/// Computes φ of a silence, for gaps of this mean and standard deviation; in hundredths, so that it
/// is the same wherever it is printed.
pub(super) fn phi_hundredths(silence: Span, mean: Span, deviation: Span) -> u64 {
    if deviation == Span::ZERO {
        return 0;
    }
    let sigmas = (silence.0 as f64 - mean.0 as f64) / deviation.0 as f64;
    (phi(sigmas).min(PHI_MAX) * 100.0).round() as u64
}

/// Computes φ at so many standard deviations above the mean.
fn phi(sigmas: f64) -> f64 {
    const FROM_TAIL: f64 = 3.0;
    if sigmas > FROM_TAIL {
        // The logarithm of the tail itself, which may be too small for a number: the density by
        // Mills's ratio, as a continued fraction.
        let ratio = (1..=60).rev().fold(sigmas, |below, step| sigmas + f64::from(step) / below);
        let density = sigmas * sigmas / 2.0 + (2.0 * std::f64::consts::PI).ln() / 2.0;
        return (density + ratio.ln()) / std::f64::consts::LN_10;
    }
    -(1.0 - below(sigmas)).log10()
}

/// Computes the chance that a normal variable lies below so many standard deviations: the power
/// series of the error function, which needs few terms near the mean.
fn below(sigmas: f64) -> f64 {
    if sigmas < -8.0 {
        return 0.0;
    }
    let (mut term, mut sum) = (sigmas, sigmas);
    for step in 1..200 {
        term *= sigmas * sigmas / f64::from(2 * step + 1);
        sum += term;
    }
    0.5 + sum * (-sigmas * sigmas / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_is_that_of_the_normal_distribution() {
        // From tables: half of all silences are longer than the mean, one in 44 exceeds it by two
        // deviations, and at 5.612 of them nodes suspect.
        for (sigmas, expected) in [(0.0, 0.301), (2.0, 1.643), (-2.0, 0.010), (5.612, 8.0)] {
            assert!((phi(sigmas) - expected).abs() < 0.001, "{sigmas}: {}", phi(sigmas));
        }
        assert!((phi(2.999) - phi(3.001)).abs() < 0.01, "both ways meet");
        assert!(phi(-50.0) < 0.001 && phi(1_000.0) > 100_000.0);
    }

    #[test]
    fn the_longest_silences_have_a_phi() {
        let (mean, deviation) = (Span::from_ms(1_000), Span::from_ms(250));
        assert_eq!(phi_hundredths(mean, mean, deviation), 30);
        assert_eq!(phi_hundredths(Span(u64::MAX), mean, deviation), 99_900);
        assert_eq!(phi_hundredths(Span(u64::MAX), Span::ZERO, Span::ZERO), 0);
    }
}
