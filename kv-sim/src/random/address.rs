//! The addresses of choices: every choice of a run has an address, a count at that address, and an
//! aspect. A choice is a function of these and the seed, and of no other choice; so a choice that
//! is added somewhere moves no other, and a saved failure can name the choices that matter.
//!
//! Each choice has a stable text, which saved failures and scenarios use:
//! `message n1 n2 merge 00000000000000000000000000000007 0 delay` is the delay of the first copy of
//! the merge that `n1` sent to `n2` for request 7. A choice of the core has no aspect:
//! `node n1 epoch 12 0` is the first epoch that `n1` drew for partition 12.

use std::fmt::Write as _;
use std::str::FromStr;

use kv_core::cx::Purpose;
use kv_core::message::Kind;
use kv_core::sampling::mix;
use kv_core::types::{RequestId, Ticket};
use thiserror::Error;

use crate::scenario::former_names;
use crate::scenario::{Cluster, NodeIndex};

/// The address of a choice: who chooses, and about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A node as it is set up: `setup n1`.
    Setup {
        /// The node that is set up.
        node: NodeIndex,
    },
    /// The core of a node: `node n1 epoch 12`.
    Node {
        /// The node whose core draws.
        node: NodeIndex,
        /// The purpose of the draw.
        purpose: Purpose,
        /// The subject of the draw, such as a partition, by number.
        subject: u64,
    },
    /// A message: `message n1 n2 merge <request id>`. The count numbers its copies.
    Message {
        /// The sender.
        from: NodeIndex,
        /// The addressee.
        to: NodeIndex,
        /// The kind of the message.
        kind: Kind,
        /// The request that the message belongs to.
        request: RequestId,
    },
    /// The news that the connection to a node broke or stands again: `link n1 n2`.
    Link {
        /// The node that stopped or started.
        from: NodeIndex,
        /// The node that learns of it.
        to: NodeIndex,
    },
    /// A storage command: `disk n1 <ticket>`.
    Command {
        /// The node whose disk executes the command.
        node: NodeIndex,
        /// The ticket of the command.
        ticket: Ticket,
    },
    /// A sync of a disk: `sync n1 17`. The choice of what a kill leaves belongs to the last one
    /// before it.
    Sync {
        /// The node whose disk syncs.
        node: NodeIndex,
        /// The number of the sync, counted over the life of the world.
        number: u64,
    },
    /// An operation of a client: `client 3 17`.
    Client {
        /// The number of the client.
        client: u32,
        /// The number of its operation, from 1; 0 is the client's own set-up.
        operation: u32,
    },
    /// A fault: `fault 0`. The count runs over all that is drawn for it: the victims of all its
    /// occurrences, and the effect on each.
    Fault {
        /// The position of the fault in the scenario.
        fault: usize,
    },
}

