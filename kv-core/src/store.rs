//! Storage as the core sees it: a small trait, the commands that run where the disk is, and what
//! comes of them.
//!
//! A command belongs to one partition. It reads, joins, mints, updates the Merkle leaf and the hint
//! index, and commits all of that in one atomic batch, so that nothing can be torn and commands of
//! different partitions are independent. *Executed* and *durable* are two moments: joins read what
//! is live, client reads read what is durable, and nothing is acknowledged before it is durable.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::{Buf as _, Bytes};
use smallvec::SmallVec;
use thiserror::Error;

use crate::codec::codec;
use crate::event::Event;
use crate::merkle::{FAN_OUT, LeafId};
use crate::time::{HybridTime, WallTime};
use crate::types::{ContentHash, Epoch, FoundingId, Key, NodeId, PartitionId, RequestId, Seq};
use crate::version::{Container, Content, Dot, VersionVector};

/// The version of what is written into the store: where records lie (`replica/keyspace.rs`) and how
/// they are encoded. A version of this software with another one does not read them.
pub const RECORD_FORMAT: u32 = 1;

/// Which image of the store is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Everything that was committed.
    Live,
    /// What would survive a crash now, as far as the disk tells the truth.
    Durable,
}

/// A record that is there and cannot be read. It is never "not found".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the record is corrupt")]
pub struct Corrupt;

/// Why a batch was not committed. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Fault {
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

impl Fault {
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

    /// What the record under this key decodes to. A store that has it in memory decodes it where it lies.
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
    /// [`Fault`]; then nothing of the batch was committed.
    fn commit(&mut self, batch: Batch) -> Result<Seq, Fault>;

    /// The position of the newest batch committed; 0 before the first since the start.
    fn newest(&self) -> Seq;
}

/// Is shown a key and its record, and says whether to go on.
pub type Visitor<'a> = dyn FnMut(&[u8], Result<&Bytes, Corrupt>) -> ControlFlow<()> + 'a;

/// Writes that happen together or not at all, in order: a later write to the same key wins. They lie
/// in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Keys, each with its record behind it.
    bytes: Vec<u8>,
    writes: SmallVec<[Ends; 4]>,
}

/// Where a write ends in the bytes of its batch. It begins where the one before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    key: usize,
    /// Nothing, if the write deletes.
    record: Option<usize>,
}

impl Batch {
    /// A batch of no writes, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), writes: SmallVec::new() }
    }

    /// Puts a record.
    pub fn put(&mut self, key: &[u8], record: &[u8]) {
        self.put_with(key, |bytes| bytes.extend_from_slice(record));
    }

    /// Puts the record that `write` appends to the bytes that it is given.
    pub fn put_with(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(key);
        let key = self.bytes.len();
        write(&mut self.bytes);
        self.writes.push(Ends { key, record: Some(self.bytes.len()) });
    }

    /// Deletes a record.
    pub fn delete(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.writes.push(Ends { key: self.bytes.len(), record: None });
    }

    /// How many writes there are.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Each write: what `own` makes of the key, and its record, or nothing if it is deleted. Records keep
    /// all bytes of the batch in memory: as a rule there is one large one.
    pub fn into_writes<K>(
        self,
        mut own: impl FnMut(&[u8]) -> K,
    ) -> impl ExactSizeIterator<Item = (K, Option<Bytes>)> {
        let (mut rest, mut begin) = (Bytes::from(self.bytes), 0);
        self.writes.into_iter().map(move |Ends { key: end, record: record_end }| {
            let key = own(&rest[..end - begin]);
            rest.advance(end - begin);
            begin = record_end.unwrap_or(end);
            (key, record_end.map(|record_end| rest.split_to(record_end - end)))
        })
    }
}

/// What a node asks of its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCommand {
    /// The partition that it belongs to.
    pub partition: PartitionId,
    /// What to do there.
    pub action: Action,
}

