//! Choices made from draws: ranges, chances, subsets, shuffles and delays, in integers only.
//!
//! In goes one draw, 64 uniform bits, or a source of them; out comes the choice. Nothing here keeps
//! state, and nothing may ever change its results: a saved failure is a list of draws, and it has
//! to mean the same run on every platform and after every update of a library (DESIGN §4). The
//! golden tests at the end pin the results; when one of them fails, correct the code and not the
//! test.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The certain chance, in the unit of [`chance_ppm`]: a million parts.
pub const PPM: u32 = 1_000_000;

/// The most that [`exponential`] returns, in means. The uncut distribution would exceed it once in
/// 8.9 million draws.
pub const EXPONENTIAL_MEANS_MAX: u64 = 16;

/// A number in `0..n`, by the high half of a product (Lemire 2019, without the rejection). Some
/// numbers come up more often than others, by one part in `2^64 / n` at most. Grows with the draw.
///
/// # Panics
/// If `n` is 0: there is no such number.
pub fn below(draw: u64, n: u64) -> u64 {
    assert!(n > 0, "there is no number below 0");
    high_half(draw, n)
}

/// A number in `min..=max`. Grows with the draw.
///
/// # Panics
/// If `min > max`: there is no such number.
pub fn between(draw: u64, min: u64, max: u64) -> u64 {
    assert!(min <= max, "there is no number between {min} and {max}");
    match (max - min).checked_add(1) {
        Some(n) => min + below(draw, n),
        // All 64-bit numbers are allowed.
        None => draw,
    }
}

/// Tells whether a chance of `ppm` millionths comes true: never for 0, always from [`PPM`] on.
pub fn chance_ppm(draw: u64, ppm: u32) -> bool {
    below(draw, u64::from(PPM)) < u64::from(ppm)
}

/// `k` distinct numbers in `0..n`, in the order in which they were chosen; all of them if `k > n`.
/// Takes one draw for each.
///
/// This is the first part of a Fisher-Yates shuffle of `0..n` that remembers only the places that
/// have changed, so that its cost follows `k` and not `n`.
pub fn choose_distinct(n: usize, k: usize, mut draws: impl FnMut() -> u64) -> Vec<usize> {
    let mut moved = BTreeMap::new();
    let choose = |place: usize| {
        let other = place + index_below(draws(), n - place);
        let here = moved.get(&place).copied().unwrap_or(place);
        // `place` is never looked at again, so only the other half of the swap is recorded.
        moved.insert(other, here).unwrap_or(other)
    };
    (0..k.min(n)).map(choose).collect()
}

/// Brings the items into a uniformly drawn order (Fisher-Yates). Takes one draw for each item but
/// the last.
pub fn shuffle<T>(items: &mut [T], mut draws: impl FnMut() -> u64) {
    for place in 0..items.len().saturating_sub(1) {
        let other = place + index_below(draws(), items.len() - place);
        items.swap(place, other);
    }
}

/// A number from the exponential distribution with this mean, in the unit of the mean, cut off at
/// [`EXPONENTIAL_MEANS_MAX`] times the mean and at the largest number. Falls as the draw grows.
///
/// It is `mean × -ln u` for `u = (draw + 1) / 2^64`, rounded down, and within `1 + mean / 2^31` of
/// the exact value.
pub fn exponential(draw: u64, mean: u64) -> u64 {
    // Every bit of the logarithm takes a multiplication. Mostly two bounds decide, which are near.
    let (least, most) = surprise_bounds_q32(draw);
    let sample = exponential_of(most, mean);
    if sample == exponential_of(least, mean) {
        sample
    } else {
        exponential_of(surprise_q32(draw), mean)
    }
}

fn exponential_of(surprise_q32: u64, mean: u64) -> u64 {
    const LN_2_Q64: u128 = 0xb172_17f7_d1cf_79ab;
    let nats_q32 = (u128::from(surprise_q32) * LN_2_Q64) >> 64;
    let exact = (nats_q32 * u128::from(mean)) >> 32;
    let capped = exact.min(u128::from(mean) * u128::from(EXPONENTIAL_MEANS_MAX));
    u64::try_from(capped).unwrap_or(u64::MAX)
}

