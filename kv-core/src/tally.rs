//! Counting answers towards quorums.
//!
//! In go the sets of owners whose answers are needed, and the answers as they come; out comes
//! whether there are enough. The list has one set as a rule, more while layouts overlap (a write
//! needs a quorum in each, semantics.md §7) or where every data center needs its own.
//!
//! Invariants: only nodes that answered count, never nodes that seem up (Riak before 1.3.1).
//! Answers from one machine count as one, whoever gave them (Riak's node diversity: two fallbacks
//! on one machine, which then dies). Answers in the place of one owner count as one: when the hint
//! is delivered, the owner's copy is all that is left of them. A fallback counts only in
//! [`Mode::Sloppy`], and only towards the sets of the owner that it stands for.

mod invariants;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use smallvec::SmallVec;
use thiserror::Error;

pub(crate) use self::invariants::distinct;
use crate::fingerprint;
use crate::quorum::{Level, Mode};
use crate::ring::{MachineIndex, Ring};
use crate::types::{NodeId, PartitionId};

/// The nodes of one key, such as its owners; a list of up to four lies in place.
pub type Nodes = SmallVec<[NodeId; 4]>;

/// The owners of one key under one layout, and the number of them that must have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerSet {
    /// The owners, in the order of preference.
    pub owners: Nodes,
    /// The number of answers needed, on distinct machines: from 1 to the number of owners.
    pub needed: usize,
}

/// The word of one node that it has done what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TallyAnswer {
    /// The node that answered.
    pub by: NodeId,
    /// The machine of that node, numbered by the same ring as in all answers of one tally.
    pub machine: MachineIndex,
    /// The owner in whose place the node answered: itself, if it is one.
    pub for_owner: NodeId,
}

/// The answers to one request so far, and the sets that they count towards.
#[derive(Clone, Debug)]
pub struct Tally {
    mode: Mode,
    sets: Vec<OwnerSet>,
    answers: SmallVec<[TallyAnswer; 4]>,
}

/// The reason for which no quorum can be made of a level. The request was not started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuorumError {
    /// No answers at all were asked for.
    #[error("a quorum of 0 promises nothing: ask for 1 at least")]
    NoAnswers,
    /// More answers were asked for than there are owners.
    #[error("a quorum of {asked} is out of reach: the key has {owners} owners, ask for fewer")]
    MoreThanOwners {
        /// The number of answers asked for.
        asked: u8,
        /// The number of owners of the key.
        owners: usize,
    },
    /// The coordinator's data center has no owner.
    #[error(
        "data center `{datacenter}` keeps no copies, so it has no local quorum: \
         ask a node of another one, or use level `quorum`"
    )]
    NoLocalOwners {
        /// The coordinator's data center.
        datacenter: String,
    },
}

impl QuorumError {
    /// Appends what tells it from other errors, for the identity of a run.
    pub(crate) fn fingerprint(&self, out: &mut Vec<u8>) {
        match self {
            Self::NoAnswers => fingerprint::number(out, 1),
            Self::MoreThanOwners { asked, owners } => {
                fingerprint::numbers(out, [2, (*asked).into(), *owners as u64]);
            }
            Self::NoLocalOwners { datacenter } => {
                fingerprint::number(out, 3);
                fingerprint::bytes(out, datacenter.as_bytes());
            }
        }
    }
}

impl TallyAnswer {
    /// The answer of an owner, which stands for itself.
    pub const fn of_owner(owner: NodeId, machine: MachineIndex) -> Self {
        Self { by: owner, machine, for_owner: owner }
    }

    /// Tells whether the node answered as the fallback of an owner.
    pub fn is_fallback(&self) -> bool {
        self.by != self.for_owner
    }
}

impl OwnerSet {
    /// Makes a set of which more than half is needed.
    pub fn majority(owners: &[NodeId]) -> Self {
        Self { owners: owners.into(), needed: owners.len() / 2 + 1 }
    }

    /// Makes a set of which `needed` answers are needed.
    fn counted(owners: &[NodeId], needed: usize) -> Self {
        Self { owners: owners.into(), needed }
    }

    fn counts(&self, answer: &TallyAnswer, mode: Mode) -> bool {
        let eligible = match mode {
            Mode::Sloppy => true,
            Mode::Strict => !answer.is_fallback(),
        };
        eligible && self.owners.contains(&answer.for_owner)
    }