/// What to do in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Name and store a client's write.
    Mint(Box<Mint>),
    /// Join containers into this owner's own.
    Merge {
        /// What came.
        items: Vec<(Key, Container)>,
    },
    /// Keep a container for an owner that cannot be reached.
    Hint(Box<Hint>),
    /// Read the durable container of a key.
    Read {
        /// The key.
        key: Key,
        /// Which of the two kinds of copies.
        copy: CopyKind,
    },
    /// The hints for one target, the most urgent first.
    HintBatch {
        /// Whom they are for.
        target: NodeId,
        /// About how many bytes of them; at least one hint is returned if there is one.
        bytes: u64,
    },
    /// Delete hints that their target has applied durably, unless they have grown since.
    HintDrop {
        /// Whom they were for.
        target: NodeId,
        /// Each key with the hash of the container that was delivered.
        items: Vec<(Key, ContentHash)>,
    },
    /// The inner nodes of the partition's Merkle tree.
    Branches,
    /// The leaves below some inner nodes.
    Leaves {
        /// Which inner nodes: bit `i` for node `i`.
        branches: u16,
    },
    /// What is known of the keys of one leaf, without the values.
    Summaries {
        /// The leaf.
        leaf: LeafId,
        /// Start behind this key.
        after: Option<Key>,
        /// About how many bytes of them.
        bytes: u64,
    },
    /// The live containers of some keys.
    Fetch {
        /// The keys.
        keys: Vec<Key>,
        /// About how many bytes of them; at least one container is returned if there is one.
        bytes: u64,
    },
    /// Write the marker which says that this owner holds all that it must hold.
    MarkComplete,
    /// Write that this store was new before a founding, which is still to come. It is about the whole
    /// store, in whatever partition it is said.
    Pledge {
        /// The founding.
        founding: FoundingId,
    },
    /// Write that this store belongs to the cluster which came of a founding, and take away all
    /// pledges. It is about the whole store, in whatever partition it is said.
    Found {
        /// The founding.
        founding: FoundingId,
    },
    /// Read every record of the leaves from this one on, to find those that are corrupt.
    Scrub {
        /// The first leaf.
        from: LeafId,
        /// About how many bytes of containers; at least one leaf.
        bytes: u64,
    },
    /// Believe the owner's copy of a key again that was corrupt: what enough others hold is in it.
    MarkRepaired {
        /// The key.
        key: Key,
        /// They hold nothing: if the record is corrupt still, it is deleted.
        is_unknown: bool,
    },
}

impl Action {
    /// Says that this writes nothing: if nobody waits for the answer, it need not be done.
    pub const fn is_read(&self) -> bool {
        match self {
            Self::Read { .. }
            | Self::HintBatch { .. }
            | Self::Branches
            | Self::Leaves { .. }
            | Self::Summaries { .. }
            | Self::Fetch { .. }
            | Self::Scrub { .. } => true,
            Self::Mint(_)
            | Self::Merge { .. }
            | Self::Hint(_)
            | Self::HintDrop { .. }
            | Self::MarkComplete
            | Self::Pledge { .. }
            | Self::Found { .. }
            | Self::MarkRepaired { .. } => false,
        }
    }
}

/// A client's write, to be named by this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mint {
    /// The key.
    pub key: Key,
    /// What the client said.
    pub content: Content,
    /// When it ceases to be visible.
    pub expiry: Option<WallTime>,
    /// What it overwrites.
    pub basis: Basis,
    /// Whether this replica owns the key or is the fallback of an owner.
    pub role: Role,
    /// The client's request; a replica that knows it answers with the dot that it minted then.
    pub request: RequestId,
    /// For a new epoch, should one be needed.
    pub spare: Epoch,
    /// This node's clock.
    pub time: HybridTime,
    /// The most siblings that may stand.
    pub siblings_max: u64,
}

