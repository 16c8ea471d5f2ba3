//! Faults: things that are broken on purpose.
//!
//! A kind of fault is one file here. It holds all that is particular to the kind, which `Inject`
//! asks for: the word and the keys in a scenario, the words for people, the effect as the fault
//! begins and ends, the way in which swarms draw it. Kinds of one mechanism share a file. The list
//! `kinds!` is the one place that knows them all; everything else asks a [`FaultKind`] or a
//! [`FaultWord`].
//!
//! A fault changes the world through the verbs of `Target` only. So nothing here knows the world,
//! and the world knows no kind. The time of a fault is not its kind's business either: that is
//! [`crate::scenario::Fault`].

mod bit_rot;
mod clock_speed;
mod clock_step;
mod clog;
mod clone_disk;
mod cut;
mod disk_full;
mod io_error;
mod keys;
mod kill;
mod links;
mod lost_sync;
mod misfortune;
mod outage;
mod partition;
mod pause;
mod rollback_disk;
mod slow_disk;
mod slow_link;
mod swizzle;
mod target;
mod torn_write;
mod victims;
mod wipe;

use toml::Table;

use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, NodeIndex, Problem};

pub use bit_rot::{Amount, RecordKind};
pub use cut::Cut;
pub(crate) use cut::are_neighbours;
pub use io_error::LogStep;
pub(crate) use keys::FaultKeys;
pub use links::{ClogOrder, Kinds, LinkEffect, LinkRule, Links, Longer, Tail, Ways};
pub use misfortune::Misfortune;
pub use outage::{Outage, OutageKind};
pub use target::{Ailment, RuleName, Slowness, StorageStep, WhichClock};
pub(crate) use target::{Change, DiskLoss, Strike, Target, Victim};
pub use victims::Victims;

/// The kinds of faults, in the order in which they are listed. A line names the file and the type.
macro_rules! kinds {
    ($($file:ident::$Kind:ident,)*) => {
        $(pub use $file::$Kind;)*

        /// The kind of a fault, with its victims.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum FaultKind {
            $(
                #[doc = concat!("The fault [`", stringify!($Kind), "`].")]
                $Kind($Kind),
            )*
        }

        /// The faults that exist, in the order in which they are listed.
        pub const FAULTS: &[FaultWord] = &[$(FaultWord::of::<$Kind>(),)*];

        $(
            impl From<$Kind> for FaultKind {
                fn from(kind: $Kind) -> Self {
                    Self::$Kind(kind)
                }
            }
        )*

        impl FaultKind {
            /// The word for the kind, with all that is true of every fault of it.
            pub const fn word(&self) -> &'static FaultWord {
                match self {
                    $(Self::$Kind(_) => const { &FaultWord::of::<$Kind>() },)*
                }
            }

            /// Describes the fault and its victims for people: `n1, n2 | n3`.
            pub fn describe(&self, cluster: &Cluster) -> String {
                match self {
                    $(Self::$Kind(kind) => kind.describe(cluster),)*
                }
            }

            /// Tells whether the fault may last for ever: then it does the same all the time.
            pub fn may_last(&self) -> bool {
                match self {
                    $(Self::$Kind(kind) => kind.may_last(),)*
                }
            }

            /// The victims of a fault of nodes; none, for a fault of links.
            fn victims_mut(&mut self) -> Option<&mut Victims> {
                match self {
                    $(Self::$Kind(kind) => kind.victims_mut(),)*
                }
            }

            /// The rule that messages obey while the fault lasts, as [`Inject::rule`] says.
            pub(crate) fn rule(&self, victims: &[NodeIndex], nodes: usize) -> Option<LinkRule> {
                match self {
                    $(Self::$Kind(kind) => kind.rule(victims, nodes),)*
                }
            }

            /// Begins the fault, as [`Inject::begin`] says.
            pub(crate) fn begin(&self, world: &mut dyn Target, strike: &Strike) {
                match self {
                    $(Self::$Kind(kind) => kind.begin(world, strike),)*
                }
            }

            /// Takes a step of the fault, as [`Inject::step`] says.
            pub(crate) fn step(&self, world: &mut dyn Target, strike: &Strike, step: u32) {
                match self {
                    $(Self::$Kind(kind) => kind.step(world, strike, step),)*
                }
            }

            /// Ends the fault, as [`Inject::end`] says.
            pub(crate) fn end(&self, world: &mut dyn Target, strike: &Strike) {
                match self {
                    $(Self::$Kind(kind) => kind.end(world, strike),)*
                }
            }
        }
    };
}

kinds! {
    partition::Partition,
    clog::Clog,
    swizzle::Swizzle,
    kill::Kill,
    pause::Pause,
    misfortune::Loss,
    misfortune::Duplicate,
    misfortune::Reorder,
    misfortune::Corrupt,
    slow_link::SlowLink,
    clock_step::ClockStep,
    clock_speed::ClockDrift,
    clock_speed::ClockFreeze,
    lost_sync::LostSync,
    wipe::Wipe,
    outage::DatacenterOutage,
    outage::RackOutage,
    torn_write::TornWrite,
    bit_rot::BitRot,
    io_error::IoError,
    disk_full::DiskFull,
    slow_disk::SlowDisk,
    clone_disk::CloneDisk,
    rollback_disk::RollbackDisk,
}