    fn is_reached(&self, answers: &[TallyAnswer], mode: Mode) -> bool {
        let counting = || answers.iter().filter(|answer| self.counts(answer, mode));
        counting().count() >= self.needed
            && copies(&counting().collect::<SmallVec<[&TallyAnswer; 8]>>()) >= self.needed
    }

    /// Tells whether as many copies can be paired off without the place of this owner as with it.
    /// Then whoever stands in its place counts in another one, or nobody does, and one more would
    /// count.
    fn has_room_for(&self, owner: NodeId, answers: &[TallyAnswer], mode: Mode) -> bool {
        let counting = || answers.iter().filter(|answer| self.counts(answer, mode));
        let elsewhere = counting().filter(|answer| answer.for_owner != owner);
        self.owners.contains(&owner)
            && copies(&elsewhere.collect::<Vec<&TallyAnswer>>())
                == copies(&counting().collect::<Vec<&TallyAnswer>>())
    }
}

/// The number of copies that answers stand for: the most that can be paired off so that no two
/// share a machine or an owner's place. As a rule no two do. Else there are a handful of answers,
/// so each place simply tries each machine, and asks who has it to move on (Kuhn's algorithm for
/// matchings).
fn copies(answers: &[&TallyAnswer]) -> usize {
    let shares =
        |a: &TallyAnswer, b: &TallyAnswer| a.machine == b.machine || a.for_owner == b.for_owner;
    let shares_with_later = |(at, answer): (usize, &&TallyAnswer)| {
        answers[at + 1..].iter().any(|later| shares(answer, later))
    };
    if !answers.iter().enumerate().any(shares_with_later) {
        return answers.len();
    }
    fn assign(
        place: NodeId,
        answers: &[&TallyAnswer],
        assigned: &mut BTreeMap<MachineIndex, NodeId>,
        tried: &mut BTreeSet<MachineIndex>,
    ) -> bool {
        for answer in answers.iter().filter(|answer| answer.for_owner == place) {
            if !tried.insert(answer.machine) {
                continue;
            }
            let holder = assigned.get(&answer.machine).copied();
            if holder.is_none_or(|holder| assign(holder, answers, assigned, tried)) {
                assigned.insert(answer.machine, place);
                return true;
            }
        }
        false
    }
    let places: BTreeSet<NodeId> = answers.iter().map(|answer| answer.for_owner).collect();
    let mut assigned = BTreeMap::new();
    places
        .into_iter()
        .filter(|&place| assign(place, answers, &mut assigned, &mut BTreeSet::new()))
        .count()
}

impl Tally {
    /// Makes a tally of no answers yet.
    ///
    /// # Panics
    /// If there is no set, or a set needs no answer: then nothing would be "enough". The sets of
    /// client requests come from [`Level::owner_sets`], which makes no such sets.
    pub fn new(mode: Mode, sets: Vec<OwnerSet>) -> Self {
        assert!(!sets.is_empty(), "a quorum is of some set of owners");
        assert!(sets.iter().all(|set| set.needed > 0), "a quorum needs an answer");
        Self { mode, sets, answers: SmallVec::new() }
    }

    /// All answers, in the order in which they came, whether they count or not.
    pub fn answers(&self) -> &[TallyAnswer] {
        &self.answers
    }

    /// The sets that all have to be reached.
    pub fn sets(&self) -> &[OwnerSet] {
        &self.sets
    }

    /// Tells whether a node has answered.
    pub fn has_answered(&self, node: NodeId) -> bool {
        self.answers.iter().any(|answer| answer.by == node)
    }

    /// The number of owners that have answered, of whichever set.
    pub fn owners_answered(&self) -> usize {
        self.answers_for_owners().filter(|answer| !answer.is_fallback()).count()
    }

    /// Tells whether an owner, or a node in its place, has answered.
    pub fn is_cared_for(&self, owner: NodeId) -> bool {
        self.answers.iter().any(|answer| answer.for_owner == owner)
    }

    /// Tells whether every set has as many counting answers, on distinct machines and in the places
    /// of distinct owners, as it needs.
    pub fn reached(&self) -> bool {
        self.sets.iter().all(|set| set.is_reached(&self.answers, self.mode))
    }

    /// Tells whether the answer of one more fallback for this owner, on a machine that has not
    /// answered yet, would bring a quorum nearer. An answer in the owner's place may be needed in
    /// another.
    pub fn lacks_fallback(&self, owner: NodeId) -> bool {
        let (answers, mode) = (&self.answers, self.mode);
        let has_room = |set: &OwnerSet| {
            !set.is_reached(answers, mode) && set.has_room_for(owner, answers, mode)
        };
        match mode {
            Mode::Sloppy => self.sets.iter().any(has_room),
            Mode::Strict => false,
        }
    }

