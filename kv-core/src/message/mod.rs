//! What nodes say to each other. One header for all messages; the kinds are a closed list with
//! stable numbers.

pub mod founding;
pub mod gossip;
pub mod repair;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{Codec, Malformed, Reader, codec};
use crate::store::{Basis, CopyKind, Refusal};
use crate::time::{Time, WallTime};
use crate::types::{ClusterId, Generation, Key, LayoutHash, NodeId, PartitionId, RequestId};
use crate::version::{Container, Content};

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who, to whom, for what, under which layout.
    pub header: Header,
    /// What.
    pub body: Body,
}

/// What every message says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster: a message of another one is dropped.
    pub cluster: ClusterId,
    /// The sender.
    pub from: NodeId,
    /// Which run of the sender.
    pub generation: Generation,
    /// The addressee.
    pub to: NodeId,
    /// The request that it belongs to; background work has requests of its own.
    pub request: RequestId,
    /// The version and the content hash of the layout that it was planned under.
    pub layout: (u64, LayoutHash),
    /// The fence that its containers are stamped with (semantics.md §2).
    pub fence: u64,
    /// When it was sent, by the sender's monotonic clock. It means something to the sender alone,
    /// when it comes back to it as an [`Echo`].
    pub sent: Time,
}

/// How many words of 64 bits a header takes. It is in every message: each field takes the bytes that it
/// has, so that a header is written and read in one piece.
const HEADER_WORDS: usize = 10;

impl Codec for Header {
    fn encode(&self, out: &mut Vec<u8>) {
        let Self { cluster, from, generation, to, request, layout, fence, sent } = *self;
        let words: [u64; HEADER_WORDS] = [
            cluster.0,
            from.0,
            generation.0,
            to.0,
            request.0 as u64,
            (request.0 >> 64) as u64,
            layout.0,
            layout.1.0,
            fence,
            sent.0,
        ];
        out.extend_from_slice(words.map(u64::to_le_bytes).as_flattened());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes: [u8; 8 * HEADER_WORDS] = input.array()?;
        let (words, _) = bytes.as_chunks::<8>();
        let word = |at: usize| u64::from_le_bytes(words[at]);
        Ok(Self {
            cluster: ClusterId(word(0)),
            from: NodeId(word(1)),
            generation: Generation(word(2)),
            to: NodeId(word(3)),
            request: RequestId(u128::from(word(5)) << 64 | u128::from(word(4))),
            layout: (word(6), LayoutHash(word(7))),
            fence: word(8),
            sent: Time(word(9)),
        })
    }
}

/// What a node said of the time in its last message, sent back to it: however late this arrives, the
/// node knows by its own clock that it was sent after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Which run of the node said so.
    pub generation: Generation,
    /// When that message was sent, by the clock of the node that it goes back to.
    pub sent: Time,
}

codec!(struct Echo { generation, sent });

/// The coordinator's own number for an operation in flight; answers carry it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationId(pub u64);

codec!(fixed OperationId(u64));

macro_rules! bodies {
    ($($(#[$doc:meta])* $kind:ident($payload:ty) = $number:literal $name:literal,)*) => {
        /// What a message says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Body {
            $($(#[$doc])* $kind($payload),)*
        }

        /// Which kind of message it is, by its stable number on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $kind = $number,)*
        }

        impl Kind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name that scenarios, traces and metrics use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The kind of this number, if there is one.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }

        impl Body {
            /// Tells whether it is about the founding of the cluster: all that members say to each
            /// other before it.
            pub const fn is_founding(&self) -> bool {
                matches!(
                    self,
                    Self::FoundingTell(_) | Self::FoundingPledge(_) | Self::FoundingPledged(_)
                )
            }

            /// Which kind it is.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// Appends the payload to the bytes. The kind is not among them.
            pub(crate) fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$kind(payload) => payload.encode(out),)*
                }
            }

            /// Reads a payload of this kind, and leaves what lies behind it.
            pub(crate) fn decode(kind: Kind, input: &mut Reader<'_>) -> Result<Self, Malformed> {
                match kind {
                    $(Kind::$kind => Codec::decode(input).map(Self::$kind),)*
                }
            }
        }
    };
}

