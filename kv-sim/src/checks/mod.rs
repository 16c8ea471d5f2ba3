//! Checks of what must hold, made while a run happens.
//!
//! Takes the things that the world does and sees, in the order in which they happen: what clients
//! ask and are told, what storage commands come to, what faults destroy, and in the end the disks.
//! Tells, for each check, whether it held, how much it looked at, and the story of the first
//! violation. The truth that all of it is measured by is the `history` of each key.
//!
//! A check is a file with a type that is a `Check`. [`Checks`] keeps what all of them share, and tells
//! each of them of everything.
//!
//! Nothing here acts on the world or draws from chance, so a run with checks and one without are
//! the same run. [`Checks`] is a plain value: a world that is cloned takes its checks along.

mod ack;
mod availability;
mod bounds;
mod causality;
mod check;
mod cluster_health;
mod comparison;
mod convergence;
mod corruption;
mod counted_sets;
mod crash;
mod critical_path;
mod datacenters;
mod deletion;
mod dirty_reads;
mod disks;
mod dots;
mod durability;
mod epochs;
mod findings;
mod fingerprint;
mod freshness;
mod held_copies;
mod hints;
mod histories;
mod history;
mod last_write;
mod linearizability;
mod losses;
mod membership;
mod merges;
mod no_trace;
mod node_changes;
mod occasions;
mod operation;
mod operation_number;
mod order;
mod ownership;
mod pace;
mod per_key;
mod preference;
mod quiescence;
mod ranges;
mod readers;
mod recall;
mod refusals;
mod register;
mod registry;
mod request_ids;
mod responses;
mod session;
mod setting;
mod story;
mod subject;
mod suspicion;
mod waiting;
mod world_facts;
mod world_view;

#[cfg(test)]
mod tests;

pub use cluster_health::{ClusterHealth, Group, Obstacle};
pub use datacenters::{Among, DatacenterIndex, Datacenters};
pub use disks::{Disks, Left, OwnedRecords, WhichImage};
pub use dots::{Dots, learn};
pub use findings::{CheckResult, CheckVerdict, Findings};
pub use merges::merges_of;
pub use occasions::Passage;
pub use operation_number::OperationNumber;
pub use pace::{DISK_FLOOR, TRIP_FLOOR};
pub use quiescence::is_idle;
pub use setting::Setting;
pub use story::Names;
pub use subject::Subject;
pub use world_facts::{HintLoad, IdleWindow, Load, MemberView, Rest, Restless};
pub use world_view::WorldView;

use std::collections::BTreeMap;

use bytes::Bytes;
use kv_core::client::{ClientOperation, PutContext, Reply, Verb};
use kv_core::event::Event;
use kv_core::message::gossip::GossipMessage;
use kv_core::quorum::Mode;
use kv_core::store::{
    Answer, Command, HandoffCommand, Outcome, Refusal, ReplicaAction, ReplicaAnswer,
    ReplicaCommand, ReplicaDone, StoreCommand,
};
use kv_core::time::{HybridTime, Span, Time};
use kv_core::types::{ContentHash, Key, NodeId, PartitionId, RequestId};
use kv_core::version::{Container, Dot};
use smallvec::SmallVec;

use ack::GivenAck;
use histories::Histories;
use history::{Minting, WriteRequest};
use occasions::{
    DroppedHint, Execution, GossipPassed, HintDropReported, HintsDropped, KeyEnd, KeyLoss,
    NodeChange, NodeEvent, NodeLoad, OperationAnswer, OperationEnd, OperationEnding, ReadReplySent,
    RefusalSent, RestVerdict, RunEnd, Trust, WriteMint,
};
use operation::{Operation, Terms};
use pace::Pace;
use waiting::WaitingOperations;

// In the order in which they are listed and told of things. It matters to people alone: what a
// check changes of a history (`durability`: what still stands of a promise) no other one reads on
// the same occasion.
registry::registry! {
    durability::Durability,
    causality::Causality,
    convergence::Convergence,
    comparison::Comparison,
    quiescence::Quiescence,
    freshness::Freshness,
    session::Session,
    dirty_reads::DirtyReads,
    order::Order,
    last_write::LastWrite,
    linearizability::Linearizability,
    deletion::Deletion,
    availability::Availability,
    refusals::Refusals,
    ownership::Ownership,
    membership::Membership,
    suspicion::Suspicion,
    preference::Preference,
    recall::Recall,
    hints::Hints,
    epochs::Epochs,
    corruption::Corruption,
    bounds::Bounds,
    no_trace::NoTrace,
    request_ids::RequestIds,
    crash::Crash,
}

