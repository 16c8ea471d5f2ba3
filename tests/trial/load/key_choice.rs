//! Which keys are asked for.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use super::zipf::Zipf;

/// How keys are chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyChoice {
    /// One after the other.
    InTurn { count: u64 },
    /// Each as often as any other, by chance.
    Uniform { count: u64 },
    /// Few of them often, by Zipf's law. The popular ones lie apart from each other.
    Zipfian { law: Zipf, spread: Spread },
}

impl KeyChoice {
    pub(crate) fn zipfian(count: u64, exponent: f64) -> Self {
        Self::Zipfian { law: Zipf::new(count, exponent), spread: Spread::over(count) }
    }

    /// The key of the operation of this number.
    pub(crate) fn key(&self, number: u64, random: &mut ChaCha8Rng) -> u64 {
        match self {
            Self::InTurn { count } => number % count,
            Self::Uniform { count } => random.next_u64() % count,
            Self::Zipfian { law, spread } => spread.at(law.rank(|| random.next_u64())),
        }
    }
}

/// Another order of the numbers below a count, in which neighbours lie far apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    count: u64,
    factor: u64,
}

impl Spread {
    fn over(count: u64) -> Self {
        // A factor that has no divisor in common with the count maps each number to another one.
        let near = (count as f64 * 0.618) as u64;
        let factor = (near.max(1)..).find(|factor| has_no_common_divisor(*factor, count));
        let factor =
            factor.expect("a number that is one more than a multiple of the count is such");
        Self { count, factor }
    }

    fn at(&self, number: u64) -> u64 {
        let product = u128::from(number) * u128::from(self.factor) % u128::from(self.count);
        u64::try_from(product).expect("it is below the count")
    }
}

fn has_no_common_divisor(mut one: u64, mut other: u64) -> bool {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one == 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn keys_in_turn_begin_again_after_the_last() {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let choice = KeyChoice::InTurn { count: 3 };
        let keys: Vec<_> = (0..5).map(|number| choice.key(number, &mut random)).collect();
        assert_eq!(keys, [0, 1, 2, 0, 1]);
    }

    #[test]
    fn uniform_keys_reach_all_and_prefer_none() {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let choice = KeyChoice::Uniform { count: 8 };
        let mut counts = [0_u32; 8];
        for number in 0..80_000 {
            counts[choice.key(number, &mut random) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn popular_keys_are_popular_and_lie_apart() {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let choice = KeyChoice::zipfian(1_000, 0.99);
        let mut counts = vec![0_u32; 1_000];
        for number in 0..100_000 {
            counts[choice.key(number, &mut random) as usize] += 1;
        }
        let [first, second] = [0, 1].map(|rank| Spread::over(1_000).at(rank));
        assert!(counts[first as usize] > counts[second as usize]);
        assert!(counts[second as usize] > 4_000, "{}", counts[second as usize]);
        assert!(first.abs_diff(second) > 100);
    }

    #[test]
    fn spreading_loses_no_key() {
        for count in [1, 2, 10, 97, 1_000, 4_096] {
            let keys: BTreeSet<_> = (0..count).map(|rank| Spread::over(count).at(rank)).collect();
            assert_eq!(keys.len() as u64, count);
            assert!(keys.last().is_some_and(|last| *last < count));
        }
    }
}
