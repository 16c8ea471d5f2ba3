//! Partitions: some nodes no longer hear others.

use std::fmt;
use std::ops::Range;

use kv_core::time::Span;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use toml::{Spanned, Table};

use super::cut::Cut;
use super::keys::NameList;
use super::{Change, FaultKeys, Inject, Kinds, LinkEffect, LinkRule, Strike, Target, Ways, links};
use crate::random::address::Aspect;
use crate::scenario::quantity::milliseconds;
use crate::scenario::{
    Cluster, Dice, DrawnCluster, KeyDoc, MS_MAX, NodeIndex, Problem, ValueDoc, integer,
};

/// A partition: messages between nodes are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The pairs of nodes between which messages are dropped.
    pub cut: Cut,
    /// The kinds of messages that are dropped.
    pub messages: Kinds,
    /// The mean time for which a flapping partition stays, and stays away. Each time is drawn
    /// between half of it and one and a half, so that it does not fall in step with the rounds of
    /// the nodes. None if it does not flap.
    pub flap: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartitionKeys {
    groups: Option<Spanned<Vec<NameList>>>,
    bridge: Option<NameList>,
    from: Option<NameList>,
    to: Option<NameList>,
    ring: Option<Spanned<RingKey>>,
    flap_ms: Option<Spanned<u64>>,
    messages: Option<NameList>,
}

/// `ring` as it stands in the file.
enum RingKey {
    All(String),
    Named(Vec<Spanned<String>>),
}

/// The fewest nodes of which some are not neighbours in a ring.
const RING_MIN: usize = 4;

/// The shortest time for which a partition may stay, so that a run has a bounded number of them.
const FLAP_MIN: Span = Span::from_ms(10);

impl Inject for Partition {
    const NAME: &'static str = "partition";
    const ABOUT: &'static str = "messages between nodes are dropped: groups (a bridge hears all), \
                                 one way, or a ring in which each hears its neighbours; flap_ms \
                                 lets it come and go";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new(
            "groups",
            ValueDoc::Other("a list of lists of names of nodes"),
            "groups of nodes that do not hear each other; who stands in none hears all",
        )
        .or_else("required, unless `ring`, or `from` and `to` are given"),
        KeyDoc::new(
            "bridge",
            ValueDoc::Nodes,
            "all nodes that stand in no group, so that the file shows them",
        )
        .optional(),
        KeyDoc::new(
            "from",
            ValueDoc::Nodes,
            "of a one-way partition: the nodes that are not heard",
        )
        .optional(),
        KeyDoc::new(
            "to",
            ValueDoc::Nodes,
            "of a one-way partition: the nodes that do not hear them",
        )
        .optional(),
        KeyDoc::new(
            "ring",
            ValueDoc::Other("`\"all\"`, or a list of at least four nodes"),
            "a ring in which each node hears its two neighbours only",
        )
        .optional(),
        KeyDoc::new(
            "flap_ms",
            ValueDoc::Whole(10, MS_MAX),
            "how long it stays, and stays away, on average; it comes and goes",
        )
        .optional(),
        links::MESSAGES_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let own: PartitionKeys = keys.parse()?;
        let cut = cut(&own, keys.span.clone(), cluster)?;
        let flap = own.flap_ms.as_ref().map(flap).transpose()?;
        Ok(Self { cut, messages: Kinds::parse(own.messages.as_ref())?, flap })
    }

    fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
        let nodes = dice.some_of("order", &cluster.names, cluster.names.len());
        Kinds::draw(dice, keys);
        if dice.chance("flapping", 20) {
            keys.insert("flap_ms".to_owned(), integer(dice.magnitude("flap", (10, 500))));
        }
        // A smaller ring parts nobody.
        if nodes.len() > 3 && dice.chance("ring", 20) {
            keys.insert("ring".to_owned(), nodes.into());
            return;
        }
        let at = dice.between("cut", (1, nodes.len() as u64 - 1)) as usize;
        let (one, other) = nodes.split_at(at);
        // A node of the other side may hear both.
        let bridge = usize::from(other.len() > 1 && dice.chance("bridge", 25));
        let other = &other[bridge..];
        if dice.chance("one way", 25) {
            keys.insert("from".to_owned(), one.to_vec().into());
            keys.insert("to".to_owned(), other.to_vec().into());
        } else {
            keys.insert("groups".to_owned(), vec![one.to_vec(), other.to_vec()].into());
        }
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let Self { cut, messages, flap } = self;
        let flap =
            flap.map_or_else(String::new, |flap| format!(", flapping every {} ms", flap.as_ms()));
        format!("{}{}{flap}", cut.describe(cluster), messages.describe())
    }

    fn may_last(&self) -> bool {
        self.flap.is_none() && self.messages.are_all()
    }

    fn rule(&self, _victims: &[NodeIndex], _nodes: usize) -> Option<LinkRule> {
        Some(self.cutting())
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        self.plan_flap(world, strike, 0);
    }

    /// Lets a partition that flaps go at steps of an even number, and come again at the others.
    fn step(&self, world: &mut dyn Target, strike: &Strike, step: u32) {
        let (change, verb) = if step.is_multiple_of(2) {
            world.remove_rules(strike.name);
            (Change::Better, "goes")
        } else {
            world.add_rule(strike.name, &self.cutting());
            world.count_again(Self::NAME);
            (Change::Worse, "comes again")
        };
        let what = format!("{} {verb}: {}", Self::NAME, self.describe(world.cluster()));
        world.tell_of_step(strike.name, change, &[], what);
        self.plan_flap(world, strike, step + 1);
    }
}