/// What a write overwrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Exactly what this context covers.
    Given(VersionVector),
    /// What the minting replica holds, and this as well.
    Held(VersionVector),
}

codec!(enum Basis { 0 => Given(seen), 1 => Held(seen) });

impl Basis {
    /// What a write overwrites when a second replica is asked to mint, because the first was
    /// silent. By the time it is, the first may have minted, and others may have overwritten it:
    /// then "what the replica holds" is newer than the write. At worst it stands beside it.
    #[must_use]
    pub fn of_a_spare(self) -> Self {
        match self {
            Self::Given(seen) | Self::Held(seen) => Self::Given(seen),
        }
    }
}

/// As what a replica takes a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// As an owner of the key.
    Owner,
    /// In the place of an owner that cannot be reached.
    Fallback(HintTerms),
}

/// For whom a replica stands in, and how its hint is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintTerms {
    /// The owner that the hint is for.
    pub target: NodeId,
    /// When the hint was made, by the clock of the node that keeps it.
    pub created: WallTime,
    /// When it may be dropped; its target is stale from then on.
    pub expires: WallTime,
    /// How many other copies were believed to stand: hints with few go first.
    pub copies: u8,
}

codec!(struct HintTerms { target, created, expires, copies });

/// A container to be kept for somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The key.
    pub key: Key,
    /// The whole container.
    pub container: Container,
    /// For whom, and for how long.
    pub terms: HintTerms,
}

/// The two kinds of copies that a node can hold of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    /// Its own, as an owner.
    Owned,
    /// What it keeps for owners, all its hints for the key joined.
    Hinted,
}

codec!(enum CopyKind { 0 => Owned, 1 => Hinted });

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where.
    pub partition: PartitionId,
    /// What it found or did.
    pub result: Result<Done, Refusal>,
    /// The partition's Merkle root after it, live.
    pub root: ContentHash,
    /// What happened on the way. The node observes them when it learns of the outcome.
    pub events: Vec<Event>,
    /// Keys of which the owner's record was found to be corrupt just now.
    pub corrupt: Vec<Key>,
}

/// What a command found or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The write has this name, and the replica now holds this.
    Minted {
        /// The name.
        dot: Dot,
        /// The whole container.
        container: Container,
        /// By how much the hints of a target grew, if this was a fallback.
        hinted: Option<HintGrowth>,
    },
    /// The containers are part of the own ones.
    Merged,
    /// The hint is kept.
    Hinted(HintGrowth),
    /// What the replica holds, durably.
    Read(Container),
    /// Hints, most urgent first.
    HintBatch {
        /// The hints.
        hints: Vec<StoredHint>,
        /// How many could not be read and were deleted: nothing else would ever come of them.
        dropped: u64,
    },
    /// Hints were deleted.
    HintDropped {
        /// How many.
        count: u64,
        /// How many bytes of hints that frees.
        bytes: u64,
    },
    /// The hashes of the inner nodes.
    Branches(Box<[ContentHash; FAN_OUT]>),
    /// The hashes of leaves.
    Leaves(Vec<(LeafId, ContentHash)>),
    /// What is known of some keys.
    Summaries {
        /// In the order of the keys.
        entries: Vec<Summary>,
        /// Whether there are more behind the last.
        more: bool,
    },
    /// Containers, in the order in which the keys were given; a key of which nothing is known is
    /// left out, and so are all that had no room.
    Fetched(Vec<(Key, Container)>),
    /// The marker is written.
    MarkedComplete,
    /// The pledge is written.
    Pledged,
    /// The founding is written.
    Founded,
    /// Leaves were read.
    Scrubbed {
        /// The first that was not; nothing, if these were the last.
        next: Option<LeafId>,
    },
    /// The copy is believed again, unless it has been corrupt anew.
    MarkedRepaired {
        /// Whether it is.
        is_repaired: bool,
    },
}

