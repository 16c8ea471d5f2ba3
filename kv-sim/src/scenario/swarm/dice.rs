//! Chance for the drawing of scenarios: every question has a name, and the answer is a function of
//! the seed and the name. A question that is added somewhere moves no other answer, so a seed keeps
//! most of its scenario when the swarm learns something new.

use kv_core::sampling;
use toml::Value;
use xxhash_rust::xxh3::xxh3_64;

/// The answers to all questions about one thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Creates the dice of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(sampling::mix(&[seed, SWARM]))
    }

    /// The dice of a part, by its name.
    pub(crate) fn of(self, part: &str) -> Self {
        Self(sampling::mix(&[self.0, xxh3_64(part.as_bytes())]))
    }

    /// The dice of one of several alike.
    pub(crate) fn nth(self, number: u64) -> Self {
        Self(sampling::mix(&[self.0, number]))
    }

    /// Draws a number within both bounds, which are included.
    pub(crate) fn between(self, question: &str, (min, max): (u64, u64)) -> u64 {
        sampling::between(self.of(question).0, min, max.max(min))
    }

    /// Draws a number within both bounds, each order of magnitude as likely as another.
    pub(crate) fn magnitude(self, question: &str, (min, max): (u64, u64)) -> u64 {
        let bits = |number: u64| u64::from(u64::BITS - number.leading_zeros());
        let dice = self.of(question);
        let bits = dice.between("bits", (bits(min), bits(max)));
        let below = 1_u64.checked_shl(bits as u32).map_or(u64::MAX, |end| end - 1);
        dice.between("rest", (min.max(below / 2 + below % 2), max.min(below)))
    }

    /// Draws something that comes true `percent` times in a hundred.
    pub(crate) fn chance(self, question: &str, percent: u64) -> bool {
        self.between(question, (0, 99)) < percent
    }

    /// Draws one of these items, of which there is at least one.
    pub(crate) fn one_of<T: Clone>(self, question: &str, items: &[T]) -> T {
        let last = items.len() as u64 - 1;
        items[self.between(question, (0, last)) as usize].clone()
    }

    /// Draws `number` of these items, in a drawn order; all, if there are fewer.
    pub(crate) fn some_of<T: Clone>(self, question: &str, items: &[T], number: usize) -> Vec<T> {
        let dice = self.of(question);
        let mut turns = 0..;
        let draw = || dice.nth(turns.next().unwrap_or_default()).0;
        let chosen = sampling::choose_distinct(items.len(), number.min(items.len()), draw);
        chosen.into_iter().map(|at| items[at].clone()).collect()
    }

    /// Draws a share in thousandths, within both bounds.
    pub(crate) fn share(self, question: &str, thousandths: (u64, u64)) -> Value {
        Value::Float(self.between(question, thousandths) as f64 / 1_000.0)
    }

    /// Draws a number within both bounds, as a scenario's value.
    pub(crate) fn number(self, question: &str, bounds: (u64, u64)) -> Value {
        integer(self.between(question, bounds))
    }
}

/// A number as a scenario's value.
pub(crate) fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A constant that keeps these answers apart from all that a run draws with the same seed.
const SWARM: u64 = 0x73_77_61_72_6d;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_depend_on_the_question_and_not_on_what_was_asked_before() {
        let dice = Dice::new(7);
        let asked_alone = dice.between("b", (0, 1 << 40));
        assert_ne!(dice.between("a", (0, 1 << 40)), asked_alone);
        assert_eq!(dice.between("b", (0, 1 << 40)), asked_alone);
        assert_ne!(dice.of("x").between("b", (0, 1 << 40)), asked_alone);
    }

    #[test]
    fn magnitudes_reach_both_bounds_and_stay_within() {
        for bounds in [(1, 1), (0, 3), (10, 5_000), (256, 65_536), (1, u64::MAX)] {
            let drawn: Vec<_> =
                (0..2_000).map(|seed| Dice::new(seed).magnitude("it", bounds)).collect();
            assert!(
                drawn.iter().all(|number| (bounds.0..=bounds.1).contains(number)),
                "{bounds:?}"
            );
            let small =
                drawn.iter().filter(|&&number| number <= bounds.0.saturating_mul(4)).count();
            assert!(small > 20, "{bounds:?} has hardly any small numbers");
        }
    }

    #[test]
    fn some_of_a_list_are_distinct() {
        let items = [1, 2, 3, 4, 5];
        for seed in 0..100 {
            let mut some = Dice::new(seed).some_of("it", &items, 3);
            some.sort_unstable();
            some.dedup();
            assert_eq!(some.len(), 3);
        }
        assert_eq!(Dice::new(1).some_of("it", &items, 9).len(), 5);
    }
}
