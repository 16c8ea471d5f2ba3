//! Faults: what is broken on purpose, to whom, and from when to when.
//!
//! In: the tables `[[fault]]`. Out: [`Fault`]s in which every node is an index, every probability
//! is in parts per million, and every time is a [`Span`] since the chaos phase began. The way
//! from the table to the value is in `keys`.

mod disk;
mod keys;

use kv_core::time::Span;

use super::cluster::{Cluster, NodeIndex};

pub use disk::{Amount, DiskFault, LogStep, RecordKind, Rot, Slowness};
pub(super) use keys::parse;

/// A word that may stand as the `kind` of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultWord {
    /// The word.
    pub name: &'static str,
    /// What the fault does, in one line.
    pub about: &'static str,
}

/// The faults that exist, in the order in which they are listed.
pub const FAULTS: &[FaultWord] = &[
    FaultWord {
        name: "partition",
        about: "messages between groups of nodes are dropped, or one way only",
    },
    FaultWord {
        name: "kill",
        about: "nodes stop dead, lose what was not synced, and restart at the end",
    },
    FaultWord {
        name: "pause",
        about: "nodes stand still and go on at the end, as in a long collection",
    },
    FaultWord { name: "loss", about: "messages are lost with a probability" },
    FaultWord { name: "duplicate", about: "messages arrive twice with a probability" },
    FaultWord {
        name: "reorder",
        about: "messages are held back with a probability, so that later ones overtake",
    },
    FaultWord { name: "slow-link", about: "links take longer, by a factor or to a new mean" },
    FaultWord { name: "clock-step", about: "wall clocks jump, forwards or backwards" },
    FaultWord { name: "clock-drift", about: "clocks run fast or slow" },
    FaultWord {
        name: "lost-sync",
        about: "disks report syncs that they do not do: the next kill shows it",
    },
    FaultWord {
        name: "wipe",
        about: "nodes stop, lose their data but not their identity, and restart at the end",
    },
    disk::WORDS[0],
    disk::WORDS[1],
    disk::WORDS[2],
    disk::WORDS[3],
    disk::WORDS[4],
    disk::WORDS[5],
    disk::WORDS[6],
];

/// Words that are reserved for faults which this version does not have yet.
const LATER: &[&str] = &[
    "clog",
    "swizzle",
    "corrupt",
    "clock-freeze",
    "join",
    "leave",
    "replace",
    "upgrade",
    "downgrade",
    "datacenter-outage",
    "rack-outage",
];

/// Something that is broken on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What, and to whom.
    pub kind: FaultKind,
    /// When it first begins, since the chaos phase began.
    pub from: Span,
    /// When it first ends; later than `from`. Only a clock-step and bit-rot may have no end: the clock
    /// stays, and what is rotten is for the nodes to mend.
    pub until: Option<Span>,
    /// How often it happens; at least 1.
    pub times: u32,
    /// From one beginning to the next; longer than one occurrence. Zero if it happens once.
    pub every: Span,
}

/// One time that a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When it begins, since the chaos phase began.
    pub from: Span,
    /// When it ends; nothing if it has no end.
    pub until: Option<Span>,
}

/// What is broken, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Messages between nodes are dropped.
    Partition(Partition),
    /// Nodes stop dead and restart at the end: what was not synced is gone.
    Kill(Victims),
    /// Nodes stand still, with their memory, and go on at the end.
    Pause(Victims),
    /// Messages are lost.
    Loss(Misfortune),
    /// Messages arrive twice.
    Duplicate(Misfortune),
    /// Messages are held back by up to the network's `reorder_max`.
    Reorder(Misfortune),
    /// Links are slower.
    SlowLink {
        /// Which links.
        links: Links,
        /// Stands in for the network's mean delay.
        delay_mean: Option<Span>,
        /// Then each delay is multiplied by this; at least 1.
        factor: u32,
    },
    /// Wall clocks jump at the beginning, and back by as much at the end, if it has one.
    ClockStep {
        /// Whose clocks.
        victims: Victims,
        /// By how many microseconds; forwards if above zero. Never zero.
        step_us: i64,
    },
    /// Both clocks of a node run at another speed.
    ClockDrift {
        /// Whose clocks.
        victims: Victims,
        /// Parts per million; fast if above zero, slow if below. Within ±500,000.
        drift_ppm: i32,
    },
    /// Disks report syncs that they do not do.
    LostSync(Victims),
    /// Nodes stop, their data is deleted but not their identity, and they restart at the end.
    Wipe(Victims),
    /// Disks do what they should not.
    Disk {
        /// Whose disks.
        victims: Victims,
        /// What they do.
        fault: DiskFault,
    },
}

/// Which messages a partition drops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partition {
    /// Those from one group to another. Nodes in no group talk to everybody.
    Groups(Vec<Vec<NodeIndex>>),
    /// Those that go from one of the first to one of the second. Their answers pass.
    OneWay {
        /// Senders.
        from: Vec<NodeIndex>,
        /// Receivers.
        to: Vec<NodeIndex>,
    },
}

