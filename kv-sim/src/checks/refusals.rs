//! Check `refusals`: nothing is refused but for a reason that is true.
//!
//! Takes what clients are told, and what replicas tell coordinators. A reason is held against what
//! was asked, against the disks, and against the faults at work:
//!
//! | reason | it is true if | it excuses itself |
//! |---|---|---|
//! | context | nobody was given this token for this key | yes |
//! | quorum | the layout has not so many owners | yes |
//! | key, value | it is longer than it may be | yes |
//! | busy | so many operations were asked of the node within the time that it may work on one | yes |
//! | too many siblings | so many stand at the replica that the writer has not seen | yes |
//! | corrupt | the replica's record of the key cannot be read, or is not repaired yet | no |
//! | incomplete | the replica has not copied back what it lost of the partition | no |
//! | disk full, disk failed | a fault of the disk is at work | no |
//! | hints full | the hints on the disk and this one take more room than they may | no |
//! | not founded, store failed | it was so at the coordinator since the operation began | no |
//! | stopping, layout, out of files | never: nobody does that to a node here | no |
//! | late | never, to a client: a coordinator asks again, and then another one | no |
//!
//! A reason that excuses itself is nobody's fault, or protects what others wrote, and no other node
//! could have done better. Any other excuses one replica alone: then `availability` judges the
//! operation as if its time had run out.
//!
//! A replica's reason is judged when it is given: at its disk, or when it leaves for the coordinator.
//! What a node tells itself is seen at the disk alone. A client that is refused in the name of a
//! replica must be told what some replica has said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kv_core::client::RequestRefusal;
use kv_core::config::Config;
use kv_core::store::{
    Answer, Command, Refusal, ReplicaAction, ReplicaAnswer, ReplicaCommand, Requester,
};
use kv_core::time::{Span, Time};
use kv_core::types::{KEY_BYTES_MAX, NodeId, RequestId};
use kv_core::write::Basis;
use xxhash_rust::xxh3::xxh3_64;

use super::check::Check;
use super::findings::Findings;
use super::history::History;
use super::occasions::{Execution, OperationEnd, OperationEnding, RefusalSent};
use super::operation::Operation;
use super::per_key::PerKey;
use super::story::{Names, when};
use super::{Obstacle, Setting, WhichImage, WorldView};

/// The longest time for which a request of a client and its answer are under way.
const CLIENT_TRIPS: Span = Span::from_ms(100);

/// The `refusals` check.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    /// The findings so far, counted in refusals.
    findings: Findings,
    /// The configuration of all nodes, which says what the limits are.
    config: Config,
    /// The operations that were asked of each node and may be in flight: when each began, and the
    /// time for which the node tries.
    asked: BTreeMap<NodeId, VecDeque<(Time, Span)>>,
    /// The tokens that clients were given, by a hash of each.
    tokens: PerKey<BTreeSet<u64>>,
}

/// The truth of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    True,
    False,
    /// Too much has changed meanwhile to tell.
    Unknown,
}

impl From<bool> for Truth {
    fn from(is_true: bool) -> Self {
        if is_true { Self::True } else { Self::False }
    }
}

impl Truth {
    /// The truth of a reason: unknown if it does not hold, but something has changed since it was given.
    fn or_unknown(is_true: bool, has_changed: bool) -> Self {
        if has_changed && !is_true { Self::Unknown } else { is_true.into() }
    }
}

impl Check for Refusals {
    const NAME: &'static str = "refusals";
    const ABOUT: &'static str = "nothing is refused but for a reason that is true";

