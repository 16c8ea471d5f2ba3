//! Checks of what must hold, made while a run happens.
//!
//! Takes the things that the world does and sees, in the order in which they happen: what clients
//! ask and are told, what storage commands come to, what faults destroy, and in the end the disks.
//! Tells, for each check, whether it held, how much it looked at, and the story of the first
//! violation. The truth that all of it is measured by is the `history` of each key.
//!
//! Nothing here acts on the world or draws from chance, so a run with checks and one without are
//! the same run. [`Checks`] is a plain value: a world that is cloned takes its checks along.

mod ack;
mod availability;
mod bounds;
mod causality;
mod cluster_health;
mod convergence;
mod crash;
mod deletion;
mod disks;
mod durability;
mod findings;
mod fingerprint;
mod freshness;
mod history;
pub mod linearizability;
mod membership;
mod operation;
mod ownership;
mod pace;
mod quiescence;
mod ranges;
mod session;
mod setting;
mod story;
mod subject;

#[cfg(test)]
mod tests;

pub use bounds::{HintLoad, Load};
pub use cluster_health::ClusterHealth;
pub use convergence::{Rest, Restless};
pub use disks::{Disks, Image, Left};
pub use findings::Findings;
pub use membership::View;
pub use pace::{DISK_FLOOR, TRIP_FLOOR};
pub use quiescence::IdleWindow;
pub use setting::Setting;
pub use story::Names;
pub use subject::Subject;

use std::collections::BTreeMap;
use std::fmt;

use kv_core::client::{ClientOperation, Reply, Verb};
use kv_core::event::Event;
use kv_core::store::{
    Answer, Command, HandoffAnswer, HandoffCommand, Outcome, ReplicaAction, ReplicaCommand,
    StoreCommand,
};
use kv_core::time::{Span, Time};
use kv_core::types::{Key, NodeId, RequestId, Token};
use kv_core::version::{Container, Content, Dot};
use smallvec::SmallVec;

use availability::Availability;
use bounds::Bounds;
use causality::{Causality, Sighting};
use convergence::{Convergence, Sums};
use crash::Crash;
use deletion::Deletion;
use durability::Durability;
use freshness::Freshness;
use history::{History, Minting, WriteIndex, WriteRequest};
use membership::Membership;
use operation::{Operation, Terms};
use ownership::Ownership;
use pace::Pace;
use quiescence::Quiescence;
use session::Session;

use crate::hashing::{RequestHasher, Table};
use crate::ledger::Ledger;
use crate::scenario::Check;
use crate::story::result::CheckResult;

/// The number of a client's operation, over the whole run: the client in the high half, the
/// operation counted within the client in the low half. A retry is an operation of its own, with
/// the same request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationNumber(pub u64);

/// The dots of the siblings of one key: as a rule there is one.
pub type Dots = SmallVec<[Dot; 1]>;

/// All checks of one run.
#[derive(Clone, Debug)]
pub struct Checks {
    setting: Setting,
    steps: u64,
    /// The histories' places by the tokens of their keys: no two keys share one.
    keys: Table<Token, usize>,
    histories: Vec<History>,
    writes: Ledger<RequestId, (usize, WriteIndex), RequestHasher>,
    operations: Table<OperationNumber, Operation>,
    waiting: Table<RequestId, OperationNumber>,
    pace: Pace,
    availability: Availability,
    bounds: Bounds,
    causality: Causality,
    convergence: Convergence,
    crash: Crash,
    deletion: Deletion,
    durability: Durability,
    freshness: Freshness,
    membership: Membership,
    ownership: Ownership,
    quiescence: Quiescence,
    session: Session,
}