/// Whom a fault of nodes hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Victims {
    /// These nodes; sorted, never empty.
    These(Vec<NodeIndex>),
    /// This many distinct nodes, drawn from the seed at each occurrence; 1..=nodes.
    Random(usize),
}

/// A probability of bad luck on some links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfortune {
    /// Which links.
    pub links: Links,
    /// Parts per million; at least 1.
    pub probability_ppm: u32,
}

/// Links, by their two ends. Both ends must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// Senders; all if nothing is said.
    pub from: Option<Vec<NodeIndex>>,
    /// Receivers; all if nothing is said.
    pub to: Option<Vec<NodeIndex>>,
}

impl Fault {
    /// Each time that the fault happens, the earliest first.
    pub fn occurrences(&self) -> impl Iterator<Item = Occurrence> + '_ {
        (0..u64::from(self.times)).map(|number| {
            let later = self.every.times(number);
            Occurrence { from: self.from + later, until: self.until.map(|until| until + later) }
        })
    }

    /// When the last occurrence has ended.
    pub fn end(&self) -> Span {
        self.until.unwrap_or(self.from) + self.every.times(u64::from(self.times) - 1)
    }
}

impl FaultKind {
    /// The word that stands for it in a scenario and in reports; one of [`FAULTS`].
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Partition(_) => "partition",
            Self::Kill(_) => "kill",
            Self::Pause(_) => "pause",
            Self::Loss(_) => "loss",
            Self::Duplicate(_) => "duplicate",
            Self::Reorder(_) => "reorder",
            Self::SlowLink { .. } => "slow-link",
            Self::ClockStep { .. } => "clock-step",
            Self::ClockDrift { .. } => "clock-drift",
            Self::LostSync(_) => "lost-sync",
            Self::Wipe(_) => "wipe",
            Self::Disk { fault, .. } => fault.name(),
        }
    }

    /// What is done to whom, for people: `n1, n2 | n3`.
    pub fn describe(&self, cluster: &Cluster) -> String {
        match self {
            Self::Partition(Partition::Groups(groups)) => {
                groups.iter().map(|group| cluster.names(group)).collect::<Vec<_>>().join(" | ")
            }
            Self::Partition(Partition::OneWay { from, to }) => {
                format!("from {} to {}, one way", cluster.names(from), cluster.names(to))
            }
            Self::Kill(victims) | Self::Pause(victims) => victims.describe(cluster),
            Self::LostSync(victims) | Self::Wipe(victims) => victims.describe(cluster),
            Self::Disk { victims, fault } => fault.describe(victims, cluster),
            Self::Loss(misfortune) | Self::Duplicate(misfortune) | Self::Reorder(misfortune) => {
                let percent = f64::from(misfortune.probability_ppm) / 10_000.0;
                format!("{percent} % {}", misfortune.links.describe(cluster))
            }
            Self::SlowLink { links, delay_mean, factor } => {
                let mean = delay_mean
                    .map_or_else(String::new, |mean| format!("{} ms mean, ", mean.as_ms()));
                format!("{mean}{factor} times as long {}", links.describe(cluster))
            }
            Self::ClockStep { victims, step_us } => {
                format!("{} by {} ms", victims.describe(cluster), step_us / 1_000)
            }
            Self::ClockDrift { victims, drift_ppm } => {
                format!("{} by {drift_ppm} ppm", victims.describe(cluster))
            }
        }
    }
}

impl Partition {
    /// Whether a message from one node to another is dropped.
    pub fn drops(&self, from: NodeIndex, to: NodeIndex) -> bool {
        match self {
            Self::Groups(groups) => {
                let group_of = |node| groups.iter().position(|group| group.contains(&node));
                match (group_of(from), group_of(to)) {
                    (Some(sender), Some(receiver)) => sender != receiver,
                    (None, _) | (_, None) => false,
                }
            }
            Self::OneWay { from: senders, to: receivers } => {
                senders.contains(&from) && receivers.contains(&to)
            }
        }
    }
}

impl Links {
    /// Whether a message from one node to another goes over one of these links.
    pub fn contain(&self, from: NodeIndex, to: NodeIndex) -> bool {
        let matches = |end: &Option<Vec<NodeIndex>>, node| {
            end.as_ref().is_none_or(|nodes| nodes.contains(&node))
        };
        matches(&self.from, from) && matches(&self.to, to)
    }

    fn describe(&self, cluster: &Cluster) -> String {
        match (&self.from, &self.to) {
            (None, None) => "on all links".to_owned(),
            (Some(from), None) => format!("from {}", cluster.names(from)),
            (None, Some(to)) => format!("to {}", cluster.names(to)),
            (Some(from), Some(to)) => {
                format!("from {} to {}", cluster.names(from), cluster.names(to))
            }
        }
    }
}

impl Victims {
    fn describe(&self, cluster: &Cluster) -> String {
        match self {
            Self::These(nodes) => cluster.names(nodes),
            Self::Random(1) => "one random node".to_owned(),
            Self::Random(number) => format!("{number} random nodes"),
        }
    }
}
