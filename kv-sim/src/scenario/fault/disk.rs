//! Faults of disks: a machine's storage breaks what its node was promised.

use std::ops::Range;

use kv_core::storage::Record;
use kv_core::time::Span;
use serde::Deserialize;
use toml::Spanned;

use super::super::cluster::{Cluster, NodeIndex};
use super::super::error::Problem;
use super::super::quantity::{count, decimal_milliseconds, parts_per_million};
use super::keys::{Names, Table, victims};
use super::{FaultKind, FaultWord, Victims};

/// The faults of disks, in the order in which they are listed.
pub(super) const WORDS: [FaultWord; 7] = [
    FaultWord {
        name: "torn-write",
        about: "a kill in that time leaves some of the first batches that were not synced, and the \
                rest not at all",
    },
    FaultWord {
        name: "bit-rot",
        about: "records on disks become unreadable: records or share says how many, kinds which",
    },
    FaultWord {
        name: "io-error",
        about: "syncs fail (or, with fails = \"commit\", commits), so nodes stop; they restart at the \
                end",
    },
    FaultWord { name: "disk-full", about: "disks take nothing that needs room" },
    FaultWord {
        name: "slow-disk",
        about: "disks take longer, by a factor or to a new mean of syncs, or stall = true until the end",
    },
    FaultWord {
        name: "clone-disk",
        about: "nodes stop, get a copy of the data of another node, and restart at the end",
    },
    FaultWord {
        name: "rollback-disk",
        about: "nodes stop, get back what their disks held at an earlier moment, and restart at the \
                end",
    },
];

/// A fault of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// A kill leaves some of the first batches that were not synced: as many as are drawn.
    TornWrite,
    /// Records cannot be read any more, until they are written again.
    BitRot(Rot),
    /// The log fails, so that the node stops. It restarts at the end.
    IoError(LogStep),
    /// Batches that need room are refused.
    DiskFull,
    /// All that the disk does takes longer.
    SlowDisk(Slowness),
    /// The node stops, its data is replaced by a copy of another node's, and it restarts at the
    /// end.
    CloneDisk {
        /// The node whose data is copied; drawn from the seed if the file names none.
        from: Option<NodeIndex>,
    },
    /// The node stops, its data is replaced by what was safe there at a moment that is drawn, and
    /// it restarts at the end.
    RollbackDisk,
}

/// The choice of records that rot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rot {
    /// The number of records that rot on each victim.
    pub amount: Amount,
    /// The kinds of records that rot; sorted, never empty.
    pub kinds: Vec<RecordKind>,
}

/// A number of things, given as a count or as a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A count, or all if there are not so many; at least 1.
    Count(u32),
    /// A share in parts per million, rounded up; at least 1.
    Share(u32),
}

/// A kind of record that can rot. Records that hold all in their keys cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// The containers of owners.
    Values,
    /// The hints for other nodes.
    Hints,
    /// The leaves of Merkle trees.
    Leaves,
    /// The data markers.
    Markers,
}

