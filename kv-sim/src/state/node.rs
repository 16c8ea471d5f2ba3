//! A node: its process and machine, and what its core tells of itself.

use kv_core::coordinator::{OperationSnapshot, Stage, Task};
use kv_core::deadline::{Deadline, Reason};
use kv_core::handoff::{HandoffSnapshot, KeptSnapshot, ReplaySnapshot};
use kv_core::membership::PeerSnapshot;
use kv_core::node::{Activity, NodeSnapshot};
use kv_core::quorum::Mode;
use kv_core::repair::{DescentAwaits, RepairSnapshot, SessionSnapshot, SessionStage};
use kv_core::time::{Span, Time};
use kv_core::types::{Key, NodeId, PartitionId};
use serde::Serialize;

use super::keys::names_of;
use super::phi::phi_hundredths;
use super::{DiskState, Focus};
use crate::checks::Names;
use crate::client::client_operation_of;
use crate::clock::{Clock, EPOCH};
use crate::node::{ClockFaults, Process, SimNode};
use crate::scene::Scene;
use crate::words;
use crate::world_time::WorldTime;

/// The state of a node and its machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeState {
    /// The name of the node.
    pub node: String,
    /// The id of the node, in hexadecimal.
    pub id: String,
    /// The state of the node's process.
    pub runs: Runs,
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
pub enum Runs {
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

/// An operation that a node coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationState {
    /// The id of the request, as the cluster knows it.
    pub request: String,
    /// The client that waits for the operation; none, once it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<u32>,
    /// The client's number for the operation, if a client asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<u32>,
    /// `get`, `put` or `gather`.
    pub task: &'static str,
    /// The key of the operation.
    pub key: String,
    /// `reading`, `naming` or `spreading`.
    pub stage: &'static str,
    /// `sloppy` or `strict`.
    pub mode: &'static str,
    /// The answers that the present stage needs.
    pub needs: Vec<QuorumState>,
    /// The answers that count so far.
    pub answers: Vec<AnswerState>,
    /// The owners that answered and may be behind.
    pub in_doubt: Vec<String>,
    /// The nodes that refused.
    pub refused: Vec<String>,
    /// The nodes that were asked and are silent.
    pub awaited: Vec<String>,
    /// The fallbacks that were asked in place of owners.
    pub fallbacks: Vec<FallbackState>,
    /// The time until the operation asks again, by the node's own clock.
    pub wakes_in_us: i64,
    /// The time until the operation is given up, by the node's own clock.
    pub expires_in_us: i64,
}

/// A number of answers that is needed of some owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuorumState {
    /// The number of answers that are needed.
    pub needed: usize,
    /// The owners whose answers count.
    pub of: Vec<String>,
}

/// An answer to an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerState {
    /// The node that answered.
    pub by: String,
    /// The owner in whose place the answer was given; none, if it was an owner's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_owner: Option<String>,
}

/// A fallback that was asked in the place of an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FallbackState {
    /// The fallback that was asked.
    pub node: String,
    /// The owner in whose place it was asked.
    pub for_owner: String,
}

/// The hints for one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HintsState {
    /// The node that the hints are for.
    pub target: String,
    /// The number of hints; an upper bound.
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

/// The state of a node's repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairState {
    /// The comparison that the node leads, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionState>,
    /// The peers that the node compares with.
    pub partners: Vec<PartnerState>,
    /// The keys that are being repaired.
    pub corrupt_keys: Vec<String>,
    /// The partitions that are being copied back.
    pub copying: Vec<CopyingState>,
    /// The number of storage commands that have not been answered.
    pub commands: usize,
    /// The number of steps that wait for the disk to sync.
    pub awaits_sync: usize,
}

/// A comparison with one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionState {
    /// The peer that this session compares with.
    pub peer: String,
    /// The id of the session's messages.
    pub request: String,
    /// The time for which the session has been going on.
    pub for_us: u64,
    /// The stage of the session, in words.
    pub stage: String,
    /// The number of partitions that the present look has not asked about yet.
    pub to_look: usize,
    /// The partitions that differed at the first look.
    pub again: Vec<u32>,
    /// The partitions that are known to differ.
    pub to_repair: Vec<u32>,
    /// The partitions that are lost here and not there.
    pub to_copy: Vec<u32>,
}

/// A peer that a node compares with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartnerState {
    /// The name of the peer.
    pub node: String,
    /// The time since the last comparison ended, well or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_ago_us: Option<u64>,
    /// The time since the beginning of the last comparison that ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clean_ago_us: Option<u64>,
    /// True if the last comparison brought nothing of what was lost here.
    pub is_fruitless: bool,
}

