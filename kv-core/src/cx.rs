//! The boundary of the core: what goes in, what comes out, and what every machine of a node reads.
//!
//! One way in, [`Input`], and one way out, [`Effect`], into a buffer that the caller owns. Time and
//! chance are inputs too: [`Cx::now`] and [`Cx::draw`].

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::admin::{AdminCommand, AdminReply};
use crate::client::{ClientOperation, Reply};
use crate::config::Config;
use crate::event::Event;
use crate::message::{Body, Echo, Header, Message};
use crate::probe::Probe;
use crate::store::{Command, Outcome, StoreCommand};
use crate::time::{Now, Time};
use crate::topology::{Ownership, Topology};
use crate::types::{
    AdminRequest, ClientRequest, ClusterId, ContentHash, Epoch, Generation, Key, LogPosition,
    NodeId, PartitionId, RequestId, Seq, Ticket,
};

/// Everything that a call into the core may use beside the node itself.
pub struct Cx<'a> {
    /// The node's own clocks.
    pub now: Now,
    /// The only source of chance.
    pub draw: &'a mut dyn Draw,
    /// The buffer that effects go to.
    pub out: &'a mut Vec<Effect>,
}

/// Chance, by address: a draw is a function of (seed, node, purpose, subject, n), where `n` counts
/// the draws at that address. So a draw that is added in one place moves no other.
pub trait Draw {
    /// 64 random bits for this purpose and subject.
    fn u64(&mut self, purpose: Purpose, subject: u64) -> u64;
}

/// The purpose of a draw. Numbers are stable: saved runs refer to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// The epoch that a replica may need; the subject is the partition.
    Epoch = 1,
    /// The half of all request ids that one run of a node makes.
    Requests = 2,
    /// The peers that a gossip round talks to.
    GossipPeers = 3,
    /// The time of the first round of something periodic, so that nodes do not march in step; the
    /// subject says of what.
    Phase = 4,
    /// The replica that is compared next.
    RepairPartner = 5,
    /// The id of a founding.
    Founding = 6,
}

/// An input from the driver to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A client asks something.
    Client {
        /// The client's request; it comes back with the reply.
        request: ClientRequest,
        /// The operation that it asks for. In a box, as nothing else that comes in is as large.
        operation: Box<ClientOperation>,
    },
    /// An operator asks something. It is answered once ([`Effect::AdminReply`]), unless the node crashes.
    Admin {
        /// The operator's request; it comes back with the answer.
        request: AdminRequest,
        /// The order.
        command: AdminCommand,
    },
    /// A peer says something.
    Peer(Message),
    /// The connection to a peer changed.
    Link {
        /// The peer.
        peer: NodeId,
        /// The state of the connection now.
        state: LinkState,
    },
    /// A storage command was executed. Each is answered exactly once, unless the node crashes.
    StoreDone {
        /// The ticket of the command.
        ticket: Ticket,
        /// The store's newest position after it.
        seq: Seq,
        /// The outcome of the command.
        outcome: Outcome,
    },
    /// Everything up to this position is as durable as was promised.
    Durable {
        /// The position.
        seq: Seq,
        /// The position in the node's log up to which everything is as durable as was promised.
        log: LogPosition,
    },
    /// The store failed: what was executed and is not durable never will be, whatever the store says
    /// later (a sync that fails may forget what it was to write).
    StoreFailed,
    /// The time that [`crate::node::Node::next_deadline`] named has come.
    Deadline,
    /// The node is to stop: it answers what it holds, and nothing new.
    Stop,
}

/// The state of a connection, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The connection stands.
    Up,
    /// The connection broke: what was sent and not answered may be lost.
    Down,
}

/// An order of a node to its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a client.
    Reply {
        /// The request that is answered.
        request: ClientRequest,
        /// The answer.
        reply: Reply,
    },
    /// Answer an operator.
    AdminReply {
        /// The request that is answered.
        request: AdminRequest,
        /// The answer.
        reply: AdminReply,
    },
    /// Send a message to a peer. It may be lost, doubled or overtaken.
    Send(Message),
    /// Execute a storage command, after all that were asked for before.
    Store {
        /// The ticket of the command; it comes back with the outcome.
        ticket: Ticket,
        /// The command.
        command: StoreCommand,
    },
    /// Tell people of an event.
    Observe(Event),
}

/// The identity of a node. It lies apart from the data: a wiped disk does not change it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node's id for life.
    pub node: NodeId,
    /// The generation of this run.
    pub generation: Generation,
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// The live layouts, in which all nodes have their places.
    pub topology: Arc<Topology>,
}

