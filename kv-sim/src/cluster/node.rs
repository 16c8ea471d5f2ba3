//! One simulated node: the core, the storage beside it, and the machine that both run on.
//!
//! The machine (its id, clocks, disk) lasts; the process on it (the core, the partitions of its
//! storage, the events that wait while it is paused) is gone with a kill. Each process has a
//! number, its life, so that events planned for an earlier one are void.

use std::sync::Arc;

use kv_core::config::Config;
use kv_core::cx::Identity;
use kv_core::node::Node;
use kv_core::storage::{self, Partitions};
use kv_core::store::{ForeignData, FoundingRecord, Recovered};
use kv_core::time::{Now, Time, WallTime};
use kv_core::topology::Topology;
use kv_core::types::{ClusterId, Generation, NodeId, PartitionId, Seq};

use crate::cluster::clock::{Clock, Speed};
use crate::cluster::disk::{Disk, Image};
use crate::cluster::event_queue::SimEvent;
use crate::cluster::world_time::WorldTime;
use crate::faults::{RuleName, StorageStep};

/// The number of times that a node may be called at a deadline before time moves on. A call at a
/// deadline makes progress or moves the deadline, so a few are enough.
const CALLS_AT_ONE_TIME_MAX: u32 = 1_000;

/// A node and its machine.
#[derive(Clone, Debug)]
pub struct SimNode {
    /// The id of the node.
    pub id: NodeId,
    /// The disk of the machine.
    pub disk: Disk,
    /// The clocks of the machine.
    pub clock: Clock,
    /// The parts per million by which the clocks run fast when no fault is at work; slow, if below
    /// zero.
    pub base_drift_ppm: i32,
    /// The effects of active faults on the wall clock.
    pub wall: ClockFaults,
    /// The effects of active faults on the monotonic clock.
    pub monotonic: ClockFaults,
    /// The latest date that the wall clock had shown when it was last stepped.
    pub latest_date: WallTime,
    /// The steps of the disk at which active faults want the node to die.
    kills_at: Vec<(RuleName, StorageStep)>,
    /// The number of active faults that keep the node down.
    pub downs: u32,
    /// True if the core has just reported that its disk failed.
    pub fails: bool,
    /// True if the node is down because its disk failed.
    pub has_failed: bool,
    /// The time at which the node, its disk or its clock was last broken or repaired.
    pub changed_at: WorldTime,
    /// True if a hint has become unreadable since the process started.
    pub hints_rotted: bool,
    /// The partitions whose data marker was written, each with the position that must be reported as
    /// durable before the node counts on it.
    completing: Vec<(PartitionId, Seq)>,
    /// True if a fault took from the disk what it had synced, and the node is held to learn that from
    /// others that were told of it.
    pub is_unjudged: bool,
    /// True if this process has said that it lost some of what it had acknowledged.
    pub knows_of_loss: bool,
    /// The number of batches committed by earlier lives.
    pub commits_before: u64,
    generation: Generation,
    /// The generations of all lives so far.
    generations: Vec<Generation>,
    life: u32,
    process: Option<Process>,
}

/// The effects of active faults on a clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockFaults {
    /// The sum of what faults add to the clock's speed, in parts per million.
    pub drift_ppm: i32,
    /// The number of faults that let the clock stand still.
    pub freezes: u32,
}

/// A process, which is gone with a kill.
#[derive(Clone, Debug)]
pub struct Process {
    /// The core of the node.
    pub core: Node,
    /// The state that storage keeps in memory.
    pub partitions: Partitions,
    /// The number of active faults that pause the process.
    pub pauses: u32,
    /// The events that came while the process was paused, in order.
    pub backlog: Vec<SimEvent>,
    /// The deadline that the core named last.
    deadline: Option<Time>,
    /// The latest time at which the core is called: that of the one entry of the event queue that
    /// counts.
    called_at: Option<WorldTime>,
    /// The time of the last call at a deadline, and the number of calls at that time.
    calls: (WorldTime, u32),
}

