//! What nodes remember of each other's logs, and what a node learns of its own by asking for that
//! (semantics.md §4).
//!
//! ```text
//!  each node      acks, and once in each gossip round: "my log is durable up to here" ──▶ the others
//!  the others     keep the greatest position of each run of each node
//!  at its start   Ask ──▶ each other member
//!                     ◀── Remembered: position by run
//!                 less was found in the log than somebody remembers: the data markers go
//!                 all have answered, or seem down: it is complete where its markers say so
//! ```
//!
//! A log that was cut after a crash, an old image of a disk, a restored backup and a disk that lied about
//! syncs have one thing in common: they are whole, as far as they go. No log can tell that it went further
//! once. But whoever was told that a write is durable was also told how far the log had come then. (Raft's
//! voters know the like of each other's logs; Viewstamped Replication's recovery protocol asks others
//! before a node that lost its disk takes part again.)
//!
//! Invariants:
//! - A node is complete in nothing that came with its store before it has asked.
//! - What is remembered of a run is forgotten only once a later run says that it began on as much.
//! - Positions are promised by a node under its own generation only; what others say of that one is no
//!   loss: nothing was lost while the process runs.
//!
//! Memory of it lies in memory only, as it is worth something when one node comes back: of a whole
//! cluster that restarts at once nobody remembers.

mod inspect;
mod invariants;
mod memory;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use self::inspect::{RecallSnapshot, RecallStage};
use self::memory::LogMemory;
use crate::cx::{CommandCount, Cx, Issuer, NodeContext, Purpose};
use crate::event::Event;
use crate::log_runs::{LogReach, LogRuns};
use crate::message::gossip::LogState;
use crate::message::recall::{Ask, Remembered};
use crate::message::{Body, RecallMessage};
use crate::probe::Probe;
use crate::store::{AnswerFamily as _, RecallAnswer, RecallCommand, Refusal};
use crate::time::{Span, Time};
use crate::types::{LogPosition, NodeId, PartitionId, RequestId, Seq};

/// The time after which members that have not answered are asked again for the first time. It doubles
/// each time, up to the interval of gossip.
const FIRST_PAUSE: Span = Span::from_ms(50);

/// The time after which a command that the storage refused is tried again.
const RETRY_PAUSE: Span = Span::from_ms(1_000);

/// This node's memory of the logs of others, and what it knows of its own.
#[derive(Clone, Debug)]
pub struct Recall {
    /// The runs that the store knows, and this one once it has begun.
    runs: LogRuns,
    /// The position that this run answers for of what earlier ones wrote: the end of the log when it began.
    began: LogPosition,
    /// The position up to which the log is durable.
    durable: LogPosition,
    /// Partitions whose data markers came with the store, or with a pledge in it: they are as old as the
    /// log is.
    vouched: BTreeSet<PartitionId>,
    stage: RecallState,
    /// The record in the store of the runs.
    record: Record,
    /// Half of the request ids of this life; nothing before it begins.
    life: Option<u64>,
    asked: u64,
    commands: CommandCount,
    memory: LogMemory,
    /// The runs of each node's log, as it said them last.
    said: BTreeMap<NodeId, LogRuns>,
}

/// The stage that this node has reached with its own log.
#[derive(Clone, Debug)]
enum RecallState {
    /// Nothing was asked yet.
    New,
    /// Others were asked.
    Asking {
        /// The members that have not answered.
        awaited: BTreeSet<NodeId>,
        again_at: Time,
        pause: Span,
    },
    /// Others remember more than there is: what the store says of its completeness is taken back.
    Forgetting {
        /// The partitions whose markers still stand. They go one by one.
        marked: Vec<PartitionId>,
        /// The time at which the storage is asked once more, if it refused.
        retry_at: Option<Time>,
    },
    /// The log is as long as anybody who was asked remembers; or the node says that it is not.
    Settled,
}