impl Partition {
    fn cutting(&self) -> LinkRule {
        LinkRule { ways: Ways::Across(self.cut.clone(), self.messages), effect: LinkEffect::Drop }
    }

    fn plan_flap(&self, world: &mut dyn Target, strike: &Strike, step: u32) {
        let Some(flap) = self.flap else { return };
        let draws = world.draws();
        let turn = draws.next(&strike.address());
        let after = Span(flap.0 / 2) + draws.up_to(turn, Aspect::Flap, flap);
        world.plan_step(strike.name, step, after);
    }
}

fn cut(keys: &PartitionKeys, span: Range<usize>, cluster: &Cluster) -> Result<Cut, Problem> {
    let PartitionKeys { groups, bridge, from, to, ring, .. } = keys;
    if let (None, Some(bridge)) = (groups, bridge) {
        return Err(Problem::at(bridge.span(), "a bridge between what?")
            .label("give groups as well")
            .help("groups = [[\"n1\", \"n2\"], [\"n4\", \"n5\"]] and bridge = [\"n3\"]"));
    }
    match (groups, ring, from, to) {
        (Some(groups), None, None, None) => {
            let groups = disjoint(groups, cluster)?;
            if let Some(bridge) = bridge {
                bridged(&groups, bridge, cluster)?;
            }
            Ok(Cut::Groups(groups))
        }
        (None, Some(ring), None, None) => Ok(Cut::Ring(ring_of(ring, cluster)?)),
        (None, None, Some(from), Some(to)) => {
            Ok(Cut::OneWay { from: cluster.all_named(from)?, to: cluster.all_named(to)? })
        }
        (None, None, None, None) => Err(Problem::at(span, "this partition parts nobody")
            .label("give groups, or from and to")
            .help("groups = [[\"n1\", \"n2\"], [\"n3\"]], or from = [\"n1\"] and to = [\"n2\"] for one way, or ring = \"all\"")),
        (Some(_), None, _, _) => Err(Problem::at(span, "a partition has either groups, or from and to")
            .label("both are given")),
        (None, None, _, _) => Err(Problem::at(span, "a one-way partition needs from and to")
            .label("just one of them is given")),
        (_, Some(ring), _, _) => Err(Problem::at(ring.span(), "a ring stands alone")
            .label("groups, from or to is given as well")),
    }
}