impl SimNode {
    /// Creates a machine on which nothing runs yet.
    pub fn new(id: NodeId, now: Now, base_drift_ppm: i32) -> Self {
        Self {
            id,
            disk: Disk::default(),
            clock: Clock::new(now, base_drift_ppm),
            base_drift_ppm,
            wall: ClockFaults::default(),
            monotonic: ClockFaults::default(),
            latest_date: WallTime(0),
            kills_at: Vec::new(),
            downs: 0,
            fails: false,
            has_failed: false,
            changed_at: WorldTime(0),
            hints_rotted: false,
            completing: Vec::new(),
            is_unjudged: false,
            knows_of_loss: false,
            commits_before: 0,
            generation: Generation(0),
            generations: Vec::new(),
            life: 0,
            process: None,
        }
    }

    /// The number of the present process; it counts up with each start.
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// The process on the machine, if one runs.
    pub const fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// The process on the machine, if one runs, to be changed.
    pub const fn process_mut(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// The process on the machine, if one runs, and the disk.
    pub const fn process_and_disk(&mut self) -> (Option<&mut Process>, &mut Disk) {
        (self.process.as_mut(), &mut self.disk)
    }

    /// True if a process runs and is not paused.
    pub fn is_awake(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.pauses == 0)
    }

    /// The number of batches committed over the life of the world.
    pub fn commits(&self) -> u64 {
        use kv_core::store::Store as _;
        self.commits_before + self.disk.image().newest().0
    }

    /// Notes that a data marker was written at this position.
    pub fn on_marked(&mut self, partition: PartitionId, seq: Seq) {
        self.completing.push((partition, seq));
    }

    /// Notes that the node is told that all up to this position is durable. Returns whether it has
    /// waited for that to count a partition as complete.
    pub fn on_durable(&mut self, seq: Seq) -> bool {
        let before = self.completing.len();
        self.completing.retain(|&(_, marked)| marked > seq);
        self.completing.len() < before
    }

    /// Tells whether a data marker was written, and the node was not told yet that it is durable.
    pub fn is_completing(&self, partition: PartitionId) -> bool {
        self.completing.iter().any(|&(of, _)| of == partition)
    }

    /// Starts a process on the data of the disk.
    ///
    /// # Errors
    /// [`ForeignData`], if the data is another node's. Then no process was started.
    ///
    /// # Panics
    /// If a process runs already.
    pub fn start(
        &mut self,
        at: WorldTime,
        config: &Config,
        cluster: ClusterId,
        topology: &Arc<Topology>,
    ) -> Result<(), ForeignData> {
        assert!(self.process.is_none(), "one process runs on a machine");
        let count = topology.newest().layout().partitions;
        let (partitions, recovered) = {
            let image = self.disk.image();
            storage::open(self.id, config, count, image, image.log())?
        };
        // The generation lies apart from the data: a wipe does not change it.
        self.generation = Generation::of_run(self.generation, self.clock.now(at).wall);
        self.life += 1;
        if trusts_its_store(&recovered) {
            self.disk.image_mut().begin_life(self.life);
        } else {
            self.disk.image_mut().admit_loss(self.life);
        }
        self.generations.push(self.generation);
        let topology = Arc::clone(topology);
        let identity = Identity { node: self.id, generation: self.generation, cluster, topology };
        self.process = Some(Process {
            core: Node::new(config.clone(), identity, recovered),
            partitions,
            pauses: 0,
            backlog: Vec::new(),
            deadline: None,
            called_at: None,
            calls: (at, 0),
        });
        Ok(())
    }

    /// Notes that the process has said, durably, that it lacks some of what earlier ones wrote.
    pub fn admit_loss(&mut self) {
        self.disk.image_mut().admit_loss(self.life);
    }

    /// The life of this generation.
    pub fn life_of(&self, generation: Generation) -> Option<u32> {
        let before = self.generations.iter().rposition(|&of_life| of_life == generation)?;
        Some(before as u32 + 1)
    }

    /// Ends the process and leaves `left` on the disk. Returns the events that had waited for it,
    /// if it was paused.
    pub fn kill(&mut self, left: Image) -> Vec<SimEvent> {
        self.commits_before = self.commits();
        self.disk.kill(left);
        self.fails = false;
        self.hints_rotted = false;
        self.completing.clear();
        self.knows_of_loss = false;
        self.process.take().map(|process| process.backlog).unwrap_or_default()
    }

