//! The links between nodes: they decide which messages arrive, how often, and when.
//!
//! Takes a message's way and request and decides its [`Fate`], from the ordinary rates of the
//! scenario and the rules of the faults that are active. A link that is cut drops what is sent, and
//! also what is under way: a message that left before the partition must find the link standing
//! when it arrives. A link that is clogged keeps what is sent, and lets pass what is under way.

mod rule;

use std::num::NonZeroU64;

use kv_core::message::Kind;
use kv_core::sampling::{self, PPM};
use kv_core::time::Span;
use kv_core::types::RequestId;

use crate::cluster::world_time::WorldTime;
use crate::faults::{ClogOrder, Kinds, LinkEffect, LinkRule, Longer, RuleName, Tail};
use crate::random::address::{Address, Aspect};
use crate::random::draws::{Draws, Turn};
use crate::scenario::{self, LinkDelay, NodeIndex};

use rule::Rule;

/// All links of a world.
#[derive(Clone, Debug)]
pub struct Network {
    nodes: usize,
    nominal: scenario::NetworkSettings,
    /// The rules of active faults, each under the name that its fault gave it.
    rules: Vec<(RuleName, Rule)>,
    /// The time at which each way was last broken or repaired, by sender and addressee.
    changed_at: Vec<WorldTime>,
    /// The kinds of messages that never pass, as the scenario wants owners to be repaired without.
    off: Kinds,
}

/// The way of a message: its two ends, and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The sender.
    pub from: NodeIndex,
    /// The addressee.
    pub to: NodeIndex,
    /// The kind of the message; none, for the news that a connection broke or stands: faults of
    /// some kinds of messages let that pass.
    pub kind: Option<Kind>,
}

/// The fate of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The message is dropped: the link is cut.
    Cut,
    /// The message is lost.
    Lost,
    /// The message arrives.
    Arrives {
        /// The first copy.
        first: Trip,
        /// The second copy, if there is one.
        again: Option<Trip>,
    },
}

/// The trip of one copy of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// The time that the copy takes; if its link is clogged, counted from the end of that.
    pub after: Span,
    /// The value that picks the bits that are flipped, for [`flipped`]; none if none are.
    pub corruption: Option<NonZeroU64>,
}

/// The probabilities of one way, in parts per million, and the length of its tail.
struct Odds {
    loss: u32,
    duplicate: u32,
    reorder: u32,
    corrupt: u32,
    tail: Tail,
}

impl Way {
    const fn touches(self, node: NodeIndex) -> bool {
        self.from.0 == node.0 || self.to.0 == node.0
    }

    /// Tells whether a message on this way is of one of these kinds.
    fn is_one_of(self, kinds: Kinds) -> bool {
        self.kind.map_or(kinds.are_all(), |kind| kinds.contain(kind))
    }
}

impl Network {
    /// Creates the links of a scenario, with nothing broken.
    pub fn new(nodes: usize, nominal: scenario::NetworkSettings) -> Self {
        let changed_at = vec![WorldTime(0); nodes * nodes];
        Self { nodes, nominal, rules: Vec::new(), changed_at, off: Kinds::of(&[]) }
    }

    /// Drops all messages of these kinds, from now to the end of the run.
    pub const fn turn_off(&mut self, kinds: Kinds) {
        self.off = kinds;
    }

    /// Adds a rule under the name of its fault.
    pub fn add(&mut self, now: WorldTime, name: RuleName, rule: &LinkRule) {
        self.add_rule(now, name, Rule::of(rule, self.nodes));
    }

    /// Clogs all links to and from a node; waiting messages keep their order.
    pub fn clog(&mut self, now: WorldTime, name: RuleName, node: NodeIndex) {
        self.add_rule(now, name, Rule::clogging(node));
    }

    /// Undoes one [`Network::clog`].
    pub fn unclog(&mut self, now: WorldTime, name: RuleName, node: NodeIndex) {
        self.remove_rules(now, |of, rule| of == name && rule.is_clogging(node));
    }

    /// Removes all rules of a fault.
    pub fn remove(&mut self, now: WorldTime, name: RuleName) {
        self.remove_rules(now, |of, _| of == name);
    }

    fn add_rule(&mut self, now: WorldTime, name: RuleName, rule: Rule) {
        self.note_change(now, &rule);
        self.rules.push((name, rule));
    }

