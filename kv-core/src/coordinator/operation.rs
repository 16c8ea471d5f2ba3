//! One client operation: its request, its progress, and its end.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::reading::Reading;
use super::reply;
use super::writing::Writing;
use crate::client::{Achieved, ClientOperation, Options, PutContext, Reply, RequestRefusal, Verb};
use crate::config::Config;
use crate::cx::{Cx, NodeContext};
use crate::event::Event;
use crate::message::{Body, OperationId};
use crate::probe::Probe;
use crate::quorum::{Level, Mode, sources_needed};
use crate::ring::MachineIndex;
use crate::store::Refusal;
use crate::tally::{Answer, Nodes, OwnerSet, QuorumError, Tally};
use crate::time::{Span, Time};
use crate::types::{ClientRequest, KEY_BYTES_MAX, Key, NodeId, PartitionId, RequestId};
use crate::version::{Container, Content, Context};
use crate::write::{Basis, Write};

/// The state of an operation after an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The operation still awaits something.
    Going,
    /// The operation has ended.
    Over,
    /// A gathering has ended with its quorum.
    Gathered {
        /// The number under which the container was asked for.
        asked: u64,
        /// The join of what the owners that answered hold.
        container: Container,
    },
}

/// An operation in flight. It outlives its reply: stragglers are waited for, so that owners which
/// missed a write get hints and owners which are behind get repaired.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) request: RequestId,
    pub(super) key: Key,
    pub(super) partition: PartitionId,
    pub(super) mode: Mode,
    /// The client that waits; none once it was answered, or if no client asked.
    pub(super) client: Option<ClientRequest>,
    /// The time of the next hedge, or of the end.
    pub(super) wake_at: Time,
    pub(super) phase: Phase,
    pub(super) expires_at: Time,
    /// The pause before the next hedge; it doubles with each.
    pub(super) hedge: Span,
    pub(super) kind: Kind,
}

/// The phase of an operation, with its state.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Replicas are asked what they hold.
    Reading(Reading),
    /// Replicas are asked to mint, and then to hold the write.
    Writing(Writing),
}

/// The purpose of an operation, with what it needs beyond the phase.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Get {
        /// The sets that must hold the answer before it is given, if the next read may not go
        /// backwards.
        stand: Option<Vec<OwnerSet>>,
        /// The nodes whose answers made the reply, while it is made to stand.
        answered: Option<Achieved>,
    },
    Put {
        /// The write and the sets that it needs; taken when the write phase starts.
        write: Option<(Write, Vec<OwnerSet>)>,
    },
    Gather {
        /// The number under which the container was asked for.
        asked: u64,
    },
}

impl Operation {
    /// Checks a client's request and plans the operation. Nothing is sent yet.
    pub(super) fn plan(
        cx: &Cx<'_>,
        local: &NodeContext,
        client: ClientRequest,
        request: RequestId,
        asked: ClientOperation,
    ) -> Result<Self, RequestRefusal> {
        let ClientOperation { key, verb, options } = asked;
        check_key(&key)?;
        let partition = local.topology().partition_of(key.token());
        let sets = |level| owner_sets(local, partition, level);
        let Quorums { read, write, mode, timeout, monotonic } =
            Quorums::of(&options, &local.config);
        let now = cx.now.monotonic;
        let (kind, phase) = match verb {
            Verb::Get => {
                let sets = sets(read)?;
                let stand = monotonic.then(|| standing(&sets));
                (Kind::Get { stand, answered: None }, Phase::Reading(Reading::new(mode, sets)))
            }
            Verb::Put { content, expiry, context } => {
                check_value(&content, &local.config)?;
                let reads_first = mode == Mode::Strict && matches!(context, PutContext::Latest(_));
                let basis = basis_of(context, local, &key)?;
                let put = Write { content, expiry, basis };
                let write_sets = sets(write)?;
                if reads_first {
                    let reading = Reading::new(mode, sets(read)?);
                    (Kind::Put { write: Some((put, write_sets)) }, Phase::Reading(reading))
                } else {
                    let writing = Writing::mint(local, partition, mode, put, write_sets);
                    (Kind::Put { write: None }, Phase::Writing(writing))
                }
            }
        };
        Ok(Self {
            request,
            key,
            partition,
            mode,
            client: Some(client),
            wake_at: now + local.config.hedge().min(timeout),
            phase,
            expires_at: now + timeout,
            hedge: local.config.hedge(),
            kind,
        })
    }

