//! The invariants of repair between two inputs.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::copying::Copying;
use super::corrupt_keys::CorruptKeys;
use super::descent::{Descent, DescentStage};
use super::difference::LeafDifference;
use super::scrubbing::{PARTITIONS_PER_ROUND, Scrubbing};
use super::session::{RepairSession, SessionState};
use super::session_link::SessionLink;
use super::{Partner, Repair, StoreAccess, Waiting};
use crate::cx::NodeContext;
use crate::store::SessionStep;
use crate::types::{Key, PartitionId, RequestId};

/// The thing that a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// The peer, or a time.
    Time,
    /// A storage command.
    Storage,
    /// The disk, until it has synced.
    Sync,
}

impl Repair {
    /// Checks the session, what is copied, marked and read, and what waits for the storage.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self, local: &NodeContext) {
        let Self {
            round_at: _,
            life,
            sessions,
            partners,
            session,
            corrupt_keys,
            scrubbing,
            access: StoreAccess { commands, waiting, copying },
        } = self;
        waiting.invariants();
        copying.invariants(local);
        corrupt_keys.invariants(local);
        scrubbing.invariants(local);
        for (peer, Partner { served_at, clean_since, fruitless: _, vain, rests_until }) in partners
        {
            assert_eq!(*vain > 0, rests_until.is_some(), "a rest of {peer:?} has no reason");
            assert!(*peer != local.me(), "this node is compared with itself");
            assert!(
                served_at.is_none_or(|ended| clean_since.is_none_or(|began| began <= ended)),
                "a session with {peer:?} ended before it began"
            );
        }
        if life.is_none() {
            assert!(
                partners.is_empty() && *sessions == 0,
                "a session was begun without a request id"
            );
        }
        let mut awaited = usize::from(scrubbing.is_reading) + self.markers_at_store();
        if let Some(session) = session {
            let SessionLink { peer, request, step, until: _ } = session.link;
            assert!(
                partners.contains_key(&peer),
                "a session is with {peer:?}, which is no partner"
            );
            let life = life.expect("a session has a request id of this life");
            assert!(
                *sessions > 0
                    && request == RequestId(u128::from(life) << 64 | u128::from(sessions - 1)),
                "a session has the request id of another one"
            );
            session.invariants(local);
            match session.awaits() {
                Awaits::Time => {}
                Awaits::Storage => awaited += 1,
                Awaits::Sync => {
                    let awaited = SessionStep { request, step };
                    let is_it =
                        |one: &Waiting| matches!(one, Waiting::Session(step) if *step == awaited);
                    assert!(
                        waiting.iter().any(is_it),
                        "a session waits for a sync that nobody awaits"
                    );
                }
            }
        }
        // Peers and corrupt keys have commands too.
        assert!(
            commands.in_flight() >= awaited,
            "{awaited} storage commands are awaited, and {} are in flight",
            commands.in_flight()
        );
    }

    /// Tells whether a comparison is going on.
    pub const fn is_comparing(&self) -> bool {
        self.session.is_some()
    }

    /// Tells whether this machine was called at its first deadline.
    pub const fn has_begun(&self) -> bool {
        self.life.is_some()
    }

    /// The keys that are corrupt here and not repaired yet.
    pub fn keys_to_repair(&self) -> impl Iterator<Item = &Key> {
        self.corrupt_keys.keys.keys()
    }

    /// The number of data markers that the storage has been asked for and has not written.
    fn markers_at_store(&self) -> usize {
        let StoreAccess { commands: _, waiting, copying } = &self.access;
        let marked = waiting.iter().filter_map(|one| match one {
            Waiting::Marked(partition, _) => Some(*partition),
            Waiting::Session(_) | Waiting::Pushed(..) | Waiting::Joined(_) => None,
        });
        let marked: BTreeSet<PartitionId> = marked.collect();
        assert!(
            marked.is_subset(&copying.marking),
            "a marker waits for the disk that nobody wrote"
        );
        copying.marking.len() - marked.len()
    }
}

impl Copying {
    fn invariants(&self, local: &NodeContext) {
        let Self { sources, incomplete, marking, accepting, told: _ } = self;
        let is_lost =
            |partition: &PartitionId| local.owns(*partition) && !local.complete.contains(partition);
        for (partition, peers) in sources.iter().chain(incomplete) {
            assert!(is_lost(partition), "{partition:?} is copied, and is not incomplete here");
            assert!(!peers.contains(&local.me()), "{partition:?} is copied from this node itself");
        }
        for partition in marking {
            assert!(is_lost(partition), "{partition:?} is marked, and is not incomplete here");
        }
        for (partition, requests) in accepting {
            assert!(
                marking.contains(partition),
                "an operator waits for a marker that is not written"
            );
            assert!(!requests.is_empty(), "nobody accepts the loss of {partition:?}");
        }
    }
}

impl CorruptKeys {
    fn invariants(&self, local: &NodeContext) {
        let Self { keys } = self;
        let numbers: BTreeSet<u64> = keys.values().map(|repair| repair.number).collect();
        assert!(numbers.len() == keys.len(), "two corrupt keys have one number");
        for key in keys.keys() {
            let partition = local.topology().partition_of(key.token());
            assert!(
                local.owns(partition),
                "corrupt {key:?} is of {partition:?}, which is not owned"
            );
        }
    }
}

impl Scrubbing {
    fn invariants(&self, local: &NodeContext) {
        let Self { partition, from, left, is_reading } = *self;
        assert!(left <= PARTITIONS_PER_ROUND, "too much is read in a round");
        assert!(
            partition.is_none_or(|at| local.owns(at)),
            "{partition:?} is read, and is not owned"
        );
        assert!(
            partition.is_some() || (from.is_none() && !is_reading),
            "the reading goes on in no partition"
        );
    }
}