/// A kind of fault: all that the others need to know of it. A value is one fault of that kind.
///
/// Methods and constants with a default are needed by some kinds only.
pub(crate) trait Inject: Sized {
    /// The word for the kind in a scenario and in reports.
    const NAME: &'static str;
    /// The effect of the fault, in one line.
    const ABOUT: &'static str;
    /// The keys that [`Inject::parse`] takes.
    const KEYS: &'static [KeyDoc];
    /// True if a fault of the kind must end. One that happens at one moment need not: a clock stays
    /// where it was set, and corrupt records are for the nodes to repair.
    const MUST_END: bool = true;
    /// True if the fault is nothing but chance that hits single messages, so that a shrunk scenario
    /// can name what happened to each message instead.
    const IS_MISFORTUNE: bool = false;
    /// True if the fault gives a disk back what it held earlier, so that this must be remembered.
    const NEEDS_PAST: bool = false;

    /// Parses a fault from the keys of its table, those apart that all kinds share.
    ///
    /// # Errors
    /// The problem of the first key that makes no sense.
    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem>;

    /// Draws the keys that [`Inject::parse`] takes, for a scenario of a swarm.
    fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table);

    /// Describes the fault and its victims for people: `n1, n2 | n3`.
    fn describe(&self, cluster: &Cluster) -> String;

    /// Tells whether the fault may last for ever. It may if the same nodes are down, the same links
    /// carry nothing, or the same disks take nothing, all the time: then it is plain what can be
    /// demanded of the others.
    fn may_last(&self) -> bool {
        false
    }

    /// The victims of a fault of nodes; none, for a fault of links.
    fn victims_mut(&mut self) -> Option<&mut Victims> {
        None
    }

    /// The rule that messages obey from the beginning of the fault to its end, among so many nodes;
    /// none, if it is no fault of links.
    fn rule(&self, _victims: &[NodeIndex], _nodes: usize) -> Option<LinkRule> {
        None
    }

    /// Changes the world as the fault begins, and plans its steps.
    fn begin(&self, _world: &mut dyn Target, _strike: &Strike) {}

    /// Changes the world at a step that was planned and that comes before the end.
    fn step(&self, _world: &mut dyn Target, _strike: &Strike, _step: u32) {}

    /// Changes the world as the fault ends. Its rules of links are gone by then.
    fn end(&self, _world: &mut dyn Target, _strike: &Strike) {}
}

/// A word that may stand as the `kind` of a fault, with all that is true of every fault of it.
#[derive(Clone, Copy, Debug)]
pub struct FaultWord {
    /// The word itself.
    pub name: &'static str,
    /// The effect of the fault, in one line.
    pub about: &'static str,
    /// The keys that a fault of the kind takes, those apart that all kinds share.
    pub keys: &'static [KeyDoc],
    /// True if a fault of the kind must end: [`Inject::MUST_END`].
    pub(crate) must_end: bool,
    /// True if the fault is chance that hits single messages: [`Inject::IS_MISFORTUNE`].
    pub(crate) is_misfortune: bool,
    /// True if disks must remember what they held: [`Inject::NEEDS_PAST`].
    pub(crate) needs_past: bool,
    /// Parses a fault of the kind: [`Inject::parse`].
    pub(crate) parse: fn(&FaultKeys<'_>, &Cluster) -> Result<FaultKind, Problem>,
    /// Draws the keys of a fault of the kind: [`Inject::draw`].
    pub(crate) draw: fn(Dice, &DrawnCluster, &mut Table),
}

impl FaultWord {
    const fn of<K: Inject + Into<FaultKind>>() -> Self {
        Self {
            name: K::NAME,
            about: K::ABOUT,
            keys: K::KEYS,
            must_end: K::MUST_END,
            is_misfortune: K::IS_MISFORTUNE,
            needs_past: K::NEEDS_PAST,
            parse: parse::<K>,
            draw: K::draw,
        }
    }

    /// Finds the fault of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|word| word.name == name)
    }

    /// The names of all faults, in the order in which they are listed.
    pub fn names() -> Vec<&'static str> {
        FAULTS.iter().map(|word| word.name).collect()
    }
}

impl FaultKind {
    /// The word for the fault in a scenario and in reports; one of [`FAULTS`].
    pub const fn name(&self) -> &'static str {
        self.word().name
    }

    /// The victims of a fault of nodes, as the scenario gives them; none, for a fault of links.
    pub fn victims(&self) -> Option<Victims> {
        self.clone().victims_mut().cloned()
    }

    /// The same fault with these nodes for its victims; itself, if it is a fault of links.
    pub fn of_these(&self, nodes: Vec<NodeIndex>) -> Self {
        let mut kind = self.clone();
        if let Some(victims) = kind.victims_mut() {
            *victims = Victims::These(nodes);
        }
        kind
    }
}

fn parse<K: Inject + Into<FaultKind>>(
    keys: &FaultKeys<'_>,
    cluster: &Cluster,
) -> Result<FaultKind, Problem> {
    K::parse(keys, cluster).map(Into::into)
}

#[cfg(test)]
mod tests;