    /// Asks the core for its deadline and returns the time at which it must be called. None, if the
    /// event queue holds an entry already that comes early enough. To be called after each call of
    /// the core.
    pub fn plan_call(&mut self, at: WorldTime) -> Option<WorldTime> {
        let process = self.process.as_mut()?;
        let deadline = process.core.next_deadline();
        if deadline == process.deadline && process.called_at.is_some() {
            return None;
        }
        process.deadline = deadline;
        let due = self.clock.world_time_of(deadline?)?.max(at);
        if process.called_at.is_some_and(|called_at| called_at <= due) {
            return None;
        }
        process.called_at = Some(due);
        Some(due)
    }

    /// Tells whether the core is to be called now that an entry of the event queue has come up; if
    /// not, the entry was outrun by events, and [`SimNode::plan_call`] knows the next.
    ///
    /// # Panics
    /// If the core was called too often without time moving on: it spins.
    pub fn is_due(&mut self, at: WorldTime) -> bool {
        let Some(process) = self.process.as_mut() else { return false };
        if process.called_at != Some(at) {
            return false;
        }
        process.called_at = None;
        process.deadline = process.core.next_deadline();
        let due = process.deadline.and_then(|deadline| self.clock.world_time_of(deadline));
        if due.is_none_or(|due| due > at) {
            return false;
        }
        let (last, calls) = process.calls;
        process.calls = if last == at { (at, calls + 1) } else { (at, 1) };
        assert!(
            process.calls.1 <= CALLS_AT_ONE_TIME_MAX,
            "a node spins: {CALLS_AT_ONE_TIME_MAX} calls at deadlines, and time has not moved on"
        );
        true
    }

    /// Sets the speeds of the clocks to their own errors and those of active faults. Deadlines fall
    /// on other moments from now on: they must be planned anew.
    pub fn set_clocks(&mut self, at: WorldTime) {
        let [monotonic, wall] = [self.monotonic, self.wall].map(|faults| self.speed(faults));
        self.clock.run(at, monotonic, wall);
        self.forget_call();
    }

    fn speed(&self, ClockFaults { drift_ppm, freezes }: ClockFaults) -> Speed {
        const DRIFT_PPM_MAX: i32 = 900_000;
        let drift = self.base_drift_ppm + drift_ppm;
        match freezes {
            0 => Speed::drifting(drift.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX)),
            _ => Speed::STILL,
        }
    }

    /// Lets the node die at the next such step of its disk.
    pub fn kill_at(&mut self, name: RuleName, step: StorageStep) {
        self.kills_at.push((name, step));
    }

    /// Takes the fault because of which the node dies at this step, if there is one. It is taken
    /// once.
    pub fn take_kill_at(&mut self, step: StorageStep) -> Option<RuleName> {
        let at = self.kills_at.iter().position(|(_, at_step)| *at_step == step)?;
        Some(self.kills_at.remove(at).0)
    }

    /// Spares the node from a fault that was to kill it at a step. Returns whether it still was.
    pub fn do_not_kill_at(&mut self, name: RuleName) -> bool {
        let before = self.kills_at.len();
        self.kills_at.retain(|(rule, _)| *rule != name);
        self.kills_at.len() < before
    }

    /// Makes the entry of the event queue void, so that [`SimNode::plan_call`] plans another.
    fn forget_call(&mut self) {
        if let Some(process) = &mut self.process {
            process.deadline = None;
            process.called_at = None;
        }
    }

    /// Lets a paused process go on, unless another fault pauses it still. Returns the events that
    /// have waited for it. A call that fell into the pause must be planned anew.
    ///
    /// # Panics
    /// If the process is not paused.
    pub fn resume(&mut self) -> Vec<SimEvent> {
        let process = self.process.as_mut().expect("a paused process runs");
        process.pauses = process.pauses.checked_sub(1).expect("what is resumed was paused");
        if process.pauses > 0 {
            return Vec::new();
        }
        let backlog = std::mem::take(&mut process.backlog);
        self.forget_call();
        backlog
    }
}

/// Tells whether a node that starts with this takes what it holds for all that it must hold of some
/// partition, if nobody tells it better: as a data marker says so, or a pledge will.
pub fn trusts_its_store(recovered: &Recovered) -> bool {
    matches!(recovered.founding, FoundingRecord::Pledged(_)) || !recovered.complete.is_empty()
}