/// The step of the log that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStep {
    /// Writing a batch to the log fails: the batch is not there.
    Commit,
    /// Syncing the log fails: the batches are there while the process runs, and never safe.
    #[default]
    Sync,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotKeys {
    records: Option<Spanned<u64>>,
    share: Option<Spanned<f64>>,
    kinds: Option<Spanned<Vec<RecordKind>>>,
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IoErrorKeys {
    #[serde(default)]
    fails: LogStep,
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlowDiskKeys {
    sync_ms_mean: Option<Spanned<f64>>,
    factor: Option<Spanned<u64>>,
    #[serde(default)]
    stall: bool,
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloneDiskKeys {
    from: Option<Spanned<String>>,
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

/// Parses the fault of disks that a table describes; none, if its word is that of another fault.
pub(super) fn parse(
    word: &str,
    table: &Table<'_>,
    cluster: &Cluster,
) -> Option<Result<FaultKind, Problem>> {
    let plain = |fault| {
        let disk = |victims| FaultKind::Disk { victims, fault };
        Some(table.victims(cluster).map(disk))
    };
    let span = || table.span.clone();
    match word {
        "torn-write" => plain(DiskFault::TornWrite),
        "disk-full" => plain(DiskFault::DiskFull),
        "rollback-disk" => plain(DiskFault::RollbackDisk),
        "bit-rot" => Some(table.keys().and_then(|keys| bit_rot(&keys, span(), cluster))),
        "io-error" => Some(table.keys().and_then(|keys| io_error(&keys, span(), cluster))),
        "slow-disk" => Some(table.keys().and_then(|keys| slow_disk(&keys, span(), cluster))),
        "clone-disk" => Some(table.keys().and_then(|keys| clone_disk(&keys, span(), cluster))),
        _ => None,
    }
}

fn bit_rot(keys: &RotKeys, span: Range<usize>, cluster: &Cluster) -> Result<FaultKind, Problem> {
    let amount = match (&keys.records, &keys.share) {
        (Some(records), None) => Amount::Count(count(records, "records", 1..=1_000_000)? as u32),
        (None, Some(share)) => match parts_per_million(share)? {
            0 => return Err(Problem::at(share.span(), "nothing rots").label("above zero")),
            share => Amount::Share(share),
        },
        (Some(_), Some(share)) => {
            return Err(Problem::at(share.span(), "either a number or a share of records rots")
                .label("records is given as well"));
        }
        (None, None) => {
            return Err(Problem::at(span, "how much rots?").label("give records or share"));
        }
    };
    let mut kinds = match &keys.kinds {
        None => RecordKind::ALL.to_vec(),
        Some(kinds) if kinds.get_ref().is_empty() => {
            return Err(Problem::at(kinds.span(), "nothing rots").label("give at least one kind"));
        }
        Some(kinds) => kinds.get_ref().clone(),
    };
    kinds.sort_unstable();
    kinds.dedup();
    let victims = victims(keys.nodes.as_ref(), keys.random.as_ref(), span, cluster)?;
    Ok(FaultKind::Disk { victims, fault: DiskFault::BitRot(Rot { amount, kinds }) })
}

fn io_error(
    keys: &IoErrorKeys,
    span: Range<usize>,
    cluster: &Cluster,
) -> Result<FaultKind, Problem> {
    let victims = victims(keys.nodes.as_ref(), keys.random.as_ref(), span, cluster)?;
    Ok(FaultKind::Disk { victims, fault: DiskFault::IoError(keys.fails) })
}

fn slow_disk(
    keys: &SlowDiskKeys,
    span: Range<usize>,
    cluster: &Cluster,
) -> Result<FaultKind, Problem> {
    if keys.sync_ms_mean.is_none() && keys.factor.is_none() && !keys.stall {
        return Err(
            Problem::at(span, "how slow?").label("give factor, sync_ms_mean or stall = true")
        );
    }
    let factor = match &keys.factor {
        Some(factor) => count(factor, "factor", 1..=100_000)? as u32,
        None => 1,
    };
    let sync_mean = keys.sync_ms_mean.as_ref().map(decimal_milliseconds).transpose()?;
    let victims = victims(keys.nodes.as_ref(), keys.random.as_ref(), span, cluster)?;
    let slowness = Slowness { sync_mean, factor, stalls: keys.stall };
    Ok(FaultKind::Disk { victims, fault: DiskFault::SlowDisk(slowness) })
}

fn clone_disk(
    keys: &CloneDiskKeys,
    span: Range<usize>,
    cluster: &Cluster,
) -> Result<FaultKind, Problem> {
    if cluster.nodes.len() == 1 {
        return Err(Problem::at(span, "there is no other disk to copy").label("one node only"));
    }
    let from = keys.from.as_ref().map(|name| cluster.named(name)).transpose()?;
    let victims = victims(keys.nodes.as_ref(), keys.random.as_ref(), span, cluster)?;
    if let (Some(from), Some(name), Victims::These(nodes)) = (from, &keys.from, &victims)
        && nodes.contains(&from)
    {
        return Err(Problem::at(name.span(), "a disk is copied onto itself")
            .label("stands in nodes as well"));
    }
    Ok(FaultKind::Disk { victims, fault: DiskFault::CloneDisk { from } })
}

impl DiskFault {
    /// The word for the fault in a scenario and in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TornWrite => "torn-write",
            Self::BitRot(_) => "bit-rot",
            Self::IoError(_) => "io-error",
            Self::DiskFull => "disk-full",
            Self::SlowDisk(_) => "slow-disk",
            Self::CloneDisk { .. } => "clone-disk",
            Self::RollbackDisk => "rollback-disk",
        }
    }

    /// True if the fault happens at one moment, so that it need not end: its results are for nodes
    /// to repair.
    pub(super) const fn is_momentary(&self) -> bool {
        matches!(self, Self::BitRot(_))
    }

    /// Describes the fault and its victims for people.
    pub(super) fn describe(&self, victims: &Victims, cluster: &Cluster) -> String {
        let whom = victims.describe(cluster);
        match self {
            Self::TornWrite | Self::DiskFull | Self::RollbackDisk => whom,
            Self::BitRot(Rot { amount, kinds }) => {
                let amount = match amount {
                    Amount::Count(1) => "1 record".to_owned(),
                    Amount::Count(number) => format!("{number} records"),
                    Amount::Share(share) => {
                        format!("{} % of the records", f64::from(*share) / 10_000.0)
                    }
                };
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
                format!("{whom}: {amount} ({})", kinds.join(", "))
            }
            Self::IoError(LogStep::Commit) => format!("{whom}: commits"),
            Self::IoError(LogStep::Sync) => format!("{whom}: syncs"),
            Self::SlowDisk(Slowness { stalls: true, .. }) => format!("{whom}: at a standstill"),
            Self::SlowDisk(Slowness { sync_mean, factor, stalls: false }) => {
                let mean = sync_mean.map_or_else(String::new, |mean| {
                    format!("{} ms mean of syncs, ", mean.as_ms())
                });
                format!("{whom}: {mean}{factor} times as long")
            }
            Self::CloneDisk { from: Some(from) } => format!("{} onto {whom}", cluster.name(*from)),
            Self::CloneDisk { from: None } => format!("another one onto {whom}"),
        }
    }
}

impl RecordKind {
    /// Every kind, in the order of the enum.
    pub const ALL: &'static [Self] = &[Self::Values, Self::Hints, Self::Leaves, Self::Markers];

    /// The word for the kind in a scenario.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Hints => "hints",
            Self::Leaves => "leaves",
            Self::Markers => "markers",
        }
    }

    /// The kind of a record; none, for one that cannot rot.
    pub const fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Owned { .. } => Some(Self::Values),
            Record::Hint { .. } => Some(Self::Hints),
            Record::Leaf { .. } => Some(Self::Leaves),
            Record::Marker { .. } => Some(Self::Markers),
            Record::HintOrder { .. }
            | Record::Corrupt { .. }
            | Record::Founded
            | Record::Pledge { .. } => None,
        }
    }
}

impl Amount {
    /// The number of things that this is out of `all`.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => (count as usize).min(all),
            Self::Share(ppm) => (all as u64 * u64::from(ppm)).div_ceil(1_000_000) as usize,
        }
    }
}
