//! The cluster of a drawn scenario: the nodes and their places, the copies of a key, and the
//! quorum.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::dice::{Dice, integer};

/// The nodes as the other parts of the swarm see them.
pub(crate) struct DrawnCluster {
    /// The names of the nodes.
    pub(crate) names: Vec<String>,
    /// The data center and rack of each node.
    pub(crate) places: Vec<(&'static str, &'static str)>,
    /// The machine of each node, by number.
    machines: Vec<usize>,
    /// N: the copies of a key in each data center.
    copies: Vec<(&'static str, u64)>,
    /// The corner that the quorum lies in, if it lies in one.
    corner: Option<Corner>,
}

/// A quorum that is extreme: what goes wrong there is seldom seen elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Corner {
    /// N = R = W = 1: one copy, of an owner or of its fallback.
    Single,
    /// R = 1, W = N = 5.
    ReadOne,
    /// R = N, W = 1.
    WriteOne,
}

/// The chance that the quorum of a cluster in one data center lies in a corner, in percent.
const CORNER_PERCENT: u64 = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum DrawnLayout {
    /// Each node is on a machine of its own, all in one rack.
    Plain,
    /// Nodes are spread over racks.
    Racks,
    /// Some nodes share a machine.
    Shared,
    /// Nodes are spread over two data centers.
    Datacenters,
}

impl DrawnCluster {
    pub(crate) fn draw(dice: Dice, nodes: (u64, u64)) -> Self {
        use DrawnLayout::{Datacenters, Plain, Racks, Shared};
        let nodes = dice.between("nodes", nodes) as usize;
        let layouts = [Plain, Plain, Plain, Plain, Racks, Racks, Shared, Datacenters];
        let layout = if nodes < 4 { Plain } else { dice.one_of("layout", &layouts) };
        let place = |node: usize| match layout {
            Plain | Shared => ("dc1", "r1"),
            Racks => ("dc1", ["r1", "r2", "r3"][node % 3]),
            Datacenters => (["dc1", "dc2"][node % 2], "r1"),
        };
        // With four nodes or more, sharing by two leaves three machines.
        let machine = |node: usize| match layout {
            Shared if node == nodes - 1 => 0,
            _ => node,
        };
        let mut cluster = Self {
            names: (1..=nodes).map(|number| format!("n{number}")).collect(),
            places: (0..nodes).map(place).collect(),
            machines: (0..nodes).map(machine).collect(),
            copies: Vec::new(),
            corner: None,
        };
        let is_cornered = layout != Datacenters && dice.chance("corner", CORNER_PERCENT);
        let corners = [Corner::Single, Corner::Single, Corner::ReadOne, Corner::WriteOne];
        cluster.corner = is_cornered.then(|| dice.one_of("which corner", &corners));
        let datacenters: BTreeSet<_> = cluster.places.iter().map(|(name, _)| *name).collect();
        for (number, datacenter) in (0..).zip(datacenters) {
            let machines = cluster.machines_in(datacenter);
            let wanted = match (layout, cluster.corner) {
                (Datacenters, _) => dice.nth(number).between("copies", (1, 2)),
                (_, Some(Corner::Single)) => 1,
                (_, Some(Corner::ReadOne)) => 5,
                (_, Some(Corner::WriteOne) | None) => {
                    dice.one_of("copies", &[3, 3, 3, 3, 3, 2, 1, 4, 5])
                }
            };
            cluster.copies.push((datacenter, wanted.min(machines)));
        }
        cluster
    }

    fn machines_in(&self, datacenter: &str) -> u64 {
        let here = self.places.iter().zip(&self.machines);
        let here = here.filter(|((name, _), _)| *name == datacenter);
        here.map(|(_, machine)| machine).collect::<BTreeSet<_>>().len() as u64
    }

    /// The number of owners of a key: N over all data centers.
    pub(super) fn owners(&self) -> u64 {
        self.copies.iter().map(|(_, copies)| copies).sum()
    }

    /// The keys of a scenario that describe the cluster.
    pub(super) fn table(&self, dice: Dice) -> Table {
        let mut table = Table::new();
        table.insert("nodes".to_owned(), self.nodes());
        table.insert("partitions".to_owned(), integer(dice.one_of("partitions", &[4, 8, 16, 32])));
        table.insert("quorum".to_owned(), self.quorum(dice.of("quorum")).into());
        table
    }

    fn nodes(&self) -> Value {
        let is_plain = self.machines.iter().enumerate().all(|(at, machine)| at == *machine)
            && self.places.iter().all(|place| *place == ("dc1", "r1"));
        if is_plain {
            return integer(self.names.len() as u64);
        }
        let node = |at: usize| {
            let (datacenter, rack) = self.places[at];
            let mut node = Table::new();
            node.insert("name".to_owned(), self.names[at].clone().into());
            node.insert("machine".to_owned(), format!("m{}", self.machines[at] + 1).into());
            node.insert("rack".to_owned(), rack.into());
            node.insert("datacenter".to_owned(), datacenter.into());
            Value::Table(node)
        };
        (0..self.names.len()).map(node).collect::<Vec<_>>().into()
    }

    fn quorum(&self, dice: Dice) -> Table {
        let mut quorum = Table::new();
        let copies = match self.copies.as_slice() {
            [(_, copies)] => integer(*copies),
            several => {
                let entry = |(name, copies): &(&str, u64)| ((*name).to_owned(), integer(*copies));
                Value::Table(several.iter().map(entry).collect())
            }
        };
        quorum.insert("n".to_owned(), copies);
        let all = self.owners();
        let corner = self.corner.map(|corner| match corner {
            Corner::Single | Corner::ReadOne => [1, all],
            Corner::WriteOne => [all, 1],
        });
        for (at, key) in ["r", "w"].into_iter().enumerate() {
            let level = corner.map(|levels| integer(levels[at]));
            let level = level.unwrap_or_else(|| self.level(dice.of(key)));
            quorum.insert(key.to_owned(), level);
        }
        quorum.insert("mode".to_owned(), dice.one_of("mode", &["sloppy", "strict"]).into());
        quorum
    }

    /// Draws the level that a request waits for: mostly a majority.
    pub(super) fn level(&self, dice: Dice) -> Value {
        let levels = ["quorum", "quorum", "quorum", "", "", "local_quorum", "each_quorum"];
        match dice.one_of("level", &levels) {
            "" => dice.number("count", (1, self.owners())),
            name => name.into(),
        }
    }
}
