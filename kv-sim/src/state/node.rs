//! A node: its process and machine, and what its core says of itself.

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

/// A node and its machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeState {
    /// What it is called.
    pub node: String,
    /// Its id, in hexadecimal.
    pub id: String,
    /// Whether its process runs.
    pub runs: Runs,
    /// How many faults keep it down.
    pub kept_down_by: u32,
    /// Whether it ended because its disk failed.
    pub has_failed: bool,
    /// How often it was started.
    pub life: u32,
    /// How much waits for it while it is paused.
    pub backlog: usize,
    /// Its clocks.
    pub clocks: ClockState,
    /// Its share of the ring.
    pub ring: RingState,
    /// What its core says of itself; nothing, while it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<CoreState>,
    /// Its disk.
    pub disk: DiskState,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runs {
    /// It does.
    Up,
    /// It stands still.
    Paused,
    /// It does not.
    Down,
}

/// The clocks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockState {
    /// The clock that measures how long something takes.
    pub monotonic: DialState,
    /// The clock that tells the date; since 1970.
    pub wall: DialState,
    /// By how much the wall clock is ahead of the true date; behind, if below zero.
    pub wall_ahead_us: i64,
}

/// One clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DialState {
    /// What it shows.
    pub shows_us: u64,
    /// By how many parts per million it runs fast; slow, if below zero.
    pub drift_ppm: i32,
    /// Whether it stands still.
    pub is_frozen: bool,
}

/// A node's share of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RingState {
    /// How many partitions it owns.
    pub owned: usize,
    /// How many there are.
    pub partitions: u32,
    /// Its part of all copies, in parts per million.
    pub share_ppm: u64,
}

/// What a core says of itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CoreState {
    /// `serving`, `stopping` or `failed`.
    pub activity: &'static str,
    /// Which run it is, as gossip knows it.
    pub generation: u64,
    /// How often it has raised its heartbeat.
    pub heartbeat: u64,
    /// For how long it convicts nobody, as it stood still itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lenient_for_us: Option<u64>,
    /// What it knows and thinks of the others.
    pub peers: Vec<PeerState>,
    /// The partitions that it owns and has still to copy.
    pub incomplete: Vec<u32>,
    /// Keys of which it lost something: refused to readers until they are whole.
    pub corrupt_keys: Vec<String>,
    /// The operations that it coordinates, the oldest first.
    pub operations: Vec<OperationState>,
    /// Commands of coordinators that its storage has not answered.
    pub replica_commands: usize,
    /// Answers to coordinators that wait until what they tell of is durable.
    pub replica_awaits_sync: usize,
    /// The hints that it keeps, by target.
    pub hints: Vec<HintsState>,
    /// Who lacks something that no hint will bring.
    pub stale: Vec<StaleState>,
    /// What its repair is at.
    pub repair: RepairState,
    /// When it wants to be called and why, the earliest first.
    pub deadlines: Vec<DeadlineState>,
}

/// What is known and thought of a peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerState {
    /// The peer.
    pub node: String,
    /// Whether it seems to be up.
    pub seems_up: bool,
    /// Whether somebody is known to keep hints for it.
    pub may_be_behind: bool,
    /// Its run, as far as known; 0 if nothing is.
    pub generation: u64,
    /// The newest heartbeat of that run that is known.
    pub heartbeat: u64,
    /// How long it has been silent.
    pub silence_us: u64,
    /// The longest silence that is not suspect.
    pub timeout_us: u64,
    /// The suspicion φ, in hundredths; beyond 8 a peer seems down.
    pub phi_hundredths: u64,
}