    fn remove_rules(&mut self, now: WorldTime, is_over: impl Fn(RuleName, &Rule) -> bool) {
        let (over, rules) = std::mem::take(&mut self.rules)
            .into_iter()
            .partition(|(name, rule)| is_over(*name, rule));
        self.rules = rules;
        for (_, rule) in &over as &Vec<_> {
            self.note_change(now, rule);
        }
    }

    /// Notes that the ways of a rule are broken or repaired now.
    fn note_change(&mut self, now: WorldTime, rule: &Rule) {
        for (at, changed_at) in self.changed_at.iter_mut().enumerate() {
            let (from, to) = (NodeIndex(at / self.nodes), NodeIndex(at % self.nodes));
            if rule.concerns(from, to) {
                *changed_at = now;
            }
        }
    }

    /// The time at which the link between two nodes was last broken or repaired, in either
    /// direction.
    pub fn changed_at(&self, one: NodeIndex, other: NodeIndex) -> WorldTime {
        let way = |from: NodeIndex, to: NodeIndex| self.changed_at[from.0 * self.nodes + to.0];
        way(one, other).max(way(other, one))
    }

    /// Ends the ordinary loss, doubling and holding back. Messages still take their time, and faults
    /// that never end go on.
    pub const fn heal(&mut self) {
        self.nominal.loss_ppm = 0;
        self.nominal.duplicate_ppm = 0;
        self.nominal.reorder_ppm = 0;
    }

    /// The longest time that a message takes unless a fault makes its way slow, or holds it back.
    pub fn trip_max(&self) -> Span {
        self.nominal.delay_max()
    }

    /// True if no fault touches any link.
    pub const fn is_untouched(&self) -> bool {
        self.rules.is_empty()
    }

    /// Tells whether a message on this way is dropped.
    pub fn is_cut(&self, way: Way) -> bool {
        way.kind.is_some_and(|kind| self.off.contain(kind)) || self.is_parted(way)
    }

    /// Tells whether a fault drops a message on this way.
    fn is_parted(&self, way: Way) -> bool {
        self.rules.iter().any(|(_, rule)| rule.cuts(way))
    }

    /// The order in which messages on this way wait, if they do.
    pub fn clog_of(&self, way: Way) -> Option<ClogOrder> {
        self.rules.iter().find_map(|(_, rule)| rule.clogs(way))
    }

    /// Tells whether no fault stops, slows or endangers a message on this way.
    pub fn is_nominal(&self, way: Way) -> bool {
        way.kind.is_none_or(|kind| !self.off.contain(kind))
            && !self.rules.iter().any(|(_, rule)| rule.disturbs(way))
    }

    /// Decides the fate of a message.
    pub fn fate(&self, draws: &mut Draws, way: Way, kind: Kind, request: RequestId) -> Fate {
        let Way { from, to, .. } = way;
        let address = Address::Message { from, to, kind, request };
        // Taken even where nothing is drawn, so that a partition does not renumber later copies.
        let first = draws.next(&address);
        if self.is_cut(way) {
            return Fate::Cut;
        }
        let odds = self.odds(way);
        if draws.chance(first, Aspect::Loss, odds.loss) {
            draws.note_misfortune(&address, first, Aspect::Loss, 1);
            return Fate::Lost;
        }
        let trip = self.trip(draws, (&address, first), way, &odds);
        let again = draws.chance(first, Aspect::Duplicate, odds.duplicate).then(|| {
            draws.note_misfortune(&address, first, Aspect::Duplicate, 1);
            let second = draws.next(&address);
            self.trip(draws, (&address, second), way, &odds)
        });
        Fate::Arrives { first: trip, again }
    }

