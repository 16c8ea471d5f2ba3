//! One client operation: its request, its phases, and its end.

use alloc::vec::Vec;
use core::mem;

use super::acks::WriteProgress;
use super::answers::achieved;
use super::read_phase::{ReadFor, ReadPhase, ReadProgress};
use super::request::{OperationCx, Request};
use super::write_phase::WritePhase;
use crate::client::{ClientOperation, Options, PutContext, Reply, RequestRefusal, Verb};
use crate::config::Config;
use crate::cx::{Cx, NodeContext};
use crate::message::CoordinatorMessage;
use crate::probe::Probe;
use crate::quorum::{Level, Mode, sources_needed};
use crate::tally::{Nodes, OwnerSet, QuorumError};
use crate::time::{HybridTime, Span};
use crate::types::{ClientRequest, KEY_BYTES_MAX, Key, NodeId, PartitionId, RequestId};
use crate::version::{Container, Content, Context};
use crate::write::{Basis, Write};

/// The state of an operation after an input.
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
    pub(super) request: Request,
    pub(super) phase: Phase,
}

/// The phase of an operation. Each knows its own inputs; only here is one told from the other.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Replicas are asked what they hold.
    Read(ReadPhase),
    /// Replicas are asked to mint, and then to hold the write.
    Write(WritePhase),
}

impl Operation {
    /// Checks a client's request and plans the operation. Nothing is sent yet.
    pub(super) fn plan(
        cx: &Cx<'_>,
        local: &NodeContext,
        (client, id, time): (ClientRequest, RequestId, HybridTime),
        asked: ClientOperation,
    ) -> Result<Self, RequestRefusal> {
        let ClientOperation { key, verb, options } = asked;
        check_key(&key)?;
        let Quorums { read, write, mode, timeout, monotonic } =
            Quorums::of(&options, &local.config);
        let request = Request::new(cx, local, id, Some(client), key, mode, timeout);
        let sets = |level| owner_sets(local, request.partition, level);
        let phase = match verb {
            Verb::Get => {
                let sets = sets(read)?;
                let stand = monotonic.then(|| standing(&sets));
                Phase::Read(ReadPhase::new(ReadFor::Answer { stand }, mode, sets))
            }
            Verb::Put { content, expiry, context } => {
                check_value(&content, &local.config)?;
                let reads_first = mode == Mode::Strict && matches!(context, PutContext::Latest(_));
                let basis = basis_of(context, local, &request.key)?;
                let put = Write { content, expiry, basis, time };
                let write_sets = sets(write)?;
                if reads_first {
                    let purpose = ReadFor::Overwrite { write: put, sets: write_sets };
                    Phase::Read(ReadPhase::new(purpose, mode, sets(read)?))
                } else {
                    Phase::Write(WritePhase::mint(local, &request, put, write_sets))
                }
            }
        };
        Ok(Self { request, phase })
    }

    /// Plans the question to the other owners of a key, of whom [`sources_needed`] must answer.
    /// None if there are no others, or if this node is no owner: what it holds then is not its own,
    /// and nobody asks for it.
    pub(super) fn gather(
        cx: &Cx<'_>,
        local: &NodeContext,
        id: RequestId,
        key: Key,
        asked: u64,
    ) -> Option<Self> {
        let (mode, timeout) = (Mode::Strict, Span::from_ms(local.config.timeout_ms));
        let request = Request::new(cx, local, id, None, key, mode, timeout);
        let all = local.topology().owners(request.partition);
        let owners: Nodes = all.iter().copied().filter(|&owner| owner != local.me()).collect();
        if owners.is_empty() || owners.len() == all.len() {
            return None;
        }
        let needed = sources_needed(all.len(), local.config.write_quorum);
        let sets = [OwnerSet { owners, needed }].into();
        let phase = Phase::Read(ReadPhase::new(ReadFor::Gather { asked }, mode, sets));
        Some(Self { request, phase })
    }

    /// Tells whether a client asked for this operation.
    pub(super) const fn is_request(&self) -> bool {
        match &self.phase {
            Phase::Read(read) => !matches!(read.purpose, ReadFor::Gather { .. }),
            Phase::Write(_) => true,
        }
    }

    /// Tells the client, if it still waits, that the outcome is unknown.
    pub(super) fn abandon(&mut self, cx: &mut Cx<'_>) {
        self.request.reply(cx, self.phase.unknown());
    }
}

