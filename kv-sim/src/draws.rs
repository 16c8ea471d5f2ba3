//! All chance of a run. In goes where a choice is made ([`Address`]); out comes what is chosen: a
//! function of the run's keys, the address, and how often something was asked there before.
//!
//! [`Overrides`] are asked first. They hold what is *chosen* (a delay in microseconds, an index, 0 or
//! 1), not the random bits behind it; so a saved choice means the same after a mean was changed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use kv_core::cx::{Draw, Purpose};
use kv_core::sampling;
use kv_core::time::Span;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::address::{Address, AddressError, Aspect, Choice};
use crate::scenario::{Cluster, Decision, NodeIndex};

/// Choices that are forced, where the seed would have chosen otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<(u64, u32, Aspect), u64>);

/// The source of all choices of one world.
#[derive(Clone, Debug)]
pub struct Draws {
    keys: [u64; Address::DOMAINS],
    overrides: Overrides,
    /// How often something was asked at an address, by its hash. Over the life of the world: a
    /// node that restarts must not draw its old epoch again. Its order never shows.
    counts: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
}

/// The n-th time that something is asked at an address.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    domain: usize,
    address: u64,
    n: u32,
}

/// The chance that the core of one node sees.
pub struct NodeDraw<'a> {
    /// Where it comes from.
    pub draws: &'a mut Draws,
    /// Whose it is.
    pub node: NodeIndex,
}

impl Overrides {
    /// The overrides that a scenario lists.
    ///
    /// # Errors
    /// [`AddressError`] for the first that names no choice.
    pub fn new(decisions: &[Decision], cluster: &Cluster) -> Result<Self, AddressError> {
        let mut overrides = Self::default();
        for Decision { at, value } in decisions {
            overrides.set(Choice::parse(at, cluster)?, *value);
        }
        Ok(overrides)
    }

    /// Forces one choice.
    pub fn set(&mut self, choice: Choice, value: u64) {
        let Choice { address, n, aspect } = choice;
        self.0.insert((address.hash(), n, aspect), value);
    }
}

impl Draws {
    /// The choices of this seed, but for the overrides.
    pub fn new(seed: u64, overrides: Overrides) -> Self {
        let mut expanded = [0; 32];
        for (at, chunk) in expanded.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&sampling::mix(&[seed, at as u64]).to_le_bytes());
        }
        let mut chacha = ChaCha8Rng::from_seed(expanded);
        let keys = std::array::from_fn(|_| chacha.next_u64());
        Self { keys, overrides, counts: HashMap::default() }
    }

    /// The next turn at an address that may be asked more than once.
    pub fn next(&mut self, address: Address) -> Turn {
        let (domain, address) = (address.domain(), address.hash());
        let count = self.counts.entry(address).or_insert(0);
        let n = *count;
        *count += 1;
        Turn { domain, address, n }
    }

    /// The one turn at an address that is asked once: it is not counted.
    pub fn only(&self, address: Address) -> Turn {
        Turn { domain: address.domain(), address: address.hash(), n: 0 }
    }

    /// What is chosen: what an override says, or else the sample of 64 random bits.
    pub fn choose(&self, turn: Turn, aspect: Aspect, sample: impl FnOnce(u64) -> u64) -> u64 {
        let Turn { domain, address, n } = turn;
        if !self.overrides.0.is_empty()
            && let Some(&value) = self.overrides.0.get(&(address, n, aspect))
        {
            return value;
        }
        let question = u64::from(n) << 8 | aspect as u64;
        sample(sampling::mix(&[self.keys[domain], address, question]))
    }

    /// Whether something comes true that has this probability.
    pub fn chance(&self, turn: Turn, aspect: Aspect, ppm: u32) -> bool {
        self.choose(turn, aspect, |draw| sampling::chance_ppm(draw, ppm).into()) != 0
    }

    /// An index below `n`, which is not zero.
    pub fn index(&self, turn: Turn, aspect: Aspect, n: usize) -> usize {
        let last = n as u64 - 1;
        // An override may come from a scenario in which there were more to choose from.
        let chosen = self.choose(turn, aspect, |draw| sampling::below(draw, n as u64)).min(last);
        usize::try_from(chosen).expect("below a usize")
    }

    /// A delay: a fixed part and an exponential one.
    pub fn delay(&self, turn: Turn, aspect: Aspect, min: Span, mean: Span) -> Span {
        Span(self.choose(turn, aspect, |draw| sampling::delay(draw, min.0, mean.0)))
    }

    /// A span of up to `max`, each as likely as the other.
    pub fn up_to(&self, turn: Turn, aspect: Aspect, max: Span) -> Span {
        Span(self.choose(turn, aspect, |draw| sampling::between(draw, 0, max.0)))
    }
}

impl Draw for NodeDraw<'_> {
    fn u64(&mut self, purpose: Purpose, subject: u64) -> u64 {
        let turn = self.draws.next(Address::Node { node: self.node, purpose, subject });
        self.draws.choose(turn, Aspect::Only, |draw| draw)
    }
}

/// Hashes of addresses are as good as they get: they are taken as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only hashes of 64 bits are keys here");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cluster;

    fn epochs(draws: &mut Draws, node: usize, times: usize) -> Vec<u64> {
        let mut draw = NodeDraw { draws, node: NodeIndex(node) };
        (0..times).map(|_| draw.u64(Purpose::Epoch, 5)).collect()
    }

    #[test]
    fn a_draw_depends_on_its_address_and_on_no_other_draw() {
        let mut alone = Draws::new(1, Overrides::default());
        let mut among_others = alone.clone();
        epochs(&mut among_others, 2, 10);
        assert_eq!(epochs(&mut alone, 0, 3), epochs(&mut among_others, 0, 3));
    }

    #[test]
    fn no_draw_comes_twice_and_each_seed_has_its_own() {
        let mut draws = Draws::new(1, Overrides::default());
        let mut all = epochs(&mut draws, 0, 3);
        all.extend(epochs(&mut draws, 1, 3));
        all.extend(epochs(&mut Draws::new(2, Overrides::default()), 0, 3));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 9);
    }

    #[test]
    fn an_override_changes_one_choice_and_no_other() {
        let decision = Decision { at: "node n1 epoch 5 1".to_owned(), value: 77 };
        let overrides = Overrides::new(&[decision], &cluster(3)).expect("it names a choice");
        let plain = epochs(&mut Draws::new(1, Overrides::default()), 0, 3);
        let forced = epochs(&mut Draws::new(1, overrides), 0, 3);
        assert_eq!(forced, [plain[0], 77, plain[2]]);
    }

    #[test]
    fn an_override_beyond_what_there_is_to_choose_from_takes_the_last() {
        let decision = Decision { at: "client 0 1 0 key".to_owned(), value: 1_000 };
        let overrides = Overrides::new(&[decision], &cluster(3)).expect("it names a choice");
        let draws = Draws::new(1, overrides);
        let turn = draws.only(Address::Client { client: 0, operation: 1 });
        assert_eq!(draws.index(turn, Aspect::Key, 32), 31);
    }

    /// It may never change: saved failures hang on it.
    #[test]
    fn draws_are_what_they_always_were() {
        let mut draws = Draws::new(42, Overrides::default());
        assert_eq!(
            epochs(&mut draws, 0, 2),
            [5_718_876_823_844_031_455, 8_060_128_590_210_735_724]
        );
    }
}