    fn trip(
        &self,
        draws: &mut Draws,
        (address, turn): (&Address, Turn),
        way: Way,
        odds: &Odds,
    ) -> Trip {
        let mut after = self.delay(draws, turn, way);
        let note = |draws: &mut Draws, aspect, value| {
            draws.note_misfortune(address, turn, aspect, value);
        };
        if draws.chance(turn, Aspect::Tail, odds.tail.share_ppm) {
            let longer = match odds.tail.longer {
                Longer::By(mean) => draws.delay(turn, Aspect::TailDelay, Span::ZERO, mean),
                Longer::Times(times) => {
                    let longer = after.times(u64::from(times) - 1);
                    Span(draws.choose(turn, Aspect::TailDelay, |_| longer.0))
                }
            };
            note(draws, Aspect::Tail, 1);
            note(draws, Aspect::TailDelay, longer.0);
            after = after + longer;
        }
        if draws.chance(turn, Aspect::Reorder, odds.reorder) {
            let hold = draws.up_to(turn, Aspect::Hold, self.nominal.reorder_max);
            note(draws, Aspect::Reorder, 1);
            note(draws, Aspect::Hold, hold.0);
            after = after + hold;
        }
        let corruption = draws.chance(turn, Aspect::Corrupt, odds.corrupt).then(|| {
            let corruption = draws.choose(turn, Aspect::FlippedBits, |draw| draw);
            note(draws, Aspect::Corrupt, 1);
            note(draws, Aspect::FlippedBits, corruption);
            NonZeroU64::new(corruption).unwrap_or(NonZeroU64::MIN)
        });
        Trip { after, corruption }
    }

    /// Draws the time that the news takes that a connection broke or stands.
    pub fn news_delay(&self, draws: &mut Draws, way: Way) -> Span {
        let turn = draws.next(&Address::Link { from: way.from, to: way.to });
        self.delay(draws, turn, way)
    }

    fn delay(&self, draws: &Draws, turn: Turn, way: Way) -> Span {
        let LinkDelay { min, mut mean } = self.nominal.delay(way.from, way.to);
        let mut times = 1_u64;
        for (_, rule) in &self.rules {
            if let LinkEffect::Slow { delay_mean, factor, tail: _ } = rule.effect
                && rule.is_for(way)
            {
                mean = delay_mean.unwrap_or(mean);
                times = times.saturating_mul(factor.into());
            }
        }
        draws.delay(turn, Aspect::Delay, min, mean).times(times)
    }

    fn odds(&self, way: Way) -> Odds {
        let scenario::NetworkSettings { loss_ppm, duplicate_ppm, reorder_ppm, .. } = self.nominal;
        let mut odds = Odds {
            loss: loss_ppm,
            duplicate: duplicate_ppm,
            reorder: reorder_ppm,
            corrupt: 0,
            tail: Tail { share_ppm: 0, longer: Longer::By(Span::ZERO) },
        };
        for (_, rule) in &self.rules {
            let (sum, ppm) = match rule.effect {
                LinkEffect::Lose(ppm) => (&mut odds.loss, ppm),
                LinkEffect::Duplicate(ppm) => (&mut odds.duplicate, ppm),
                LinkEffect::HoldBack(ppm) => (&mut odds.reorder, ppm),
                LinkEffect::Corrupt(ppm) => (&mut odds.corrupt, ppm),
                LinkEffect::Slow { tail: Some(tail), .. } if rule.is_for(way) => {
                    odds.tail = tail;
                    continue;
                }
                LinkEffect::Slow { .. } | LinkEffect::Drop | LinkEffect::Wait(_) => continue,
            };
            if rule.is_for(way) {
                *sum = either(*sum, ppm);
            }
        }
        odds
    }
}

/// Flips bits in bytes: one to sixteen of them, each at a place of its own. The places are a
/// function of `corruption` alone.
pub fn flipped(bytes: &[u8], corruption: u64) -> Vec<u8> {
    const BITS_MAX: u64 = 16;
    let mut bytes = bytes.to_vec();
    let places = bytes.len() * 8;
    let bits = 1 + sampling::below(sampling::mix(&[corruption]), BITS_MAX) as usize;
    let mut draws = (1..).map(|number| sampling::mix(&[corruption, number]));
    let draw = || draws.next().expect("there is always a next number");
    for place in sampling::choose_distinct(places, bits, draw) {
        bytes[place / 8] ^= 1 << (place % 8);
    }
    bytes
}

/// The probability that at least one of two independent events happens, in parts per million.
fn either(a: u32, b: u32) -> u32 {
    let (a, b, one) = (u64::from(a), u64::from(b), u64::from(PPM));
    u32::try_from(one - (one - a) * (one - b) / one).expect("at most one million")
}

#[cfg(test)]
mod tests;