impl Checks {
    /// Creates the checks of a run in which nothing has happened yet.
    pub fn new(setting: Setting) -> Self {
        let hedge = setting.config.hedge();
        let availability = Availability::new(setting.settle, setting.timeout, hedge);
        let pace = Pace::new(Span::from_ms(setting.config.repair_timeout_ms));
        let gossip_interval = setting.config.gossip_interval();
        let membership = Membership::new(gossip_interval, setting.settle);
        let bounds = Bounds::new(setting.config.clone());
        // As a rule, half of the operations write.
        let writes = Ledger::with_room(setting.operations / 2);
        let keys = Table::with_capacity_and_hasher(setting.keys, Default::default());
        let histories = Vec::with_capacity(setting.keys);
        Self {
            setting,
            steps: 0,
            keys,
            histories,
            writes,
            operations: Table::default(),
            waiting: Table::default(),
            pace,
            availability,
            bounds,
            causality: Causality::default(),
            convergence: Convergence::default(),
            crash: Crash::default(),
            deletion: Deletion::default(),
            durability: Durability::default(),
            freshness: Freshness::default(),
            membership,
            ownership: Ownership::default(),
            quiescence: Quiescence::default(),
            session: Session::default(),
        }
    }

    /// The result of each check so far.
    pub fn results(&self) -> BTreeMap<Check, CheckResult> {
        Check::ALL.iter().map(|&check| (check, self.findings(check).result())).collect()
    }

    /// The findings of a check so far.
    pub const fn findings(&self, check: Check) -> &Findings {
        match check {
            Check::Availability => &self.availability.findings,
            Check::Bounds => &self.bounds.findings,
            Check::Causality => &self.causality.findings,
            Check::Convergence => &self.convergence.findings,
            Check::Crash => &self.crash.findings,
            Check::Deletion => &self.deletion.findings,
            Check::Durability => &self.durability.findings,
            Check::Freshness => &self.freshness.findings,
            Check::Membership => &self.membership.findings,
            Check::Ownership => &self.ownership.findings,
            Check::Quiescence => &self.quiescence.findings,
            Check::Session => &self.session.findings,
        }
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
        let history = self.history(&operation.key);
        let request = operation.options.request;
        let write = match &operation.verb {
            Verb::Get => None,
            Verb::Put { content, .. } => {
                let request = request.expect("simulated clients name their requests");
                let (_, write) = *self.writes.get_or_add_with(request, || {
                    let asked = Some(WriteRequest { operation: number, at, step });
                    let write = self.histories[history].on_request(request, asked, content);
                    (history, write)
                });
                self.histories[history].write_mut(write).on_attempt(seen);
                Some(write)
            }
        };
        if let Some(request) = request {
            self.waiting.insert(request, number);
        }
        let terms = Terms::of(operation, &self.setting.config, self.setting.n);
        let operation = Operation {
            number,
            coordinator,
            history,
            write,
            request,
            started: at,
            step,
            terms,
            is_disturbed: false,
            trips: Vec::new(),
        };
        self.operations.insert(number, operation);
    }

    /// Takes the answer that a client is given.
    pub fn on_reply(
        &mut self,
        at: Time,
        number: OperationNumber,
        reply: &Reply,
        world: &(impl Disks + ClusterHealth),
    ) {
        let Some(operation) = self.close(number) else { return };
        let step = self.next_step();
        let names = &self.setting.names;
        let history = &mut self.histories[operation.history];
        let node = operation.coordinator;
        match reply {
            Reply::Value { container, achieved, .. } => {
                self.availability.on_answered();
                self.ownership.on_achieved(history, &operation, achieved, at, world, names);
                self.bounds.on_container(history, container, names);
                let reach = history.reach(container);
                let sighting = Sighting { at, what: "in a read through", node };
                self.causality.on_container(history, &reach, container, sighting, names);
                let n = world.owners(&history.key).len();
                self.freshness.on_read(history, &reach, &operation, n, at, names);
                self.deletion.on_read(history, &reach, &operation, n, at, names);
                self.session.on_read(history, &reach, &operation, at, step, names);
            }
            Reply::Stored { container, achieved, .. } => {
                self.availability.on_answered();
                self.ownership.on_achieved(history, &operation, achieved, at, world, names);
                self.bounds.on_container(history, container, names);
                let reach = history.reach(container);
                let sighting = Sighting { at, what: "with a write through", node };
                self.causality.on_container(history, &reach, container, sighting, names);
                let write = operation.write.expect("only writes are stored");
                self.durability
                    .on_stored(history, write, &operation, achieved, at, step, world, names);
                self.deletion.on_stored(history, write);
            }
            Reply::Refused(refusal) => {
                self.availability.on_answered();
                if let Some(write) = operation.write {
                    self.durability.on_refused(history, write, refusal, at, names);
                }
            }
            Reply::Unknown { .. } => {
                self.availability.on_unknown(history, &operation, at, (world, &self.pace), names);
            }
        }
    }

