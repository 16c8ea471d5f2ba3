//! Faults: things that are broken on purpose, for whom, and from when to when.
//!
//! Takes the tables `[[fault]]` and makes [`Fault`]s of them, in which every node is an index,
//! every probability is in parts per million, and every time is a [`Span`] since the chaos phase
//! began. The way from the table to the value is in `keys`.

mod clocks;
mod disk;
mod keys;
mod kill;
mod links;
mod outage;
mod partition;

use kv_core::time::Span;

use super::cluster::{Cluster, NodeIndex};

pub use clocks::WhichClock;
pub use disk::{Amount, DiskFault, LogStep, RecordKind, Rot, Slowness};
pub(super) use keys::parse;
pub use kill::{Kill, StorageStep};
pub use links::{Clog, ClogOrder, Kinds, Links, Longer, Misfortune, SlowLink, Tail};
pub use outage::{Outage, OutageKind};
pub(crate) use partition::are_neighbours;
pub use partition::{Cut, Partition};

/// A word that may stand as the `kind` of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultWord {
    /// The word itself.
    pub name: &'static str,
    /// The effect of the fault, in one line.
    pub about: &'static str,
}

/// The faults that exist, in the order in which they are listed.
pub const FAULTS: &[FaultWord] = &[
    FaultWord {
        name: "partition",
        about: "messages between nodes are dropped: groups (a bridge hears all), one way, or a ring in \
                which each hears its neighbours; flap_ms lets it come and go",
    },
    FaultWord { name: "clog", about: "messages wait on their links, and all arrive when it ends" },
    FaultWord {
        name: "swizzle",
        about: "links of drawn nodes are clogged one after another, and let go in another order",
    },
    FaultWord {
        name: "kill",
        about: "nodes stop dead, lose what was not synced, and restart at the end; at once, or exactly \
                at a step of a storage command",
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
    FaultWord {
        name: "corrupt",
        about: "bits of messages are flipped with a probability: the checksum of the link notices",
    },
    FaultWord {
        name: "slow-link",
        about: "links take longer, by a factor or to a new mean, or in a long tail",
    },
    FaultWord { name: "clock-step", about: "wall clocks jump, forwards or backwards" },
    FaultWord {
        name: "clock-drift",
        about: "clocks run fast or slow, the wall clock or the monotonic one or both",
    },
    FaultWord {
        name: "clock-freeze",
        about: "clocks stand still, likewise, and run on at the end from where they stood",
    },
    FaultWord {
        name: "lost-sync",
        about: "disks report syncs that they do not do: the next kill shows it",
    },
    FaultWord {
        name: "wipe",
        about: "nodes stop, lose their data but not their identity, and restart at the end",
    },
    FaultWord {
        name: "datacenter-outage",
        about: "all nodes of a data center lose their power, or their network to all others",
    },
    FaultWord { name: "rack-outage", about: "likewise, those of a rack" },
    disk::WORDS[0],
    disk::WORDS[1],
    disk::WORDS[2],
    disk::WORDS[3],
    disk::WORDS[4],
    disk::WORDS[5],
    disk::WORDS[6],
];

/// Words that are reserved for faults which this version does not have yet.
const LATER: &[&str] = &["join", "leave", "replace", "upgrade", "downgrade"];

/// A fault: something that is broken on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of the fault, with its victims.
    pub kind: FaultKind,
    /// The time at which the fault first begins, since the chaos phase began.
    pub from: Span,
    /// The time at which it first ends; later than `from`. Only a clock-step and bit-rot may have
    /// no end: the clock stays, and corrupt records are for the nodes to repair.
    pub until: Option<Span>,
    /// The number of times that the fault happens; at least 1.
    pub times: u32,
    /// The time from one beginning to the next; longer than one occurrence. Zero if it happens
    /// once.
    pub every: Span,
}

/// One occurrence of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The time at which the occurrence begins, since the chaos phase began.
    pub from: Span,
    /// The time at which the occurrence ends; none if it has no end.
    pub until: Option<Span>,
}

