//! The way in which each node would respond to an operation, as the world stood from its beginning to
//! its end: it does its part, or says at once that it does not, or is silent.
//!
//! Whoever changed in between, or whose link to the coordinator did, counts as silent.

use kv_core::message::{CoordinatorKind, GossipKind, Kind, ReplicaKind};
use kv_core::quorum::Mode;
use kv_core::time::Span;
use kv_core::types::NodeId;
use smallvec::{SmallVec, smallvec};

use super::counted_sets::CountedSets;
use super::history::History;
use super::operation::Operation;
use super::{Obstacle, WorldView};

/// The obstacles that keep a node from saying anything.
const SILENCING: &[Obstacle] =
    &[Obstacle::Asleep, Obstacle::Unfounded, Obstacle::DiskFails, Obstacle::DiskSlow];

/// The response of a node that is asked to do its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// The node does it.
    Does,
    /// The node says at once that it cannot.
    Refuses,
    /// The node does not answer in time, and nobody can know that it will not.
    Silent,
    /// The node does not answer, and the coordinator has known it for down from the beginning.
    Down,
}

/// The duty of a node in an operation, as an owner of the key or else as a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    /// To say what the node holds of the key, durably.
    Read,
    /// To mint a dot for the write.
    Mint,
    /// To hold what was minted elsewhere.
    Hold,
}

/// The responses of one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeResponse {
    /// The node.
    pub(super) node: NodeId,
    /// True if the node owns the key.
    pub(super) is_owner: bool,
    /// True if the coordinator has known the node for up from the beginning.
    pub(super) is_known_up: bool,
    /// The response if the node is asked what it holds.
    pub(super) reads: Response,
    /// The response if the node is asked to mint.
    pub(super) mints: Response,
    /// The response if the node is asked to hold what was minted.
    pub(super) holds: Response,
}

/// The responses of all nodes.
#[derive(Clone, Debug)]
pub(super) struct Responses(pub(super) Vec<NodeResponse>);

/// An operation whose responses are asked for.
struct Asked<'a, W> {
    operation: &'a Operation,
    history: &'a History,
    world: &'a W,
    /// True if nothing has changed anywhere for so long that opinions of who is up have caught up
    /// with it.
    is_settled: bool,
}

impl Responses {
    /// The responses to an operation. Opinions of who is up catch up with a change within `suspect`
    /// on the coordinator's clock. Nobody responds if the coordinator does not work, or if no time
    /// passes for it.
    pub(super) fn to(
        operation: &Operation,
        history: &History,
        suspect: Span,
        world: &impl WorldView,
    ) -> Self {
        let Operation { coordinator, started, .. } = *operation;
        let lasts = world.lasts(coordinator, suspect);
        let is_settled =
            lasts.is_some_and(|lasts| world.last_change() + lasts.max(suspect) <= started);
        let asked = Asked { operation, history, world, is_settled };
        let is_up = [Obstacle::Asleep, Obstacle::Unfounded]
            .iter()
            .all(|&obstacle| !world.meets(coordinator, &history.key, obstacle));
        let works = is_up && lasts.is_some() && world.node_changed(coordinator) <= started;
        let nodes = if works { world.nodes() } else { Vec::new() };
        Self(nodes.into_iter().map(|node| asked.response_of(node)).collect())
    }

    /// The responses of owners, or of the other nodes.
    pub(super) fn of(&self, are_owners: bool) -> impl Iterator<Item = &NodeResponse> {
        self.0.iter().filter(move |response| response.is_owner == are_owners)
    }

    /// The nodes that do all that is asked of them.
    pub(super) fn able(&self) -> Vec<NodeId> {
        let does_all = |response: &&NodeResponse| {
            [response.reads, response.mints, response.holds] == [Response::Does; 3]
        };
        self.0.iter().filter(does_all).map(|response| response.node).collect()
    }

    /// Tells whether enough nodes give a response that counts, on distinct machines, if fallbacks do
    /// or if they do not.
    pub(super) fn reach(
        &self,
        sets: &CountedSets,
        part: impl Fn(&NodeResponse) -> Response + Copy,
        with_fallbacks: bool,
        world: &impl WorldView,
    ) -> bool {
        let datacenters = world.datacenters();
        sets.are_reached(|among| {
            let there = |owner: &&NodeResponse| datacenters.is_among(among, owner.node);
            let owners = self.doing(part, true).filter(there);
            let fallbacks = self.doing(part, false).filter(|_| with_fallbacks);
            machines(owners.chain(fallbacks), world)
        })
    }

    /// The number of fallbacks that do their part and count for nothing, as others on their machine
    /// do too.
    pub(super) fn in_vain(
        &self,
        part: impl Fn(&NodeResponse) -> Response + Copy,
        world: &impl WorldView,
    ) -> usize {
        let all = || self.doing(part, true).chain(self.doing(part, false));
        all().count() - machines(all(), world)
    }

    /// The owners that do their part, or the fallbacks that do and that the coordinator knows for
    /// up.
    fn doing(
        &self,
        part: impl Fn(&NodeResponse) -> Response,
        are_owners: bool,
    ) -> impl Iterator<Item = &NodeResponse> {
        let is_asked = move |response: &&NodeResponse| are_owners || response.is_known_up;
        let does = move |response: &&NodeResponse| part(response) == Response::Does;
        self.of(are_owners).filter(is_asked).filter(does)
    }
}

