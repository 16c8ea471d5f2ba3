//! The verbs by which a fault changes the world, and the words that they take.

use kv_core::time::Span;
use serde::Deserialize;

use super::links::{ClogOrder, LinkRule};
use crate::random::address::Address;
use crate::random::draws::Draws;
use crate::scenario::{Cluster, NodeIndex};

/// The name of an occurrence of a fault, after which the rules and steps that belong to it are
/// called: the fault and the occurrence, by number.
pub type RuleName = (u32, u32);

/// An occurrence of a fault that is at work.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    /// The name of the occurrence.
    pub(crate) name: RuleName,
    /// The nodes that are hit; none, for a fault of links.
    pub(crate) victims: Vec<Victim>,
    /// The time from its beginning to its end, if it has one.
    pub(crate) lasts: Option<Span>,
}

/// A node that a fault hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    /// The node itself.
    pub(crate) node: NodeIndex,
    /// The life of the node that was hit.
    pub(crate) life: u32,
}

/// A fault that a disk can have for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// The disk reports syncs that it does not do.
    Lies,
    /// A kill leaves some of the first batches that were not synced.
    Tears,
    /// The disk refuses batches that need room.
    IsFull,
    /// The disk refuses all batches.
    FailsCommits,
    /// The disk reports of each sync that it failed.
    FailsSyncs,
}

/// The loss of a node that stops, beside the end of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskLoss {
    /// No records are lost.
    Nothing,
    /// All records are deleted.
    Wiped,
    /// A copy of another node's data replaces the records.
    Replaced {
        /// The node whose data is copied.
        by: NodeIndex,
    },
    /// The records that were safe at an earlier moment replace the present ones.
    RolledBack {
        /// The number of the moment, of those that are remembered.
        to: usize,
    },
}

/// The clocks of a node that a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhichClock {
    /// The clock that tells the date.
    Wall,
    /// The clock that measures how long something takes.
    Monotonic,
    /// Both clocks.
    Both,
}

/// A step of a storage command, just before which a node can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageStep {
    /// The command is about to execute. Until then it has done nothing.
    Execute,
    /// The sync that covers the command is about to end. The command was executed, its outcome may
    /// have been told to others, and it is lost.
    Sync,
    /// The node is about to be told of the sync. What was stored stands, and nobody was told.
    Answer,
}

/// The slowness of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slowness {
    /// The mean time of a sync that replaces the disk's own.
    pub sync_mean: Option<Span>,
    /// The factor by which each time is then multiplied; at least 1.
    pub factor: u32,
    /// True if nothing that begins ends before the fault does.
    pub stalls: bool,
}

/// The direction in which a step of a fault changes the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Something breaks.
    Worse,
    /// Something is well again.
    Better,
}

/// The world as far as a fault can change it.
///
/// The effects of two faults on one node add up: it is down until the last of them lets it up, and so
/// on.
pub(crate) trait Target {
    /// The nodes and their names.
    fn cluster(&self) -> &Cluster;

    /// All chance. A fault draws at [`Strike::address`].
    fn draws(&mut self) -> &mut Draws;

    /// Plans a step of a fault, which comes unless the fault has ended.
    fn plan_step(&mut self, name: RuleName, step: u32, after: Span);

    /// Tells people and the digest that a step of a fault makes it worse or better for these nodes,
    /// or for links if there are none.
    fn tell_of_step(&mut self, name: RuleName, change: Change, nodes: &[NodeIndex], what: String);

