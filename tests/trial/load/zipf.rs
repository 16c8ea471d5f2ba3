//! Zipf's law over many keys: the k-th comes up in proportion to `1 / k^s`.
//!
//! Drawn by rejection-inversion (Hörmann and Derflinger, 1996), which needs no table: the simulator's
//! own draw sums up a weight for each thing, and a trial may have a hundred million.

/// A law over so many keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zipf {
    count: f64,
    exponent: f64,
    /// The integral of the law up to half a step before the second key, less the first key's weight.
    integral_first: f64,
    /// The same up to half a step behind the last key.
    integral_last: f64,
    /// A key is taken at once when it lies this little above what was drawn.
    shortcut: f64,
}

impl Zipf {
    /// The law over `count` keys, at least one, with an exponent above 0.
    pub(crate) fn new(count: u64, exponent: f64) -> Self {
        let count = count as f64;
        let mut law =
            Self { count, exponent, integral_first: 0.0, integral_last: 0.0, shortcut: 0.0 };
        law.integral_first = law.integral(1.5) - 1.0;
        law.integral_last = law.integral(count + 0.5);
        law.shortcut = 2.0 - law.integral_inverse(law.integral(2.5) - law.weight(2.0));
        law
    }

    /// The rank of a key, from 0; `draw` gives 64 random bits each time that it is called.
    pub(crate) fn rank(&self, mut draw: impl FnMut() -> u64) -> u64 {
        loop {
            // The upper 53 bits make a number in 0..1.
            let part = (draw() >> 11) as f64 / (1_u64 << 53) as f64;
            let drawn = self.integral_last + part * (self.integral_first - self.integral_last);
            let at = self.integral_inverse(drawn);
            let key = at.round().clamp(1.0, self.count);
            if key - at <= self.shortcut || drawn >= self.integral(key + 0.5) - self.weight(key) {
                return key as u64 - 1;
            }
        }
    }

    fn weight(&self, key: f64) -> f64 {
        (-self.exponent * key.ln()).exp()
    }

    /// The integral of `x^-s` from 1 on.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        expm1_over((1.0 - self.exponent) * log) * log
    }

    fn integral_inverse(&self, integral: f64) -> f64 {
        // Rounding may bring it below the least that there is an inverse of.
        let scaled = (integral * (1.0 - self.exponent)).max(-1.0);
        (ln_1p_over(scaled) * integral).exp()
    }
}

/// `(e^x - 1) / x`, also near 0.
fn expm1_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.exp_m1() / x } else { 1.0 + x / 2.0 }
}

/// `ln(1 + x) / x`, also near 0.
fn ln_1p_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.ln_1p() / x } else { 1.0 - x / 2.0 }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    #[test]
    fn keys_come_up_as_often_as_the_law_says() {
        for exponent in [0.5, 0.99, 1.0, 1.5] {
            let (count, draws) = (10, 200_000);
            let law = Zipf::new(count, exponent);
            let mut random = ChaCha8Rng::seed_from_u64(7);
            let mut counts = [0_u32; 10];
            for _ in 0..draws {
                counts[law.rank(|| random.next_u64()) as usize] += 1;
            }
            let weight = |rank: u64| (rank as f64 + 1.0).powf(-exponent);
            let total: f64 = (0..count).map(weight).sum();
            for (rank, seen) in counts.iter().enumerate() {
                let expected = f64::from(draws) * weight(rank as u64) / total;
                // Five standard deviations.
                let off = (f64::from(*seen) - expected).abs();
                assert!(off < 5.0 * expected.sqrt(), "s={exponent}, rank {rank}: {seen}");
            }
        }
    }

    #[test]
    fn every_rank_lies_among_the_keys() {
        for count in [1, 2, 3, 1_000, 100_000_000] {
            let law = Zipf::new(count, 0.99);
            for bits in [0, 1, u64::MAX / 2, u64::MAX] {
                // What is rejected is drawn again, from the middle.
                let mut draws = std::iter::once(bits).chain(std::iter::repeat(u64::MAX / 3));
                let rank = law.rank(|| draws.next().expect("it goes on for ever"));
                assert!(rank < count, "{bits} of {count}: {rank}");
            }
        }
    }
}