/// All checks of one run, with what they share: what was asked, written and answered so far.
#[derive(Clone, Debug)]
pub struct Checks {
    setting: Setting,
    steps: u64,
    histories: Histories,
    waiting: WaitingOperations,
    pace: Pace,
    all: AllChecks,
}

impl Checks {
    /// Creates the checks of a run in which nothing has happened yet.
    pub fn new(setting: Setting) -> Self {
        Self {
            steps: 0,
            histories: Histories::new(&setting),
            waiting: WaitingOperations::default(),
            pace: Pace::new(Span::from_ms(setting.config.repair_timeout_ms)),
            all: AllChecks::new(&setting),
            setting,
        }
    }

    /// The result of each check so far.
    pub fn results(&self) -> BTreeMap<CheckName, CheckResult> {
        CheckName::ALL.iter().map(|&check| (check, self.findings(check).result())).collect()
    }

    /// The findings of a check so far.
    pub fn findings(&self, check: CheckName) -> &Findings {
        self.all.findings(check)
    }

    /// The keys to which most was written, the busiest first; of equals, the one that was asked for
    /// first.
    pub fn busiest_keys(&self) -> Vec<Key> {
        let mut histories: Vec<_> = self.histories.iter().collect();
        histories.sort_by_key(|history| std::cmp::Reverse(history.minted()));
        histories.into_iter().map(|history| history.key.clone()).collect()
    }

    /// Takes a client's request. `seen` are the siblings that it was shown with the token that it
    /// passes on; for a session, all that [`learn`] has gathered from its replies.
    ///
    /// # Panics
    /// If a put has no request id: nothing could tell which dots it was given.
    pub fn on_invoke(
        &mut self,
        at: Time,
        number: OperationNumber,
        coordinator: NodeId,
        operation: &ClientOperation,
        seen: &[Dot],
    ) {
        let step = self.next_step();
        let request = operation.options.request;
        let Setting { config, datacenters, .. } = &self.setting;
        let terms = Terms::of(operation, config, coordinator, datacenters);
        let (mut value_bytes, mut token) = (0, None);
        let (history, write) = match &operation.verb {
            Verb::Get => (self.histories.get_or_add(&operation.key), None),
            Verb::Put { content, context, .. } => {
                value_bytes = content.value().map_or(0, Bytes::len);
                if let PutContext::Token(passed) = context {
                    token = Some(passed.clone());
                }
                let request = request.expect("simulated clients name their requests");
                let strict_reads = terms.reads.clone().filter(|_| terms.mode == Mode::Strict);
                let asked = WriteRequest { operation: number, coordinator, at, step, strict_reads };
                let asked = Some(asked);
                let key = &operation.key;
                let (history, write) = self.histories.write_or_add(request, asked, key, content);
                self.histories.at_mut(history).write_mut(write).on_attempt(seen, content, step);
                (history, Some(write))
            }
        };
        let operation = Operation {
            number,
            coordinator,
            history,
            write,
            value_bytes,
            token,
            request,
            started: at,
            step,
            terms,
            is_disturbed: false,
            refusals: SmallVec::new(),
            trips: Vec::new(),
            misuse: None,
        };
        self.all.on_begin(&operation);
        self.waiting.insert(operation);
    }

    /// Notes that a request must be refused, and why: its client says so, when it has asked.
    pub fn on_misuse(&mut self, number: OperationNumber, misuse: &'static str) {
        let Some(operation) = self.waiting.get_mut(number) else { return };
        operation.misuse = Some(misuse);
        if let Some(write) = operation.write {
            self.histories.at_mut(operation.history).write_mut(write).on_misuse(misuse);
        }
    }

    /// Takes the answer that a client is given.
    pub fn on_reply(
        &mut self,
        at: Time,
        number: OperationNumber,
        reply: &Reply,
        world: &impl WorldView,
    ) {
        self.end_operation(at, number, Some(reply), world);
    }

    /// Takes an operation whose client gives up waiting, or whose connection broke.
    pub fn on_unknown(&mut self, at: Time, number: OperationNumber, world: &impl WorldView) {
        self.end_operation(at, number, None, world);
    }

