//! One simulated node: the core, the storage beside it, and the machine that both run on.
//!
//! The machine (its id, clocks, disk) lasts; the process on it (the core, what storage keeps in
//! memory, what waits while it is paused) is gone with a kill. Each process has a number, its life,
//! so that what was planned for an earlier one is void.

use std::sync::Arc;

use kv_core::config::Config;
use kv_core::cx::Identity;
use kv_core::node::Node;
use kv_core::replica::{self, Partitions};
use kv_core::ring::Ring;
use kv_core::store::ForeignData;
use kv_core::time::{Now, Time};
use kv_core::types::{ClusterId, Generation, NodeId};

use crate::clock::{Clock, Speed};
use crate::disk::{Disk, Image};
use crate::event_queue::SimEvent;
use crate::network::RuleName;
use crate::scenario::StorageStep;
use crate::world_time::WorldTime;

/// How often a node may be called at a deadline before time moves on. A call at a deadline makes
/// progress or moves the deadline, so a few are enough.
const CALLS_AT_ONE_TIME_MAX: u32 = 1_000;

/// A node and its machine.
#[derive(Clone, Debug)]
pub struct SimNode {
    /// Its id.
    pub id: NodeId,
    /// Its disk.
    pub disk: Disk,
    /// Its clocks.
    pub clock: Clock,
    /// By how much its clocks run wrong when no fault is at work.
    pub base_drift_ppm: i32,
    /// What active faults do to its wall clock.
    pub wall: ClockFaults,
    /// What active faults do to its monotonic clock.
    pub monotonic: ClockFaults,
    /// The steps of its disk at which active faults want it to die.
    kills_at: Vec<(RuleName, StorageStep)>,
    /// How many active faults keep it down.
    pub downs: u32,
    /// Whether its core has said, just now, that its disk failed.
    pub fails: bool,
    /// Whether it is down because of that.
    pub has_failed: bool,
    /// Batches committed by earlier lives.
    pub commits_before: u64,
    generation: Generation,
    life: u32,
    process: Option<Process>,
}

/// What active faults do to a clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockFaults {
    /// The sum of what they add to its speed, in parts per million.
    pub drift_ppm: i32,
    /// How many let it stand still.
    pub freezes: u32,
}

/// What is gone with a kill.
#[derive(Clone, Debug)]
pub struct Process {
    /// The core.
    pub core: Node,
    /// What storage keeps in memory.
    pub partitions: Partitions,
    /// How many active faults pause it.
    pub pauses: u32,
    /// What arrived while it was paused, in order.
    pub backlog: Vec<SimEvent>,
    /// The deadline that the core named last.
    deadline: Option<Time>,
    /// When it is called, at the latest: the one entry of the event_queue that counts.
    called_at: Option<WorldTime>,
    /// The last call at a deadline, and how many there were at that time.
    calls: (WorldTime, u32),
}

impl SimNode {
    /// A machine on which nothing runs yet.
    pub fn new(id: NodeId, now: Now, base_drift_ppm: i32) -> Self {
        Self {
            id,
            disk: Disk::default(),
            clock: Clock::new(now, base_drift_ppm),
            base_drift_ppm,
            wall: ClockFaults::default(),
            monotonic: ClockFaults::default(),
            kills_at: Vec::new(),
            downs: 0,
            fails: false,
            has_failed: false,
            commits_before: 0,
            generation: Generation(0),
            life: 0,
            process: None,
        }
    }

    /// Which process this is; it counts up with each start.
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// What runs on the machine.
    pub const fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// What runs on the machine.
    pub const fn process_mut(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// What runs on the machine, and its disk.
    pub const fn process_and_disk(&mut self) -> (Option<&mut Process>, &mut Disk) {
        (self.process.as_mut(), &mut self.disk)
    }

    /// Whether a process runs and is not paused.
    pub fn is_awake(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.pauses == 0)
    }

    /// Batches committed over the life of the world.
    pub fn commits(&self) -> u64 {
        use kv_core::store::Store as _;
        self.commits_before + self.disk.image().newest().0
    }

    /// Starts a process on what the disk holds.
    ///
    /// # Errors
    /// [`ForeignData`], if that is another node's. Then none was started.
    ///
    /// # Panics
    /// If one runs already.
    pub fn start(
        &mut self,
        at: WorldTime,
        config: &Config,
        cluster: ClusterId,
        ring: &Arc<Ring>,
    ) -> Result<(), ForeignData> {
        assert!(self.process.is_none(), "one process runs on a machine");
        let count = ring.layout().partitions;
        let (partitions, recovered) = replica::open(self.id, config, count, self.disk.image())?;
        // It lies apart from the data: a wipe does not change it.
        self.generation = Generation::of_run(self.generation, self.clock.now(at).wall);
        self.life += 1;
        let ring = Arc::clone(ring);
        let identity = Identity { node: self.id, generation: self.generation, cluster, ring };
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

    /// Ends the process. This is left on the disk. Returns what had waited for it, if it was paused.
    pub fn kill(&mut self, left: Image) -> Vec<SimEvent> {
        self.commits_before = self.commits();
        self.disk.kill(left);
        self.fails = false;
        self.process.take().map(|process| process.backlog).unwrap_or_default()
    }

    /// When the core must be called anew: asks it for its deadline. Nothing, if the event_queue holds
    /// an entry already that comes early enough. To be asked after each call.
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

    /// An entry of the event_queue has come up. Returns whether the core is to be called now; if not,
    /// the entry was outrun by events, and [`SimNode::plan_call`] knows the next.
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

    /// Lets the clocks run as wrong as they are by themselves and as active faults make them.
    /// Deadlines fall on other moments from now on: they must be planned anew.
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

    /// From now on it is to die at the next such step of its disk.
    pub fn kill_at(&mut self, name: RuleName, step: StorageStep) {
        self.kills_at.push((name, step));
    }

    /// The fault because of which it dies at this step, if it does. It does so once.
    pub fn take_kill_at(&mut self, step: StorageStep) -> Option<RuleName> {
        let at = self.kills_at.iter().position(|(_, at_step)| *at_step == step)?;
        Some(self.kills_at.remove(at).0)
    }

    /// It is no longer to die because of this fault. Returns whether it still was.
    pub fn do_not_kill_at(&mut self, name: RuleName) -> bool {
        let before = self.kills_at.len();
        self.kills_at.retain(|(rule, _)| *rule != name);
        self.kills_at.len() < before
    }

    /// Makes the entry of the event_queue void, so that [`SimNode::plan_call`] plans another.
    fn forget_call(&mut self) {
        if let Some(process) = &mut self.process {
            process.deadline = None;
            process.called_at = None;
        }
    }

    /// Lets a paused process go on, unless another fault pauses it still. Returns what has waited
    /// for it. A call that fell into the pause must be planned anew.
    ///
    /// # Panics
    /// If it is not paused.
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