    fn new(setting: &Setting) -> Self {
        Self {
            findings: Findings::default(),
            config: setting.config.clone(),
            asked: BTreeMap::new(),
            tokens: PerKey::default(),
        }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_begin(&mut self, operation: &Operation) {
        let Operation { coordinator, started, ref terms, .. } = *operation;
        let asked = self.asked.entry(coordinator).or_default();
        // However slow the clock of the node may be: nothing is said of slower ones.
        let is_over = |&(began, timeout): &(Time, Span)| began + timeout.times(16) < started;
        while asked.front().is_some_and(is_over) {
            asked.pop_front();
        }
        asked.push_back((started, terms.timeout));
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        match end.ending {
            OperationEnding::Value(ref answer) | OperationEnding::Stored(_, ref answer) => {
                self.tokens.get_mut(end.history).insert(xxh3_64(answer.token));
            }
            OperationEnding::Refused(refusal) => self.judge(end, refusal),
            OperationEnding::Unknown => {}
        }
    }

    /// Judges the refusal of a storage command for a coordinator.
    fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
        let (
            Answer::Replica(ReplicaAnswer { requester, result: Err(refusal) }),
            Command::Replica(ReplicaCommand { action, .. }),
        ) = (&execution.outcome.answer, &execution.command.command)
        else {
            return;
        };
        let &mut Execution { at, node, world, names, .. } = execution;
        let Some(history) = execution.histories.of_mut(action.key()) else { return };
        let meets = |obstacle| world.meets(node, &history.key, obstacle);
        let is_true = match *refusal {
            Refusal::TooManySiblings { max } => {
                max == self.config.siblings_max && siblings(node, action, history, world) >= max
            }
            Refusal::Corrupt => meets(Obstacle::Corrupt) || meets(Obstacle::Unrepaired),
            Refusal::Incomplete => meets(Obstacle::Incomplete),
            Refusal::DiskFull => meets(Obstacle::DiskFull),
            Refusal::DiskFailed => meets(Obstacle::DiskFails),
            Refusal::HintsFull | Refusal::Layout | Refusal::Late | Refusal::OutOfFiles => false,
        };
        let Requester { request, .. } = *requester;
        self.on_replica(is_true, (node, *refusal), request, at, history, names);
    }

    /// Judges a refusal that a replica sends. What its storage has refused was judged before.
    fn on_refusal_sent(&mut self, sent: &RefusalSent<'_, impl WorldView>) {
        let &RefusalSent { at, node, refusal, operation, history, world, names } = sent;
        let meets = |obstacle| world.meets(node, &history.key, obstacle);
        let is_from_storage = operation.refusals.contains(&(node, refusal));
        let is_true = match refusal {
            // To ask once more is the coordinator's part.
            Refusal::Late => return,
            Refusal::Layout => false,
            Refusal::Incomplete => is_from_storage || meets(Obstacle::Incomplete),
            Refusal::HintsFull => meets(Obstacle::HintsFull(history.value_bytes_max())),
            Refusal::TooManySiblings { .. }
            | Refusal::Corrupt
            | Refusal::DiskFull
            | Refusal::DiskFailed
            | Refusal::OutOfFiles => is_from_storage,
        };
        if let Some(request) = operation.request {
            self.on_replica(is_true, (node, refusal), request, at, history, names);
        }
    }
}

impl Refusals {
    /// Judges what a client was told.
    fn judge(&mut self, end: &OperationEnd<'_, impl WorldView>, refusal: &RequestRefusal) {
        let &OperationEnd { at, operation, ref history, world, names, .. } = end;
        self.findings.examined += 1;
        match self.truth(end, refusal) {
            Truth::True => return,
            Truth::Unknown => {
                self.findings.weakened += 1;
                return;
            }
            Truth::False => {}
        }
        let Operation { number, coordinator, started, value_bytes, .. } = *operation;
        let really = match refusal {
            RequestRefusal::Context(_) => "the token was given for this key".to_owned(),
            RequestRefusal::Quorum(_) => {
                let owners = world.owners(&history.key);
                format!("the owners are {}", names.nodes(owners))
            }
            RequestRefusal::Key { .. } => format!("it has {} bytes", history.key.bytes().len()),
            RequestRefusal::Value { .. } => format!("it has {value_bytes} bytes"),
            RequestRefusal::Busy { .. } => {
                let count = self.in_flight(operation, at, world).unwrap_or_default();
                format!("{count} others may be in flight there")
            }
            RequestRefusal::NotFounded | RequestRefusal::Stopping | RequestRefusal::StoreFailed => {
                "the node was well all the while".to_owned()
            }
            RequestRefusal::Replica(_) => "no replica has said so".to_owned(),
        };
        self.findings.violated_about(
            || history.subject([]),
            || {
                format!(
                    "a client was refused for a reason that is not true, on {:?}\n  \
                     operation: {number} through {} from {} to {}\n  \
                     refused:   {refusal}\n  really:    {really}",
                    history.key,
                    names.node(coordinator),
                    when(started),
                    when(at),
                )
            },
        );
    }

