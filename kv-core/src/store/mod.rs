//! What is asked of storage: the commands of the machines, their outcomes, and the small trait of the
//! disk below, [`Store`]. How the commands are executed on such a disk is in [`crate::storage`].
//!
//! A command belongs to one partition. It reads, joins, mints, updates the Merkle leaf and the hint
//! index, and commits all of that in one atomic batch, so that nothing can be torn and commands of
//! different partitions are independent. *Executed* and *durable* are two moments: joins read what
//! is live, client reads read what is durable, and nothing is acknowledged before it is durable.
//!
//! Commands and answers come in families, one for each part of the core that asks the storage for
//! something, each in a file of its own. A command carries what its answer is for, and the answer
//! brings that back: so no part keeps a table of what it asked, and none can be given another's answer.

mod batch;
mod command;
mod family;
mod founding;
mod handoff;
mod recall;
mod recovered;
mod refusal;
mod repair;
mod replica;

use core::ops::ControlFlow;

use bytes::Bytes;
use thiserror::Error;

pub use self::batch::Batch;
pub use self::command::{Answer, Command, Outcome, StoreCommand};
pub use self::family::{AnswerFamily, CommandFamily, Written};
pub use self::founding::{FoundingAnswer, FoundingCommand, Promise};
pub use self::handoff::{
    DropReason, Dropped, HandoffAnswer, HandoffCommand, HintBatch, Receipt, StoredHint,
};
pub use self::recall::{RecallAnswer, RecallCommand};
pub use self::recovered::{CorruptKey, ForeignData, FoundingRecord, KeptHints, Recovered};
pub use self::refusal::Refusal;
pub use self::repair::{
    BranchesFor, Caller, CompletionReason, JoinFor, LeavesFor, Party, RepairAnswer, RepairCommand,
    SessionStep, Summaries, Summary,
};
pub use self::replica::{
    CopyKind, Hint, HintGrowth, HintTerms, Mint, MintedWrite, ReplicaAction, ReplicaAnswer,
    ReplicaCommand, ReplicaDone, Requester, Role,
};
use crate::types::Seq;

/// The version of what is written into the store: where records lie (`storage/keyspace.rs`) and how
/// they are encoded. A version of this software with another one does not read them.
pub const RECORD_FORMAT: u32 = 1;

/// The image of the store that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The image of everything that was committed.
    Live,
    /// The image that would survive a crash now, as far as the disk tells the truth.
    Durable,
}

/// A record that is there and cannot be read. It is never "not found".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the record is corrupt")]
pub struct Corrupt;

/// The reason why a batch was not committed. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum StoreFault {
    /// No room. Reads go on.
    #[error("the disk is full")]
    Full,
    /// The system gives the node no more file descriptors. Reads go on.
    #[error("no file descriptors are left")]
    OutOfFiles,
    /// The log failed. The node stops serving.
    #[error("the disk failed")]
    Failed,
}

impl StoreFault {
    /// Says whether writes are taken again by themselves once the environment allows it.
    pub const fn is_passing(self) -> bool {
        match self {
            Self::Full | Self::OutOfFiles => true,
            Self::Failed => false,
        }
    }
}

/// An ordered map of bytes, written in atomic batches.
pub trait Store {
    /// The record under this key.
    ///
    /// # Errors
    /// [`Corrupt`], if there is one that cannot be read.
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, Corrupt>;

    /// Decodes the record under this key. A store that has it in memory decodes it where it lies.
    ///
    /// # Errors
    /// [`Corrupt`], if there is a record and it cannot be read or decoded.
    fn read<T>(
        &self,
        view: View,
        key: &[u8],
        decode: impl FnOnce(&Bytes) -> Result<T, Corrupt>,
    ) -> Result<Option<T>, Corrupt> {
        self.get(view, key)?.map(|record| decode(&record)).transpose()
    }

    /// Visits the records whose keys begin with `prefix` and are greater than `after` (if it is not
    /// empty), in order, until told to break.
    fn scan(&self, view: View, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>);

    /// Commits a batch: all of it or nothing. It is live at once, and durable when the driver says
    /// so for its position.
    ///
    /// # Errors
    /// [`StoreFault`]; then nothing of the batch was committed.
    fn commit(&mut self, batch: Batch) -> Result<Seq, StoreFault>;

    /// The position of the newest batch committed; 0 before the first since the start.
    fn newest(&self) -> Seq;
}

/// A function that is shown a key and its record, and says whether to go on.
pub type Visitor<'a> = dyn FnMut(&[u8], Result<&Bytes, Corrupt>) -> ControlFlow<()> + 'a;
