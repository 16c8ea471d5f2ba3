//! The focus of a recorder: some keys and writes, and some moments.

use kv_core::time::Span;
use kv_core::types::Key;
use kv_core::version::{Container, Dot};

use super::reservoir::Weight;
use crate::cluster::world_time::WorldTime;

/// The most keys whose copies are followed.
pub const KEYS_MAX: usize = 8;
/// The most writes whose copies are followed.
pub const DOTS_MAX: usize = 8;

/// The time before and after a moment that is near it.
const BEFORE: Span = Span::from_ms(1_500);
const AFTER: Span = Span::from_ms(500);

/// The keys, writes and moments that a recorder keeps before all else, known from an earlier run.
#[derive(Clone, Debug, Default)]
pub struct Focus {
    /// The keys whose copies are followed, at most [`KEYS_MAX`].
    pub keys: Vec<Key>,
    /// The number of keys, from the first on, that matter more than all others; 0 if none does.
    pub foremost: usize,
    /// The writes that the violations are about, at most [`DOTS_MAX`].
    pub dots: Vec<Dot>,
    /// The times at which something was violated, and at which that began. Empty if everything
    /// held.
    pub moments: Vec<WorldTime>,
}

impl Focus {
    /// The position of a key among those that are followed; none, if it is not.
    pub fn position(&self, key: &Key) -> Option<usize> {
        self.keys.iter().position(|followed| followed == key)
    }

    /// Of several keys, the one that matters most: the first of those that are followed, or else the
    /// first.
    pub fn foremost_of<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) -> Option<&'a Key> {
        keys.into_iter().min_by_key(|key| self.position(key).unwrap_or(usize::MAX))
    }

    /// A bit per write that the violations are about: set if the container accounts for it, standing
    /// or overwritten.
    pub fn known_to(&self, container: &Container) -> u8 {
        let bits = self.dots.iter().enumerate();
        bits.map(|(bit, &dot)| u8::from(container.seen().covers(dot)) << bit).sum()
    }

    /// The weight of a fact between these moments, about this key or none.
    pub fn weight(&self, from: WorldTime, until: WorldTime, key: Option<&Key>) -> Weight {
        let matters = match self.foremost {
            0 => &self.keys[..],
            foremost => &self.keys[..foremost],
        };
        if key.is_some_and(|key| matters.contains(key)) {
            return Weight::About;
        }
        let is_near = |moment: &WorldTime| from <= *moment + AFTER && until + BEFORE >= *moment;
        if self.moments.iter().any(is_near) { Weight::Near } else { Weight::Rest }
    }

    /// The moment that is looked at closest: the last violation.
    pub fn pivot(&self) -> Option<WorldTime> {
        self.moments.iter().max().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_violated_key_weighs_most_and_then_what_is_near() {
        let focus = Focus {
            keys: vec![Key::from("a"), Key::from("b")],
            foremost: 1,
            dots: Vec::new(),
            moments: vec![WorldTime(10_000_000)],
        };
        let weight = |at, key: &str| focus.weight(WorldTime(at), WorldTime(at), Some(&key.into()));
        assert_eq!(weight(1, "a"), Weight::About);
        assert_eq!(weight(1, "b"), Weight::Rest);
        assert_eq!(weight(8_500_000, "b"), Weight::Near);
        assert_eq!(weight(8_499_999, "b"), Weight::Rest);
        assert_eq!(weight(10_500_000, "b"), Weight::Near);
        assert_eq!(weight(10_500_001, "b"), Weight::Rest);
    }

    #[test]
    fn of_several_keys_the_first_that_is_followed_matters_most() {
        let (a, b, c) = (Key::from("a"), Key::from("b"), Key::from("c"));
        let focus = Focus { keys: vec![a.clone(), b.clone()], ..Focus::default() };
        assert_eq!(focus.foremost_of([&c, &b, &a]), Some(&a));
        assert_eq!(focus.foremost_of([&c]), Some(&c));
        assert_eq!(focus.foremost_of([]), None);
    }

    #[test]
    fn where_everything_held_all_followed_keys_weigh_the_same() {
        let keys = vec![Key::from("a"), Key::from("b")];
        let focus = Focus { keys, ..Focus::default() };
        let weight = |key: &str| focus.weight(WorldTime(0), WorldTime(0), Some(&key.into()));
        assert_eq!(
            [weight("a"), weight("b"), weight("c")],
            [Weight::About, Weight::About, Weight::Rest]
        );
    }
}