    fn end_operation(
        &mut self,
        at: Time,
        number: OperationNumber,
        reply: Option<&Reply>,
        world: &impl WorldView,
    ) {
        let Some(operation) = self.waiting.remove(number) else { return };
        let step = self.next_step();
        let history = self.histories.at_mut(operation.history);
        let ending = match reply {
            Some(Reply::Value { container, context: token, achieved }) => {
                let reach = history.reach(container);
                OperationEnding::Value(OperationAnswer { container, reach, token, achieved })
            }
            Some(Reply::Stored { container, context: token, achieved }) => {
                let write = operation.write.expect("only writes are stored");
                let Terms { mode, writes, .. } = &operation.terms;
                let writes = writes.as_ref().expect("what is stored was to be written");
                let promise = || GivenAck::new((at, step), (*mode, writes), achieved);
                history.write_mut(write).ack.get_or_insert_with(promise);
                let reach = history.reach(container);
                let answer = OperationAnswer { container, reach, token, achieved };
                OperationEnding::Stored(write, answer)
            }
            Some(Reply::Refused(refusal)) => OperationEnding::Refused(refusal),
            Some(Reply::Unknown { .. }) | None => OperationEnding::Unknown,
        };
        self.all.on_end(&mut OperationEnd {
            at,
            step,
            operation: &operation,
            history,
            ending,
            pace: &self.pace,
            world,
            names: &self.setting.names,
        });
    }

    /// Takes a refusal that a replica sends to a coordinator, of this request on this key. A client may
    /// use one id for two keys at once: then it is about one of them.
    pub fn on_refusal_sent(
        &mut self,
        at: Time,
        node: NodeId,
        (request, key): (RequestId, &Key),
        refusal: Refusal,
        world: &impl WorldView,
    ) {
        let Some(operation) = self.waiting.asked(request) else { return };
        let history = self.histories.at(operation.history);
        if history.key != *key {
            return;
        }
        let names = &self.setting.names;
        let sent = RefusalSent { at, node, refusal, operation, history, world, names };
        self.all.on_refusal_sent(&sent);
        operation.refusals.push((node, refusal));
    }

    /// Notes that a message of this request was lost, so that nobody can be blamed if it fails.
    pub fn on_message_lost(&mut self, request: RequestId) {
        if let Some(operation) = self.waiting.asked(request) {
            operation.is_disturbed = true;
        }
    }

    /// Notes that a message of this request takes longer than [`TRIP_FLOOR`] on a way that no fault
    /// touches.
    pub fn on_message_slow(&mut self, at: Time, request: RequestId, takes: Span) {
        self.pace.on_message(at, takes);
        if let Some(operation) = self.waiting.asked(request) {
            operation.trips.push(takes);
        }
    }

    /// Notes that a storage command was done, or is durable, longer than [`DISK_FLOOR`] after it
    /// was given, on a disk that no fault slows down.
    pub fn on_command_slow(&mut self, at: Time, took: Span) {
        self.pace.on_command(at, took);
    }

    /// Takes a storage command that was executed at a node. To be called when it is, not when the
    /// node learns of it: a crash in between does not undo what a disk has done. Returns a line for
    /// each write that is excused because of it.
    pub fn on_outcome(
        &mut self,
        at: Time,
        node: NodeId,
        command: &StoreCommand,
        outcome: &Outcome,
        world: &impl WorldView,
    ) -> Vec<String> {
        let Self { histories, setting, all, .. } = self;
        let (names, excuses) = (&setting.names, Vec::new());
        let mut execution =
            Execution { at, node, command, outcome, histories, world, names, excuses };
        all.on_execution(&mut execution);
        let Execution { histories, excuses, .. } = execution;
        if let (
            Answer::Replica(ReplicaAnswer { requester, result: Err(refusal) }),
            Command::Replica(ReplicaCommand { action, .. }),
        ) = (&outcome.answer, &command.command)
            && let Some(operation) = self.waiting.asked(requester.request)
            && histories.at(operation.history).key == *action.key()
        {
            operation.refusals.push((node, *refusal));
        }
        for event in &outcome.events {
            if let (
                &Event::Minted { ref key, dot, request, ref replaced },
                Command::Replica(ReplicaCommand { action: ReplicaAction::Mint(mint), .. }),
            ) = (event, &command.command)
            {
                // The write may come from no client of the simulator.
                let content = &mint.write.content;
                let (history, write) = histories.write_or_add(request, None, key, content);
                let (container, basis) = (minted_by(outcome), &mint.write.basis);
                let stamp = container.get(dot).map_or(HybridTime(0), |version| version.time);
                let minting = Minting { at, by: node, dot, stamp, content, basis, replaced };
                let history = histories.at_mut(history);
                let event = history.on_minted(write, minting);
                let asked = history.write(write).asked_once();
                let date = asked.map(|asked| world.latest_date(asked.coordinator));
                all.on_minted(&WriteMint {
                    history,
                    write,
                    minting,
                    container,
                    date,
                    event,
                    names,
                });
            }
        }
        excuses
    }

