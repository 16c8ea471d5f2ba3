//! The number of partitions in which a request with the configured quorums could not be met, as
//! things seem now.
//!
//! For people and for load balancers: an operation never looks at it. It asks, and counts answers.

use alloc::collections::{BTreeMap, BTreeSet};

use super::answers::answer;
use super::operation::{Quorums, owner_sets};
use crate::client::Options;
use crate::cx::NodeContext;
use crate::quorum::{Level, Mode};
use crate::tally::Tally;
use crate::types::{NodeId, PartitionId};

/// The numbers of partitions in which a request of a client could not be met by the nodes that can
/// be asked, with the quorums and the mode that the node's configuration gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutOfReach {
    /// Partitions that cannot be read.
    pub reads: u64,
    /// Partitions that cannot be written.
    pub writes: u64,
}

/// The state of this node's own storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnStorage {
    /// The storage reads and writes.
    Writable,
    /// The storage reads, and refuses writes for now.
    ReadOnly,
    /// The storage has failed, and does nothing any more.
    Failed,
}

/// The other members as a request finds them: which can be asked, and where each is incomplete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// The members that would answer if they were asked.
    pub can_be_asked: BTreeSet<NodeId>,
    /// The partitions in which each owner is incomplete and refuses reads.
    pub incomplete: BTreeMap<NodeId, BTreeSet<PartitionId>>,
}

impl Others {
    fn reads(&self, partition: PartitionId, node: NodeId) -> bool {
        let incomplete = self.incomplete.get(&node);
        self.can_be_asked.contains(&node)
            && incomplete.is_none_or(|incomplete| !incomplete.contains(&partition))
    }
}

impl OutOfReach {
    /// Counts the partitions in which such a request could not be met now.
    pub fn of(local: &NodeContext, own: OwnStorage, others: &Others) -> Self {
        let quorums = Quorums::of(&Options::default(), &local.config);
        let me = local.me();
        let reads = |partition: PartitionId, node: NodeId| match own {
            _ if node != me => others.reads(partition, node),
            OwnStorage::Failed => false,
            // A node can always say what it holds for others.
            OwnStorage::Writable | OwnStorage::ReadOnly => {
                !local.owns(partition) || local.is_complete(partition)
            }
        };
        let writes = |_: PartitionId, node: NodeId| match own {
            _ if node != me => others.can_be_asked.contains(&node),
            OwnStorage::Writable => true,
            OwnStorage::ReadOnly | OwnStorage::Failed => false,
        };
        let mut out_of_reach = Self::default();
        for partition in local.topology().partitions() {
            let readable = is_met(local, partition, quorums.read, quorums.mode, &reads);
            let writable = is_met(local, partition, quorums.write, quorums.mode, &writes);
            // A strict write reads first, to know what it overwrites.
            let writable = match quorums.mode {
                Mode::Strict => readable && writable,
                Mode::Sloppy => writable,
            };
            out_of_reach.reads += u64::from(!readable);
            out_of_reach.writes += u64::from(!writable);
        }
        out_of_reach
    }
}