/// The state that all machines of one node read and none but `node.rs` writes.
#[derive(Clone, Debug)]
pub struct NodeContext {
    /// The node's identity.
    pub identity: Identity,
    /// The node's configuration.
    pub config: Config,
    /// The node's opinion of its peers.
    pub peers: Peers,
    /// The partitions that it owns and has not lost.
    pub complete: BTreeSet<PartitionId>,
    /// The live Merkle roots of its partitions; one that is not here is that of an empty tree.
    pub roots: BTreeMap<PartitionId, ContentHash>,
}

/// A part of the core that asks the storage for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The node as a replica.
    Replica,
    /// Hinted handoff.
    Handoff,
    /// Repair.
    Repair,
    /// The founding of the cluster.
    Founding,
    /// Recall of what others remember of the log.
    Recall,
}

/// The storage commands that a part of the core has begun, and how many of them were answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandCount {
    begun: u64,
    answered: u64,
}

impl CommandCount {
    const ISSUER_SHIFT: u32 = 61;

    /// The ticket of the next command of this part: no two commands of a process have the same.
    pub const fn begin(&mut self, issuer: Issuer) -> Ticket {
        let ticket = Ticket(((issuer as u64) << Self::ISSUER_SHIFT) | self.begun);
        self.begun += 1;
        ticket
    }

    /// Takes note that a command was answered.
    ///
    /// # Panics
    /// If more are answered than were begun.
    pub const fn end(&mut self) {
        assert!(self.answered < self.begun, "each command is answered once");
        self.answered += 1;
    }

    /// The number of commands that are not answered yet.
    pub const fn in_flight(&self) -> usize {
        (self.begun - self.answered) as usize
    }
}

/// A node's opinion of its peers. Opinions change routing, never ownership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// The peers that seem to be down. One of which nothing was heard yet is given the benefit.
    pub down: BTreeSet<NodeId>,
    /// The nodes for which some node keeps hints: they may lack acknowledged writes.
    pub behind: BTreeSet<NodeId>,
    /// The time that each gave in its last message.
    pub echoes: BTreeMap<NodeId, Echo>,
}

impl NodeContext {
    /// This node's id.
    pub const fn me(&self) -> NodeId {
        self.identity.node
    }

    /// The live layouts.
    pub fn topology(&self) -> &Topology {
        &self.identity.topology
    }

    /// Tells whether a node seems to be up. A node always seems up to itself.
    pub fn is_up(&self, node: NodeId) -> bool {
        node == self.me() || !self.peers.down.contains(&node)
    }

    /// The ownership of this node in a partition; nothing, if it does not own it.
    pub fn ownership(&self, partition: PartitionId) -> Option<Ownership> {
        self.owns(partition).then(|| {
            if self.complete.contains(&partition) {
                Ownership::Complete
            } else {
                Ownership::Incomplete
            }
        })
    }

    /// Tells whether this node is a complete owner of a partition.
    pub fn is_complete(&self, partition: PartitionId) -> bool {
        self.ownership(partition) == Some(Ownership::Complete)
    }

    /// Tells whether this node owns a partition. Peers name all sorts of partitions: of one that
    /// does not exist the answer is no.
    pub fn owns(&self, partition: PartitionId) -> bool {
        self.topology().owned_by(self.me()).binary_search(&partition).is_ok()
    }

    /// Tells whether a key belongs to a partition.
    pub fn belongs(&self, key: &Key, partition: PartitionId) -> bool {
        self.topology().partition_of(key.token()) == partition
    }

    /// A message from this node. [`Cx::send`] says in it when it is sent.
    pub fn message(&self, to: NodeId, request: RequestId, body: Body) -> Message {
        let header = Header {
            cluster: self.identity.cluster,
            from: self.me(),
            generation: self.identity.generation,
            to,
            request,
            layout: self.topology().layout(),
            fence: 0,
            sent: Time::default(),
        };
        Message { header, body }
    }
}

impl Cx<'_> {
    /// Tells people of an event.
    pub fn observe(&mut self, event: Event) {
        self.out.push(Effect::Observe(event));
    }

    /// Says that a rare branch was taken.
    pub fn probe(&mut self, probe: Probe) {
        self.observe(Event::Probe(probe));
    }

    /// Sends a message.
    pub fn send(&mut self, mut message: Message) {
        message.header.sent = self.now.monotonic;
        self.out.push(Effect::Send(message));
    }

    /// Asks the storage for something.
    pub fn store(&mut self, ticket: Ticket, partition: PartitionId, command: impl Into<Command>) {
        let command = StoreCommand { partition, command: command.into() };
        self.out.push(Effect::Store { ticket, command });
    }

    /// An epoch, in case a replica needs a new one.
    pub fn spare_epoch(&mut self, partition: PartitionId) -> Epoch {
        Epoch(self.draw.u64(Purpose::Epoch, u64::from(partition.0)))
    }
}
