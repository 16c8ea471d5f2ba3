//! The links between nodes: which messages arrive, how often, and when.
//!
//! In goes a message's address; out comes its [`Fate`], from the ordinary rates of the scenario and
//! the rules of the faults that are active. A link that is cut drops what is sent, and also what is
//! under way: a message that left before the partition must find the link standing when it arrives.

use kv_core::sampling::PPM;
use kv_core::time::Span;

use crate::address::{Address, Aspect};
use crate::draws::Draws;
use crate::scenario::{self, FaultKind, Links, Misfortune, NodeIndex, Partition};

/// All links of a world.
#[derive(Clone, Debug)]
pub struct Network {
    nodes: usize,
    calm: scenario::Network,
    /// Rules of active faults, each under the name that its fault gave it.
    rules: Vec<(RuleName, Rule)>,
}

/// A fault's name for its rule: the fault and the occurrence.
pub type RuleName = (u32, u32);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is dropped: the link is cut.
    Cut,
    /// It is lost.
    Lost,
    /// It arrives.
    Arrives {
        /// After so long.
        after: Span,
        /// And once more after so long.
        again: Option<Span>,
    },
}

/// What an active fault does to links.
#[derive(Clone, Debug)]
enum Rule {
    /// Nodes of different groups do not hear each other. By node; [`NO_GROUP`] hears everybody.
    Groups(Box<[u16]>),
    /// What goes from one of these to one of those is dropped.
    OneWay(Ends),
    Loss(Ends, u32),
    Duplicate(Ends, u32),
    Reorder(Ends, u32),
    Slow {
        ends: Ends,
        delay_mean: Option<Span>,
        factor: u32,
    },
}

const NO_GROUP: u16 = u16::MAX;

/// Links by their two ends; by node, whether it is one.
#[derive(Clone, Debug)]
struct Ends {
    from: Box<[bool]>,
    to: Box<[bool]>,
}

/// Probabilities of one link, in parts per million.
struct Odds {
    loss: u32,
    duplicate: u32,
    reorder: u32,
}

impl Network {
    /// The links of a scenario, nothing broken.
    pub fn new(nodes: usize, calm: scenario::Network) -> Self {
        Self { nodes, calm, rules: Vec::new() }
    }

    /// Begins to do what a fault does to links; nothing, if it is no fault of links.
    pub fn begin(&mut self, name: RuleName, kind: &FaultKind) {
        let ends = |links: &Links| self.ends(links.from.as_deref(), links.to.as_deref());
        let rule = match kind {
            FaultKind::Partition(Partition::Groups(groups)) => Rule::Groups(self.groups(groups)),
            FaultKind::Partition(Partition::OneWay { from, to }) => {
                Rule::OneWay(self.ends(Some(from), Some(to)))
            }
            FaultKind::Loss(Misfortune { links, probability_ppm }) => {
                Rule::Loss(ends(links), *probability_ppm)
            }
            FaultKind::Duplicate(Misfortune { links, probability_ppm }) => {
                Rule::Duplicate(ends(links), *probability_ppm)
            }
            FaultKind::Reorder(Misfortune { links, probability_ppm }) => {
                Rule::Reorder(ends(links), *probability_ppm)
            }
            FaultKind::SlowLink { links, delay_mean, factor } => {
                Rule::Slow { ends: ends(links), delay_mean: *delay_mean, factor: *factor }
            }
            FaultKind::Kill(_)
            | FaultKind::Pause(_)
            | FaultKind::ClockStep { .. }
            | FaultKind::ClockDrift { .. }
            | FaultKind::LostSync(_)
            | FaultKind::Wipe(_) => return,
        };
        self.rules.push((name, rule));
    }

    /// Stops doing what a fault does.
    pub fn end(&mut self, name: RuleName) {
        self.rules.retain(|(candidate, _)| *candidate != name);
    }

    /// From now on nothing is lost, doubled or held back. Messages still take their time.
    pub fn heal(&mut self) {
        self.rules.clear();
        self.calm.loss_ppm = 0;
        self.calm.duplicate_ppm = 0;
        self.calm.reorder_ppm = 0;
    }

    /// Whether what goes from one node to another is dropped.
    pub fn is_cut(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.rules.iter().any(|(_, rule)| match rule {
            Rule::Groups(groups) => {
                let (sender, receiver) = (groups[from.0], groups[to.0]);
                sender != receiver && sender != NO_GROUP && receiver != NO_GROUP
            }
            Rule::OneWay(ends) => ends.contain(from, to),
            Rule::Loss(..) | Rule::Duplicate(..) | Rule::Reorder(..) | Rule::Slow { .. } => false,
        })
    }

