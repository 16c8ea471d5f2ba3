//! A node: its process and machine, and what its core tells of itself.

mod operation;
mod repair;

use kv_core::deadline::{Deadline, Reason};
use kv_core::handoff::{HandoffSnapshot, KeptSnapshot, ReplaySnapshot};
use kv_core::membership::PeerSnapshot;
use kv_core::node::{Activity, NodeSnapshot};
use kv_core::recall::RecallStage;
use kv_core::time::{Span, Time};
use kv_core::types::{Key, NodeId, PartitionId};
use serde::Serialize;

use super::keys::names_of;
use super::phi::phi_hundredths;
use super::{DiskState, StateFocus};
use crate::checks::Names;
use crate::cluster::clock::{Clock, EPOCH};
use crate::cluster::node::{ClockFaults, Process, SimNode};
use crate::cluster::scene::Scene;
use crate::cluster::world_time::WorldTime;
use crate::story::words;

use operation::operation_words;

pub use operation::{AnswerState, FallbackState, OperationState, QuorumState};
pub use repair::{CopyingState, PartnerState, RepairState, SessionState};

/// The state of a node and its machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeState {
    /// The name of the node.
    pub node: String,
    /// The id of the node, in hexadecimal.
    pub id: String,
    /// The state of the node's process.
    pub runs: ProcessState,
    /// The number of faults that keep the node down.
    pub kept_down_by: u32,
    /// True if the process ended because its disk failed.
    pub has_failed: bool,
    /// The number of times that the node was started.
    pub life: u32,
    /// The number of events that wait for the node while it is paused.
    pub backlog: usize,
    /// The clocks of the node.
    pub clocks: ClockState,
    /// The node's share of the ring.
    pub ring: RingState,
    /// The state of the node's core; none, while it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<CoreState>,
    /// The state of the node's disk.
    pub disk: DiskState,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// The process runs.
    Up,
    /// The process stands still.
    Paused,
    /// There is no process.
    Down,
}

/// The clocks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockState {
    /// The clock that measures how long something takes.
    pub monotonic: DialState,
    /// The clock that tells the date, since 1970.
    pub wall: DialState,
    /// The time by which the wall clock is ahead of the true date; behind, if below zero.
    pub wall_ahead_us: i64,
}

/// The state of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DialState {
    /// The time that the clock shows, in microseconds.
    pub shows_us: u64,
    /// The parts per million by which the clock runs fast; slow, if below zero.
    pub drift_ppm: i32,
    /// True if the clock stands still.
    pub is_frozen: bool,
}

/// A node's share of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RingState {
    /// The number of partitions that the node owns.
    pub owned: usize,
    /// The number of partitions of the ring.
    pub partitions: u32,
    /// The node's part of all copies, in parts per million.
    pub share_ppm: u64,
}

/// The state of a node's core.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CoreState {
    /// `serving`, `stopping` or `failed`.
    pub activity: &'static str,
    /// The run of the node, as gossip knows it.
    pub generation: u64,
    /// The number of times that the node has raised its heartbeat.
    pub heartbeat: u64,
    /// The time for which the node convicts nobody, as it stood still itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lenient_for_us: Option<u64>,
    /// The node's view of the others.
    pub peers: Vec<PeerState>,
    /// The partitions that the node owns and has still to copy.
    pub incomplete: Vec<u32>,
    /// What it still has to do until it trusts its log, in words; none, if nothing.
    pub recall: Option<String>,
    /// The keys of which the node lost something: refused to readers until they are whole.
    pub corrupt_keys: Vec<String>,
    /// The operations that the node coordinates, the oldest first.
    pub operations: Vec<OperationState>,
    /// The number of commands of coordinators that the node's storage has not answered.
    pub replica_commands: usize,
    /// The number of answers to coordinators that wait until what they tell of is durable.
    pub replica_awaits_sync: usize,
    /// The hints that the node keeps, by target.
    pub hints: Vec<HintsState>,
    /// The nodes that lack something that no hint will bring.
    pub stale: Vec<StaleState>,
    /// The state of the node's repair.
    pub repair: RepairState,
    /// The deadlines of the node, the earliest first.
    pub deadlines: Vec<DeadlineState>,
}

/// A node's view of a peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerState {
    /// The name of the peer.
    pub node: String,
    /// True if the peer seems to be up.
    pub seems_up: bool,
    /// True if some node is known to keep hints for the peer.
    pub may_be_behind: bool,
    /// The peer's run, as far as known; 0 if nothing is.
    pub generation: u64,
    /// The newest heartbeat of that run that is known.
    pub heartbeat: u64,
    /// The time for which the peer has been silent.
    pub silence_us: u64,
    /// The longest silence that is not suspect.
    pub timeout_us: u64,
    /// The suspicion φ, in hundredths; beyond 8 a peer seems down.
    pub phi_hundredths: u64,
}