/// The progress of writing the runs down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    /// The storage executes it.
    Executing,
    /// The storage refused; it is asked again at this time.
    RetryAt(Time),
    /// The runs are written, and durable with this position.
    Syncing(Seq),
    /// The runs are durable.
    Durable,
}

/// News for the rest of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// Nothing has changed.
    Nothing,
    /// The node may trust the data markers of these partitions.
    Trusted(Vec<PartitionId>),
    /// The node has lost some of what it acknowledged: it is complete in none of these partitions.
    Lost(BTreeSet<PartitionId>),
}

impl Recall {
    /// Begins with what the store says: the runs that wrote it, how far its log goes, and the partitions
    /// whose data markers stand. `is_pledged` if more of these may come of a pledge in it.
    pub fn new(
        runs: LogRuns,
        began: LogPosition,
        vouched: impl IntoIterator<Item = PartitionId>,
        is_pledged: bool,
    ) -> Self {
        let vouched: BTreeSet<_> = vouched.into_iter().collect();
        let answers_for_nothing = vouched.is_empty() && !is_pledged;
        Self {
            runs,
            began: if answers_for_nothing { LogRuns::BEYOND } else { began },
            durable: began,
            vouched,
            stage: RecallState::New,
            record: Record::Executing,
            life: None,
            asked: 0,
            commands: CommandCount::default(),
            memory: LogMemory::default(),
            said: BTreeMap::new(),
        }
    }

    /// Tells whether this node has asked, and taken back what its store said if it had to.
    pub const fn is_settled(&self) -> bool {
        matches!(self.stage, RecallState::Settled)
    }

    /// Tells whether this node still waits for what others remember.
    pub const fn is_asking(&self) -> bool {
        matches!(self.stage, RecallState::New | RecallState::Asking { .. })
    }

    /// The time at which [`Recall::on_deadline`] is to be called.
    pub fn next_deadline(&self) -> Option<Time> {
        let of_stage = match &self.stage {
            RecallState::New => Some(Time(0)),
            RecallState::Asking { again_at, .. } => Some(*again_at),
            RecallState::Forgetting { retry_at, .. } => *retry_at,
            RecallState::Settled => None,
        };
        let of_record = match self.record {
            Record::RetryAt(at) => Some(at),
            Record::Executing | Record::Syncing(_) | Record::Durable => None,
        };
        of_stage.into_iter().chain(of_record).min()
    }

    /// What this node says of its log in gossip. Nothing, before this run is durably one of those that
    /// wrote it: whoever is told of a run holds the node to that.
    pub fn state(&self) -> Option<LogState> {
        let is_durable = self.record == Record::Durable;
        is_durable.then(|| LogState { runs: self.runs.clone(), durable: self.durable })
    }
}

/// This node's own log.
impl Recall {
    /// Data markers that were written for a founding stand as if they had come with the store: the pledge
    /// that they follow from did.
    pub fn on_founded(&mut self, complete: Vec<PartitionId>) -> Recalled {
        self.vouched.extend(&complete);
        match self.stage {
            RecallState::New | RecallState::Asking { .. } => Recalled::Nothing,
            RecallState::Forgetting { .. } | RecallState::Settled => Recalled::Trusted(complete),
        }
    }

