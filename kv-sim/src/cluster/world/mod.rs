//! A whole cluster, with everything around it that is drawn from the seed: the discrete-event loop.
//!
//! Takes a scenario and a seed; [`World::step`] lets the next thing happen. There are no ticks, and
//! idle time costs nothing. A world is a plain value: it can be cloned, and two of them never meet.
//!
//! A run goes through four phases. In `setup` the nodes start and get to know each other. In
//! `chaos` clients work and faults come and go. In `heal` nothing is broken any more but what is
//! broken for ever, and the rest of the cluster must come to rest. In `check` it is watched while it
//! idles.

mod clients;
mod disk_loss;
mod faults;
mod hint_notes;
mod inspect;
mod message_content;
mod messages;
mod operator;
mod phase;
mod recall;
mod recording;
mod rest;
mod storage;
mod tally;
mod target;
mod watch;

use std::sync::Arc;

use kv_core::cx::{Cx, Effect, Input, LinkState};
use kv_core::event::Event;
use kv_core::layout::LayoutError;
use kv_core::probe::Probe;
use kv_core::time::{Span, Time};

use crate::checks::{Checks, Setting};
use crate::cluster::client::Clients;
use crate::cluster::event_queue::{EventQueue, SimEvent};
use crate::cluster::probes::WorldProbe;
use crate::cluster::scene::{Scene, cluster_id};
use crate::cluster::world_time::WorldTime;
use crate::random::address::AddressError;
use crate::random::draws::{Draws, NodeDraw, Overrides};
use crate::runs::options::{RunOptions, Trace};
use crate::scenario::{self, Expect, Init, NodeIndex, RepairBy, Scenario};
use crate::story::digest::{DigestTag, RunningDigest};
use crate::story::history::OperationLog;
use crate::story::record::Recorder;

use faults::Chaos;
use messages::{MessagesInTransit, WaitingMessages};
use tally::RunTally;
use watch::Watch;

pub use phase::{Idle, Phase};
pub use tally::SentMessages;
pub use watch::WatchCounts;

/// The time that the nodes have to get to know each other before clients and faults begin.
pub const SETUP: Span = Span::from_ms(1_000);
/// The shortest time after a change of the topology in which nodes may still disagree on who is
/// there.
const SETTLE: Span = Span::from_ms(15_000);
/// The number of rounds of gossip in which they come to agree.
const SETTLE_ROUNDS: u64 = 8;
/// The number of slowest messages, one after the other, by which those rounds may be delayed.
const SETTLE_TRIPS: u64 = 4;
/// The shortest time in which a silent node is taken for down, and one that is heard again for up.
const SUSPECT: Span = Span::from_ms(5_000);
/// The number of rounds of gossip that this takes, if a round talks to so many peers.
const SUSPECT_ROUNDS: (u64, u64) = (5, 3);
/// The shortest timeout of an operation that must succeed.
const TIMEOUT: Span = Span::from_ms(500);

/// A cluster and everything around it.
#[derive(Clone, Debug)]
pub struct World {
    /// The part of the world that can be looked at.
    pub scene: Scene,
    phase: Phase,
    event_queue: EventQueue,
    draws: Draws,
    clients: Clients,
    chaos: Chaos,
    in_transit: MessagesInTransit,
    /// The events that wait on clogged links.
    waiting: WaitingMessages,
    checks: Option<Checks>,
    digest: RunningDigest,
    tally: RunTally,
    trace: Option<Trace>,
    recorder: Option<Box<Recorder>>,
    log: Option<Box<OperationLog>>,
    expect: Expect,
    disk_speed: scenario::DiskSettings,
    /// The time after a change of the topology in which operations may still fail.
    settle: Span,
    /// The ways by which owners that are behind are brought up to date.
    repair_by: RepairBy,
    /// The counts of the idle cluster; none before it idles.
    watch: Option<Box<Watch>>,
    /// The time at which the last command or sync ends that was begun so far.
    disks_busy_until: WorldTime,
    /// The orders to found the cluster.
    inits: Vec<Init>,
    encoding: bool,
    /// True if the invariants of nodes are checked.
    paranoid: bool,
    /// The effects that a core puts out. Kept for their room.
    effects: Vec<Effect>,
}

/// The reason why there can be no such world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// No ring can be made of the scenario's nodes.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A forced choice has an address that is none.
    #[error(transparent)]
    Decision(#[from] AddressError),
}