    /// Records an answer. Returns false, and changes nothing, if that node has answered in the same
    /// place before.
    pub fn record(&mut self, answer: TallyAnswer) -> bool {
        let is_known =
            |known: &TallyAnswer| (known.by, known.for_owner) == (answer.by, answer.for_owner);
        let is_new = !self.answers.iter().any(is_known);
        if is_new {
            self.answers.push(answer);
        }
        is_new
    }

    fn answers_for_owners(&self) -> impl Iterator<Item = &TallyAnswer> {
        let for_an_owner = |answer: &&TallyAnswer| {
            self.sets.iter().any(|set| set.owners.contains(&answer.for_owner))
        };
        self.answers.iter().filter(for_an_owner)
    }
}

impl Level {
    /// The sets of owners that this level needs answers of, under one layout, for a coordinator in
    /// the given data center. While layouts overlap, the sets of each are put together.
    ///
    /// # Errors
    /// [`QuorumError`] if no quorum can be made of the level; the request was not started.
    ///
    /// # Panics
    /// If there is no such partition, as in [`Ring::owners`].
    pub fn owner_sets(
        self,
        ring: &Ring,
        partition: PartitionId,
        own_datacenter: &str,
    ) -> Result<Vec<OwnerSet>, QuorumError> {
        let all = ring.owners(partition);
        match self {
            Self::Count(0) => Err(QuorumError::NoAnswers),
            Self::Count(asked) if usize::from(asked) > all.len() => {
                Err(QuorumError::MoreThanOwners { asked, owners: all.len() })
            }
            Self::Count(asked) => Ok(vec![OwnerSet::counted(all, usize::from(asked))]),
            Self::One => Ok(vec![OwnerSet::counted(all, 1)]),
            Self::Quorum => Ok(vec![OwnerSet::majority(all)]),
            Self::All => Ok(vec![OwnerSet::counted(all, all.len())]),
            Self::LocalQuorum => match ring.owners_in(partition, own_datacenter) {
                [] => Err(QuorumError::NoLocalOwners { datacenter: own_datacenter.into() }),
                local => Ok(vec![OwnerSet::majority(local)]),
            },
            Self::EachQuorum => {
                let datacenters = ring.layout().replication.iter();
                let owners = datacenters.map(|one| ring.owners_in(partition, &one.datacenter));
                Ok(owners.map(OwnerSet::majority).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;
    use crate::layout::{Layout, Replication};

    fn set(owners: impl IntoIterator<Item = u64>, needed: usize) -> OwnerSet {
        OwnerSet { owners: owners.into_iter().map(NodeId).collect(), needed }
    }

    fn owner(node: u64) -> TallyAnswer {
        TallyAnswer::of_owner(NodeId(node), MachineIndex(node as u32))
    }

    fn fallback(node: u64, for_owner: u64) -> TallyAnswer {
        TallyAnswer { for_owner: NodeId(for_owner), ..owner(node) }
    }

    fn tally(mode: Mode, sets: &[OwnerSet], answers: &[TallyAnswer]) -> Tally {
        let mut tally = Tally::new(mode, sets.to_vec());
        for &answer in answers {
            tally.record(answer);
        }
        tally
    }

    #[test]
    fn a_quorum_is_reached_by_the_last_answer_needed_and_not_before() {
        let mut tally = tally(Mode::Strict, &[set(1..=3, 2)], &[]);
        assert!(!tally.reached());
        assert!(tally.record(owner(1)));
        assert!(!tally.reached());
        assert!(tally.record(owner(3)));
        assert!(tally.reached());
    }

    #[test]
    fn a_node_that_answers_twice_counts_once() {
        let mut tally = tally(Mode::Sloppy, &[set(1..=3, 2)], &[owner(1)]);
        assert!(!tally.record(owner(1)));
        assert_eq!(tally.answers(), [owner(1)]);
        assert!(tally.record(fallback(1, 2)), "it may take a second place");
        assert!(!tally.reached(), "but it is one machine");
    }

    #[test]
    fn an_owner_and_its_own_fallback_count_once() {
        // When the hint is delivered, the fallback's copy goes and the owner's is all that is left.
        let answers = [owner(1), fallback(7, 1), fallback(8, 1)];
        assert!(!tally(Mode::Sloppy, &[set(1..=3, 2)], &answers).reached());
        let one_more = [answers[0], answers[1], answers[2], fallback(7, 2)];
        assert!(tally(Mode::Sloppy, &[set(1..=3, 2)], &one_more).reached());
    }

    #[test]
    fn fallbacks_count_in_a_sloppy_quorum_and_not_in_a_strict_one() {
        let answers = [owner(1), fallback(7, 2)];
        assert!(tally(Mode::Sloppy, &[set(1..=3, 2)], &answers).reached());
        let strict = tally(Mode::Strict, &[set(1..=3, 2)], &answers);
        assert!(!strict.reached());
        assert_eq!(strict.owners_answered(), 1);
    }

    #[test]
    fn two_fallbacks_on_one_machine_count_once() {
        let same_machine = TallyAnswer { machine: MachineIndex(7), ..fallback(8, 3) };
        let answers = [fallback(7, 2), same_machine];
        let sloppy = tally(Mode::Sloppy, &[set(1..=3, 2)], &answers);
        assert!(!sloppy.reached());
        assert!(
            tally(Mode::Sloppy, &[set(1..=3, 2)], &[answers[0], answers[1], owner(1)]).reached()
        );
    }

    #[test]
    fn a_stranger_counts_for_nothing() {
        let stranger = tally(Mode::Sloppy, &[set(1..=3, 1)], &[owner(9), fallback(8, 7)]);
        assert!(!stranger.reached());
        assert_eq!(stranger.owners_answered(), 0);
    }

    #[test]
    fn every_set_has_to_be_reached() {
        let sets = [set(1..=3, 2), set(2..=4, 2)];
        assert!(!tally(Mode::Strict, &sets, &[owner(1), owner(2)]).reached());
        assert!(tally(Mode::Strict, &sets, &[owner(1), owner(2), owner(4)]).reached());
        assert!(tally(Mode::Strict, &sets, &[owner(2), owner(3)]).reached());
        assert!(!tally(Mode::Sloppy, &sets, &[owner(2), fallback(9, 1)]).reached());
        assert!(tally(Mode::Sloppy, &sets, &[owner(2), fallback(9, 3)]).reached());
    }

    /// Makes a ring of three copies in `east` and two in `west`.
    fn two_data_centers() -> Ring {
        let nodes = (1..=8).map(|id| (NodeId(id), format!("n{id}")));
        let mut layout = Layout::single_datacenter(8, 3, nodes);
        for member in &mut layout.members {
            member.datacenter = if member.id.0 % 2 == 0 { "east" } else { "west" }.into();
        }
        let replication = |datacenter: &str, n| Replication { datacenter: datacenter.into(), n };
        layout.replication = vec![replication("east", 3), replication("west", 2)];
        Ring::new(layout).expect("the layout is sound")
    }

    fn needed(level: Level) -> Vec<(usize, usize)> {
        let sets = level.owner_sets(&two_data_centers(), PartitionId(3), "east").expect("sound");
        sets.iter().map(|set| (set.needed, set.owners.len())).collect()
    }

    #[test]
    fn levels_say_how_many_of_whom() {
        assert_eq!(needed(Level::Count(4)), [(4, 5)]);
        assert_eq!(needed(Level::One), [(1, 5)]);
        assert_eq!(needed(Level::Quorum), [(3, 5)]);
        assert_eq!(needed(Level::All), [(5, 5)]);
        assert_eq!(needed(Level::LocalQuorum), [(2, 3)]);
        assert_eq!(needed(Level::EachQuorum), [(2, 3), (2, 2)]);
    }

    #[test]
    fn a_local_quorum_is_of_the_coordinators_data_center() {
        let ring = two_data_centers();
        let sets = Level::LocalQuorum.owner_sets(&ring, PartitionId(3), "west").expect("sound");
        assert_eq!(sets[0].owners[..], *ring.owners_in(PartitionId(3), "west"));
    }

    #[test]
    fn levels_out_of_reach_are_refused() {
        let refused = |level: Level, datacenter| {
            let sets = level.owner_sets(&two_data_centers(), PartitionId(0), datacenter);
            sets.expect_err("the level is out of reach")
        };
        assert_eq!(refused(Level::Count(0), "east"), QuorumError::NoAnswers);
        let error = QuorumError::MoreThanOwners { asked: 6, owners: 5 };
        assert_eq!(refused(Level::Count(6), "east"), error);
        let error = QuorumError::NoLocalOwners { datacenter: "south".into() };
        assert_eq!(refused(Level::LocalQuorum, "south"), error);
    }

    /// Tells whether every set is reached, by the definition, word by word.
    fn dumb_reached(mode: Mode, sets: &[OwnerSet], given: &[TallyAnswer]) -> bool {
        let mut answers: Vec<TallyAnswer> = Vec::new();
        for answer in given {
            if answers
                .iter()
                .all(|other| (other.by, other.for_owner) != (answer.by, answer.for_owner))
            {
                answers.push(*answer);
            }
        }
        for set in sets {
            let mut pairs = Vec::new();
            for answer in &answers {
                let counts = match mode {
                    Mode::Strict => {
                        set.owners.contains(&answer.by) && answer.for_owner == answer.by
                    }
                    Mode::Sloppy => set.owners.contains(&answer.for_owner),
                };
                if counts {
                    pairs.push((answer.machine, answer.for_owner));
                }
            }
            if most_apart(&pairs, &[]) < set.needed {
                return false;
            }
        }
        true
    }

    /// The most pairs of which no two share anything, by trying all choices.
    fn most_apart(pairs: &[(MachineIndex, NodeId)], chosen: &[(MachineIndex, NodeId)]) -> usize {
        let Some((first, rest)) = pairs.split_first() else { return chosen.len() };
        let without = most_apart(rest, chosen);
        let clashes = chosen.iter().any(|one| one.0 == first.0 || one.1 == first.1);
        if clashes {
            return without;
        }
        without.max(most_apart(rest, &[chosen, &[*first]].concat()))
    }

    fn modes() -> impl Strategy<Value = Mode> {
        prop_oneof![Just(Mode::Sloppy), Just(Mode::Strict)]
    }

    fn owner_sets() -> impl Strategy<Value = Vec<OwnerSet>> {
        let one = (prop::collection::btree_set(0_u64..8, 1..5), 1_usize..4);
        prop::collection::vec(one.prop_map(|(owners, needed)| set(owners, needed)), 1..4)
    }

    fn answers() -> impl Strategy<Value = Vec<TallyAnswer>> {
        let one = (0_u64..10, 0_u32..8, prop::option::of(0_u64..8));
        let one = one.prop_map(|(by, machine, for_owner)| TallyAnswer {
            by: NodeId(by),
            machine: MachineIndex(machine),
            for_owner: NodeId(for_owner.unwrap_or(by)),
        });
        prop::collection::vec(one, 0..10)
    }

    proptest! {
        #[test]
        fn a_tally_counts_as_the_definition_does(mode in modes(), sets in owner_sets(), answers in answers()) {
            let reached = dumb_reached(mode, &sets, &answers);
            prop_assert_eq!(tally(mode, &sets, &answers).reached(), reached);
        }

        #[test]
        fn a_fallback_is_lacked_where_one_more_would_count(
            owners in prop::collection::btree_set(0_u64..8, 1..5), answers in answers(), place in 0_u64..8,
        ) {
            let count = |answers: &[TallyAnswer]| {
                let reached = |&needed: &usize| {
                    dumb_reached(Mode::Sloppy, &[set(owners.iter().copied(), needed)], answers)
                };
                (1..=owners.len()).take_while(reached).count()
            };
            let one_more = [&answers[..], &[fallback(99, place)]].concat();
            let needed = set(owners.iter().copied(), owners.len());
            let lacks = |mode| tally(mode, core::slice::from_ref(&needed), &answers).lacks_fallback(NodeId(place));
            prop_assert_eq!(lacks(Mode::Sloppy), count(&one_more) > count(&answers));
            prop_assert!(!lacks(Mode::Strict), "there they count for nothing");
        }

        #[test]
        fn a_quorum_once_reached_stays_reached(
            mode in modes(), sets in owner_sets(), answers in answers(), more in answers(),
        ) {
            let mut tally = tally(mode, &sets, &answers);
            let before = tally.reached();
            for answer in more {
                tally.record(answer);
            }
            prop_assert!(!before || tally.reached());
        }

        #[test]
        fn what_a_strict_quorum_accepts_a_sloppy_one_does_too(sets in owner_sets(), answers in answers()) {
            let strict = tally(Mode::Strict, &sets, &answers).reached();
            prop_assert!(!strict || tally(Mode::Sloppy, &sets, &answers).reached());
        }
    }
}
