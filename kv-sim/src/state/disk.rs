//! The disk of a node: what it is at, and what is wrong with it.

use kv_core::replica::{self, Record};
use kv_core::store::{Action, Store as _, StoreCommand};
use serde::Serialize;

use crate::disk::Disk;

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskState {
    /// The commands that wait to be executed, in their order.
    pub queue: Vec<String>,
    /// Answers on their way to the node.
    pub answers: usize,
    /// The position that the sync under way will make safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syncing: Option<u64>,
    /// The position of the newest batch, since the process started.
    pub newest: u64,
    /// The position up to which the disk said that everything is safe.
    pub reported: u64,
    /// Batches that a kill would take back.
    pub unsynced_batches: usize,
    /// Records whose live form is not what a kill would leave.
    pub unsynced_records: usize,
    /// Records that were reported as safe and are not.
    pub lied_about_records: usize,
    /// Records that cannot be read.
    pub corrupt: Vec<String>,
    /// What is wrong with it.
    pub ailments: Vec<&'static str>,
    /// Whether it holds a copy of another node's data.
    pub is_foreign: bool,
}

impl DiskState {
    /// A disk as it is now.
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

/// A storage command, in words.
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

/// What a record is, in words.
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