    /// Partitions are complete for what was done in this run: however old the log is, that stands.
    pub fn on_copied(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            self.vouched.remove(partition);
        }
    }

    /// Begins the run, if that was not done: it is noted as one more that writes the log, before anything
    /// else is written, and others are asked. To be called before the first thing that a founded node does.
    pub fn begin(&mut self, cx: &mut Cx<'_>, local: &NodeContext) -> Recalled {
        if !matches!(self.stage, RecallState::New) {
            return Recalled::Nothing;
        }
        self.life = Some(cx.draw.u64(Purpose::Requests, Issuer::Recall as u64));
        self.runs.begin(LogReach { generation: local.identity.generation, log: self.began });
        self.write_runs(cx, local);
        let members = local.topology().members().iter().map(|member| member.id);
        let awaited = members.filter(|&id| id != local.me()).collect();
        let again_at = cx.now.monotonic + FIRST_PAUSE;
        self.stage = RecallState::Asking { awaited, again_at, pause: FIRST_PAUSE };
        self.ask(cx, local);
        self.look_who_is_awaited(local)
    }

    /// Asks again, or tries again what the storage refused.
    pub fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let now = cx.now.monotonic;
        if let Record::RetryAt(at) = self.record
            && at <= now
        {
            self.write_runs(cx, local);
        }
        match &mut self.stage {
            RecallState::Asking { awaited: _, again_at, pause } if *again_at <= now => {
                *pause = pause.times(2).min(local.config.gossip_interval());
                *again_at = now + *pause;
                self.ask(cx, local);
            }
            RecallState::Forgetting { retry_at: Some(at), .. } if *at <= now => {
                self.forget(cx, local)
            }
            RecallState::New
            | RecallState::Asking { .. }
            | RecallState::Forgetting { .. }
            | RecallState::Settled => {}
        }
    }

    fn write_runs(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        self.record = Record::Executing;
        let partition = local.topology().owned_by(local.me()).first().copied().unwrap_or_default();
        let command = RecallCommand::Record { runs: self.runs.clone() };
        cx.store(self.commands.begin(Issuer::Recall), partition, command);
    }

    fn ask(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let RecallState::Asking { awaited, .. } = &self.stage else { return };
        self.asked += 1;
        let half = self.life.unwrap_or_default();
        let request = RequestId(u128::from(half) << 64 | u128::from(self.asked));
        for &peer in awaited {
            let ask = Body::Recall(RecallMessage::Ask(Ask { log: self.durable }));
            cx.send(local.message(peer, request, ask));
        }
    }

    /// Whoever seems down is not waited for: it cannot be asked, and nothing else would be either.
    pub fn look_who_is_awaited(&mut self, local: &NodeContext) -> Recalled {
        let RecallState::Asking { awaited, .. } = &mut self.stage else { return Recalled::Nothing };
        awaited.retain(|&peer| local.is_up(peer));
        if !awaited.is_empty() {
            return Recalled::Nothing;
        }
        self.stage = RecallState::Settled;
        Recalled::Trusted(self.vouched.iter().copied().collect())
    }

    /// A peer says what it remembers of this node's log.
    fn on_remembered(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: NodeId,
        Remembered { reaches }: Remembered,
    ) -> Recalled {
        let lost = reaches.into_iter().find(|&reach| self.runs.lacks(reach));
        match (&mut self.stage, lost) {
            // What comes before this node has asked is not lost: it will be said again.
            (RecallState::New | RecallState::Forgetting { .. }, _)
            | (RecallState::Settled, None) => Recalled::Nothing,
            (RecallState::Asking { awaited, .. }, None) => {
                awaited.remove(&from);
                self.look_who_is_awaited(local)
            }
            (RecallState::Asking { .. } | RecallState::Settled, Some(remembered)) => {
                cx.observe(Event::LogFellBehind { peer: from, remembered, found: self.began });
                let lost = core::mem::take(&mut self.vouched);
                let marked = lost.iter().copied().collect();
                self.stage = RecallState::Forgetting { marked, retry_at: None };
                self.forget(cx, local);
                Recalled::Lost(lost)
            }
        }
    }

    /// Takes the next marker away. After the last one, nothing that others remember is denied any more.
    fn forget(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let RecallState::Forgetting { marked, retry_at } = &mut self.stage else { return };
        *retry_at = None;
        match marked.last() {
            Some(&partition) => {
                cx.store(self.commands.begin(Issuer::Recall), partition, RecallCommand::Unmark);
            }
            None => {
                self.stage = RecallState::Settled;
                self.runs = LogRuns::answering_for_nothing(local.identity.generation);
                self.write_runs(cx, local);
            }
        }
    }

    /// The storage has executed a command of recall.
    pub fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        seq: Seq,
        answer: RecallAnswer,
    ) {
        self.commands.end();
        let refused = answer.refusal();
        if refused == Some(Refusal::DiskFailed) {
            return;
        }
        let again_at = cx.now.monotonic + RETRY_PAUSE;
        match (answer, &mut self.stage) {
            // They are being written once more.
            (RecallAnswer::Recorded { .. }, _) if self.commands.in_flight() > 0 => {}
            (RecallAnswer::Recorded { .. }, _) => {
                self.record = match refused {
                    None => Record::Syncing(seq),
                    Some(_) => Record::RetryAt(again_at),
                };
            }
            (RecallAnswer::Unmarked { .. }, RecallState::Forgetting { marked, retry_at }) => {
                if refused.is_some() {
                    *retry_at = Some(again_at);
                } else {
                    marked.pop();
                    self.forget(cx, local);
                }
            }
            (RecallAnswer::Unmarked { .. }, _) => {}
        }
    }

    /// The store is durable up to a position, and the log up to this one.
    pub fn on_durable(&mut self, seq: Seq, log: LogPosition) {
        self.durable = self.durable.max(log);
        if let Record::Syncing(at) = self.record
            && at <= seq
        {
            self.record = Record::Durable;
        }
    }
}