    /// Takes an operation whose client gives up waiting, or whose connection broke.
    pub fn on_unknown(
        &mut self,
        at: Time,
        number: OperationNumber,
        world: &(impl Disks + ClusterHealth),
    ) {
        let Some(operation) = self.close(number) else { return };
        let (history, names) = (&self.histories[operation.history], &self.setting.names);
        self.availability.on_unknown(history, &operation, at, (world, &self.pace), names);
    }

    /// Notes that a message of this request was lost, so that nobody can be blamed if it fails.
    pub fn on_message_lost(&mut self, request: RequestId) {
        let operation = self.waiting.get(&request);
        if let Some(operation) = operation.and_then(|number| self.operations.get_mut(number)) {
            operation.is_disturbed = true;
        }
    }

    /// Notes that a message of this request takes longer than [`TRIP_FLOOR`] on a way that no fault
    /// touches.
    pub fn on_message_slow(&mut self, at: Time, request: RequestId, takes: Span) {
        self.pace.on_message(at, takes);
        let operation = self.waiting.get(&request);
        if let Some(operation) = operation.and_then(|number| self.operations.get_mut(number)) {
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
        disks: &impl Disks,
    ) -> Vec<String> {
        let mut excuses = Vec::new();
        if let (
            Command::Handoff(HandoffCommand::Drop { target, items, .. }),
            Answer::Handoff(HandoffAnswer::Dropped { result: Ok(_), .. }),
        ) = (&command.command, &outcome.answer)
        {
            for (key, _) in items {
                let Some(&history) = self.keys.get(&key.token()) else { continue };
                let history = &mut self.histories[history];
                history.hints_dropped.insert((node, *target), at);
                let (delivery, names) = ((node, *target), &self.setting.names);
                excuses.extend(self.durability.on_delivered(history, delivery, at, disks, names));
            }
        }
        for event in &outcome.events {
            // Hints that were too old are gone, even if a write was acknowledged upon them.
            if let Event::HintDropped { .. } = event {
                self.durability.on_loss(node, at);
            }
            if let (
                Event::Minted { key, dot, request, replaced },
                Command::Replica(ReplicaCommand { action: ReplicaAction::Mint(mint), .. }),
            ) = (event, &command.command)
            {
                let (history, write) = self.write(*request, key, &mint.write.content);
                let minting =
                    Minting { at, by: node, dot: *dot, basis: &mint.write.basis, replaced };
                let history = &mut self.histories[history];
                self.causality.on_minted(history, write, minting, &self.setting.names);
                self.durability.on_minted(history, write, at, &self.setting.names);
                let minter = (write, node);
                self.durability.on_replaced(history, minter, replaced, at, &self.setting.names);
            }
        }
        excuses
    }

    /// Takes an event that a node reports.
    pub fn on_event(&mut self, at: Time, node: NodeId, event: &Event) {
        match event {
            Event::ReadBeforeWrite { request, dots } => {
                if let Some(&(history, write)) = self.writes.get(request) {
                    self.histories[history].write_mut(write).on_read(dots);
                }
            }
            Event::Suspected { peer } => {
                self.membership.on_suspected(node, *peer, at, &self.setting.names);
            }
            _ => {}
        }
    }

    /// Notes that the clock with which a node measures time stands still from now on, or runs
    /// again.
    pub fn on_clock(&mut self, at: Time, node: NodeId, runs: bool) {
        self.durability.on_clock(node, at, runs);
    }

    /// Notes that a process stands still from now on.
    pub fn on_paused(&mut self, at: Time, node: NodeId) {
        self.membership.on_paused(node, at);
    }

    /// Notes that a process that stood still goes on.
    pub fn on_woke(&mut self, at: Time, node: NodeId) {
        self.membership.on_woke(node, at);
    }

    /// Notes that a process ended.
    pub fn on_stopped(&mut self, node: NodeId) {
        self.membership.on_stopped(node);
    }

    /// Judges the load of a node that was looked at.
    pub fn on_load(&mut self, at: Time, node: NodeId, load: &Load) {
        self.bounds.on_load(node, load, at, &self.setting.names);
    }

    /// Takes a fault that is about to destroy data of a node that it had reported durable. `left`
    /// is what the fault leaves of each key. Returns a line for each write that is excused because
    /// of it.
    pub fn before_loss(
        &mut self,
        at: Time,
        node: NodeId,
        disks: &impl Disks,
        left: &impl Fn(&Key) -> Left,
    ) -> Vec<String> {
        let Self { durability, histories, setting, .. } = self;
        let histories = histories.iter_mut();
        durability.before_loss(histories, node, left, at, disks, &setting.names)
    }

    /// Judges whether the cluster came to rest once the time to converge is over.
    pub fn on_rest(&mut self, at: Time, rest: &Rest) {
        self.convergence.on_rest(rest, at, &self.pace, &self.setting.names);
    }

    /// Counts a partition that could never be copied back, and was given up.
    pub fn on_loss_accepted(&mut self) {
        self.convergence.findings.weakened += 1;
    }

    /// Compares the two windows, one after the other, for which the idle cluster was watched.
    pub fn on_idle(&mut self, first: &IdleWindow, second: &IdleWindow) {
        self.quiescence.on_idle([first, second]);
    }

    /// Takes the message of the panic in which the run ended.
    pub fn on_panic(&mut self, message: &str) {
        self.crash.on_panic(message);
    }

    /// Compares what was promised with what the disks hold, at the end of the run.
    pub fn at_end(&mut self, at: Time, disks: &(impl Disks + ClusterHealth)) {
        let names = &self.setting.names;
        let mut sums = Sums::default();
        for history in &self.histories {
            let owners = disks.owners(&history.key).iter();
            let copy = |&node| (node, disks.copy(node, &history.key, Image::Live));
            let copies: Vec<_> = owners.map(copy).collect();
            for (node, container) in &copies {
                let reach = history.reach(container);
                let sighting = Sighting { at, what: "in the end on", node: *node };
                self.causality.on_container(history, &reach, container, sighting, names);
                self.bounds.on_container(history, container, names);
                self.deletion.at_end(history, (*node, container), at, names);
            }
            self.durability.at_end(history, &copies, at, disks, names);
            self.convergence.on_copies(history, &copies, disks, &mut sums, names);
        }
        self.convergence.at_end(sums, disks, names);
        self.membership.at_end(at, disks, names);
        self.crash.on_end();
    }

    fn next_step(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }

    fn close(&mut self, number: OperationNumber) -> Option<Operation> {
        let operation = self.operations.remove(&number)?;
        if let Some(request) = operation.request
            && self.waiting.get(&request) == Some(&number)
        {
            self.waiting.remove(&request);
        }
        Some(operation)
    }

    fn history(&mut self, key: &Key) -> usize {
        if let Some(&history) = self.keys.get(&key.token()) {
            return history;
        }
        self.histories.push(History::new(key.clone(), self.setting.writes_each()));
        self.keys.insert(key.token(), self.histories.len() - 1);
        self.histories.len() - 1
    }

    /// Finds the write of a request, or adds it: it may come from no client of the simulator.
    fn write(&mut self, request: RequestId, key: &Key, content: &Content) -> (usize, WriteIndex) {
        if let Some(&write) = self.writes.get(&request) {
            return write;
        }
        let history = self.history(key);
        let write = self.histories[history].on_request(request, None, content);
        self.writes.add(request, (history, write));
        (history, write)
    }
}

/// Updates the siblings that a session has seen of a key once it has learnt of this container too:
/// the container's own, and of the rest those that it does not account for.
pub fn learn(seen: &mut Dots, container: &Container) {
    seen.retain(|dot| !container.seen().covers(*dot));
    seen.extend(container.dots());
}

impl fmt::Display for OperationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} of client {}", self.0 & u64::from(u32::MAX), self.0 >> 32)
    }
}