    /// Whether no fault slows or endangers what goes from one node to another.
    pub fn is_calm(&self, from: NodeIndex, to: NodeIndex) -> bool {
        !self.rules.iter().any(|(_, rule)| match rule {
            Rule::Loss(ends, _) | Rule::Reorder(ends, _) | Rule::Slow { ends, .. } => {
                ends.contain(from, to)
            }
            Rule::Groups(_) | Rule::OneWay(_) | Rule::Duplicate(..) => false,
        })
    }

    /// What becomes of a message.
    pub fn fate(
        &self,
        draws: &mut Draws,
        address: Address,
        from: NodeIndex,
        to: NodeIndex,
    ) -> Fate {
        // Taken even where nothing is drawn, so that a partition does not renumber later copies.
        let first = draws.next(address);
        if self.is_cut(from, to) {
            return Fate::Cut;
        }
        let odds = self.odds(from, to);
        if draws.chance(first, Aspect::Loss, odds.loss) {
            draws.note_misfortune(address, first, Aspect::Loss, 1);
            return Fate::Lost;
        }
        let takes = |draws: &mut Draws, turn| {
            let delay = self.delay(draws, turn, from, to);
            if !draws.chance(turn, Aspect::Reorder, odds.reorder) {
                return delay;
            }
            let hold = draws.up_to(turn, Aspect::Hold, self.calm.reorder_max);
            draws.note_misfortune(address, turn, Aspect::Reorder, 1);
            draws.note_misfortune(address, turn, Aspect::Hold, hold.0);
            delay + hold
        };
        let after = takes(draws, first);
        let again = draws.chance(first, Aspect::Duplicate, odds.duplicate).then(|| {
            draws.note_misfortune(address, first, Aspect::Duplicate, 1);
            let second = draws.next(address);
            takes(draws, second)
        });
        Fate::Arrives { after, again }
    }

    /// How long the news takes that a connection broke or stands.
    pub fn news_delay(&self, draws: &mut Draws, from: NodeIndex, to: NodeIndex) -> Span {
        let turn = draws.next(Address::Link { from, to });
        self.delay(draws, turn, from, to)
    }

    fn delay(
        &self,
        draws: &Draws,
        turn: crate::draws::Turn,
        from: NodeIndex,
        to: NodeIndex,
    ) -> Span {
        let (mut mean, mut times) = (self.calm.delay_mean, 1_u64);
        for (_, rule) in &self.rules {
            if let Rule::Slow { ends, delay_mean, factor } = rule
                && ends.contain(from, to)
            {
                mean = delay_mean.unwrap_or(mean);
                times = times.saturating_mul((*factor).into());
            }
        }
        draws.delay(turn, Aspect::Delay, self.calm.delay_min, mean).times(times)
    }

    fn odds(&self, from: NodeIndex, to: NodeIndex) -> Odds {
        let scenario::Network { loss_ppm, duplicate_ppm, reorder_ppm, .. } = self.calm;
        let mut odds = Odds { loss: loss_ppm, duplicate: duplicate_ppm, reorder: reorder_ppm };
        for (_, rule) in &self.rules {
            let (sum, ends, ppm) = match rule {
                Rule::Loss(ends, ppm) => (&mut odds.loss, ends, *ppm),
                Rule::Duplicate(ends, ppm) => (&mut odds.duplicate, ends, *ppm),
                Rule::Reorder(ends, ppm) => (&mut odds.reorder, ends, *ppm),
                Rule::Groups(_) | Rule::OneWay(_) | Rule::Slow { .. } => continue,
            };
            if ends.contain(from, to) {
                *sum = either(*sum, ppm);
            }
        }
        odds
    }

    fn groups(&self, groups: &[Vec<NodeIndex>]) -> Box<[u16]> {
        let mut by_node = vec![NO_GROUP; self.nodes].into_boxed_slice();
        for (number, group) in (0..).zip(groups) {
            for node in group {
                by_node[node.0] = number;
            }
        }
        by_node
    }

    fn ends(&self, from: Option<&[NodeIndex]>, to: Option<&[NodeIndex]>) -> Ends {
        let end = |nodes: Option<&[NodeIndex]>| {
            let mut by_node = vec![nodes.is_none(); self.nodes].into_boxed_slice();
            for node in nodes.into_iter().flatten() {
                by_node[node.0] = true;
            }
            by_node
        };
        Ends { from: end(from), to: end(to) }
    }
}