    fn truth(&self, end: &OperationEnd<'_, impl WorldView>, refusal: &RequestRefusal) -> Truth {
        let &OperationEnd { at, operation, ref history, world, .. } = end;
        let Operation { coordinator, started, ref terms, value_bytes, .. } = *operation;
        let meets = |obstacle| world.meets(coordinator, &history.key, obstacle);
        let has_changed_since = |time| world.node_changed(coordinator) >= time;
        match *refusal {
            RequestRefusal::Context(_) => {
                let tokens = self.tokens.get(history);
                let is_known = |token: &bytes::Bytes| {
                    tokens.is_some_and(|tokens| tokens.contains(&xxh3_64(token)))
                };
                operation.token.as_ref().is_some_and(|token| !is_known(token)).into()
            }
            RequestRefusal::Quorum(_) => {
                let sets = terms.reads.iter().chain(&terms.writes);
                sets.into_iter().any(|sets| !sets.can_be_reached(world.datacenters())).into()
            }
            RequestRefusal::Key { max, .. } => {
                let is_sound = (1..=KEY_BYTES_MAX).contains(&history.key.bytes().len());
                (max == KEY_BYTES_MAX && !is_sound).into()
            }
            RequestRefusal::Value { max, .. } => {
                let limit = self.config.value_bytes_max;
                (max == limit && value_bytes as u64 > limit).into()
            }
            RequestRefusal::Busy { max } => {
                let Some(count) = self.in_flight(operation, at, world) else {
                    return Truth::Unknown;
                };
                let began = Time(at.0.saturating_sub(terms.timeout.times(2).0));
                // A node gathers corrupt keys besides.
                let is_obscure = world.has_corruption(coordinator) || has_changed_since(began);
                let is_limit = max == self.config.requests_max;
                Truth::or_unknown(is_limit && count as u64 >= max, is_limit && is_obscure)
            }
            RequestRefusal::NotFounded => {
                Truth::or_unknown(meets(Obstacle::Unfounded), has_changed_since(started))
            }
            RequestRefusal::StoreFailed => {
                Truth::or_unknown(meets(Obstacle::DiskFails), has_changed_since(started))
            }
            RequestRefusal::Stopping => Truth::False,
            RequestRefusal::Replica(Refusal::HintsFull)
                if meets(Obstacle::HintsFull(history.value_bytes_max())) =>
            {
                Truth::True
            }
            RequestRefusal::Replica(refusal) => {
                operation.refusals.iter().any(|&(_, given)| given == refusal).into()
            }
        }
    }

    /// The most operations that the coordinator of this one may work on beside it; none, if its clock
    /// stands still.
    fn in_flight(&self, operation: &Operation, at: Time, world: &impl WorldView) -> Option<usize> {
        let asked = self.asked.get(&operation.coordinator)?;
        let mut count = 0;
        for &(began, timeout) in asked {
            let lasts = world.lasts(operation.coordinator, timeout)?;
            count += usize::from(began + lasts + CLIENT_TRIPS >= at);
        }
        Some(count.saturating_sub(1))
    }

    fn on_replica(
        &mut self,
        is_true: bool,
        (node, refusal): (NodeId, Refusal),
        request: RequestId,
        at: Time,
        history: &History,
        names: &Names,
    ) {
        self.findings.examined += 1;
        if is_true {
            return;
        }
        self.findings.violated_about(
            || history.subject([]),
            || {
                format!(
                    "a replica refused a request on {:?} for a reason that is not true\n  \
                     request: {request}, to {} at {}\n  refused: {refusal}",
                    history.key,
                    names.node(node),
                    when(at),
                )
            },
        );
    }
}

/// The number of siblings at a node that a request to mint leaves standing.
fn siblings(
    node: NodeId,
    action: &ReplicaAction,
    history: &History,
    world: &impl WorldView,
) -> u64 {
    let ReplicaAction::Mint(mint) = action else { return 0 };
    match &mint.write.basis {
        Basis::Given(context) => {
            let held = world.copy(node, &history.key, WhichImage::Live);
            held.dots().filter(|&dot| !context.seen.covers(dot)).count() as u64
        }
        // It overwrites all that is held.
        Basis::Held(_) => 0,
    }
}