/// The logs of others.
impl Recall {
    /// Answers one who asks, or learns what a peer remembers of this node.
    pub fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: RecallMessage,
    ) -> Recalled {
        match message {
            RecallMessage::Ask(Ask { log: _ }) => {
                self.tell(cx, local, from, request);
                Recalled::Nothing
            }
            RecallMessage::Remembered(remembered) => {
                self.on_remembered(cx, local, from, remembered)
            }
        }
    }

    fn tell(&self, cx: &mut Cx<'_>, local: &NodeContext, to: NodeId, request: RequestId) {
        let remembered = Remembered { reaches: self.memory.of(to) };
        cx.send(local.message(to, request, RecallMessage::Remembered(remembered).into()));
    }

    /// A node has acknowledged a write: its log is durable up to here. The ack may be late, and come after
    /// the node has said that a later run found less.
    pub fn on_acked(&mut self, local: &NodeContext, node: NodeId, reach: LogReach) {
        if node != local.me() {
            self.memory.learn(node, reach);
        }
    }

    /// A node's gossip says how far its log goes. If its runs did not find what is remembered of earlier
    /// ones, it is told so, until it says that it answers for nothing before this run.
    pub fn on_state(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        node: NodeId,
        LogState { runs, durable }: LogState,
    ) {
        let Some(generation) = runs.newest().filter(|_| node != local.me()) else { return };
        self.memory.hold_against(node, &runs);
        self.memory.learn(node, LogReach { generation, log: durable });
        self.said.insert(node, runs);
        if self.is_unaware(node) {
            self.tell_unasked(cx, local, node);
        }
    }

    /// Tells those once more that seem not to have heard it. To be called once in a round of gossip.
    pub fn remind(&self, cx: &mut Cx<'_>, local: &NodeContext) {
        for &node in self.said.keys().filter(|&&node| local.is_up(node) && self.is_unaware(node)) {
            self.tell_unasked(cx, local, node);
        }
    }

    /// Tells whether a node's log has lost something, as far as this one remembers, and it does not say so.
    fn is_unaware(&self, node: NodeId) -> bool {
        let lacks =
            |runs: &LogRuns| self.memory.of(node).into_iter().any(|reach| runs.lacks(reach));
        self.said.get(&node).is_some_and(lacks)
    }

    fn tell_unasked(&self, cx: &mut Cx<'_>, local: &NodeContext, node: NodeId) {
        cx.probe(Probe::LogLossTold);
        self.tell(cx, local, node, request_of(local, node));
    }
}

/// The request id of what is told without being asked. It is the same each time, and nobody answers it.
fn request_of(local: &NodeContext, node: NodeId) -> RequestId {
    RequestId(u128::from(local.me().0 ^ node.0) << 64 | u128::from(local.identity.generation.0))
}