/// An operation in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationState {
    /// What the cluster knows it by.
    pub request: String,
    /// The client that waits for it; nobody, once it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<u32>,
    /// The client's number for it, if a client asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<u32>,
    /// `get`, `put` or `gather`.
    pub task: &'static str,
    /// The key.
    pub key: String,
    /// `reading`, `naming` or `spreading`.
    pub stage: &'static str,
    /// `sloppy` or `strict`.
    pub mode: &'static str,
    /// The answers that the present stage needs.
    pub needs: Vec<QuorumState>,
    /// The answers that count so far.
    pub answers: Vec<AnswerState>,
    /// Owners that answered and may be behind.
    pub in_doubt: Vec<String>,
    /// Those that refused.
    pub refused: Vec<String>,
    /// Those that were asked and are silent.
    pub awaited: Vec<String>,
    /// Who was asked in whose place.
    pub fallbacks: Vec<FallbackState>,
    /// When it asks again, from now on by the node's own clock.
    pub wakes_in_us: i64,
    /// When it is given up, likewise.
    pub expires_in_us: i64,
}

/// So many of these owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuorumState {
    /// How many.
    pub needed: usize,
    /// Of whom.
    pub of: Vec<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerState {
    /// Whose.
    pub by: String,
    /// The owner in whose place it was given; nothing, if it was an owner's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_owner: Option<String>,
}

/// That a node was asked in the place of an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FallbackState {
    /// The node.
    pub node: String,
    /// The owner.
    pub for_owner: String,
}

/// The hints for one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HintsState {
    /// Whom they are for.
    pub target: String,
    /// How many; an upper bound.
    pub hints: u64,
    /// How many bytes, about.
    pub bytes: u64,
    /// In which partitions.
    pub partitions: Vec<u32>,
    /// Failures to deliver in a row.
    pub failures: u32,
    /// What the replay is at, in words.
    pub replay: String,
}

/// Who lacks something that no hint will bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaleState {
    /// Who.
    pub node: String,
    /// Of which partitions.
    pub partitions: Vec<u32>,
}

/// What repair is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairState {
    /// The comparison that the node leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionState>,
    /// Those with whom it compares.
    pub partners: Vec<PartnerState>,
    /// Keys that are being repaired.
    pub corrupt_keys: Vec<String>,
    /// Partitions that are being copied back.
    pub copying: Vec<CopyingState>,
    /// Storage commands that have not been answered.
    pub commands: usize,
    /// What waits for the disk.
    pub awaits_sync: usize,
}

/// A comparison with one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionState {
    /// With whom.
    pub peer: String,
    /// What its messages are known by.
    pub request: String,
    /// How long it has been going on.
    pub for_us: u64,
    /// What it is at, in words.
    pub stage: String,
    /// How many partitions the present look has not asked about yet.
    pub to_look: usize,
    /// Partitions that differed at the first look.
    pub again: Vec<u32>,
    /// Partitions that are known to differ.
    pub to_repair: Vec<u32>,
    /// Partitions that are lost here and not there.
    pub to_copy: Vec<u32>,
}

/// One with whom a node compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartnerState {
    /// Who.
    pub node: String,
    /// How long ago the last comparison ended, well or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_ago_us: Option<u64>,
    /// How long ago the last one began that ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clean_ago_us: Option<u64>,
    /// Whether the last one brought nothing of what was lost here.
    pub is_fruitless: bool,
}

/// A partition that is being copied back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyingState {
    /// The partition.
    pub partition: u32,
    /// From whom all of it was copied.
    pub sources: Vec<String>,
    /// Whether its data marker is being written.
    pub is_marking: bool,
}

/// A moment at which a node wants to be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadlineState {
    /// How far ahead it is by the node's own clock; it has passed, if below zero.
    pub in_us: i64,
    /// When that is in the world's time; never, while the node's clock stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in words.
    pub why: String,
}

/// The nodes that are to be shown, as they are at this moment.
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

/// How far the first is ahead of the second.
fn signed(first: u64, second: u64) -> i64 {
    i64::try_from(i128::from(first) - i128::from(second)).unwrap_or(i64::MAX)
}

fn numbers(partitions: &[PartitionId]) -> Vec<u32> {
    partitions.iter().map(|partition| partition.0).collect()
}

/// Seconds, with milliseconds.
pub(super) fn seconds(us: u64) -> String {
    words::seconds(Span(us))
}

/// Puts what a core says of itself into words, at a moment of its own clock.
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

    /// What a core says, with nodes in the order in which people count them.
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