/// The hints for one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HintsState {
    /// The node that the hints are for.
    pub target: String,
    /// The number of hints.
    pub hints: u64,
    /// The size of the hints in bytes, about.
    pub bytes: u64,
    /// The partitions that the hints lie in.
    pub partitions: Vec<u32>,
    /// The number of failures to deliver in a row.
    pub failures: u32,
    /// The state of the replay, in words.
    pub replay: String,
}

/// A node that lacks something that no hint will bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaleState {
    /// The node that lacks something.
    pub node: String,
    /// The partitions in which it lacks something.
    pub partitions: Vec<u32>,
}

/// A moment at which a node wants to be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadlineState {
    /// The time until the moment by the node's own clock; it has passed, if below zero.
    pub in_us: i64,
    /// The moment in the world's time; none, while the node's clock stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// The reason in one word.
    pub reason: &'static str,
    /// The reason in a sentence.
    pub why: String,
}

/// The states of the nodes that are to be shown, at this moment.
pub(crate) fn states(
    scene: &Scene,
    names: &Names,
    focus: &StateFocus,
    at: WorldTime,
) -> Vec<NodeState> {
    let shown = scene.cluster.indices().filter(|&node| focus.shows(node));
    shown.map(|node| state(scene, names, scene.node(node), at)).collect()
}

fn state(scene: &Scene, names: &Names, machine: &SimNode, at: WorldTime) -> NodeState {
    let runs = match machine.process() {
        None => ProcessState::Down,
        Some(process) if process.pauses > 0 => ProcessState::Paused,
        Some(_) => ProcessState::Up,
    };
    let now = machine.clock.now(at).monotonic;
    let teller = Teller { scene, names, now, clock: &machine.clock };
    let owned = scene.ring.owned_by(machine.id).len();
    let copies = scene.ring.layout().copies() as u64 * u64::from(scene.ring.layout().partitions);
    NodeState {
        node: names.node(machine.id),
        id: machine.id.to_string(),
        runs,
        kept_down_by: machine.downs,
        has_failed: machine.has_failed,
        life: machine.life(),
        backlog: machine.process().map_or(0, |process| process.backlog.len()),
        clocks: clocks(machine, at),
        ring: RingState {
            owned,
            partitions: scene.ring.layout().partitions,
            share_ppm: owned as u64 * 1_000_000 / copies.max(1),
        },
        core: machine.process().map(|process| teller.core(process)),
        disk: DiskState::of(&machine.disk),
    }
}

fn clocks(machine: &SimNode, at: WorldTime) -> ClockState {
    let now = machine.clock.now(at);
    let dial = |shows_us, faults: ClockFaults| DialState {
        shows_us,
        drift_ppm: machine.base_drift_ppm + faults.drift_ppm,
        is_frozen: faults.freezes > 0,
    };
    ClockState {
        monotonic: dial(now.monotonic.0, machine.monotonic),
        wall: dial(now.wall.0, machine.wall),
        wall_ahead_us: signed(now.wall.0, EPOCH.0 + at.0),
    }
}

/// Computes how far the first is ahead of the second.
fn signed(first: u64, second: u64) -> i64 {
    i64::try_from(i128::from(first) - i128::from(second)).unwrap_or(i64::MAX)
}

fn numbers(partitions: &[PartitionId]) -> Vec<u32> {
    partitions.iter().map(|partition| partition.0).collect()
}

/// Writes microseconds as seconds, with milliseconds.
pub(super) fn seconds(us: u64) -> String {
    words::seconds(Span(us))
}

/// Puts a core's snapshot into words, at a moment of its own clock.
struct Teller<'a> {
    scene: &'a Scene,
    names: &'a Names,
    now: Time,
    clock: &'a Clock,
}

