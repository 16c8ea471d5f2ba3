//! The messages between nodes: one header for all of them, and a family of messages for each part
//! of the core that takes them.
//!
//! A family is an enum in a file of its own, with the payloads, their stable numbers and names, and
//! what carriers ask of them ([`Family`]): which keys they name, how large they are, what goes
//! first. A sample of each, of which the bytes are frozen, stands in the tests there. A new message
//! is thus an edit in its family and in the part that takes it.

mod family;
pub mod founding;
pub mod gossip;
pub mod hints;
pub mod recall;
pub mod repair;
pub mod replication;
#[cfg(test)]
mod samples;

use alloc::vec::Vec;
use core::cmp::Ordering;

pub use self::family::Family;
pub use self::founding::{FoundingKind, FoundingMessage};
pub use self::gossip::{GossipKind, GossipMessage};
pub use self::hints::{HandoffKind, HandoffMessage, HintDelivered, HintDelivery};
pub use self::recall::{RecallKind, RecallMessage};
pub use self::repair::{RepairKind, RepairMessage};
pub use self::replication::{
    Acked, CoordinatorKind, CoordinatorMessage, FallbackFor, HintDemand, HintRequest, MergeRequest,
    MintRequest, Minted, ReadReply, ReadRequest, Refused, ReplicaKind, ReplicaMessage,
};
use crate::codec::{Codec, Malformed, Reader, codec};
use crate::time::Time;
pub use crate::types::OperationId;
use crate::types::{ClusterId, Generation, Key, LayoutHash, NodeId, RequestId};

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender, the addressee, the request, and the layout.
    pub header: Header,
    /// The content.
    pub body: Body,
}

/// The fields that every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster: a message of another one is dropped.
    pub cluster: ClusterId,
    /// The sender.
    pub from: NodeId,
    /// The run of the sender.
    pub generation: Generation,
    /// The addressee.
    pub to: NodeId,
    /// The request that it belongs to; background work has requests of its own.
    pub request: RequestId,
    /// The version and the content hash of the layout that it was planned under.
    pub layout: (u64, LayoutHash),
    /// The fence that its containers are stamped with (semantics.md §2).
    pub fence: u64,
    /// The time at which it was sent, by the sender's monotonic clock. It means something to the
    /// sender alone, when it comes back to it as an [`Echo`].
    pub sent: Time,
}

/// The number of words of 64 bits in a header. It is in every message: each field takes the bytes
/// that it has, so that a header is written and read in one piece.
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

/// The time that a node gave in its last message, sent back to it: however late this arrives, the
/// node knows by its own clock that it was sent after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// The run of the node that sent that message.
    pub generation: Generation,
    /// The time at which that message was sent, by the clock of the node that it goes back to.
    pub sent: Time,
}

codec!(struct Echo { generation, sent });

macro_rules! families {
    ($($(#[$doc:meta])* $family:ident($message:path, $kind:path),)*) => {
        /// The content of a message: a family for each part of the core that takes messages.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Body {
            $($(#[$doc])* $family($message),)*
        }

        /// The kind of a message, which has a stable number on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $family($kind),)*
        }

        impl Kind {
            const COUNT: usize = 0 $(+ <$kind>::ALL.len())*;

            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [Self] = &Self::all();

            const fn all() -> [Self; Self::COUNT] {
                let mut all = [Self::Gossip(GossipKind::Syn); Self::COUNT];
                let mut at = 0;
                $(
                    let kinds = <$kind>::ALL;
                    let mut of_family = 0;
                    while of_family < kinds.len() {
                        all[at] = Self::$family(kinds[of_family]);
                        of_family += 1;
                        at += 1;
                    }
                )*
                assert!(at == Self::COUNT, "every kind has its place");
                // Families are sorted: each kind moves down past those with greater numbers.
                let mut sorted = 1;
                while sorted < Self::COUNT {
                    let mut at = sorted;
                    while at > 0 && all[at - 1].number() > all[at].number() {
                        all.swap(at - 1, at);
                        at -= 1;
                    }
                    sorted += 1;
                }
                all
            }

            /// The number that stands on the wire. Below 64.
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$family(kind) => kind as u8,)*
                }
            }

            /// The kind of this number, if there is one.
            pub fn from_number(number: u8) -> Option<Self> {
                None$(.or_else(|| <$kind>::from_number(number).map(Self::$family)))*
            }

            /// The name that scenarios, traces and metrics use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$family(kind) => kind.name(),)*
                }
            }
        }

        impl Body {
            /// The kind of the message.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$family(message) => Kind::$family(message.kind()),)*
                }
            }

            fn family(&self) -> &dyn Family {
                match self {
                    $(Self::$family(message) => message,)*
                }
            }

            /// Appends the payload to the bytes. The kind is not among them.
            pub(crate) fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$family(message) => message.encode(out),)*
                }
            }

            /// Reads a payload of this kind, and leaves what lies behind it.
            pub(crate) fn decode(kind: Kind, input: &mut Reader<'_>) -> Result<Self, Malformed> {
                match kind {
                    $(Kind::$family(kind) => <$message>::decode(kind, input).map(Self::$family),)*
                }
            }

            /// The samples of all families, in the order of their kinds.
            #[cfg(test)]
            pub(crate) fn samples() -> Vec<Self> {
                let mut samples = Vec::new();
                $(samples.extend(<$message>::samples().into_iter().map(Self::$family));)*
                samples.sort_by_key(Self::kind);
                samples
            }
        }

        $(
            impl From<$message> for Body {
                fn from(message: $message) -> Self {
                    Self::$family(message)
                }
            }
        )*
    };
}

families! {
    /// A message to the membership of a node.
    Gossip(GossipMessage, GossipKind),
    /// A message to a node as a replica of a key.
    Replica(ReplicaMessage, ReplicaKind),
    /// A message to the coordinator of an operation.
    Coordinator(CoordinatorMessage, CoordinatorKind),
    /// A message between the keeper of hints and their target.
    Handoff(HandoffMessage, HandoffKind),
    /// A message between the two sides of a comparison.
    Repair(RepairMessage, RepairKind),
    /// A message between members of a cluster that is not founded yet.
    Founding(FoundingMessage, FoundingKind),
    /// A message about how far the log of one of two nodes had come.
    Recall(RecallMessage, RecallKind),
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Body {
    /// The keys that the message names.
    pub fn keys(&self) -> Vec<&Key> {
        self.family().keys()
    }

    /// About how many bytes the message takes beside its header: all of it that may be large.
    pub fn weight(&self) -> usize {
        self.family().weight()
    }

    /// Tells whether the message goes before others that wait for the same connection: it is small, and
    /// somebody counts on its being quick.
    pub fn is_urgent(&self) -> bool {
        self.family().is_urgent()
    }

    /// Tells whether it is about the founding of the cluster: all that members say to each other
    /// before it.
    pub const fn is_founding(&self) -> bool {
        matches!(self, Self::Founding(_))
    }
}