impl World {
    /// Creates the world of a scenario and a seed, at its beginning.
    ///
    /// # Errors
    /// [`WorldError`], if no world can be made of the scenario.
    pub fn new(scenario: &Scenario, options: &RunOptions) -> Result<Self, WorldError> {
        let overrides = Overrides::new(&scenario.decisions, &scenario.nominal, &scenario.cluster)?;
        let mut draws = Draws::new(options.seed, overrides);
        if options.misfortunes {
            draws.keep_misfortunes();
        }
        let operations = operations_expected(scenario);
        draws.expect_requests(operations);
        let mut scene = Scene::new(scenario, &mut draws)?;
        scene.network.turn_off(scenario.repair_by.off());
        let checks = options.checks.then(|| {
            Checks::new(Setting {
                config: scenario.node.clone(),
                datacenters: Arc::clone(&scene.datacenters),
                settle: settle(scenario),
                suspect: suspect(scenario),
                timeout: TIMEOUT,
                names: scene.names(),
                is_untroubled: scenario.is_untroubled(),
                comparison_merges_max: scenario.expect.comparison_merges_max,
                operations,
                keys: keys_expected(scenario),
            })
        });
        let mut world = Self {
            phase: Phase::Setup,
            event_queue: EventQueue::default(),
            clients: Clients::new(&scenario.workloads, scenario.node.value_bytes_max, &draws),
            chaos: Chaos::new(&scenario.faults),
            in_transit: MessagesInTransit::default(),
            waiting: WaitingMessages::default(),
            checks,
            digest: RunningDigest::new(),
            tally: RunTally::default(),
            trace: options.trace.clone(),
            recorder: None,
            log: None,
            expect: scenario.expect.clone(),
            disk_speed: scenario.disk.clone(),
            settle: settle(scenario),
            repair_by: scenario.repair_by,
            watch: None,
            disks_busy_until: WorldTime(0),
            inits: scenario.inits.clone(),
            encoding: options.encoding,
            paranoid: options.paranoid,
            effects: Vec::new(),
            draws,
            scene,
        };
        for node in scenario.cluster.indices() {
            world.boot(node);
        }
        world.event_queue.plan(WorldTime(0) + SETUP, SimEvent::Milestone);
        Ok(world)
    }

    /// Runs the world until nothing more happens.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Lets the next thing happen. Returns whether there is more to come.
    pub fn step(&mut self) -> bool {
        let Some((at, what)) = self.event_queue.pop() else { return false };
        self.scene.now = at;
        match what {
            SimEvent::Arrive { message } => self.arrive(message),
            SimEvent::Receive { message } => self.receive(message),
            SimEvent::Link { node, peer, up } => self.hear_of_link(what, node, peer, up),
            SimEvent::Execute { node, life } => self.execute(what, index(node), life),
            SimEvent::SyncEnds { node, life } => self.end_sync(what, index(node), life),
            SimEvent::Answer { node, life } => self.answer(what, index(node), life),
            SimEvent::Deadline { node, life } => self.deadline(what, index(node), life),
            SimEvent::Begin { client } => self.begin_operation(client),
            SimEvent::Ask { client, operation } => self.ask(what, client, operation),
            SimEvent::Reply { client, operation } => self.reply(client, operation),
            SimEvent::Reset { client, operation } => self.reset(client, operation),
            SimEvent::Refuse { client, operation } => self.refuse(client, operation),
            SimEvent::ClientTimeout { client } => self.on_timeout(client),
            SimEvent::Init { order } => self.give_order(order),
            SimEvent::FaultBegins { fault, occurrence } => self.begin_fault(fault, occurrence),
            SimEvent::FaultStep { fault, occurrence, step } => {
                self.step_fault((fault, occurrence), step);
            }
            SimEvent::FaultEnds { fault, occurrence } => self.end_fault(fault, occurrence),
            SimEvent::Milestone => self.pass_milestone(),
        }
        self.phase != Phase::Over
    }

    /// The time at which the next thing happens, if there is one.
    pub fn next_at(&self) -> Option<WorldTime> {
        self.event_queue.next_at()
    }

    /// The phase that the run is in.
    pub const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The checks of the run; none, if it runs without.
    pub const fn checks(&self) -> Option<&Checks> {
        self.checks.as_ref()
    }

    /// The digest of the run so far.
    pub fn digest(&self) -> u128 {
        self.digest.digest()
    }