impl Teller<'_> {
    fn core(&self, process: &Process) -> CoreState {
        let NodeSnapshot {
            activity,
            founding: _,
            down: _,
            behind,
            owned,
            complete,
            operations,
            replica,
            membership,
            handoff,
            repair,
            recall,
            deadlines,
        } = self.inspect(process);
        let incomplete: Vec<_> =
            owned.into_iter().filter(|at| complete.binary_search(at).is_err()).collect();
        let lost: Vec<_> = process.partitions.corrupt().map(Key::to_string).collect();
        let HandoffSnapshot { kept, stale } = handoff;
        let stale = stale.chunk_by(|a, b| a.target == b.target).map(|of_one| StaleState {
            node: self.names.node(of_one[0].target),
            partitions: of_one.iter().map(|one| one.partition.0).collect(),
        });
        CoreState {
            activity: match activity {
                Activity::Waiting => "waiting",
                Activity::Serving => "serving",
                Activity::Stopping => "stopping",
                Activity::Failed => "failed",
            },
            generation: membership.generation.0,
            heartbeat: membership.heartbeat,
            lenient_for_us: membership.lenient_until.map(|until| until.since(self.now).0),
            peers: membership.peers.iter().map(|peer| self.peer(peer, &behind)).collect(),
            incomplete: numbers(&incomplete),
            recall: match recall.stage {
                RecallStage::Asking { awaited } => {
                    let awaited: Vec<_> =
                        awaited.iter().map(|&peer| self.names.node(peer)).collect();
                    Some(format!("asks how far its log had come; awaits {}", awaited.join(", ")))
                }
                RecallStage::Forgetting { markers_left } => {
                    Some(format!("takes data markers away; left: {markers_left}"))
                }
                RecallStage::Settled => None,
            },
            corrupt_keys: lost,
            operations: operations.iter().map(|operation| self.operation(operation)).collect(),
            replica_commands: replica.commands,
            replica_awaits_sync: replica.awaits_sync,
            hints: kept.iter().map(|kept| self.hints(kept)).collect(),
            stale: stale.collect(),
            repair: self.repair(&repair),
            deadlines: deadlines.iter().map(|deadline| self.deadline(deadline)).collect(),
        }
    }

    /// Takes a core's snapshot, with nodes in the order in which people count them.
    fn inspect(&self, process: &Process) -> NodeSnapshot {
        let mut snapshot = process.core.inspect(self.now);
        let place = |node: NodeId| self.scene.index_of(node);
        snapshot.membership.peers.sort_by_key(|peer| place(peer.node));
        snapshot.handoff.kept.sort_by_key(|kept| place(kept.target));
        snapshot.handoff.stale.sort_by_key(|stale| (place(stale.target), stale.partition));
        snapshot.repair.partners.sort_by_key(|partner| place(partner.node));
        for operation in &mut snapshot.operations {
            operation.awaited.sort_by_key(|&node| place(node));
        }
        snapshot
    }

    fn peer(&self, peer: &PeerSnapshot, behind: &[NodeId]) -> PeerState {
        PeerState {
            node: self.names.node(peer.node),
            seems_up: peer.seems_up,
            may_be_behind: behind.contains(&peer.node),
            generation: peer.generation.0,
            heartbeat: peer.heartbeat,
            silence_us: peer.silence.0,
            timeout_us: peer.timeout.0,
            phi_hundredths: phi_hundredths(peer.silence, peer.gap_mean, peer.gap_deviation),
        }
    }

    fn hints(&self, kept: &KeptSnapshot) -> HintsState {
        let replay = match &kept.replay {
            ReplaySnapshot::Rests { until } => format!("rests, {}", self.when(*until)),
            ReplaySnapshot::AtStore => "waits for the storage".to_owned(),
            ReplaySnapshot::Delivers { partition, hints, waits_for, until } => format!(
                "delivers {hints} of partition {} to {}, given up {}",
                partition.0,
                names_of(self.names, waits_for).join(", "),
                self.when(*until)
            ),
        };
        HintsState {
            target: self.names.node(kept.target),
            hints: kept.hints,
            bytes: kept.bytes,
            partitions: numbers(&kept.partitions),
            failures: kept.failures,
            replay,
        }
    }

    fn deadline(&self, deadline: &Deadline) -> DeadlineState {
        let node = |node: NodeId| self.names.node(node);
        let (reason, why) = match deadline.reason {
            Reason::Hedge { request } => {
                ("hedge", format!("{} asks again, and others too", operation_words(request)))
            }
            Reason::Expiry { request } => {
                ("expiry", format!("{} is given up", operation_words(request)))
            }
            Reason::GossipTurn => ("gossip-turn", "gossip with the next peer".to_owned()),
            Reason::Conviction { peer } => {
                let peer = peer.map_or_else(|| "somebody".to_owned(), node);
                ("conviction", format!("{peer} seems down if it stays silent"))
            }
            Reason::HintReplay { target } => {
                ("hint-replay", format!("hints for {} are to be delivered", node(target)))
            }
            Reason::HintTimeout { target } => {
                let target = node(target);
                ("hint-timeout", format!("the delivery of hints to {target} is given up"))
            }
            Reason::RepairRound => ("repair-round", "the next round of repair".to_owned()),
            Reason::RepairSecondLook { peer } => {
                let peer = node(peer);
                ("repair-second-look", format!("what differed from {peer} is looked at again"))
            }
            Reason::Recall => ("recall", "others are asked about its log again".to_owned()),
            Reason::FoundingRound => {
                ("founding-round", "others are asked whether the cluster is founded".to_owned())
            }
            Reason::RepairTimeout { peer } => {
                ("repair-timeout", format!("the comparison with {} is given up", node(peer)))
            }
        };
        DeadlineState {
            in_us: self.ahead(deadline.at),
            at_us: self.clock.world_time_of(deadline.at).map(|at| at.0),
            reason,
            why,
        }
    }

    fn ahead(&self, time: Time) -> i64 {
        signed(time.0, self.now.0)
    }

    fn when(&self, time: Time) -> String {
        if time <= self.now {
            "now".to_owned()
        } else {
            format!("in {}", seconds(time.since(self.now).0))
        }
    }
}