macro_rules! aspects {
    ($($(#[$doc:meta])* $aspect:ident = $number:literal $name:literal,)*) => {
        /// An aspect: one of the questions at one address. Numbers are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Aspect {
            $($(#[$doc])* $aspect = $number,)*
        }

        impl Aspect {
            /// Every aspect, by number.
            pub const ALL: &[Self] = &[$(Self::$aspect,)*];

            /// The word for the aspect; empty for the only question at an address.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$aspect => $name,)*
                }
            }
        }
    };
}

aspects! {
    /// The only question at an address.
    Only = 0 "",
    /// The time that something takes.
    Delay = 1 "delay",
    /// The loss of a message: 1 if it is lost.
    Loss = 2 "loss",
    /// The second copy of a message: 1 if it arrives twice.
    Duplicate = 3 "duplicate",
    /// The holding back of a message: 1 if it is.
    Reorder = 4 "reorder",
    /// The time for which a message is held back.
    Hold = 5 "hold",
    /// The time that an answer takes.
    Answer = 6 "answer",
    /// The id of a node.
    Id = 7 "id",
    /// The error of a wall clock; half of the range is no error.
    ClockOffset = 8 "clock-offset",
    /// The error of a clock's speed; half of the range is no error.
    ClockDrift = 9 "clock-drift",
    /// The time that a monotonic clock shows first.
    ClockStart = 10 "clock-start",
    /// The node that a client turns to.
    Coordinator = 11 "coordinator",
    /// The choice of a read: 1 if an operation is one.
    Read = 12 "read",
    /// The choice of a delete: 1 if a write is one.
    Delete = 13 "delete",
    /// The key of an operation.
    Key = 14 "key",
    /// The time for which a client thinks.
    Think = 15 "think",
    /// The record that rots.
    Record = 16 "record",
    /// The number of unsynced batches that a kill leaves.
    Kept = 17 "kept",
    /// The node whose disk is copied.
    Donor = 18 "donor",
    /// The moment to which a disk is rolled back.
    Moment = 19 "moment",
    /// The length of a value.
    Size = 20 "size",
    /// The choice of an empty value: 1 if a value is one.
    Empty = 21 "empty",
    /// The choice to ask for an earlier write once more: 1 if an operation does.
    Repeat = 22 "repeat",
    /// The choice to use the id of an earlier write again: 1 if a write does.
    Reuse = 23 "reuse",
    /// The earlier write of a client that is repeated, or whose id is used again.
    Earlier = 24 "earlier",
    /// The choice to ask for what makes no sense: 1 if an operation does.
    Misuse = 25 "misuse",
    /// The way in which an operation makes no sense.
    HowMisused = 26 "how-misused",
    /// The bytes of a token that are altered.
    AlteredToken = 27 "altered-token",
    /// The corruption of a message: 1 if it is corrupt.
    Corrupt = 32 "corrupt",
    /// The bits of a message that are flipped: see [`crate::cluster::network::flipped`].
    FlippedBits = 33 "flipped-bits",
    /// The long tail of delays: 1 if a message is in it.
    Tail = 34 "tail",
    /// The time by which a message in the long tail takes longer.
    TailDelay = 35 "tail-delay",
    /// The time for which a partition that flaps stays, or stays away.
    Flap = 36 "flap",
    /// The number of nodes that are hit.
    Victims = 37 "victims",
    /// The time from the beginning of a swizzle until a node is clogged.
    Clog = 38 "clog",
    /// The time from the middle of a swizzle until a node is let go.
    Unclog = 39 "unclog",
}

impl Aspect {
    /// The aspects of which one answer is plainer than the others. An id is not among them: it must
    /// differ for each node.
    pub const THAT_CAN_BE_NOMINAL: &[Self] = &[
        Self::Delay,
        Self::Loss,
        Self::Duplicate,
        Self::Reorder,
        Self::Hold,
        Self::Answer,
        Self::ClockOffset,
        Self::ClockDrift,
        Self::ClockStart,
        Self::Coordinator,
        Self::Read,
        Self::Delete,
        Self::Key,
        Self::Think,
        Self::Size,
        Self::Empty,
        Self::Repeat,
        Self::Reuse,
        Self::Earlier,
        Self::Misuse,
        Self::HowMisused,
        Self::Corrupt,
        Self::Tail,
        Self::TailDelay,
        Self::Flap,
        Self::Victims,
        Self::Clog,
        Self::Unclog,
        Self::Kept,
    ];
}

/// One choice of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Choice {
    /// The address at which the choice is made.
    pub address: Address,
    /// The number of times that something was asked at the address before.
    pub n: u32,
    /// The aspect that is chosen.
    pub aspect: Aspect,
}

/// The error of a text that names no choice.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` names no choice: {problem}")]
pub struct AddressError {
    text: String,
    problem: &'static str,
}

const PURPOSES: &[(Purpose, &str)] = &[
    (Purpose::Epoch, "epoch"),
    (Purpose::Requests, "requests"),
    (Purpose::GossipPeers, "gossip-peers"),
    (Purpose::Phase, "phase"),
    (Purpose::RepairPartner, "repair-partner"),
];

impl Address {
    /// The number of the kind of address, and of the run's key that answers for it.
    pub(crate) const fn domain(&self) -> u8 {
        match self {
            Self::Setup { .. } => 0,
            Self::Node { .. } => 1,
            Self::Message { .. } => 2,
            Self::Link { .. } => 3,
            Self::Command { .. } => 4,
            Self::Sync { .. } => 5,
            Self::Client { .. } => 6,
            Self::Fault { .. } => 7,
        }
    }