/// How the hints for one target grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintGrowth {
    /// Whether there was none for this key and target before.
    pub added: bool,
    /// How many bytes were added.
    pub bytes: u64,
}

/// A hint as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHint {
    /// The key.
    pub key: Key,
    /// The whole container.
    pub container: Container,
    /// For whom, and for how long.
    pub terms: HintTerms,
    /// Whether this node minted into it, in the epoch that it then had.
    pub minted: bool,
}

codec!(struct StoredHint { key, container, terms, minted });

/// What is known of a key, without the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The key.
    pub key: Key,
    /// Every event that is accounted for.
    pub seen: VersionVector,
    /// The hash of the container.
    pub hash: ContentHash,
}

codec!(struct Summary { key, seen, hash });

/// Why a replica did not do what it was asked. It changed nothing; only of a merge of several
/// containers may some have been joined, which harms nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Refusal {
    /// One more sibling would pass the limit.
    #[error(
        "the key has as many siblings as are allowed ({max}): read it and write with the context"
    )]
    TooManySiblings {
        /// The limit.
        max: u64,
    },
    /// The record is there and cannot be read.
    #[error("the record is corrupt here")]
    Corrupt,
    /// This owner has lost data and has not yet copied it back.
    #[error("this replica is incomplete: it has not copied yet what it lost")]
    Incomplete,
    /// The disk has no room.
    #[error("the disk is full")]
    DiskFull,
    /// The disk failed; the node stops serving.
    #[error("the disk failed")]
    DiskFailed,
    /// Too many bytes of hints are kept already.
    #[error("too many hints are kept already")]
    HintsFull,
    /// The request was planned under a layout that this node does not serve.
    #[error("the request was planned under another layout")]
    Layout,
    /// It asks to overwrite what is held, and nothing proves that it is not an old one.
    #[error("nothing proves that the request is not an old one")]
    Late,
    /// The system gives the node no more file descriptors.
    #[error("no file descriptors are left to this node")]
    OutOfFiles,
}

codec!(enum Refusal {
    0 => TooManySiblings { max },
    1 => Corrupt,
    2 => Incomplete,
    3 => DiskFull,
    4 => DiskFailed,
    5 => HintsFull,
    6 => Layout,
    7 => Late,
    8 => OutOfFiles,
});

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::DiskFull,
            Fault::OutOfFiles => Self::OutOfFiles,
            Fault::Failed => Self::DiskFailed,
        }
    }
}

/// What a store says when a node starts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// What the store says of the founding of its cluster.
    pub founding: FoundingRecord,
    /// Partitions whose data marker stands: this owner holds all that it must hold.
    pub complete: Vec<PartitionId>,
    /// Merkle roots that are not those of an empty tree.
    pub roots: Vec<(PartitionId, ContentHash)>,
    /// The hints that are kept.
    pub hints: Vec<KeptHints>,
    /// Keys of which this owner lost something, and which are not whole yet.
    pub corrupt: Vec<Key>,
    /// The partition of each record that is read at start and could not be.
    pub corrupt_at_start: Vec<PartitionId>,
}

/// What a store says of the founding of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FoundingRecord {
    /// Nothing: it is new, or everything in it is gone.
    #[default]
    None,
    /// It was new before these foundings, of which it does not know whether they came about.
    Pledged(Vec<FoundingId>),
    /// It belongs to the cluster that came of this founding.
    Founded(FoundingId),
    /// It belongs to a cluster, and the record that says of which founding cannot be read.
    Corrupt,
}

/// The data of another node: its disk was copied, or came to the wrong machine. A node must not
/// start on it, for it would seem to hold what it never had (semantics.md §9.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the data belongs to node {owner}")]
pub struct ForeignData {
    /// The node whose data it is.
    pub owner: NodeId,
}

/// The hints for one target in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptHints {
    /// The partition.
    pub partition: PartitionId,
    /// Whom they are for.
    pub target: NodeId,
    /// How many.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}