impl Ends {
    fn contain(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.from[from.0] && self.to[to.0]
    }
}

/// The probability that at least one of two independent things happens.
fn either(a: u32, b: u32) -> u32 {
    let (a, b, one) = (u64::from(a), u64::from(b), u64::from(PPM));
    u32::try_from(one - (one - a) * (one - b) / one).expect("at most one million")
}

#[cfg(test)]
mod tests {
    use kv_core::message::Kind;
    use kv_core::types::RequestId;

    use super::*;
    use crate::draws::Overrides;
    use crate::testing::scenario;

    /// The network of a scenario with these settings, and the kinds of its faults.
    fn network(settings: &str) -> (Network, Vec<FaultKind>) {
        let scenario = scenario(&format!("nodes = 3\n{settings}"));
        let faults = scenario.faults.into_iter().map(|fault| fault.kind).collect();
        (Network::new(3, scenario.network), faults)
    }

    fn fate(network: &Network, request: u128, (from, to): (usize, usize)) -> Fate {
        let (from, to) = (NodeIndex(from), NodeIndex(to));
        let request = RequestId(request);
        let address = Address::Message { from, to, kind: Kind::Merge, request };
        network.fate(&mut Draws::new(1, Overrides::default()), address, from, to)
    }

    fn share(network: &Network, what: impl Fn(Fate) -> bool) -> usize {
        (0..10_000).filter(|&request| what(fate(network, request, (0, 1)))).count()
    }

    #[test]
    fn a_partition_cuts_links_between_groups_until_it_ends() {
        let (mut network, faults) = network(
            "[[fault]]\nkind = \"partition\"\nfrom_ms = 0\nuntil_ms = 1\n\
             groups = [[\"n1\"], [\"n2\"]]",
        );
        network.begin((0, 0), &faults[0]);
        assert_eq!(fate(&network, 1, (0, 1)), Fate::Cut);
        assert_eq!(fate(&network, 1, (1, 0)), Fate::Cut);
        assert!(!network.is_cut(NodeIndex(0), NodeIndex(2)));
        network.end((0, 0));
        assert!(matches!(fate(&network, 1, (0, 1)), Fate::Arrives { again: None, .. }));
    }

    #[test]
    fn a_partition_one_way_lets_answers_pass() {
        let (mut network, faults) = network(
            "[[fault]]\nkind = \"partition\"\nfrom_ms = 0\nuntil_ms = 1\n\
             from = [\"n1\"]\nto = [\"n2\", \"n3\"]",
        );
        network.begin((0, 0), &faults[0]);
        assert_eq!(fate(&network, 1, (0, 2)), Fate::Cut);
        assert!(matches!(fate(&network, 1, (2, 0)), Fate::Arrives { .. }));
    }

    #[test]
    fn bad_luck_comes_as_often_as_the_scenario_and_the_faults_say_together() {
        let (mut network, faults) = network(
            "network = { loss = 0.1, duplicate = 0.2 }\n\
             [[fault]]\nkind = \"loss\"\nfrom_ms = 0\nuntil_ms = 1\nprobability = 0.5",
        );
        let lost = |network: &Network| share(network, |fate| fate == Fate::Lost);
        assert!((900..1_100).contains(&lost(&network)), "{}", lost(&network));
        network.begin((0, 0), &faults[0]);
        assert!((5_300..5_700).contains(&lost(&network)), "{}", lost(&network));
        network.heal();
        assert_eq!(lost(&network), 0);
        assert_eq!(share(&network, |fate| matches!(fate, Fate::Arrives { again: Some(_), .. })), 0);
    }

    #[test]
    fn a_slow_link_takes_its_factor_longer() {
        let (mut network, faults) = network(
            "[[fault]]\nkind = \"slow-link\"\nfrom_ms = 0\nuntil_ms = 1\nfactor = 10\nto = [\"n2\"]",
        );
        let after = |network: &Network, link| match fate(network, 1, link) {
            Fate::Arrives { after, .. } => after,
            Fate::Cut | Fate::Lost => panic!("nothing is lost"),
        };
        let (usual, other) = (after(&network, (0, 1)), after(&network, (1, 2)));
        network.begin((0, 0), &faults[0]);
        assert_eq!(after(&network, (0, 1)), usual.times(10));
        assert_eq!(after(&network, (1, 2)), other);
    }
}
