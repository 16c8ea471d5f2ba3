//! The core, and one turn of it: inputs and due deadlines in, effects out, sorted by destination.
//! What the core asks of its storage is executed in the turn itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use kv_core::admin::AdminReply;
use kv_core::client::Reply;
use kv_core::cx::{Cx, Effect, Input};
use kv_core::event::Event;
use kv_core::message::Message;
use kv_core::node::Node;
use kv_core::quorum::Mode;
use kv_core::time::Now;
use kv_core::types::{AdminRequest, NodeId};

use super::{ConnectionId, OperationTag, Work, parts_of};
use crate::clock::Clock;
use crate::draws::Draws;
use crate::inspection::{DefaultQuorums, Inspection, PeerWatch, StorageFact, TurnCounts};
use crate::log::EventLog;
use crate::metrics::Metrics;
use crate::storage::{CommandDone, Engine, Storage};

/// The number of calls at deadlines in one turn, at most. A call at a deadline makes progress or
/// moves it, so that a few are enough; should the core spin, peers and clients still get their
/// turn.
const DEADLINES_PER_TURN: usize = 64;

/// The number of storage commands of one turn, at most, so that effects do not wait for long. What
/// is left is executed in the next turn, after others had theirs.
pub(super) const COMMANDS_PER_TURN: usize = 1_024;

/// The least time, in milliseconds, after which a silent peer counts as not heard.
const HEARD_WITHIN_MS_MIN: u64 = 10_000;

/// The core with its clock, its metrics and its log.
#[derive(Debug)]
pub struct Core {
    pub(super) node: Node,
    pub(super) clock: Clock,
    draws: Draws,
    metrics: Arc<Metrics>,
    log: EventLog,
    effects: Vec<Effect>,
    pub(super) peers: PeerWatch,
    storage: StorageFact,
}

/// The output of a turn, sorted by destination.
#[derive(Debug, Default)]
pub struct TurnOutput {
    /// The replies by connection, in the order in which they were given.
    pub replies: BTreeMap<ConnectionId, Vec<(OperationTag, Reply)>>,
    /// The answers to operators.
    pub admin: Vec<(AdminRequest, AdminReply)>,
    /// The messages by addressee, in the order in which they were sent.
    pub messages: BTreeMap<NodeId, Vec<Message>>,
    /// True if the core has learned that its storage failed.
    pub storage_failed: bool,
    /// The peers that seem to be down, and did not before.
    pub suspected: Vec<NodeId>,
}

impl Core {
    /// Creates a core that has not output anything yet.
    pub fn new(
        node: Node,
        clock: Clock,
        draws: Draws,
        metrics: Arc<Metrics>,
        log: EventLog,
    ) -> Self {
        let (effects, peers) = (Vec::new(), PeerWatch::default());
        let storage = StorageFact::default();
        metrics.on_storage_state(storage.word());
        Self { node, clock, draws, metrics, log, effects, peers, storage }
    }

    /// Handles all inputs, the deadlines that are due, and the outcomes of the storage commands that
    /// follow from them and from each other, up to a bound. What is committed then goes to the disk.
    pub fn turn<E: Engine>(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        storage: &mut Storage<E>,
    ) -> TurnOutput {
        let mut output = TurnOutput::default();
        // The clock is read for each stretch and not for each input: all of them are short.
        let now = self.clock.now();
        for input in inputs {
            self.handle(now, input, storage, &mut output);
        }
        for _ in 0..DEADLINES_PER_TURN {
            let now = self.clock.now();
            if self.node.next_deadline().is_none_or(|deadline| deadline > now.monotonic) {
                break;
            }
            self.handle(now, Input::Deadline, storage, &mut output);
        }
        let now = self.clock.now();
        for _ in 0..COMMANDS_PER_TURN {
            let Some(done) = storage.execute_next() else { break };
            let CommandDone { ticket, seq, outcome } = done;
            self.handle(now, Input::StoreDone { ticket, seq, outcome }, storage, &mut output);
        }
        storage.commit();
        self.metrics.on_turn(&self.counts());
        output
    }

    /// Sets the state of the storage from now on.
    pub(super) fn on_storage(&mut self, storage: StorageFact) {
        self.storage = storage;
        self.metrics.on_storage_state(storage.word());
    }

    /// Notes which peers are heard. Their messages may be rejected all the same, in the same turn.
    pub(super) fn notice_speakers(&mut self, work: &[Work]) {
        let now = self.clock.now().monotonic;
        for given in work {
            // What is given at once comes from one connection, and so from one peer.
            if let Work::Peer { messages, share: _ } = given
                && let Some(message) = messages.first()
            {
                self.peers.on_heard(message.header.from, now);
            }
        }
    }

    fn counts(&self) -> TurnCounts {
        let local = self.node.local();
        TurnCounts {
            partitions_owned: local.topology().owned_by(local.me()).len() as u64,
            partitions_complete: local.complete.len() as u64,
            hints_pending: self.node.pending_hints(),
            operations: self.node.operations() as u64,
            peers_down: local.peers.down.len() as u64,
            peers: local.topology().members().len() as u64 - 1,
        }
    }

    /// Collects the state of the core.
    pub fn inspect(&mut self) -> Inspection {
        let (now, storage, local) = (self.clock.now().monotonic, self.storage, self.node.local());
        let peers = self.peers.peers(local, now);
        let config = &local.config;
        let mode = match config.mode {
            Mode::Sloppy => "sloppy",
            Mode::Strict => "strict",
        };
        Inspection {
            counts: self.counts(),
            is_founded: self.node.is_founded(),
            partitions: local.topology().partitions().count() as u64,
            quorums: DefaultQuorums { read: config.read_quorum, write: config.write_quorum, mode },
            out_of_reach: self.peers.out_of_reach(&self.node, &peers, storage),
            partitions_loss_undecided: self.node.undecided().len() as u64,
            corrupt_keys: self.node.corrupt_keys() as u64,
            storage,
            heard_within_ms: HEARD_WITHIN_MS_MIN.max(10 * config.gossip_interval_ms),
            peers,
        }
    }

    fn handle<E: Engine>(
        &mut self,
        now: Now,
        input: Input,
        storage: &mut Storage<E>,
        output: &mut TurnOutput,
    ) {
        let mut cx = Cx { now, draw: &mut self.draws, out: &mut self.effects };
        self.node.handle(&mut cx, input);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Reply { request, reply } => {
                    let (connection, tag) = parts_of(request);
                    output.replies.entry(connection).or_default().push((tag, reply));
                }
                Effect::AdminReply { request, reply } => output.admin.push((request, reply)),
                Effect::Send(message) => {
                    output.messages.entry(message.header.to).or_default().push(message);
                }
                Effect::Store { ticket, command } => storage.submit(ticket, command),
                Effect::Observe(event) => {
                    if event == Event::StoreFailed {
                        self.storage = StorageFact::Failed;
                        self.metrics.on_storage_state(self.storage.word());
                        output.storage_failed = true;
                    }
                    if let Event::Rejected { from, reason } = event {
                        self.peers.on_rejected(from, reason);
                    }
                    if let Event::Suspected { peer } = event {
                        output.suspected.push(peer);
                    }
                    self.metrics.on_event(&event);
                    self.log.log(&event);
                }
            }
        }
    }
}