bodies! {
    /// Gossip: what I know of everybody, by version.
    GossipSyn(gossip::Syn) = 1 "gossip-syn",
    /// Gossip: what you lack, and what I lack.
    GossipAck(gossip::Ack) = 2 "gossip-ack",
    /// Gossip: what you said that you lack.
    GossipAck2(gossip::Ack2) = 3 "gossip-ack2",

    /// Name this write, and store it.
    Mint(Box<MintRequest>) = 10 "mint",
    /// It is stored, but not durable yet; this is the container to send on.
    Minted(Minted) = 11 "minted",
    /// Join this container into yours.
    Merge(MergeRequest) = 12 "merge",
    /// Keep this container for another node.
    Hint(HintRequest) = 13 "hint",
    /// What you asked me to store is durable here.
    Acked(Acked) = 14 "acked",
    /// I did not do what you asked.
    Refused(Refused) = 15 "refused",

    /// What do you hold of this key, durably?
    Read(ReadRequest) = 20 "read",
    /// This.
    ReadReply(ReadReply) = 21 "read-reply",

    /// These hints were kept for you.
    HintDelivery(HintDelivery) = 30 "hint-delivery",
    /// They are durable here.
    HintDelivered(HintDelivered) = 31 "hint-delivered",

    /// Are all our common partitions equal?
    RepairCompare(repair::Compare) = 40 "repair-compare",
    /// Whether they are.
    RepairCompared(repair::Compared) = 41 "repair-compared",
    /// Which of these partitions differ?
    RepairRoots(repair::Roots) = 42 "repair-roots",
    /// These.
    RepairRootsDiffer(repair::RootsDiffer) = 43 "repair-roots-differ",
    /// Which of these inner nodes differ?
    RepairBranches(repair::Branches) = 44 "repair-branches",
    /// These.
    RepairBranchesDiffer(repair::BranchesDiffer) = 45 "repair-branches-differ",
    /// Which of these leaves differ?
    RepairLeaves(repair::Leaves) = 46 "repair-leaves",
    /// These.
    RepairLeavesDiffer(repair::LeavesDiffer) = 47 "repair-leaves-differ",
    /// What do you know of the keys of this leaf?
    RepairSummaries(repair::SummariesRequest) = 48 "repair-summaries",
    /// This.
    RepairSummarized(repair::Summarized) = 49 "repair-summarized",
    /// Join these, and send me those.
    RepairExchange(repair::Exchange) = 50 "repair-exchange",
    /// Joined, durably; and here they are.
    RepairExchanged(repair::Exchanged) = 51 "repair-exchanged",

    /// Founding: this is what I know.
    FoundingTell(founding::Tell) = 60 "founding-tell",
    /// Founding: promise that your store is new.
    FoundingPledge(founding::Pledge) = 61 "founding-pledge",
    /// Founding: it is promised, or not.
    FoundingPledged(founding::Pledged) = 62 "founding-pledged",
}

/// See [`Body::Mint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintRequest {
    /// Comes back with the answer.
    pub operation: OperationId,
    /// The key.
    pub key: Key,
    /// What the client said.
    pub content: Content,
    /// When it ceases to be visible.
    pub expiry: Option<WallTime>,
    /// What it overwrites.
    pub basis: Basis,
    /// In whose place the receiver is asked, if not as an owner.
    pub fallback_for: Option<FallbackFor>,
    /// What was last heard from the receiver, as a proof that this is not old.
    pub echo: Option<Echo>,
}

codec!(struct MintRequest { operation, key, content, expiry, basis, fallback_for, echo });

/// The place of an owner that cannot be reached, and that somebody else is to take. When it is taken,
/// and until when, is for that node's own clock to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackFor {
    /// The owner.
    pub owner: NodeId,
    /// How many other copies are believed to stand: hints with few are delivered first.
    pub copies: u8,
}

codec!(struct FallbackFor { owner, copies });

/// See [`Body::Minted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// Whose answer this is.
    pub operation: OperationId,
    /// What the minter holds now.
    pub container: Container,
}

codec!(struct Minted { operation, container });

/// See [`Body::Merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// Comes back with the answer.
    pub operation: OperationId,
    /// The key.
    pub key: Key,
    /// What to join.
    pub container: Container,
}

codec!(struct MergeRequest { operation, key, container });

/// See [`Body::Hint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintRequest {
    /// Comes back with the answer.
    pub operation: OperationId,
    /// The key.
    pub key: Key,
    /// What to keep.
    pub container: Container,
    /// For whom.
    pub fallback_for: FallbackFor,
}

codec!(struct HintRequest { operation, key, container, fallback_for });

/// See [`Body::Acked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// Whose answer this is.
    pub operation: OperationId,
    /// For whom the sender keeps it, if not for itself.
    pub for_owner: Option<NodeId>,
}

codec!(struct Acked { operation, for_owner });

/// See [`Body::Refused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose answer this is.
    pub operation: OperationId,
    /// Why.
    pub refusal: Refusal,
}

codec!(struct Refused { operation, refusal });

/// See [`Body::Read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Comes back with the answer.
    pub operation: OperationId,
    /// The key.
    pub key: Key,
    /// Its own copy, or what it keeps for others.
    pub copy: CopyKind,
}

codec!(struct ReadRequest { operation, key, copy });

/// See [`Body::ReadReply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadReply {
    /// Whose answer this is.
    pub operation: OperationId,
    /// What the sender holds, durably. Empty if it knows nothing of the key.
    pub container: Container,
}

codec!(struct ReadReply { operation, container });

/// See [`Body::HintDelivery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintDelivery {
    /// Comes back with the answer.
    pub delivery: u64,
    /// The partition that they belong to.
    pub partition: PartitionId,
    /// The containers.
    pub items: Vec<(Key, Container)>,
}

codec!(struct HintDelivery { delivery, partition, items });

/// See [`Body::HintDelivered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintDelivered {
    /// Whose answer this is.
    pub delivery: u64,
}

codec!(struct HintDelivered { delivery });