    /// Plans the question to the other owners of a key, of whom [`sources_needed`] must answer.
    /// None if there are no others, or if this node is no owner: what it holds then is not its own,
    /// and nobody asks for it.
    pub(super) fn gather(
        cx: &Cx<'_>,
        local: &NodeContext,
        request: RequestId,
        key: Key,
        asked: u64,
    ) -> Option<Self> {
        let partition = local.topology().partition_of(key.token());
        let all = local.topology().owners(partition);
        let owners: Nodes = all.iter().copied().filter(|&owner| owner != local.me()).collect();
        if owners.is_empty() || owners.len() == all.len() {
            return None;
        }
        let needed = sources_needed(all.len(), local.config.write_quorum);
        let reading = Reading::new(Mode::Strict, [OwnerSet { owners, needed }].into());
        let (now, timeout) = (cx.now.monotonic, Span::from_ms(local.config.timeout_ms));
        Some(Self {
            request,
            key,
            partition,
            mode: Mode::Strict,
            client: None,
            wake_at: now + local.config.hedge().min(timeout),
            phase: Phase::Reading(reading),
            expires_at: now + timeout,
            hedge: local.config.hedge(),
            kind: Kind::Gather { asked },
        })
    }

    pub(super) fn start(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        match &self.phase {
            Phase::Reading(_) => self.ask_readers(cx, local, id),
            Phase::Writing(_) => self.ask_minter(cx, local, id),
        }
    }

    pub(super) fn on_refused(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        from: NodeId,
        refusal: Refusal,
    ) -> Progress {
        match &self.phase {
            Phase::Reading(_) => self.on_read_refused(cx, local, id, from, refusal),
            Phase::Writing(_) => self.on_write_refused(cx, local, id, from, refusal),
        }
    }

    /// Hedges the present phase, or ends the operation if its time is up.
    pub(super) fn on_wake(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        let now = cx.now.monotonic;
        if now >= self.expires_at {
            return self.expire(cx, local, id);
        }
        self.hedge = self.hedge.times(2);
        self.wake_at = (now + self.hedge).min(self.expires_at);
        match &self.phase {
            Phase::Reading(_) => self.hedge_read(cx, local, id),
            Phase::Writing(_) => self.hedge_write(cx, local, id),
        }
    }

    fn expire(&mut self, cx: &mut Cx<'_>, local: &NodeContext, id: OperationId) -> Progress {
        if self.client.is_some() {
            cx.probe(Probe::OperationExpired);
        }
        self.abandon(cx);
        if matches!(self.phase, Phase::Reading(_)) {
            self.repair_readers(cx, local, id);
        }
        Progress::Over
    }