    /// Counts one more fault of this name, for one that comes again by itself.
    fn count_again(&mut self, fault: &'static str);

    /// Kills a node, if it runs, and keeps it down. Its disk may lose records besides.
    fn take_down(&mut self, node: NodeIndex, loss: DiskLoss);

    /// Lets a node start again, unless another fault keeps it down.
    fn bring_up(&mut self, node: NodeIndex);

    /// Kills a node at the next such step of its disk, and keeps it down.
    fn take_down_at(&mut self, node: NodeIndex, step: StorageStep, name: RuleName);

    /// Lets a node start again that was to die at a step of its disk, or spares it if it took none.
    fn spare_or_bring_up(&mut self, node: NodeIndex, name: RuleName);

    /// Lets a node stand still, if it runs.
    fn pause(&mut self, node: NodeIndex);

    /// Lets a node go on with what has waited, unless it was killed meanwhile.
    fn resume(&mut self, victim: Victim);

    /// Gives a disk an ailment.
    fn afflict(&mut self, node: NodeIndex, ailment: Ailment);

    /// Takes an ailment from a disk.
    fn cure(&mut self, node: NodeIndex, ailment: Ailment);

    /// Lets a node start again that has stopped because its disk failed, if the disk works.
    fn restart_if_disk_is_well(&mut self, node: NodeIndex);

    /// Makes a disk slow for so long.
    fn slow_disk(&mut self, node: NodeIndex, slowness: Slowness, lasts: Span);

    /// Ends the slowness of a disk that was to last until now.
    fn end_slow_disk(&mut self, node: NodeIndex);

    /// The keys of the records on a disk that can be read, in order.
    fn sound_records(&self, node: NodeIndex) -> Vec<Vec<u8>>;

    /// Makes records on a disk unreadable until they are written again.
    fn rot(&mut self, node: NodeIndex, records: &[Vec<u8>]);

    /// Tells whether the data on the disk of a node is another's.
    fn holds_foreign_data(&self, node: NodeIndex) -> bool;

    /// The number of earlier moments that the disk of a node remembers.
    fn moments(&self, node: NodeIndex) -> usize;

    /// Lets the wall clock of a node jump by so many microseconds.
    fn step_clock(&mut self, node: NodeIndex, by_us: i64);

    /// Adds to the speed of clocks of a node, in parts per million.
    fn drift_clocks(&mut self, node: NodeIndex, clock: WhichClock, by_ppm: i32);

    /// Lets clocks of a node stand still.
    fn freeze_clocks(&mut self, node: NodeIndex, clock: WhichClock);

    /// Undoes one [`Target::freeze_clocks`].
    fn thaw_clocks(&mut self, node: NodeIndex, clock: WhichClock);

    /// Adds a rule for messages, which lasts until it is removed or the fault has ended.
    fn add_rule(&mut self, name: RuleName, rule: &LinkRule);

    /// Removes all rules that a fault has added.
    fn remove_rules(&mut self, name: RuleName);

    /// Clogs all links to and from a node; waiting messages keep their order.
    fn clog(&mut self, name: RuleName, node: NodeIndex);

    /// Undoes one [`Target::clog`]. What waits there stays, until [`Target::let_go`].
    fn unclog(&mut self, name: RuleName, node: NodeIndex);

    /// Lets go, in this order, the messages that wait on links that are no longer clogged.
    fn let_go(&mut self, order: ClogOrder);
}

impl Strike {
    /// The address at which all choices of the fault are made.
    pub(crate) const fn address(&self) -> Address {
        Address::Fault { fault: self.name.0 as usize }
    }

    /// The nodes that are hit.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.victims.iter().map(|victim| victim.node)
    }
}

impl WhichClock {
    /// True if the wall clock is hit.
    pub const fn is_wall(self) -> bool {
        matches!(self, Self::Wall | Self::Both)
    }

    /// True if the monotonic clock is hit.
    pub const fn is_monotonic(self) -> bool {
        matches!(self, Self::Monotonic | Self::Both)
    }

    /// Describes the clock for people: ` (wall clock)`, or nothing for both.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Wall => " (wall clock)",
            Self::Monotonic => " (monotonic clock)",
            Self::Both => "",
        }
    }
}

impl StorageStep {
    /// The moment at which a node dies at this step, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Execute => "before the next command executes",
            Self::Sync => "before the next sync ends",
            Self::Answer => "before it hears of the next sync",
        }
    }
}
