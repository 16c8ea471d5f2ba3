//! The disk of a node: its work and its faults.

use kv_core::replica::{self, Record};
use kv_core::store::{Action, Store as _, StoreCommand};
use serde::Serialize;

use crate::disk::Disk;

/// The state of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskState {
    /// The commands that wait to be executed, in their order.
    pub queue: Vec<String>,
    /// The number of answers on their way to the node.
    pub answers: usize,
    /// The position that the sync under way will make safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syncing: Option<u64>,
    /// The position of the newest batch, since the process started.
    pub newest: u64,
    /// The position up to which the disk reported that everything is safe.
    pub reported: u64,
    /// The number of batches that a kill would take back.
    pub unsynced_batches: usize,
    /// The number of records whose live form is not what a kill would leave.
    pub unsynced_records: usize,
    /// The number of records that were reported as safe and are not.
    pub lied_about_records: usize,
    /// The records that cannot be read, in words.
    pub corrupt: Vec<String>,
    /// The faults of the disk.
    pub ailments: Vec<&'static str>,
    /// True if the disk holds a copy of another node's data.
    pub is_foreign: bool,
}

impl DiskState {
    /// Takes the state of a disk as it is now.
    pub fn of(disk: &Disk) -> Self {
        let image = disk.image();
        Self {
            queue: disk.queue().map(words).collect(),
            answers: disk.answers(),
            syncing: disk.syncing().map(|seq| seq.0),
            newest: image.newest().0,
            reported: image.reported().0,
            unsynced_batches: image.unsynced(),
            unsynced_records: image.unsynced_records(),
            lied_about_records: image.claimed().len(),
            corrupt: image.corrupt().map(|key| record_words(key)).collect(),
            ailments: disk.ailments().collect(),
            is_foreign: image.is_foreign(),
        }
    }
}

/// Puts a storage command into words.
fn words(command: &StoreCommand) -> String {
    let what = match &command.action {
        Action::Mint(mint) => format!("mint {:?}", mint.key),
        Action::Merge { items } => match &items[..] {
            [(key, _)] => format!("merge {key:?}"),
            _ => format!("merge {} keys", items.len()),
        },
        Action::Hint(hint) => format!("hint {:?}", hint.key),
        Action::Read { key, copy } => format!("read {key:?} ({copy:?})").to_lowercase(),
        Action::HintBatch { .. } => "read a batch of hints".to_owned(),
        Action::HintDrop { items, .. } => format!("delete {} hints", items.len()),
        Action::Branches => "branches of the tree".to_owned(),
        Action::Leaves { .. } => "leaves of the tree".to_owned(),
        Action::Summaries { leaf, .. } => format!("summaries of leaf {}", leaf.0),
        Action::Fetch { keys, .. } => format!("fetch {} keys", keys.len()),
        Action::MarkComplete => "mark as complete".to_owned(),
        Action::Pledge { founding } => format!("pledge before founding {founding}"),
        Action::Found { founding } => format!("write down founding {founding}"),
        Action::Scrub { from, .. } => format!("scrub from leaf {}", from.0),
        Action::MarkRepaired { key, .. } => format!("mark {key:?} as repaired"),
    };
    format!("{what}, partition {}", command.partition.0)
}

/// Puts a record into words.
fn record_words(record_key: &[u8]) -> String {
    match replica::parse_record_key(record_key) {
        Some(Record::Owned { key, .. }) => format!("the copy of {key:?}"),
        Some(Record::Hint { key, .. }) => format!("a hint for {key:?}"),
        Some(Record::HintOrder { key, .. }) => format!("the place of a hint for {key:?}"),
        Some(Record::Leaf { partition, leaf }) => {
            format!("leaf {} of partition {}", leaf.0, partition.0)
        }
        Some(Record::Marker { partition }) => format!("the marker of partition {}", partition.0),
        Some(Record::Corrupt { key, .. }) => format!("that {key:?} is not repaired"),
        Some(Record::Founded) => "the record of the founding".to_owned(),
        Some(Record::Pledge { founding }) => format!("the pledge before founding {founding}"),
        None => "a record of nobody's".to_owned(),
    }
}