impl RepairSession {
    fn awaits(&self) -> Awaits {
        match &self.state {
            SessionState::Comparing | SessionState::Looking(_) | SessionState::Settling => {
                Awaits::Time
            }
            SessionState::Descending(descent) => descent.awaits(),
        }
    }

    fn invariants(&self, local: &NodeContext) {
        let Self {
            link,
            began: _,
            state,
            to_look,
            again,
            again_at,
            to_repair,
            to_copy,
            copied: _,
            is_one_way: _,
            has_brought: _,
        } = self;
        let peer = link.peer;
        assert!(
            link.until.is_some() == (self.awaits() == Awaits::Time),
            "a session with {peer:?} has a deadline if and only if it waits for the peer or a time"
        );
        let (mut asked, mut descended): (&[PartitionId], _) = (&[], None);
        match state {
            SessionState::Comparing => {
                assert!(
                    to_look.is_empty() && again.is_empty() && to_repair.is_empty(),
                    "a session has work before the first answer"
                );
                assert!(again_at.is_none(), "a second look is planned before the first");
            }
            SessionState::Looking(partitions) => {
                assert!(!partitions.is_empty(), "{peer:?} was asked about no roots");
                asked = partitions;
            }
            SessionState::Settling => {
                assert!(
                    to_look.is_empty() && to_repair.is_empty(),
                    "a session rests before its end"
                );
                assert!(!again.is_empty(), "a session waits for a second look at nothing");
                assert!(
                    link.until == *again_at,
                    "a session waits for another time than it planned"
                );
            }
            SessionState::Descending(descent) => {
                assert!(to_look.is_empty(), "a session repairs before it has looked at everything");
                descent.invariants(local);
                descended = Some(descent.partition);
            }
        }
        // Many are still to be looked at, in order; few are further on.
        assert!(to_look.iter().is_sorted_by(|a, b| a < b), "the roots to be compared do not rise");
        for &partition in to_look.front().into_iter().chain(to_look.back()) {
            assert!(local.owns(partition), "{partition:?} is to be compared, and is not owned");
        }
        let further = again.iter().chain(to_repair).chain(asked).copied().chain(descended);
        let mut further: Vec<PartitionId> = further.collect();
        further.sort_unstable();
        assert!(further.is_sorted_by(|a, b| a < b), "a session is to compare a partition twice");
        for &partition in &further {
            assert!(local.owns(partition), "{partition:?} is compared, and is not owned");
            assert!(
                to_look.binary_search(&partition).is_err(),
                "{partition:?} is looked at, and is to be looked at"
            );
        }
        assert!(
            to_copy.iter().all(|at| descended == Some(*at) || to_repair.contains(at)),
            "a partition is to be copied, and not to be repaired"
        );
    }
}

impl Descent {
    const fn awaits(&self) -> Awaits {
        match self.stage {
            DescentStage::OwnBranches
            | DescentStage::OwnLeaves
            | DescentStage::OwnSummaries
            | DescentStage::OwnContainers
            | DescentStage::Joined => Awaits::Storage,
            DescentStage::BranchesDiffer
            | DescentStage::LeavesDiffer
            | DescentStage::Summarized(_)
            | DescentStage::Exchanged(_) => Awaits::Time,
            DescentStage::Durable => Awaits::Sync,
        }
    }

    fn invariants(&self, local: &NodeContext) {
        let Self {
            partition,
            stage,
            leaves,
            after,
            difference,
            keys_that_differed: _,
            is_one_way,
            has_brought: _,
        } = self;
        assert!(!is_one_way || difference.push.is_empty(), "a peer is sent what it does not take");
        assert!(leaves.iter().is_sorted_by(|a, b| a < b), "the leaves of a descent do not rise");
        let LeafDifference { push, want, keys: _, until: _ } = difference;
        for keys in [push, want] {
            assert!(keys.iter().is_sorted_by(|a, b| a < b), "the keys of a page do not rise");
            let is_behind = |key: &Key| after.as_ref().is_none_or(|after| key > after);
            assert!(keys.iter().all(is_behind), "a key is exchanged in the wrong page");
            assert!(
                keys.iter().all(|key| local.belongs(key, *partition)),
                "a key of another partition is exchanged"
            );
        }
        let has_leaf = !leaves.is_empty();
        match stage {
            DescentStage::OwnBranches
            | DescentStage::BranchesDiffer
            | DescentStage::OwnLeaves
            | DescentStage::LeavesDiffer => {
                assert!(
                    !has_leaf && after.is_none(),
                    "a descent is at its leaves before their turn"
                );
                assert!(push.is_empty() && want.is_empty(), "keys are exchanged before their turn");
            }
            DescentStage::OwnSummaries | DescentStage::Summarized(_) => {
                assert!(has_leaf, "a page of no leaf is compared");
                assert!(
                    push.is_empty() && want.is_empty(),
                    "a page is left before it is exchanged"
                );
            }
            DescentStage::OwnContainers => {
                assert!(has_leaf && !push.is_empty(), "containers are read for nothing");
            }
            DescentStage::Exchanged(wanted) => {
                assert!(has_leaf, "containers of no leaf are exchanged");
                assert!(is_prefix(wanted, want), "the peer was asked for keys that are not wanted");
            }
            DescentStage::Joined | DescentStage::Durable => {
                assert!(has_leaf, "containers of no leaf are joined");
            }
        }
    }
}

fn is_prefix(keys: &[Key], of: &VecDeque<Key>) -> bool {
    keys.len() <= of.len() && keys.iter().eq(of.iter().take(keys.len()))
}