    /// Takes the answer of a replica to a read, as it is sent to another node.
    pub fn on_read_reply(
        &mut self,
        at: Time,
        node: NodeId,
        request: RequestId,
        container: &Container,
        world: &impl WorldView,
    ) {
        let Some(operation) = self.waiting.asked(request) else { return };
        let asked = operation.started;
        let history = self.histories.at(operation.history);
        let names = &self.setting.names;
        self.all.on_read_reply(&ReadReplySent {
            at,
            node,
            asked,
            history,
            container,
            world,
            names,
        });
    }

    /// Takes an event that a node reports.
    pub fn on_event(&mut self, at: Time, node: NodeId, event: &Event, world: &impl WorldView) {
        if let Event::ReadBeforeWrite { request, key, dots } = event
            && let Some((history, write)) = self.histories.write(*request, key)
        {
            self.histories.at_mut(history).write_mut(write).on_read(dots);
        }
        let names = &self.setting.names;
        self.all.on_event(&NodeEvent { at, node, event, world, names });
    }

    /// Takes hints that the disk of a node is about to delete.
    pub fn before_drop(
        &mut self,
        at: Time,
        keeper: NodeId,
        command: &StoreCommand,
        world: &impl WorldView,
    ) {
        let StoreCommand { partition, command: Command::Handoff(command) } = command else {
            return;
        };
        let HandoffCommand::Drop { target, reason, items } = command else { return };
        let deleted = |(key, hash): &(Key, ContentHash)| {
            let hint = world.hint(keeper, key, *target)?;
            let history = self.histories.of(key)?;
            (hint.container.hash(key) == *hash).then_some(DroppedHint { history, hint })
        };
        self.all.on_hints_dropped(&HintsDropped {
            at,
            keeper,
            target: *target,
            partition: *partition,
            reason: *reason,
            items: items.iter().filter_map(deleted).collect(),
            world,
            names: &self.setting.names,
        });
    }

    /// Takes a hint that a node says it gave up, while it carries this load.
    pub fn on_hint_dropped(
        &mut self,
        at: Time,
        node: NodeId,
        (target, partition): (NodeId, PartitionId),
        load: &Load,
    ) {
        let names = &self.setting.names;
        self.all.on_hint_drop_reported(&HintDropReported {
            at,
            node,
            target,
            partition,
            load,
            names,
        });
    }

    /// Takes a gossip message that a node sends or reads.
    pub fn on_gossip(&mut self, at: Time, node: NodeId, message: &GossipMessage, passage: Passage) {
        self.all.on_gossip(&GossipPassed { at, node, message, passage });
    }

    /// Judges the load of a node that was looked at.
    pub fn on_load(&mut self, at: Time, node: NodeId, load: &Load) {
        self.all.on_load(&NodeLoad { at, node, load, names: &self.setting.names });
    }

    /// Judges whether the cluster came to rest once the time to converge is over.
    pub fn on_rest(&mut self, at: Time, rest: &Rest) {
        let (pace, names) = (&self.pace, &self.setting.names);
        self.all.on_rest(&RestVerdict { at, rest, pace, names });
    }

    /// Counts a partition that could never be copied back, and was given up.
    pub fn on_loss_accepted(&mut self) {
        self.all.on_loss_accepted();
    }

    /// Compares the two windows, one after the other, for which the idle cluster was watched.
    pub fn on_idle(&mut self, first: &IdleWindow, second: &IdleWindow) {
        self.all.on_idle([first, second]);
    }

    /// Compares what was promised with what the disks hold, at the end of the run.
    pub fn at_end(&mut self, at: Time, world: &impl WorldView) {
        let (pace, names) = (&self.pace, &self.setting.names);
        for history in self.histories.iter() {
            let owners = world.owners(&history.key).iter();
            let copy = |&node| (node, world.copy(node, &history.key, WhichImage::Live));
            let copies: Vec<_> = owners.map(copy).collect();
            self.all.at_end_of_key(&KeyEnd { at, history, copies: &copies, world, names });
        }
        self.all.at_end(&RunEnd { at, world, pace, names });
    }

    fn next_step(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }
}

/// The container that a replica holds after a command with which it minted.
///
/// # Panics
/// If the command was none.
fn minted_by(outcome: &Outcome) -> &Container {
    match &outcome.answer {
        Answer::Replica(ReplicaAnswer { result: Ok(ReplicaDone::Minted(minted)), .. }) => {
            &minted.container
        }
        answer => unreachable!("a dot was minted, and the answer is {answer:?}"),
    }
}