/// A delay of at least `min` and of `mean` on average: a fixed part and an exponential one, in the
/// unit of both. Just `min` if that is the larger of the two. Falls as the draw grows.
pub fn delay(draw: u64, min: u64, mean: u64) -> u64 {
    min.saturating_add(exponential(draw, mean.saturating_sub(min)))
}

/// 64 bits that depend on each of the words, on their order and on their number: the finaliser of
/// SplitMix64 (Steele, Lea, Flood 2014) after each word. For addresses of draws; not a
/// cryptographic hash.
pub fn mix(words: &[u64]) -> u64 {
    const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let absorb =
        |state: u64, word: &u64| split_mix_finalise(state.wrapping_add(GOLDEN_GAMMA) ^ word);
    words.iter().fold(split_mix_finalise(words.len() as u64 ^ GOLDEN_GAMMA), absorb)
}

fn split_mix_finalise(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

fn index_below(draw: u64, n: usize) -> usize {
    // The result is below `n`, so it fits whatever `n` fits.
    below(draw, n as u64) as usize
}

fn high_half(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// The number of bits after the point in the result of [`surprise_q32`].
const SURPRISE_BITS: u32 = 32;

/// `64 - log2(draw + 1)`, with 32 bits after the point, too high by less than 2^-31.
const fn surprise_q32(draw: u64) -> u64 {
    let Some(value) = draw.checked_add(1) else { return 0 };
    let whole = value.ilog2() as u64;
    let fraction = log2_q32(value << value.leading_zeros());
    (64 << SURPRISE_BITS) - (whole << SURPRISE_BITS | fraction)
}

/// The logarithm of a number in 1..2 that has 63 bits after the point; in 0..1, rounded down.
///
/// It comes bit by bit: squaring a number doubles its logarithm, so the next bit says whether the
/// square has passed 2.
const fn log2_q32(mut mantissa: u64) -> u64 {
    let mut fraction = 0;
    let mut bit = 0;
    while bit < SURPRISE_BITS {
        let square = mantissa as u128 * mantissa as u128;
        let passed_two = (square >> 127) as u64;
        // No branch: half of them would be guessed wrong.
        mantissa = ((square << (1 - passed_two)) >> 64) as u64;
        fraction = fraction << 1 | passed_two;
        bit += 1;
    }
    fraction
}

/// The bits of the number of steps from 1 to 2. The logarithm is at hand at the end of each step.
const STEP_BITS: u32 = 8;
const STEPS: usize = 1 << STEP_BITS;
const LOGARITHMS_Q32: [u64; STEPS + 1] = {
    let mut logarithms = [1 << SURPRISE_BITS; STEPS + 1];
    let mut step = 0;
    while step < STEPS {
        logarithms[step] = log2_q32(1 << 63 | (step as u64) << (63 - STEP_BITS));
        step += 1;
    }
    logarithms
};

/// The bounds between which [`surprise_q32`] lies. Between two steps the logarithm lies above the
/// straight line, by no more than `log2(e) / 8` times the square of a step.
fn surprise_bounds_q32(draw: u64) -> (u64, u64) {
    const ABOVE_MAX: u64 = (1 << (SURPRISE_BITS - 2 * STEP_BITS)) / 4;
    /// The most that rounding down loses.
    const ROUNDED: u64 = 4;
    let Some(value) = draw.checked_add(1) else { return (0, 0) };
    let whole = u64::from(value.ilog2());
    let mantissa = value << value.leading_zeros() << 1;
    let step = (mantissa >> (64 - STEP_BITS)) as usize;
    let (from, to) = (LOGARITHMS_Q32[step], LOGARITHMS_Q32[step + 1]);
    let line = from + high_half(mantissa << STEP_BITS, to - from);
    let most = (64 << SURPRISE_BITS) - (whole << SURPRISE_BITS) - line.saturating_sub(ROUNDED);
    (most.saturating_sub(ABOVE_MAX + 2 * ROUNDED), most)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Makes a source of draws that is itself pinned by the golden tests.
    fn counted_draws(seed: u64) -> impl FnMut() -> u64 {
        let mut count = 0;
        move || {
            count += 1;
            mix(&[seed, count])
        }
    }

    #[test]
    fn numbers_below_come_from_the_high_bits_of_the_draw() {
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(1 << 63, 10), 5);
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(u64::MAX, 1), 0);
    }

    #[test]
    fn numbers_between_reach_both_ends_of_any_range() {
        assert_eq!(between(0, 3, 7), 3);
        assert_eq!(between(u64::MAX, 3, 7), 7);
        assert_eq!(between(12_345, 9, 9), 9);
        assert_eq!(between(12_345, 0, u64::MAX), 12_345);
    }

    #[test]
    fn a_chance_of_zero_never_comes_and_one_of_a_million_ppm_always() {
        for draw in [0, 1, 1 << 40, u64::MAX] {
            assert!(!chance_ppm(draw, 0));
            assert!(chance_ppm(draw, PPM));
        }
    }

    #[test]
    fn a_chance_comes_as_often_as_it_says() {
        let mut draws = counted_draws(1);
        let hits = (0..100_000).filter(|_| chance_ppm(draws(), 30_000)).count();
        assert!((2_800..3_200).contains(&hits), "{hits} of 100,000 at 3 %");
    }

    #[test]
    fn every_subset_and_order_is_chosen_about_equally_often() {
        let mut draws = counted_draws(2);
        let mut counts = BTreeMap::new();
        for _ in 0..12_000 {
            *counts.entry(choose_distinct(4, 2, &mut draws)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 12);
        assert!(counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_exponential_distribution_has_its_mean_and_its_quartiles() {
        let mut draws = counted_draws(3);
        let mut samples: Vec<u64> = (0..20_000).map(|_| exponential(draws(), 10_000)).collect();
        samples.sort_unstable();
        let mean = samples.iter().sum::<u64>() / 20_000;
        assert!((9_800..10_200).contains(&mean), "mean {mean}");
        assert!((2_700..3_050).contains(&samples[5_000]), "a quarter {}", samples[5_000]);
        assert!((6_700..7_150).contains(&samples[10_000]), "half {}", samples[10_000]);
        assert!((13_500..14_250).contains(&samples[15_000]), "three quarters {}", samples[15_000]);
    }

    #[test]
    fn the_exponential_distribution_is_cut_off_at_its_stated_multiple() {
        assert_eq!(exponential(0, 1_000), 1_000 * EXPONENTIAL_MEANS_MAX);
        assert_eq!(exponential(0, u64::MAX), u64::MAX);
        assert_eq!(exponential(u64::MAX, u64::MAX), 0);
        assert_eq!(exponential(0, 0), 0);
    }

    #[test]
    fn addresses_differ_by_word_order_and_length() {
        let mut seen = BTreeSet::new();
        for a in 0..60 {
            seen.insert(mix(&[a]));
            for b in 0..60 {
                seen.insert(mix(&[a, b]));
                seen.extend((0..10).map(|c| mix(&[a, b, c])));
            }
        }
        assert_eq!(seen.len(), 60 + 60 * 60 + 60 * 60 * 10);
    }

    #[test]
    fn one_bit_of_an_address_changes_about_half_of_the_bits() {
        for bit in 0..64 {
            let changed = (mix(&[7, 1 << bit, 9]) ^ mix(&[7, 0, 9])).count_ones();
            assert!((14..=50).contains(&changed), "bit {bit} changes {changed}");
        }
    }

    /// `-ln u`, for comparison only.
    #[expect(clippy::disallowed_methods, reason = "a test may compare with what it must not use")]
    fn exact_nats(draw: u64) -> f64 {
        let u = (draw as f64 + 1.0) / 18_446_744_073_709_551_616.0;
        // Near 1, `draw as f64` loses what matters; the series takes what is missing instead.
        if draw > u64::MAX - (1 << 32) {
            (u64::MAX - draw) as f64 / 18_446_744_073_709_551_616.0
        } else {
            -u.ln()
        }
    }

    /// Chooses by the whole shuffle, of which [`choose_distinct`] is the first part.
    fn dumb_choose_distinct(n: usize, k: usize, mut draws: impl FnMut() -> u64) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        for place in 0..k.min(n) {
            let other = place + below(draws(), (n - place) as u64) as usize;
            all.swap(place, other);
        }
        all.truncate(k);
        all
    }

    proptest! {
        #[test]
        fn numbers_stay_in_their_range(draw: u64, a: u64, b: u64) {
            let (min, max) = (a.min(b), a.max(b));
            prop_assert!((min..=max).contains(&between(draw, min, max)));
            prop_assert!(below(draw, a.max(1)) < a.max(1));
        }

        #[test]
        fn choosing_is_the_first_part_of_a_shuffle(n in 0_usize..40, k in 0_usize..40, seed: u64) {
            let chosen = choose_distinct(n, k, counted_draws(seed));
            prop_assert_eq!(&chosen, &dumb_choose_distinct(n, k, counted_draws(seed)));
            let distinct: BTreeSet<usize> = chosen.iter().copied().collect();
            prop_assert_eq!(distinct.len(), k.min(n));
            prop_assert!(chosen.iter().all(|&choice| choice < n));
        }

        #[test]
        fn a_shuffle_keeps_every_item(items: Vec<u8>, seed: u64) {
            let mut shuffled = items.clone();
            shuffle(&mut shuffled, counted_draws(seed));
            let sorted = |mut items: Vec<u8>| { items.sort_unstable(); items };
            prop_assert_eq!(sorted(items), sorted(shuffled));
        }

        #[test]
        fn the_exponential_is_within_its_error_bound(draw: u64, shift in 0_u32..64, mean in 0_u64..1 << 40) {
            let draw = draw >> shift;
            let exact = (exact_nats(draw) * mean as f64).min((mean * EXPONENTIAL_MEANS_MAX) as f64);
            let error = (exponential(draw, mean) as f64 - exact).abs();
            prop_assert!(error <= 1.001 + mean as f64 / 2_147_483_648.0, "off by {error}");
        }

        #[test]
        fn two_bounds_decide_only_what_the_whole_logarithm_would(
            draw: u64, shift in 0_u32..64, mean: u64, mean_shift in 0_u32..64,
        ) {
            let (draw, mean) = (draw >> shift, mean >> mean_shift);
            let whole = exponential_of(surprise_q32(draw), mean);
            prop_assert_eq!(exponential(draw, mean), whole);
            let (least, most) = surprise_bounds_q32(draw);
            prop_assert!((least..=most).contains(&surprise_q32(draw)));
        }

        #[test]
        fn the_exponential_falls_as_the_draw_grows(draw in 0..u64::MAX, step: u64, mean: u64) {
            let larger = draw.saturating_add(step);
            prop_assert!(exponential(larger, mean) <= exponential(draw, mean));
        }

        #[test]
        fn a_delay_is_never_below_its_minimum(draw: u64, min: u64, mean: u64) {
            prop_assert!(delay(draw, min, mean) >= min);
        }
    }

    // Golden results. They may never change: saved failures hang on them.

    #[test]
    fn addresses_are_what_they_always_were() {
        assert_eq!(mix(&[]), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(&[0]), 0x5dc2_0aa7_b2a2_7137);
        assert_eq!(mix(&[1, 2, 3]), 0x36df_b9f6_34c1_c548);
        assert_eq!(mix(&[u64::MAX, 0, u64::MAX, 0]), 0x40e1_0278_5743_6a61);
    }

    #[test]
    fn choices_are_what_they_always_were() {
        let draw = 0x0123_4567_89ab_cdef;
        assert_eq!(below(draw, 1_000_000), 4_444);
        assert_eq!(between(draw, 1_000, 2_000), 1_004);
        assert_eq!(choose_distinct(100, 5, counted_draws(1)), [72, 55, 70, 42, 35]);
        let mut items = [0, 1, 2, 3, 4, 5, 6, 7];
        shuffle(&mut items, counted_draws(1));
        assert_eq!(items, [5, 4, 6, 0, 3, 1, 7, 2]);
    }

    #[test]
    fn delays_are_what_they_always_were() {
        let draw = 0x0123_4567_89ab_cdef;
        assert_eq!(exponential(draw, 1_000_000), 5_416_100);
        assert_eq!(exponential(draw, u64::MAX), u64::MAX);
        assert_eq!(exponential(1 << 63, 1 << 60), 799_144_290_105_163_776);
        assert_eq!(exponential(u64::MAX - (1 << 40), 1 << 62), 274_877_906_944);
        assert_eq!(delay(draw, 1_000, 5_000), 22_664);
    }
}