/// Checks that a bridge, which is named so that the file shows it, is named completely.
fn bridged(groups: &[Vec<NodeIndex>], bridge: &NameList, cluster: &Cluster) -> Result<(), Problem> {
    let nodes = cluster.all_named(bridge)?;
    let is_in_group = |node: &NodeIndex| groups.iter().any(|group| group.contains(node));
    for name in bridge.get_ref() {
        if is_in_group(&cluster.named(name)?) {
            let message = format!("`{}` stands in a group and in the bridge", name.get_ref());
            return Err(Problem::at(name.span(), message).label("also in a group"));
        }
    }
    match cluster.indices().find(|node| !is_in_group(node) && !nodes.contains(node)) {
        None => Ok(()),
        Some(node) => {
            let name = cluster.name(node);
            let message = format!("`{name}` stands neither in a group nor in the bridge");
            Err(Problem::at(bridge.span(), message)
                .label(format!("where does `{name}` belong?"))
                .help("whoever stands in no group hears everybody, so the bridge must name all of them"))
        }
    }
}

fn ring_of(ring: &Spanned<RingKey>, cluster: &Cluster) -> Result<Vec<NodeIndex>, Problem> {
    let nodes: Vec<_> = match ring.get_ref() {
        RingKey::All(word) if word == "all" => cluster.indices().collect(),
        RingKey::All(word) => {
            return Err(Problem::unknown_word(ring.span(), "ring", word, &["all"])
                .help("ring = \"all\", or a list of nodes in the order of the ring"));
        }
        RingKey::Named(names) => {
            let mut nodes = Vec::new();
            for name in names {
                let node = cluster.named(name)?;
                if nodes.contains(&node) {
                    let message = format!("`{}` stands twice", name.get_ref());
                    return Err(Problem::at(name.span(), message).label("a second time"));
                }
                nodes.push(node);
            }
            nodes
        }
    };
    if nodes.len() < RING_MIN {
        return Err(Problem::at(ring.span(), "this ring parts nobody")
            .label(format!("{} nodes", nodes.len()))
            .help(format!("up to {} nodes are all neighbours of each other", RING_MIN - 1)));
    }
    Ok(nodes)
}

fn flap(flap_ms: &Spanned<u64>) -> Result<Span, Problem> {
    let flap = milliseconds(flap_ms)?;
    if flap < FLAP_MIN {
        return Err(Problem::at(flap_ms.span(), "this partition flaps too fast")
            .label(format!("at least {} ms", FLAP_MIN.as_ms())));
    }
    Ok(flap)
}

fn disjoint(
    groups: &Spanned<Vec<NameList>>,
    cluster: &Cluster,
) -> Result<Vec<Vec<NodeIndex>>, Problem> {
    if groups.get_ref().len() < 2 {
        return Err(Problem::at(groups.span(), "a partition has at least two groups")
            .label(format!("{} given", groups.get_ref().len()))
            .help("nodes that stand in no group talk to everybody"));
    }
    let mut resolved: Vec<Vec<NodeIndex>> = Vec::new();
    for group in groups.get_ref() {
        let nodes = cluster.all_named(group)?;
        for name in group.get_ref() {
            let node = cluster.named(name)?;
            if resolved.iter().any(|earlier| earlier.contains(&node)) {
                let message = format!("`{}` stands in two groups", name.get_ref());
                return Err(Problem::at(name.span(), message).label("also in an earlier group"));
            }
        }
        resolved.push(nodes);
    }
    Ok(resolved)
}

impl<'de> Deserialize<'de> for RingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl<'de> Visitor<'de> for EitherForm {
            type Value = RingKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\", or a list of nodes")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<RingKey, E> {
                Ok(RingKey::All(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<RingKey, A::Error> {
                let mut nodes = Vec::new();
                while let Some(name) = names.next_element()? {
                    nodes.push(name);
                }
                Ok(RingKey::Named(nodes))
            }
        }

        deserializer.deserialize_any(EitherForm)
    }
}