/// The kind of a fault, with its victims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Messages between nodes are dropped.
    Partition(Partition),
    /// Nodes stop dead and restart at the end: what was not synced is gone.
    Kill(Kill),
    /// Nodes stand still, with their memory, and go on at the end.
    Pause(Victims),
    /// Messages are lost.
    Loss(Misfortune),
    /// Messages arrive twice.
    Duplicate(Misfortune),
    /// Messages are held back by up to the network's `reorder_max`.
    Reorder(Misfortune),
    /// Bits of messages are flipped on their way. The checksum of a frame notices, as between real
    /// nodes, and the message is dropped.
    Corrupt(Misfortune),
    /// Links are slower.
    SlowLink(SlowLink),
    /// Messages wait on their links, and arrive when the fault ends.
    Clog(Clog),
    /// All links of nodes are clogged, one node after another, and let go in another order.
    Swizzle(Victims),
    /// Wall clocks jump at the beginning, and back by as much at the end, if there is one.
    ClockStep {
        /// The nodes whose clocks jump.
        victims: Victims,
        /// The jump in microseconds; forwards if above zero. Never zero.
        step_us: i64,
    },
    /// Clocks run at another speed.
    ClockDrift {
        /// The nodes whose clocks drift.
        victims: Victims,
        /// The drift in parts per million; fast if above zero, slow if below. Within ±500,000.
        drift_ppm: i32,
        /// The clocks that drift.
        clock: WhichClock,
    },
    /// Clocks stand still, and run on at the end from where they stood.
    ClockFreeze {
        /// The nodes whose clocks stand still.
        victims: Victims,
        /// The clocks that stand still.
        clock: WhichClock,
    },
    /// Disks report syncs that they do not do.
    LostSync(Victims),
    /// Nodes stop, their data is deleted but not their identity, and they restart at the end.
    Wipe(Victims),
    /// Disks have a [`DiskFault`].
    Disk {
        /// The nodes whose disks are hit.
        victims: Victims,
        /// The fault of the disks.
        fault: DiskFault,
    },
    /// All nodes of a place fail.
    Outage(Outage),
}

/// The victims of a fault of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Victims {
    /// These nodes; sorted, never empty.
    These(Vec<NodeIndex>),
    /// This many distinct nodes, drawn from the seed at each occurrence; 1..=nodes.
    Random(usize),
    /// A number of distinct nodes that is drawn too, at least one.
    AnyNumber,
}

impl Fault {
    /// The occurrences of the fault, the earliest first.
    pub fn occurrences(&self) -> impl Iterator<Item = Occurrence> + '_ {
        (0..u64::from(self.times)).map(|number| {
            let later = self.every.times(number);
            Occurrence { from: self.from + later, until: self.until.map(|until| until + later) }
        })
    }

    /// The time at which the last occurrence has ended, since the chaos phase began.
    pub fn end(&self) -> Span {
        self.until.unwrap_or(self.from) + self.every.times(u64::from(self.times) - 1)
    }
}

impl FaultKind {
    /// The word for the fault in a scenario and in reports; one of [`FAULTS`].
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Partition(_) => "partition",
            Self::Kill(_) => "kill",
            Self::Pause(_) => "pause",
            Self::Loss(_) => "loss",
            Self::Duplicate(_) => "duplicate",
            Self::Reorder(_) => "reorder",
            Self::Corrupt(_) => "corrupt",
            Self::SlowLink(_) => "slow-link",
            Self::Clog(_) => "clog",
            Self::Swizzle(_) => "swizzle",
            Self::ClockStep { .. } => "clock-step",
            Self::ClockDrift { .. } => "clock-drift",
            Self::ClockFreeze { .. } => "clock-freeze",
            Self::LostSync(_) => "lost-sync",
            Self::Wipe(_) => "wipe",
            Self::Disk { fault, .. } => fault.name(),
            Self::Outage(Outage { rack: None, .. }) => "datacenter-outage",
            Self::Outage(Outage { rack: Some(_), .. }) => "rack-outage",
        }
    }

    /// Describes the fault and its victims for people: `n1, n2 | n3`.
    pub fn describe(&self, cluster: &Cluster) -> String {
        match self {
            Self::Partition(partition) => partition.describe(cluster),
            Self::Kill(kill) => kill.describe(cluster),
            Self::Pause(victims) | Self::Swizzle(victims) => victims.describe(cluster),
            Self::LostSync(victims) | Self::Wipe(victims) => victims.describe(cluster),
            Self::Disk { victims, fault } => fault.describe(victims, cluster),
            Self::Loss(misfortune)
            | Self::Duplicate(misfortune)
            | Self::Reorder(misfortune)
            | Self::Corrupt(misfortune) => misfortune.describe(cluster),
            Self::SlowLink(slow) => slow.describe(cluster),
            Self::Clog(clog) => clog.describe(cluster),
            Self::ClockStep { victims, step_us } => {
                format!("{} by {} ms", victims.describe(cluster), step_us / 1_000)
            }
            Self::ClockDrift { victims, drift_ppm, clock } => {
                format!("{} by {drift_ppm} ppm{}", victims.describe(cluster), clock.describe())
            }
            Self::ClockFreeze { victims, clock } => {
                format!("{}{}", victims.describe(cluster), clock.describe())
            }
            Self::Outage(outage) => outage.describe(cluster),
        }
    }
}

impl Victims {
    fn describe(&self, cluster: &Cluster) -> String {
        match self {
            Self::These(nodes) => cluster.names(nodes),
            Self::Random(1) => "one random node".to_owned(),
            Self::Random(number) => format!("{number} random nodes"),
            Self::AnyNumber => "some random nodes".to_owned(),
        }
    }
}
