//! Bit rot: records on disks become unreadable.

use kv_core::storage::{self, StoredRecord};
use serde::Deserialize;
use toml::{Spanned, Table};

use super::keys::NameList;
use super::{FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::random::address::Aspect;
use crate::scenario::quantity::{count, parts_per_million};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem, ValueDoc};

/// Records cannot be read any more, until they are written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitRot {
    /// The nodes on whose disks records rot.
    pub victims: Victims,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BitRotKeys {
    records: Option<Spanned<u64>>,
    share: Option<Spanned<f64>>,
    kinds: Option<Spanned<Vec<RecordKind>>>,
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

impl Inject for BitRot {
    const NAME: &'static str = "bit-rot";
    const ABOUT: &'static str =
        "records on disks become unreadable: records or share says how many, kinds which";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new("records", ValueDoc::Whole(1, 1_000_000), "how many records of each node rot")
            .or_else("required, unless `share` is given"),
        KeyDoc::probability("share", "the chance of each record to rot")
            .or_else("required, unless `records` is given"),
        KeyDoc::new(
            "kinds",
            ValueDoc::Words(&["values", "hints", "leaves", "markers"]),
            "the kinds of records that rot",
        )
        .or_else("all"),
        victims::NODES_DOC,
        victims::RANDOM_DOC,
    ];
    const MUST_END: bool = false;

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let BitRotKeys { records, share, kinds, nodes, random } = keys.parse()?;
        let span = keys.span.clone();
        let amount = match (&records, &share) {
            (Some(records), None) => {
                Amount::Count(count(records, "records", 1..=1_000_000)? as u32)
            }
            (None, Some(share)) => match parts_per_million(share)? {
                0 => return Err(Problem::at(share.span(), "nothing rots").label("above zero")),
                share => Amount::Share(share),
            },
            (Some(_), Some(share)) => {
                return Err(Problem::at(
                    share.span(),
                    "either a number or a share of records rots",
                )
                .label("records is given as well"));
            }
            (None, None) => {
                return Err(Problem::at(span, "how much rots?").label("give records or share"));
            }
        };
        let mut kinds = match kinds {
            None => RecordKind::ALL.to_vec(),
            Some(kinds) if kinds.get_ref().is_empty() => {
                return Err(
                    Problem::at(kinds.span(), "nothing rots").label("give at least one kind")
                );
            }
            Some(kinds) => kinds.into_inner(),
        };
        kinds.sort_unstable();
        kinds.dedup();
        let victims = Victims::parse(nodes.as_ref(), random.as_ref(), span, cluster)?;
        Ok(Self { victims, amount, kinds })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        keys.insert("share".to_owned(), dice.share("share", (5, 200)));
        Victims::draw(dice, 1, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let Self { victims, amount, kinds } = self;
        let amount = match amount {
            Amount::Count(1) => "1 record".to_owned(),
            Amount::Count(number) => format!("{number} records"),
            Amount::Share(share) => format!("{} % of the records", f64::from(*share) / 10_000.0),
        };
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        format!("{}: {amount} ({})", victims.describe(cluster), kinds.join(", "))
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            let mut sound = world.sound_records(node);
            sound.retain(|key| self.may_hit(key));
            let corrupt: Vec<_> = (0..self.amount.of(sound.len()))
                .map(|_| {
                    let draws = world.draws();
                    let turn = draws.next(&strike.address());
                    sound.swap_remove(draws.index(turn, Aspect::Record, sound.len()))
                })
                .collect();
            world.rot(node, &corrupt);
        }
    }
}

impl BitRot {
    fn may_hit(&self, key: &[u8]) -> bool {
        let kind = storage::parse_record_key(key).as_ref().and_then(RecordKind::of);
        kind.is_some_and(|kind| self.kinds.contains(&kind))
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
    pub const fn of(record: &StoredRecord) -> Option<Self> {
        match record {
            StoredRecord::Owned { .. } => Some(Self::Values),
            StoredRecord::Hint { .. } => Some(Self::Hints),
            StoredRecord::Leaf { .. } => Some(Self::Leaves),
            StoredRecord::Marker { .. } => Some(Self::Markers),
            StoredRecord::HintOrder { .. }
            | StoredRecord::Corrupt { .. }
            | StoredRecord::Founded
            | StoredRecord::Runs
            | StoredRecord::Pledge { .. } => None,
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
