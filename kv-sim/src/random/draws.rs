//! All chance of a run. A choice is a function of the run's keys, its [`Address`], and the number
//! of times that something was asked there before.
//!
//! [`Overrides`] are asked first. They hold the value that is *chosen* (a delay in microseconds, an
//! index, 0 or 1), not the random bits behind it; so a saved choice means the same after a mean was
//! changed. Then come the aspects that are *nominal*: they are not drawn, but take their plainest
//! value. So a failure can be told with the few choices that matter, and nothing else left to
//! chance.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::cx::{Draw, Purpose};
use kv_core::sampling;
use kv_core::time::Span;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::random::address::{Address, AddressError, Aspect, Choice};
use crate::random::draw_counter::DrawCounter;
use crate::scenario::{Cluster, NodeIndex};

/// One choice of a run that is forced to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The address of the choice, as a saved failure spells it.
    pub at: String,
    /// The value that is chosen.
    pub value: u64,
}

/// The choices that are forced, where the seed would have chosen otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    choices: BTreeMap<(u64, u32, Aspect), u64>,
    nominal: BTreeSet<Aspect>,
}

/// The source of all choices of one world.
#[derive(Clone, Debug)]
pub struct Draws {
    keys: [u64; Address::DOMAINS],
    overrides: Overrides,
    asked: DrawCounter,
    /// The misfortunes of messages, if they are to be told afterwards.
    misfortunes: Option<Vec<(Choice, u64)>>,
}

/// A turn: the n-th time that something is asked at an address.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    address: u64,
    n: u32,
    domain: u8,
}

/// The chance that the core of one node sees.
pub struct NodeDraw<'a> {
    /// The source of the choices.
    pub draws: &'a mut Draws,
    /// The node that draws.
    pub node: NodeIndex,
}

impl Overrides {
    /// Creates the overrides that a scenario lists.
    ///
    /// # Errors
    /// [`AddressError`] for the first decision that names no choice.
    pub fn new(
        decisions: &[Decision],
        nominal: &BTreeSet<Aspect>,
        cluster: &Cluster,
    ) -> Result<Self, AddressError> {
        let mut overrides = Self { nominal: nominal.clone(), ..Self::default() };
        for Decision { at, value } in decisions {
            overrides.set(Choice::parse(at, cluster)?, *value);
        }
        Ok(overrides)
    }

    /// Forces one choice.
    pub fn set(&mut self, choice: Choice, value: u64) {
        let Choice { address, n, aspect } = choice;
        self.choices.insert((address.hash(), n, aspect), value);
    }
}

impl Draws {
    /// Creates the source of the choices of this seed, but for the overrides.
    pub fn new(seed: u64, overrides: Overrides) -> Self {
        let mut expanded = [0; 32];
        for (at, chunk) in expanded.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&sampling::mix(&[seed, at as u64]).to_le_bytes());
        }
        let mut chacha = ChaCha8Rng::from_seed(expanded);
        let keys = std::array::from_fn(|_| chacha.next_u64());
        Self { keys, overrides, asked: DrawCounter::default(), misfortunes: None }
    }

    /// Makes room for the questions of so many requests.
    pub fn expect_requests(&mut self, requests: usize) {
        self.asked.expect_requests(requests);
    }

    /// Takes the next turn at an address that may be asked more than once.
    pub fn next(&mut self, address: &Address) -> Turn {
        let hash = address.hash();
        let n = self.asked.count(address, hash);
        Turn { domain: address.domain(), address: hash, n }
    }

    /// The turn of this number, at an address whose requester counts.
    pub fn nth(&self, address: Address, n: u32) -> Turn {
        Turn { domain: address.domain(), address: address.hash(), n }
    }

    /// The one turn at an address that is asked once: it is not counted.
    pub fn only(&self, address: Address) -> Turn {
        self.nth(address, 0)
    }

    /// Keeps the misfortunes of messages from now on.
    pub fn keep_misfortunes(&mut self) {
        self.misfortunes = Some(Vec::new());
    }

    /// The misfortunes of messages since they were to be kept: each loss, copy and delay that was
    /// no ordinary one.
    pub fn misfortunes(&self) -> &[(Choice, u64)] {
        self.misfortunes.as_deref().unwrap_or_default()
    }

    /// Notes a misfortune of a message, if they are to be kept.
    pub fn note_misfortune(&mut self, address: &Address, turn: Turn, aspect: Aspect, value: u64) {
        if let Some(misfortunes) = &mut self.misfortunes {
            misfortunes.push((Choice { address: *address, n: turn.n, aspect }, value));
        }
    }

    /// The value of an override, if there is one.
    fn forced(&self, turn: Turn, aspect: Aspect) -> Option<u64> {
        let Overrides { choices, .. } = &self.overrides;
        if choices.is_empty() {
            return None;
        }
        choices.get(&(turn.address, turn.n, aspect)).copied()
    }

    /// Chooses the value of an override, or else the sample of 64 random bits.
    pub fn choose(&self, turn: Turn, aspect: Aspect, sample: impl FnOnce(u64) -> u64) -> u64 {
        self.forced(turn, aspect).unwrap_or_else(|| {
            let question = u64::from(turn.n) << 8 | aspect as u64;
            sample(sampling::mix(&[self.keys[usize::from(turn.domain)], turn.address, question]))
        })
    }

    /// Chooses as [`Draws::choose`] does, for an aspect that has a plainest value.
    fn choose_or_stay_nominal(
        &self,
        turn: Turn,
        aspect: Aspect,
        nominal: u64,
        sample: impl FnOnce(u64) -> u64,
    ) -> u64 {
        if !self.overrides.nominal.is_empty() && self.overrides.nominal.contains(&aspect) {
            return self.forced(turn, aspect).unwrap_or(nominal);
        }
        self.choose(turn, aspect, sample)
    }

    /// Draws whether something comes true that has this probability. Nominal, it does not.
    #[inline]
    pub fn chance(&self, turn: Turn, aspect: Aspect, ppm: u32) -> bool {
        if ppm == 0 && self.overrides.choices.is_empty() {
            return false;
        }
        self.draw_chance(turn, aspect, ppm)
    }

    #[inline(never)]
    fn draw_chance(&self, turn: Turn, aspect: Aspect, ppm: u32) -> bool {
        if ppm == 0 {
            return self.forced(turn, aspect).unwrap_or(0) != 0;
        }
        let sample = |draw| sampling::chance_ppm(draw, ppm).into();
        self.choose_or_stay_nominal(turn, aspect, 0, sample) != 0
    }

    /// Draws an index below `n`, which is not zero. Nominal, it is the first.
    pub fn index(&self, turn: Turn, aspect: Aspect, n: usize) -> usize {
        self.index_by(turn, aspect, n, |draw| sampling::below(draw, n as u64))
    }

    /// Draws an index below `n`, which is not zero, in the way that `sample` makes it of 64 random
    /// bits. Nominal, it is the first.
    pub fn index_by(
        &self,
        turn: Turn,
        aspect: Aspect,
        n: usize,
        sample: impl FnOnce(u64) -> u64,
    ) -> usize {
        let last = n as u64 - 1;
        // An override may come from a scenario in which there were more to choose from.
        let chosen = self.choose_or_stay_nominal(turn, aspect, 0, sample).min(last);
        usize::try_from(chosen).expect("below a usize")
    }

    /// Draws a delay: a fixed part and an exponential one. Nominal, it is the mean.
    pub fn delay(&self, turn: Turn, aspect: Aspect, min: Span, mean: Span) -> Span {
        let nominal = min.0.max(mean.0);
        let sample = |draw| sampling::delay(draw, min.0, mean.0);
        Span(self.choose_or_stay_nominal(turn, aspect, nominal, sample))
    }

    /// Draws a span of up to `max`, each as likely as the other. Nominal, it is half of that.
    pub fn up_to(&self, turn: Turn, aspect: Aspect, max: Span) -> Span {
        let sample = |draw| sampling::between(draw, 0, max.0);
        Span(self.choose_or_stay_nominal(turn, aspect, max.0 / 2, sample))
    }
}

