//! Zipf's law: a choice among `n` things of which the k-th comes up in proportion to `1 / k^s`.
//!
//! Everything is computed in integers, so that a seed chooses the same on every machine. The chances
//! are summed up once; a choice is a search among the sums.

use kv_core::sampling;

/// The chances of `n` things by Zipf's law.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    /// For each thing, the sum of its weight and those of all before it.
    sums: Vec<u64>,
}

/// The weight of the first thing, as a power of two. A million such weights fit into 64 bits.
const WEIGHT_BITS: u32 = 40;

/// The number of bits after the point in a logarithm.
const LOG_BITS: u32 = 32;

/// The number of bits after the point in a power of two.
const POWER_BITS: u32 = 62;

/// `2^(1/2)`, `2^(1/4)`, `2^(1/8)` and so on.
const ROOTS: [u64; LOG_BITS as usize] = {
    let mut roots = [0; LOG_BITS as usize];
    let (mut root, mut at) = (2_u128 << POWER_BITS, 0);
    while at < roots.len() {
        root = (root << POWER_BITS).isqrt();
        roots[at] = root as u64;
        at += 1;
    }
    roots
};

impl Zipf {
    /// Computes the chances of `n` things, which are at least one, with an exponent in parts per
    /// million.
    pub(crate) fn new(n: u32, exponent_ppm: u32) -> Self {
        let sum = |sum: &mut u64, k| {
            *sum += weight(k, exponent_ppm);
            Some(*sum)
        };
        Self { sums: (1..=u64::from(n)).scan(0, sum).collect() }
    }

    /// Chooses one of the things by 64 random bits, counted from 0.
    pub(crate) fn rank(&self, draw: u64) -> u64 {
        let total = self.sums.last().copied().unwrap_or(1);
        let drawn = sampling::below(draw, total);
        self.sums.partition_point(|&sum| sum <= drawn) as u64
    }
}

/// The weight of the k-th thing: `2^WEIGHT_BITS / k^s`, rounded down.
fn weight(k: u64, exponent_ppm: u32) -> u64 {
    let exponent = u128::from(log2(k)) * u128::from(exponent_ppm) / 1_000_000;
    let whole = (exponent >> LOG_BITS) as u32;
    // 2^-(whole + part) is 2^(1 - part), halved once more than the whole says.
    let rest = (1_u64 << LOG_BITS) - (exponent as u64 & ((1 << LOG_BITS) - 1));
    let halved = whole.saturating_add(1 + POWER_BITS - WEIGHT_BITS);
    power(rest).checked_shr(halved).unwrap_or(0)
}

/// The binary logarithm of a number that is not zero, with `LOG_BITS` bits after the point, rounded
/// down. Each bit comes from a square, which doubles the logarithm.
const fn log2(number: u64) -> u64 {
    let (whole, mut mantissa) = (number.ilog2(), (number as u128) << number.leading_zeros());
    let (mut logarithm, mut bit) = (whole as u64, 0);
    while bit < LOG_BITS {
        let square = mantissa * mantissa;
        let passed_two = square >> 127;
        mantissa = square >> (63 + passed_two);
        logarithm = logarithm << 1 | passed_two as u64;
        bit += 1;
    }
    logarithm
}

/// `2^x` for an `x` in 0..=1 that has `LOG_BITS` bits after the point, with `POWER_BITS` of them.
fn power(x: u64) -> u64 {
    if x >> LOG_BITS == 1 {
        return 2 << POWER_BITS;
    }
    let factors = (1..).zip(ROOTS).filter(|&(bit, _)| x >> (LOG_BITS - bit) & 1 == 1);
    factors.fold(1 << POWER_BITS, |product: u64, (_, root)| {
        ((u128::from(product) * u128::from(root)) >> POWER_BITS) as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_law() {
        for exponent in [0.0_f64, 0.5, 0.99, 1.0, 2.7] {
            for k in [1_u64, 2, 3, 10, 31, 1_000, 999_983] {
                let exact = (k as f64).powf(-exponent) * (1_u64 << WEIGHT_BITS) as f64;
                let weight = weight(k, (exponent * 1e6) as u32) as f64;
                assert!((weight - exact).abs() <= 2.0 + exact * 1e-7, "{k}^-{exponent}: {weight}");
            }
        }
    }

    #[test]
    fn the_first_of_ten_comes_up_as_often_as_the_law_says() {
        let zipf = Zipf::new(10, 1_000_000);
        let draws = (0..100_000).map(|number| zipf.rank(sampling::mix(&[number])));
        let counts = draws.fold([0_u32; 10], |mut counts, rank| {
            counts[rank as usize] += 1;
            counts
        });
        // 1 / (1 + 1/2 + .. + 1/10) is 0.3414.
        assert!((33_500..34_800).contains(&counts[0]), "{counts:?}");
        assert!(counts.is_sorted_by(|one, next| one > next), "{counts:?}");
    }

    #[test]
    fn an_exponent_of_zero_prefers_nothing_and_a_large_one_the_first() {
        let even = Zipf::new(4, 0);
        let ranks: Vec<_> = (0..4).map(|quarter| even.rank(quarter << 62)).collect();
        assert_eq!(ranks, [0, 1, 2, 3]);
        assert_eq!(Zipf::new(1_000, 10_000_000).rank(u64::MAX / 1_000 * 999), 0);
        assert_eq!(Zipf::new(1, 990_000).rank(u64::MAX), 0);
    }

    /// Saved failures depend on them.
    #[test]
    fn choices_are_what_they_always_were() {
        let zipf = Zipf::new(1_000, 990_000);
        let ranks: Vec<_> = (0..8).map(|number| zipf.rank(sampling::mix(&[number]))).collect();
        assert_eq!(ranks, [8, 5, 5, 12, 10, 628, 456, 3]);
    }
}