/// A partition that is being copied back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyingState {
    /// The number of the partition.
    pub partition: u32,
    /// The nodes from which all of the partition was copied.
    pub sources: Vec<String>,
    /// True if the partition's data marker is being written.
    pub is_marking: bool,
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
pub(crate) fn states(scene: &Scene, names: &Names, focus: &Focus, at: WorldTime) -> Vec<NodeState> {
    let shown = scene.cluster.indices().filter(|&node| focus.shows(node));
    shown.map(|node| state(scene, names, scene.node(node), at)).collect()
}

fn state(scene: &Scene, names: &Names, machine: &SimNode, at: WorldTime) -> NodeState {
    let runs = match machine.process() {
        None => Runs::Down,
        Some(process) if process.pauses > 0 => Runs::Paused,
        Some(_) => Runs::Up,
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

    fn operation(&self, operation: &OperationSnapshot) -> OperationState {
        let names = |nodes: &[NodeId]| names_of(self.names, nodes);
        let asked_by = client_operation_of(operation.request);
        let needs = operation.needs.iter();
        let answers = operation.answers.iter();
        let fallbacks = operation.fallbacks.iter();
        OperationState {
            request: operation.request.to_string(),
            client: asked_by.map(|(client, _)| client).filter(|_| operation.client.is_some()),
            operation: asked_by.map(|(_, operation)| operation),
            task: match operation.task {
                Task::Get => "get",
                Task::Put => "put",
                Task::Gather => "gather",
            },
            key: operation.key.to_string(),
            stage: match operation.stage {
                Stage::Reading => "reading",
                Stage::Naming => "naming",
                Stage::Spreading => "spreading",
            },
            mode: match operation.mode {
                Mode::Sloppy => "sloppy",
                Mode::Strict => "strict",
            },
            needs: needs
                .map(|set| QuorumState { needed: set.needed, of: names(&set.owners) })
                .collect(),
            answers: answers
                .map(|answer| AnswerState {
                    by: self.names.node(answer.by),
                    for_owner: answer.is_fallback().then(|| self.names.node(answer.for_owner)),
                })
                .collect(),
            in_doubt: names(&operation.in_doubt),
            refused: names(&operation.refused),
            awaited: names(&operation.awaited),
            fallbacks: fallbacks
                .map(|one| FallbackState {
                    node: self.names.node(one.node),
                    for_owner: self.names.node(one.owner),
                })
                .collect(),
            wakes_in_us: self.ahead(operation.wakes_at),
            expires_in_us: self.ahead(operation.expires_at),
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

    fn repair(&self, repair: &RepairSnapshot) -> RepairState {
        let ago = |time: Time| self.now.since(time).0;
        let partners = repair.partners.iter().map(|partner| PartnerState {
            node: self.names.node(partner.node),
            served_ago_us: partner.served_at.map(ago),
            clean_ago_us: partner.clean_since.map(ago),
            is_fruitless: partner.is_fruitless,
        });
        let copying = repair.copying.iter().map(|copying| CopyingState {
            partition: copying.partition.0,
            sources: names_of(self.names, &copying.sources),
            is_marking: copying.is_marking,
        });
        RepairState {
            session: repair.session.as_ref().map(|session| self.session(session)),
            partners: partners.collect(),
            corrupt_keys: repair
                .corrupt_keys
                .iter()
                .map(|corrupt| corrupt.key.to_string())
                .collect(),
            copying: copying.collect(),
            commands: repair.commands,
            awaits_sync: repair.awaits_sync,
        }
    }

    fn session(&self, session: &SessionSnapshot) -> SessionState {
        let stage = match session.stage {
            SessionStage::Comparing => "compares one digest over everything".to_owned(),
            SessionStage::Looking { partitions } => format!("compares {partitions} roots"),
            SessionStage::Settling => "gives writes in flight time to arrive".to_owned(),
            SessionStage::Descending { partition, awaits, leaves, keys_that_differed } => {
                let awaits = match awaits {
                    DescentAwaits::OwnStorage => "its own storage",
                    DescentAwaits::Branches => "inner nodes of the tree",
                    DescentAwaits::Leaves => "leaves of the tree",
                    DescentAwaits::Summaries => "the keys of a leaf",
                    DescentAwaits::Containers => "containers",
                    DescentAwaits::Sync => "its own disk",
                };
                format!(
                    "repairs partition {}: waits for {awaits}, {leaves} leaves left, \
                     {keys_that_differed} keys differed",
                    partition.0
                )
            }
        };
        SessionState {
            peer: self.names.node(session.peer),
            request: session.request.to_string(),
            for_us: self.now.since(session.began).0,
            stage,
            to_look: session.to_look,
            again: numbers(&session.again),
            to_repair: numbers(&session.to_repair),
            to_copy: numbers(&session.to_copy),
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

fn operation_words(request: kv_core::types::RequestId) -> String {
    match client_operation_of(request) {
        Some((client, operation)) => format!("operation #{operation} of client {client}"),
        None => format!("the gathering {request}"),
    }
}