    /// Goes on after the read phase has its quorum: replies, or begins the write phase.
    pub(super) fn on_read_quorum(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        joined: Container,
    ) -> Progress {
        let Phase::Reading(reading) = &self.phase else { panic!("only a read phase has readers") };
        match &mut self.kind {
            Kind::Gather { asked } => Progress::Gathered { asked: *asked, container: joined },
            Kind::Get { stand: None, .. } => {
                let achieved = achieved(&reading.tally);
                self.reply_value(cx, local, joined, achieved);
                self.end_read_if_complete(cx, local, id)
            }
            Kind::Get { stand, answered } => {
                let sets = stand.take().expect("it was just seen");
                let by = achieved(&reading.tally);
                let holders = reading.holders_of(&joined);
                let writing = Writing::write_back(local, self.mode, sets, joined.clone(), &holders);
                // An empty answer need not stand: no later read can be behind it.
                if joined.is_empty() || writing.tally.reached() {
                    self.reply_value(cx, local, joined, by);
                    return self.end_read_if_complete(cx, local, id);
                }
                cx.probe(Probe::ReadWrittenBack);
                *answered = Some(by);
                self.begin_write(cx, local, writing);
                self.spread(cx, local, id)
            }
            Kind::Put { write } => {
                let (mut put, sets) = write.take().expect("the write phase starts once");
                let dots = joined.dots().collect();
                cx.observe(Event::ReadBeforeWrite { request: self.request, dots });
                // What is overwritten is known now: what a replica holds when it is asked, perhaps
                // late and for the second time, may be more than this read has seen.
                let (Basis::Held(mut seen) | Basis::Given(mut seen)) = put.basis;
                seen.merge(joined.seen());
                put.basis = Basis::Given(seen);
                let writing = Writing::mint(local, self.partition, self.mode, put, sets);
                self.begin_write(cx, local, writing);
                self.ask_minter(cx, local, id)
            }
        }
    }

    /// Begins the write phase, with a hedge delay of its own.
    fn begin_write(&mut self, cx: &Cx<'_>, local: &NodeContext, writing: Writing) {
        self.phase = Phase::Writing(writing);
        self.restart_hedge(cx, local);
    }

    /// Starts the hedge delay anew if silence has lengthened it, as others than the silent are
    /// asked now. A first delay goes on.
    pub(super) fn be_patient_anew(&mut self, cx: &Cx<'_>, local: &NodeContext) {
        if self.hedge > local.config.hedge() {
            self.restart_hedge(cx, local);
        }
    }

    /// Starts the hedge delay anew: nobody else is asked before it is over.
    pub(super) fn restart_hedge(&mut self, cx: &Cx<'_>, local: &NodeContext) {
        self.hedge = local.config.hedge();
        self.wake_at = (cx.now.monotonic + self.hedge).min(self.expires_at);
    }

    /// Tells the client, if it still waits, that the outcome is unknown.
    pub(super) fn abandon(&mut self, cx: &mut Cx<'_>) {
        let achieved = match &self.phase {
            Phase::Reading(reading) => achieved(&reading.tally),
            Phase::Writing(writing) => achieved(&writing.tally),
        };
        self.reply(cx, Reply::Unknown { achieved });
    }

    /// Replies to the client after the write phase has its quorum.
    pub(super) fn on_write_quorum(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let Phase::Writing(writing) = &self.phase else { panic!("only a write phase has acks") };
        let container = writing.container.clone().expect("it is known before it is acked");
        match &mut self.kind {
            Kind::Gather { .. } => panic!("a gathering writes nothing"),
            Kind::Get { answered, .. } => {
                if let Some(achieved) = answered.take() {
                    self.reply_value(cx, local, container, achieved);
                }
            }
            Kind::Put { .. } => {
                let achieved = achieved(&writing.tally);
                let context = self.token(local, &container);
                self.reply(cx, Reply::Stored { container, context, achieved });
            }
        }
    }

    fn reply_value(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        container: Container,
        achieved: Achieved,
    ) {
        let context = self.token(local, &container);
        self.reply(cx, Reply::Value { container, context, achieved });
    }

    fn token(&self, local: &NodeContext, container: &Container) -> bytes::Bytes {
        let context = Context { seen: container.seen().clone() };
        context.to_token(local.identity.cluster, &self.key)
    }

    /// Answers the client, if it still waits.
    pub(super) fn reply(&mut self, cx: &mut Cx<'_>, answer: Reply) {
        if let Some(client) = self.client.take() {
            reply(cx, client, answer);
        }
    }

    pub(super) fn send(&self, cx: &mut Cx<'_>, local: &NodeContext, to: NodeId, body: Body) {
        cx.send(local.message(to, self.request, body));
    }

