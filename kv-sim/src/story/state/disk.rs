//! The disk of a node: its work and its faults.

use kv_core::storage::{self, StoredRecord};
use kv_core::store::{CommandFamily as _, Store as _, StoreCommand};
use serde::Serialize;

use crate::cluster::disk::Disk;

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

/// A storage command, in words.
fn words(StoreCommand { partition, command }: &StoreCommand) -> String {
    format!("{}, partition {}", command.describe(), partition.0)
}

/// Puts a record into words.
fn record_words(record_key: &[u8]) -> String {
    match storage::parse_record_key(record_key) {
        Some(StoredRecord::Owned { key, .. }) => format!("the copy of {key:?}"),
        Some(StoredRecord::Hint { key, .. }) => format!("a hint for {key:?}"),
        Some(StoredRecord::HintOrder { key, .. }) => format!("the place of a hint for {key:?}"),
        Some(StoredRecord::Leaf { partition, leaf }) => {
            format!("leaf {} of partition {}", leaf.0, partition.0)
        }
        Some(StoredRecord::Marker { partition }) => {
            format!("the marker of partition {}", partition.0)
        }
        Some(StoredRecord::Corrupt { key, .. }) => format!("that {key:?} is not repaired"),
        Some(StoredRecord::Founded) => "the record of the founding".to_owned(),
        Some(StoredRecord::Pledge { founding }) => format!("the pledge before founding {founding}"),
        Some(StoredRecord::Runs) => "the runs that wrote the log".to_owned(),
        None => "a record of nobody's".to_owned(),
    }
}