    /// The number of kinds of addresses.
    pub(crate) const DOMAINS: usize = 8;

    /// Computes 64 bits that stand for the address. They never change: saved failures depend on
    /// them.
    pub fn hash(&self) -> u64 {
        let domain = u64::from(self.domain());
        match *self {
            Self::Setup { node } => mix(&[domain, node.0 as u64]),
            Self::Node { node, purpose, subject } => {
                mix(&[domain, (purpose as u64) << 32 | node.0 as u64, subject])
            }
            Self::Message { from, to, kind, request } => {
                let ends = (from.0 as u64) << 24 | to.0 as u64;
                let what = domain << 56 | u64::from(kind.number()) << 48 | ends;
                mix(&[what, (request.0 >> 64) as u64, request.0 as u64])
            }
            Self::Link { from, to } => mix(&[domain, (from.0 as u64) << 24 | to.0 as u64]),
            Self::Command { node, ticket } => mix(&[domain << 56 | node.0 as u64, ticket.0]),
            Self::Sync { node, number } => mix(&[domain, node.0 as u64, number]),
            Self::Client { client, operation } => {
                mix(&[domain, u64::from(client) << 32 | u64::from(operation)])
            }
            Self::Fault { fault } => mix(&[domain, fault as u64]),
        }
    }
}

impl Choice {
    /// Spells the choice as saved failures do.
    pub fn text(&self, cluster: &Cluster) -> String {
        let mut text = match self.address {
            Address::Setup { node } => format!("setup {}", cluster.name(node)),
            Address::Node { node, purpose, subject } => {
                let (_, purpose) = PURPOSES
                    .iter()
                    .find(|(candidate, _)| *candidate == purpose)
                    .expect("every purpose has a name");
                format!("node {} {purpose} {subject}", cluster.name(node))
            }
            Address::Message { from, to, kind, request } => {
                let (from, to) = (cluster.name(from), cluster.name(to));
                format!("message {from} {to} {} {request}", kind.name())
            }
            Address::Link { from, to } => {
                format!("link {} {}", cluster.name(from), cluster.name(to))
            }
            Address::Command { node, ticket } => {
                format!("disk {} {:016x}", cluster.name(node), ticket.0)
            }
            Address::Sync { node, number } => format!("sync {} {number}", cluster.name(node)),
            Address::Client { client, operation } => format!("client {client} {operation}"),
            Address::Fault { fault } => format!("fault {fault}"),
        };
        write!(text, " {}", self.n).expect("a string takes everything");
        if self.aspect != Aspect::Only {
            write!(text, " {}", self.aspect.name()).expect("a string takes everything");
        }
        text
    }

    /// Parses the choice that a text names.
    ///
    /// # Errors
    /// [`AddressError`], if the text names no choice in this cluster.
    pub fn parse(text: &str, cluster: &Cluster) -> Result<Self, AddressError> {
        let error = |problem| AddressError { text: text.to_owned(), problem };
        let mut words = Words { words: text.split_ascii_whitespace(), cluster };
        let address = words.address().map_err(error)?;
        let n = words.number().map_err(error)?;
        let aspect = match words.words.next() {
            None => Aspect::Only,
            Some(word) => *Aspect::ALL
                .iter()
                .find(|aspect| aspect.name() == former_names::aspect(word))
                .ok_or_else(|| error("the last word is no aspect of a choice"))?,
        };
        match words.words.next() {
            None => Ok(Self { address, n, aspect }),
            Some(_) => Err(error("there are too many words")),
        }
    }
}

struct Words<'a> {
    words: std::str::SplitAsciiWhitespace<'a>,
    cluster: &'a Cluster,
}