impl From<WriteProgress> for Progress {
    fn from(progress: WriteProgress) -> Self {
        match progress {
            WriteProgress::Going => Self::Going,
            WriteProgress::Over => Self::Over,
        }
    }
}

impl Phase {
    /// Tells whether an answer of a node is awaited.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        match self {
            Self::Read(read) => read.waits_for(node),
            Self::Write(write) => write.waits_for(node),
        }
    }

    pub(super) fn start(&mut self, op: &mut OperationCx<'_, '_>) -> Progress {
        match self {
            Self::Read(read) => {
                let progress = read.start(op);
                self.after_read(op, progress)
            }
            Self::Write(write) => write.start(op).into(),
        }
    }

    /// Handles the answer of a replica.
    pub(super) fn on_message(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        from: NodeId,
        message: CoordinatorMessage,
    ) -> Progress {
        use CoordinatorMessage::{Acked, Minted, ReadReply, Refused};
        let progress = match (&mut *self, message) {
            (Self::Read(read), ReadReply(reply)) => read.on_reply(op, from, reply.container),
            (Self::Read(read), Refused(refused)) => read.on_refused(op, from, refused.refusal),
            // Nobody was asked to mint or to hold anything yet: whoever says so errs.
            (Self::Read(_), Minted(_) | Acked(_)) => return Progress::Going,
            (Self::Write(write), Minted(minted)) => {
                return write.on_minted(op, from, minted.container).into();
            }
            (Self::Write(write), Acked(acked)) => {
                return write.on_acked(op, from, acked.for_owner.unwrap_or(from)).into();
            }
            // It may be late, and refuse what was asked in the read phase: a search for a minter
            // passes over nodes that it has not asked, a spread gives the owner a hint.
            (Self::Write(write), Refused(refused)) => {
                return write.on_refused(op, from, refused.refusal).into();
            }
            // It is late: the read phase had its quorum without it, and what is written is settled.
            (Self::Write(_), ReadReply(_)) => return Progress::Going,
        };
        self.after_read(op, progress)
    }

    /// Hedges, or ends the operation if its time is up.
    pub(super) fn on_wake(&mut self, op: &mut OperationCx<'_, '_>) -> Progress {
        let now = op.cx.now.monotonic;
        if now >= op.request.expires_at {
            return self.expire(op);
        }
        match self {
            Self::Read(read) => {
                let pause = op.request.hedge;
                if now < op.request.late_at {
                    op.request.lengthen_hedge(now);
                    op.request.wake_at = op.request.wake_at.min(op.request.late_at);
                } else if mem::replace(&mut read.is_late, true) {
                    op.request.lengthen_hedge(now);
                } else {
                    op.restart_hedge();
                }
                let progress = read.hedge(op, pause);
                self.after_read(op, progress)
            }
            Self::Write(write) => {
                op.request.lengthen_hedge(now);
                write.hedge(op).into()
            }
        }
    }

    /// Goes on after an input of the read phase. If that has ended in a write phase, the write phase
    /// begins at once, with a hedge delay of its own.
    fn after_read(&mut self, op: &mut OperationCx<'_, '_>, progress: ReadProgress) -> Progress {
        match progress {
            ReadProgress::Going => Progress::Going,
            ReadProgress::Over => Progress::Over,
            ReadProgress::Gathered { asked, container } => Progress::Gathered { asked, container },
            ReadProgress::Write(mut write) => {
                op.restart_hedge();
                let progress = write.start(op);
                *self = Self::Write(write);
                progress.into()
            }
        }
    }

    fn expire(&self, op: &mut OperationCx<'_, '_>) -> Progress {
        if op.client_waits() {
            op.cx.probe(Probe::OperationExpired);
        }
        op.reply(self.unknown());
        match self {
            Self::Read(read) => read.repair(op),
            Self::Write(_) => {}
        }
        Progress::Over
    }

    /// The answer to a client whose time is up.
    fn unknown(&self) -> Reply {
        let tally = match self {
            Self::Read(read) => &read.tally,
            Self::Write(write) => &write.acks.tally,
        };
        Reply::Unknown { achieved: achieved(tally) }
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
            Basis::Given(Context::from_token(&token, local.identity.cluster, key)?)
        }
        PutContext::Nothing => Basis::Given(Context::default()),
        PutContext::Latest(context) => Basis::Held(context),
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