    /// Gives one input to the core of a node that is awake, and carries out the effects.
    fn input(&mut self, node: NodeIndex, input: Input) {
        self.tally.events += 1;
        let machine = &mut self.scene.nodes[node.0];
        let now = machine.clock.now(self.scene.now);
        let mut effects = std::mem::take(&mut self.effects);
        let mut draw = NodeDraw { draws: &mut self.draws, node };
        let process = machine.process_mut().expect("who is awake has a process");
        if self.recorder.is_some() {
            process.core.keep_own_messages();
        }
        let was_recalled = process.core.is_recalled();
        process.core.handle(&mut Cx { now, draw: &mut draw, out: &mut effects }, input);
        if self.paranoid {
            process.core.invariants();
        }
        self.record_own_messages(node);
        for effect in effects.drain(..) {
            match effect {
                Effect::Reply { request, reply } => self.take_reply(request, reply),
                Effect::AdminReply { request: _, ref reply } => {
                    self.trace(|scene| {
                        format!("{} tells its operator {reply:?}", scene.name(node))
                    });
                }
                Effect::Send(ref message) => self.send(node, message),
                Effect::Store { ticket, command } => self.store(node, ticket, command),
                Effect::Observe(ref event) => self.observe(node, event),
            }
        }
        self.effects = effects;
        self.look_at_recall(node, was_recalled);
        if std::mem::take(&mut self.scene.node_mut(node).fails) {
            self.on_store_failed(node);
        }
        self.plan_call(node);
    }

    /// Plans the call of a node at its deadline.
    fn plan_call(&mut self, node: NodeIndex) {
        let now = self.scene.now;
        let machine = self.scene.node_mut(node);
        let life = machine.life();
        if let Some(at) = machine.plan_call(now) {
            self.event_queue.plan(at, SimEvent::Deadline { node: number(node), life });
        }
    }

    /// Tells whether a process of a node can take an event now. If it is paused, the event waits.
    fn is_awake(&mut self, node: NodeIndex, what: SimEvent) -> bool {
        let Some(process) = self.scene.node_mut(node).process_mut() else { return false };
        if process.pauses > 0 {
            process.backlog.push(what);
        }
        process.pauses == 0
    }

    /// Tells whether a node can take an event that one life of it planned: [`World::is_awake`], for
    /// that life.
    fn is_awake_and(&mut self, node: NodeIndex, life: u32, what: SimEvent) -> bool {
        self.scene.node(node).life() == life && self.is_awake(node, what)
    }

    fn deadline(&mut self, what: SimEvent, node: NodeIndex, life: u32) {
        if !self.is_awake_and(node, life, what) {
            return;
        }
        let now = self.scene.now;
        if self.scene.node_mut(node).is_due(now) {
            if let Some(watch) = &mut self.watch {
                watch.on_call();
            }
            self.digest.event(now, DigestTag::Deadline, number(node));
            self.trace(|scene| format!("{} is called at its deadline", scene.name(node)));
            self.input(node, Input::Deadline);
        } else {
            self.plan_call(node);
        }
    }

    fn hear_of_link(&mut self, what: SimEvent, node: u32, peer: u32, up: bool) {
        if !self.is_awake(index(node), what) {
            return;
        }
        let id = self.scene.node(index(peer)).id;
        let state = if up { LinkState::Up } else { LinkState::Down };
        let entry = self.digest.event(self.scene.now, DigestTag::Link, node);
        entry.number(id.0).number(up.into());
        self.trace(|scene| {
            let (name, peer) = (scene.name(index(node)), scene.name(index(peer)));
            format!("{name} learns that its link to {peer} is {state:?}")
        });
        self.input(index(node), Input::Link { peer: id, state });
    }

    fn observe(&mut self, node: NodeIndex, event: &Event) {
        self.tally.probes.on_event(event);
        self.note_known_loss(node, event);
        match event {
            Event::Completed { .. }
            | Event::KeyRepaired { .. }
            | Event::Founded
            | Event::DataMissing
            | Event::Probe(Probe::FoundingRelearned) => self.scene.note_change(node),
            Event::StoreFailed => self.scene.node_mut(node).fails = true,
            _ => {}
        }
        if let Some(checks) = &mut self.checks {
            let (at, id) = (Time(self.scene.now.0), self.scene.node(node).id);
            checks.on_event(at, id, event, &self.scene);
        }
        if let &Event::HintDropped { target, partition } = event
            && let Some(checks) = &mut self.checks
        {
            let (at, machine) = (Time(self.scene.now.0), self.scene.node(node));
            let load = self.scene.load(machine);
            checks.on_hint_dropped(at, machine.id, (target, partition), &load);
        }
        self.record_event(node, event);
        self.trace(|scene| format!("{} observes {event:?}", scene.name(node)));
    }