    /// Tells whether a client asked for this operation.
    pub(super) const fn is_request(&self) -> bool {
        !matches!(self.kind, Kind::Gather { .. })
    }

    /// Tells whether an answer of a node is awaited.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        match &self.phase {
            Phase::Reading(reading) => reading.waits_for(node),
            Phase::Writing(writing) => writing.waits_for(node),
        }
    }
}

/// The options of a request, with the node's configuration where the request names none.
pub(super) struct Quorums {
    pub(super) read: Level,
    pub(super) write: Level,
    pub(super) mode: Mode,
    timeout: Span,
    monotonic: bool,
}

impl Quorums {
    pub(super) fn of(options: &Options, config: &Config) -> Self {
        let count = |n: u64| Level::Count(u8::try_from(n).unwrap_or(u8::MAX));
        Self {
            read: options.read.unwrap_or_else(|| count(config.read_quorum)),
            write: options.write.unwrap_or_else(|| count(config.write_quorum)),
            mode: options.mode.unwrap_or(config.mode),
            timeout: Span::from_ms(options.timeout_ms.map_or(config.timeout_ms, Config::timeout)),
            monotonic: options.monotonic.unwrap_or(config.monotonic_reads),
        }
    }
}

pub(super) fn owner_sets(
    local: &NodeContext,
    partition: PartitionId,
    level: Level,
) -> Result<Vec<OwnerSet>, QuorumError> {
    Ok(local.topology().plan(partition, level, local.me())?.sets)
}

/// The sets that must hold the answer of a read with the sets `read`, so that every later read with
/// the same ones meets it: each needs all its owners but one fewer than the read asks.
fn standing(read: &[OwnerSet]) -> Vec<OwnerSet> {
    let stand = |set: &OwnerSet| OwnerSet {
        owners: set.owners.clone(),
        needed: set.owners.len() - set.needed + 1,
    };
    read.iter().map(stand).collect()
}

fn basis_of(context: PutContext, local: &NodeContext, key: &Key) -> Result<Basis, RequestRefusal> {
    Ok(match context {
        PutContext::Token(token) => {
            Basis::Given(Context::from_token(&token, local.identity.cluster, key)?.seen)
        }
        PutContext::Nothing => Basis::Given(crate::version::VersionVector::default()),
        PutContext::Latest(seen) => Basis::Held(seen),
    })
}

fn check_key(key: &Key) -> Result<(), RequestRefusal> {
    match key.bytes().len() {
        1..=KEY_BYTES_MAX => Ok(()),
        bytes => Err(RequestRefusal::Key { bytes, max: KEY_BYTES_MAX }),
    }
}

fn check_value(content: &Content, config: &Config) -> Result<(), RequestRefusal> {
    let bytes = content.value().map_or(0, |value| value.len());
    let max = config.value_bytes_max;
    if bytes as u64 > max { Err(RequestRefusal::Value { bytes, max }) } else { Ok(()) }
}

/// The answer of a node, as a tally counts it; none for a node that is not in the ring.
pub(super) fn answer(local: &NodeContext, by: NodeId, for_owner: NodeId) -> Option<Answer> {
    let machine = local.topology().machine(by)?;
    Some(Answer { by, machine, for_owner })
}

fn achieved(tally: &Tally) -> Achieved {
    let mut machines: SmallVec<[MachineIndex; 8]> =
        tally.answers().iter().map(|answer| answer.machine).collect();
    machines.sort_unstable();
    machines.dedup();
    // A fallback of two owners has answered twice, and is one node.
    let by = |fallback: bool| {
        let mut nodes = Nodes::new();
        for answer in tally.answers().iter().filter(|answer| answer.is_fallback() == fallback) {
            if !nodes.contains(&answer.by) {
                nodes.push(answer.by);
            }
        }
        nodes
    };
    Achieved { owners: by(false), fallbacks: by(true), machines: machines.len() }
}