impl Draw for NodeDraw<'_> {
    fn u64(&mut self, purpose: Purpose, subject: u64) -> u64 {
        let turn = self.draws.next(&Address::Node { node: self.node, purpose, subject });
        self.draws.choose(turn, Aspect::Only, |draw| draw)
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
        let overrides =
            Overrides::new(&[decision], &BTreeSet::new(), &cluster(3)).expect("it names a choice");
        let plain = epochs(&mut Draws::new(1, Overrides::default()), 0, 3);
        let forced = epochs(&mut Draws::new(1, overrides), 0, 3);
        assert_eq!(forced, [plain[0], 77, plain[2]]);
    }

    #[test]
    fn an_override_beyond_what_there_is_to_choose_from_takes_the_last() {
        let decision = Decision { at: "client 0 1 0 key".to_owned(), value: 1_000 };
        let overrides =
            Overrides::new(&[decision], &BTreeSet::new(), &cluster(3)).expect("it names a choice");
        let draws = Draws::new(1, overrides);
        let turn = draws.only(Address::Client { client: 0, operation: 1 });
        assert_eq!(draws.index(turn, Aspect::Key, 32), 31);
    }

    #[test]
    fn what_is_nominal_is_not_drawn_and_can_still_be_forced() {
        let nominal = BTreeSet::from([Aspect::Loss, Aspect::Key, Aspect::Delay]);
        let decision = Decision { at: "client 0 2 0 key".to_owned(), value: 5 };
        let overrides = Overrides::new(&[decision], &nominal, &cluster(3)).expect("it is valid");
        let draws = Draws::new(1, overrides);
        let turn = |operation| draws.only(Address::Client { client: 0, operation });
        assert!(!draws.chance(turn(1), Aspect::Loss, sampling::PPM));
        assert!(draws.chance(turn(1), Aspect::Duplicate, sampling::PPM));
        assert_eq!(draws.index(turn(1), Aspect::Key, 32), 0);
        assert_eq!(draws.index(turn(2), Aspect::Key, 32), 5);
        let (min, mean) = (Span::from_ms(1), Span::from_ms(4));
        assert_eq!(draws.delay(turn(1), Aspect::Delay, min, mean), mean);
    }

    #[test]
    fn what_cannot_happen_by_chance_can_be_forced() {
        let decision = Decision { at: "client 0 2 0 loss".to_owned(), value: 1 };
        let overrides = Overrides::new(&[decision], &BTreeSet::new(), &cluster(3));
        let draws = Draws::new(1, overrides.expect("it is valid"));
        let turn = |operation| draws.only(Address::Client { client: 0, operation });
        assert!(!draws.chance(turn(1), Aspect::Loss, 0));
        assert!(draws.chance(turn(2), Aspect::Loss, 0));
    }

    /// The draws may never change: saved failures depend on them.
    #[test]
    fn draws_are_what_they_always_were() {
        let mut draws = Draws::new(42, Overrides::default());
        assert_eq!(
            epochs(&mut draws, 0, 2),
            [5_718_876_823_844_031_455, 8_060_128_590_210_735_724]
        );
    }
}