    /// Lets the checks see the load of each node, at each beginning and each end of a fault: loads
    /// pile up while something is broken.
    fn look_at_loads(&mut self) {
        let Some(checks) = &mut self.checks else { return };
        for node in &self.scene.nodes {
            checks.on_load(Time(self.scene.now.0), node.id, &self.scene.load(node));
        }
    }

    /// Writes a line of the trace, if there is one.
    fn trace(&self, line: impl FnOnce(&Scene) -> String) {
        if let Some(trace) = &self.trace {
            self.write_line(trace, line);
        }
    }

    /// Writes a line of the trace. Out of line, as few runs have one.
    #[cold]
    #[inline(never)]
    fn write_line(&self, Trace(sink): &Trace, line: impl FnOnce(&Scene) -> String) {
        let line = line(&self.scene);
        // A trace that cannot be written must not change the run.
        if let Ok(mut sink) = sink.lock() {
            let _ = writeln!(sink, "{} {line}", self.scene.now);
        }
    }

    /// Starts a process on a machine.
    fn boot(&mut self, node: NodeIndex) {
        let Scene { config, topology, now, .. } = &self.scene;
        let (config, topology, now) = (config.clone(), Arc::clone(topology), *now);
        let machine = self.scene.node_mut(node);
        if let Err(foreign) = machine.start(now, &config, cluster_id(), &topology) {
            // The process refuses to start on foreign data. Its operator deletes what does not
            // belong there.
            self.tally.probes.count(WorldProbe::ForeignData);
            self.trace(|scene| format!("{} does not start: {foreign}", scene.name(node)));
            let machine = self.scene.node_mut(node);
            machine.disk.image_mut().wipe();
            let started = machine.start(now, &config, cluster_id(), &topology);
            started.expect("an empty disk is nobody's");
        }
        self.scene.node_mut(node).disk.image_mut().take_over();
        self.scene.note_change(node);
        if let Some(checks) = &mut self.checks {
            checks.on_started(Time(now.0), self.scene.node(node).id);
        }
        self.record_outage_ended(node, None);
        self.record_copies(node);
        self.trace(|scene| format!("{} starts", scene.name(node)));
        self.plan_call(node);
    }
}

/// The time after a change of the topology in which the nodes of a scenario may still disagree on who
/// is there.
fn settle(scenario: &Scenario) -> Span {
    let rounds = scenario.node.gossip_interval().times(SETTLE_ROUNDS);
    SETTLE.max(rounds + scenario.network.delay_max().times(SETTLE_TRIPS))
}

/// The time within which a node of a scenario that falls silent is taken for down, and one that is
/// heard again for up (semantics.md §6).
fn suspect(scenario: &Scenario) -> Span {
    let (rounds, peers) = SUSPECT_ROUNDS;
    let others = scenario.cluster.nodes.len().saturating_sub(1).max(1) as u64;
    // A round that talks to fewer peers spreads the news more slowly, unless there are no more.
    let fanout = scenario.node.gossip_fanout.min(peers.min(others)).max(1);
    let rounds =
        scenario.node.gossip_interval().times((rounds * peers.min(others)).div_ceil(fanout));
    SUSPECT.max(rounds) + scenario.network.delay_max().times(SETTLE_TRIPS)
}

/// The number of operations to make room for from the beginning.
fn operations_expected(scenario: &Scenario) -> usize {
    const ROOM_MAX: u64 = 1 << 17;
    let operations = scenario.workloads.iter().map(|workload| workload.operations);
    operations.fold(0, u64::saturating_add).min(ROOM_MAX) as usize
}

/// The number of keys to make room for from the beginning.
fn keys_expected(scenario: &Scenario) -> usize {
    const ROOM_MAX: usize = 1 << 14;
    let keys = scenario.workloads.iter().map(|workload| workload.keys as usize);
    keys.fold(0, usize::saturating_add).min(ROOM_MAX)
}

/// The number by which the event queue names a node.
fn number(node: NodeIndex) -> u32 {
    u32::try_from(node.0).expect("nodes are counted in 32 bits")
}

/// The node that the event queue names by this number.
fn index(node: u32) -> NodeIndex {
    NodeIndex(node as usize)
}

#[cfg(test)]
mod tests;