impl Words<'_> {
    fn address(&mut self) -> Result<Address, &'static str> {
        match self.word()? {
            "setup" => Ok(Address::Setup { node: self.node()? }),
            "node" => {
                let node = self.node()?;
                let word = self.word()?;
                let purpose = PURPOSES.iter().find(|(_, name)| *name == word);
                let &(purpose, _) = purpose.ok_or("a node draws nothing of this name")?;
                Ok(Address::Node { node, purpose, subject: self.number()? })
            }
            "message" => {
                let (from, to) = (self.node()?, self.node()?);
                let word = self.word()?;
                let kind = Kind::ALL.iter().find(|kind| kind.name() == word);
                let &kind = kind.ok_or("there is no such kind of message")?;
                let request = u128::from_str_radix(self.word()?, 16)
                    .map_err(|_| "a request id has 32 hexadecimal digits")?;
                Ok(Address::Message { from, to, kind, request: RequestId(request) })
            }
            "link" => Ok(Address::Link { from: self.node()?, to: self.node()? }),
            "disk" => {
                let node = self.node()?;
                let ticket = u64::from_str_radix(self.word()?, 16)
                    .map_err(|_| "a ticket has 16 hexadecimal digits")?;
                Ok(Address::Command { node, ticket: Ticket(ticket) })
            }
            "sync" => Ok(Address::Sync { node: self.node()?, number: self.number()? }),
            "client" => Ok(Address::Client { client: self.number()?, operation: self.number()? }),
            "fault" => Ok(Address::Fault { fault: self.number()? }),
            _ => Err("it begins with none of: setup node message link disk sync client fault"),
        }
    }

    fn word(&mut self) -> Result<&str, &'static str> {
        self.words.next().ok_or("a word is missing")
    }

    fn number<T: FromStr>(&mut self) -> Result<T, &'static str> {
        self.word()?.parse().map_err(|_| "a word should be a number")
    }

    fn node(&mut self) -> Result<NodeIndex, &'static str> {
        let cluster = self.cluster;
        let name = self.word()?;
        let found = cluster.indices().find(|&node| cluster.name(node) == name);
        found.ok_or("the cluster has no such node")
    }
}

#[cfg(test)]
mod tests {
    use kv_core::message::ReplicaKind;
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::cluster;

    fn one_of_each() -> Vec<Address> {
        let (from, to) = (NodeIndex(0), NodeIndex(1));
        vec![
            Address::Setup { node: from },
            Address::Node { node: from, purpose: Purpose::Epoch, subject: 12 },
            Address::Message {
                from,
                to,
                kind: Kind::Replica(ReplicaKind::Merge),
                request: RequestId(7),
            },
            Address::Link { from, to },
            Address::Command { node: from, ticket: Ticket(1 << 62 | 5) },
            Address::Sync { node: to, number: 17 },
            Address::Client { client: 3, operation: 17 },
            Address::Fault { fault: 2 },
        ]
    }

    #[test]
    fn every_choice_is_read_back_from_its_text() {
        let cluster = cluster(3);
        for address in one_of_each() {
            for &aspect in Aspect::ALL {
                let choice = Choice { address, n: 4, aspect };
                assert_eq!(Choice::parse(&choice.text(&cluster), &cluster), Ok(choice));
            }
        }
    }

    #[test]
    fn a_choice_reads_like_a_sentence() {
        let address = one_of_each()[2];
        let choice = Choice { address, n: 0, aspect: Aspect::Delay };
        assert_eq!(
            choice.text(&cluster(3)),
            "message n1 n2 merge 00000000000000000000000000000007 0 delay"
        );
    }

    #[test]
    fn a_text_that_names_no_choice_says_what_is_wrong_with_it() {
        let problem = |text| Choice::parse(text, &cluster(3)).expect_err(text).problem;
        assert_eq!(problem("message n1"), "a word is missing");
        assert_eq!(problem("setup n9 0"), "the cluster has no such node");
        assert_eq!(problem("fault 1 0 delay more"), "there are too many words");
        assert_eq!(problem("fault 1 0 dealy"), "the last word is no aspect of a choice");
    }

    #[test]
    fn addresses_have_hashes_of_their_own_that_never_change() {
        let hashes: BTreeSet<u64> = one_of_each().iter().map(Address::hash).collect();
        assert_eq!(hashes.len(), Address::DOMAINS);
        assert_eq!(one_of_each()[6].hash(), mix(&[6, 3 << 32 | 17]));
    }
}