/// Counts the machines of these nodes.
fn machines<'a>(
    responses: impl Iterator<Item = &'a NodeResponse>,
    world: &impl WorldView,
) -> usize {
    let mut machines: SmallVec<[_; 8]> =
        responses.map(|response| world.machine(response.node)).collect();
    machines.sort_unstable();
    machines.dedup();
    machines.len()
}

impl<W: WorldView> Asked<'_, W> {
    fn response_of(&self, node: NodeId) -> NodeResponse {
        let Self { operation, history, world, is_settled } = *self;
        let coordinator = operation.coordinator;
        let is_owner = world.owners(&history.key).contains(&node);
        let has_no_part = match operation.terms.mode {
            Mode::Sloppy => false,
            Mode::Strict => !is_owner,
        };
        let gossip = [GossipKind::Syn, GossipKind::Ack, GossipKind::Ack2].map(Kind::Gossip);
        let gossips = gossip.iter().all(|&kind| self.talk(node, kind, kind));
        let is_known_up = is_settled && (node == coordinator || gossips && self.is_punctual(node));
        let respond = |duty| {
            if has_no_part { Response::Down } else { self.response(node, is_owner, duty) }
        };
        NodeResponse {
            node,
            is_owner,
            is_known_up,
            reads: respond(Duty::Read),
            mints: respond(Duty::Mint),
            holds: respond(Duty::Hold),
        }
    }

    fn response(&self, node: NodeId, is_owner: bool, duty: Duty) -> Response {
        let Self { operation, history, world, is_settled } = *self;
        let Operation { coordinator, started, ref terms, .. } = *operation;
        let is_asked = match duty {
            Duty::Read => terms.reads.is_some(),
            Duty::Mint => terms.writes.is_some(),
            Duty::Hold => terms.writes.is_some() || terms.monotonic,
        };
        if !is_asked {
            return Response::Does;
        }
        let has_stood = world.node_changed(node) <= started
            && (node == coordinator || world.link_changed(coordinator, node) <= started);
        let talks = || {
            node == coordinator
                || conversation(duty, is_owner)
                    .iter()
                    .all(|&(asked, answered)| self.talk(node, asked, answered))
        };
        if !has_stood || !talks() {
            let is_down = is_settled && !world.may_hear_of(coordinator, node);
            return if is_down { Response::Down } else { Response::Silent };
        }
        let meets = |obstacle: &Obstacle| world.meets(node, &history.key, *obstacle);
        if SILENCING.iter().any(meets) {
            Response::Silent
        } else if self.told(is_owner, duty).iter().any(meets) {
            Response::Refuses
        } else {
            Response::Does
        }
    }

    /// The obstacles of which a node tells the coordinator at once.
    fn told(&self, is_owner: bool, duty: Duty) -> SmallVec<[Obstacle; 3]> {
        use Obstacle::{Corrupt, DiskFull, HintsFull, Incomplete, Unrepaired};
        let no_room = HintsFull(self.history.value_bytes_max());
        match (duty, is_owner) {
            (Duty::Read, true) => smallvec![Incomplete, Corrupt, Unrepaired],
            (Duty::Read, false) => smallvec![Corrupt],
            (Duty::Mint, true) => smallvec![DiskFull, Corrupt],
            // What cannot be read is replaced.
            (Duty::Hold, true) => smallvec![DiskFull],
            (Duty::Mint | Duty::Hold, false) => smallvec![DiskFull, Corrupt, no_room],
        }
    }

    /// Tells whether a message of one kind reaches a node, and one of another kind comes back.
    fn talk(&self, node: NodeId, asked: Kind, answered: Kind) -> bool {
        let (coordinator, world) = (self.operation.coordinator, self.world);
        world.reaches(coordinator, node, asked) && world.reaches(node, coordinator, answered)
    }

    /// Tells whether the clock of a node runs about as fast as those of others: else they may take it
    /// for down, as it speaks too seldom.
    fn is_punctual(&self, node: NodeId) -> bool {
        const SECOND: Span = Span::from_ms(1_000);
        let lasts = self.world.lasts(node, SECOND);
        lasts.is_some_and(|lasts| lasts.times(4) <= SECOND.times(5))
    }
}

/// The kinds of messages by which a node is asked to do its part, each with that of an answer.
/// Reachability depends on it: a network that drops hints keeps nobody from reading.
const fn conversation(duty: Duty, is_owner: bool) -> [(Kind, Kind); 2] {
    let (asked, done) = match (duty, is_owner) {
        (Duty::Read, _) => (ReplicaKind::Read, CoordinatorKind::ReadReply),
        (Duty::Mint, _) => (ReplicaKind::Mint, CoordinatorKind::Minted),
        (Duty::Hold, true) => (ReplicaKind::Merge, CoordinatorKind::Acked),
        (Duty::Hold, false) => (ReplicaKind::Hint, CoordinatorKind::Acked),
    };
    let asked = Kind::Replica(asked);
    [(asked, Kind::Coordinator(done)), (asked, Kind::Coordinator(CoordinatorKind::Refused))]
}