/// Tells whether a level is met when everybody who can answers, and fallbacks are asked in the
/// places of those owners who cannot.
fn is_met(
    local: &NodeContext,
    partition: PartitionId,
    level: Level,
    mode: Mode,
    answers: &impl Fn(PartitionId, NodeId) -> bool,
) -> bool {
    let Ok(sets) = owner_sets(local, partition, level) else { return false };
    let mut tally = Tally::new(mode, sets);
    let owners = local.topology().owners(partition);
    for &owner in owners.iter().filter(|&&owner| answers(partition, owner)) {
        tally.record(answer(local, owner, owner).expect("owners are members"));
    }
    if tally.reached() {
        return true;
    }
    match mode {
        Mode::Strict => return false,
        Mode::Sloppy => {}
    }
    let missing = || owners.iter().filter(|&&owner| !answers(partition, owner));
    let fallbacks = local.topology().fallbacks(partition);
    for fallback in fallbacks.filter(|&fallback| answers(partition, fallback)) {
        for &owner in missing() {
            tally.record(answer(local, fallback, owner).expect("fallbacks are members"));
        }
        if tally.reached() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use super::*;
    use crate::config::Config;
    use crate::cx::{Identity, Peers};
    use crate::layout::Layout;
    use crate::ring::Ring;
    use crate::topology::Topology;
    use crate::types::{ClusterId, Generation};

    const PARTITIONS: u32 = 16;

    /// Makes node 1 of so many, each on the machine that `machine_of` names; complete.
    fn local_on(nodes: u64, mode: Mode, machine_of: impl Fn(u64) -> u64) -> NodeContext {
        let names = (1..=nodes).map(|id| (NodeId(id), format!("n{id}")));
        let mut layout = Layout::single_datacenter(PARTITIONS, 3, names);
        for member in &mut layout.members {
            member.machine = format!("m{}", machine_of(member.id.0));
            member.rack = member.machine.clone();
        }
        let ring = Arc::new(Ring::new(layout).expect("a sound layout"));
        let identity = Identity {
            node: NodeId(1),
            generation: Generation(1),
            cluster: ClusterId(1),
            topology: Arc::new(Topology::new(Arc::clone(&ring))),
        };
        NodeContext {
            identity,
            config: Config { mode, ..Config::default() },
            peers: Peers::default(),
            complete: ring.owned_by(NodeId(1)).iter().copied().collect(),
            roots: Default::default(),
        }
    }

    fn local(nodes: u64, mode: Mode) -> NodeContext {
        local_on(nodes, mode, |node| node)
    }

    /// The numbers of reads and writes out of reach if only these peers answer.
    fn with(local: &NodeContext, own: OwnStorage, peers: &[u64]) -> (u64, u64) {
        let can_be_asked = peers.iter().copied().map(NodeId).collect();
        let others = Others { can_be_asked, ..Others::default() };
        let OutOfReach { reads, writes } = OutOfReach::of(local, own, &others);
        (reads, writes)
    }

    const ALL: u64 = PARTITIONS as u64;

    #[test]
    fn three_nodes_serve_while_two_of_them_answer() {
        for mode in [Mode::Sloppy, Mode::Strict] {
            let local = local(3, mode);
            assert_eq!(with(&local, OwnStorage::Writable, &[2, 3]), (0, 0), "{mode:?}");
            assert_eq!(with(&local, OwnStorage::Writable, &[3]), (0, 0), "{mode:?}");
            assert_eq!(with(&local, OwnStorage::Writable, &[]), (ALL, ALL), "{mode:?}");
        }
    }

    #[test]
    fn fallbacks_meet_a_sloppy_quorum_and_not_a_strict_one() {
        // Nodes 1 and 2 of six: each partition lacks at least one of its three owners.
        let pairs = |mode| with(&local(6, mode), OwnStorage::Writable, &[2]);
        assert_eq!(pairs(Mode::Sloppy), (0, 0));
        let strict = local(6, Mode::Strict);
        let both = |partition: &PartitionId| {
            let ring = strict.topology();
            ring.owns(NodeId(1), *partition) && ring.owns(NodeId(2), *partition)
        };
        let short = ALL - strict.topology().partitions().filter(both).count() as u64;
        assert!(
            (1..ALL).contains(&short),
            "some partitions have both as owners, and some have not"
        );
        assert_eq!(pairs(Mode::Strict), (short, short));
    }

    #[test]
    fn fallbacks_on_one_machine_count_once() {
        let apart = local_on(6, Mode::Sloppy, |node| node);
        assert_eq!(with(&apart, OwnStorage::Writable, &[2]), (0, 0));
        let together = local_on(6, Mode::Sloppy, |node| if node <= 2 { 1 } else { node });
        assert_eq!(with(&together, OwnStorage::Writable, &[2]), (ALL, ALL));
        assert_eq!(with(&together, OwnStorage::Writable, &[2, 3]), (0, 0));
    }

    #[test]
    fn what_this_node_has_not_copied_it_cannot_be_read_from() {
        let mut local = local(3, Mode::Sloppy);
        local.complete = BTreeSet::from([PartitionId(0)]);
        assert_eq!(with(&local, OwnStorage::Writable, &[2, 3]), (0, 0));
        assert_eq!(with(&local, OwnStorage::Writable, &[2]), (ALL - 1, 0));
        local.config.mode = Mode::Strict;
        assert_eq!(
            with(&local, OwnStorage::Writable, &[2]),
            (ALL - 1, ALL - 1),
            "a strict write reads first"
        );
    }

    #[test]
    fn what_other_owners_have_not_copied_they_cannot_be_read_from() {
        let local = local(3, Mode::Sloppy);
        let mut others = Others {
            can_be_asked: BTreeSet::from([NodeId(2), NodeId(3)]),
            incomplete: BTreeMap::from([(NodeId(2), BTreeSet::from([PartitionId(0)]))]),
        };
        let found = |others: &Others| OutOfReach::of(&local, OwnStorage::Writable, others);
        assert_eq!(found(&others), OutOfReach { reads: 0, writes: 0 });
        others.incomplete.insert(NodeId(3), BTreeSet::from([PartitionId(0), PartitionId(1)]));
        assert_eq!(found(&others), OutOfReach { reads: 1, writes: 0 }, "two of three lost it");
    }

    #[test]
    fn a_full_disk_is_read_and_not_written_and_a_failed_one_neither() {
        let local = local(3, Mode::Sloppy);
        assert_eq!(with(&local, OwnStorage::ReadOnly, &[2, 3]), (0, 0));
        assert_eq!(with(&local, OwnStorage::ReadOnly, &[2]), (0, ALL));
        assert_eq!(with(&local, OwnStorage::Failed, &[2]), (ALL, ALL));
    }

    #[test]
    fn a_quorum_that_no_key_has_owners_for_is_out_of_reach() {
        let mut local = local(3, Mode::Sloppy);
        local.config.read_quorum = 4;
        assert_eq!(with(&local, OwnStorage::Writable, &[2, 3]), (ALL, 0));
    }

    /// Tells whether a level is met, by trying every choice of fallbacks and places.
    fn dumb_is_met(
        local: &NodeContext,
        partition: PartitionId,
        needed: usize,
        up: &BTreeSet<NodeId>,
    ) -> bool {
        fn most(
            places: &[NodeId],
            free: &[NodeId],
            can: &impl Fn(NodeId, NodeId) -> bool,
        ) -> usize {
            let Some((&place, rest)) = places.split_first() else { return 0 };
            let without = most(rest, free, can);
            let with = free.iter().filter(|&&node| can(node, place)).map(|&node| {
                let left: Vec<NodeId> =
                    free.iter().copied().filter(|&other| other != node).collect();
                1 + most(rest, &left, can)
            });
            with.max().unwrap_or(0).max(without)
        }
        let owners = local.topology().owners(partition);
        let can = |node: NodeId, place: NodeId| {
            node == place || (!owners.contains(&node) && !up.contains(&place))
        };
        let free: Vec<NodeId> = up.iter().copied().collect();
        most(owners, &free, &can) >= needed
    }

    #[test]
    fn it_is_as_the_definition_says_whoever_is_up() {
        let local = local(5, Mode::Sloppy);
        for set in 0..1_u32 << 4 {
            let peers: Vec<u64> = (2..=5).filter(|id| set & (1 << (id - 2)) != 0).collect();
            let up: BTreeSet<NodeId> = peers.iter().copied().chain([1]).map(NodeId).collect();
            let short = local.topology().partitions();
            let short = short.filter(|&partition| !dumb_is_met(&local, partition, 2, &up)).count();
            let found = with(&local, OwnStorage::Writable, &peers);
            assert_eq!(found, (short as u64, short as u64), "up: {up:?}");
        }
    }
}
