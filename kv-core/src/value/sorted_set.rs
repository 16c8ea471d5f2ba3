//! Sorted sets: members that are ordered by a score.
//!
//! Members are added and removed as those of a set are. Of scores that are set concurrently the
//! greatest (time, dot) is read, and increments add up on it.

use alloc::vec::Vec;
use core::ops::{Bound, RangeBounds};

use bytes::Bytes;

use super::accumulator::{Accumulator, Summand};
use super::answer::{Applied, ChangeError, ScoredMembers, ValueAnswer};
use super::dot_map::DotMap;
use super::dot_store::dot_store;
use super::score::Score;
use super::write_stamp::WriteStamp;
use crate::codec::codec;

/// A set of members, each with a score. In memory they lie in the order of their bytes; the order of
/// their scores is made when it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortedSet(DotMap<Bytes, Scored>);

dot_store!(SortedSet);

/// What stands of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scored(Accumulator<Score, Score>);

dot_store!(Scored);

/// A change of a sorted set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortedSetChange {
    /// Sets the scores of members, where the condition holds. The answer is how many were added and
    /// how many have another score. A member that has the score already is added anew, so that a
    /// concurrent removal does not take it away.
    Add(AddScores),
    /// Adds to the score of a member, if the condition holds. The answer is the new score, or none.
    Increment(IncrementScore),
    /// Removes members. The answer is the number of those that were there.
    Remove(Vec<Bytes>),
    /// Takes out so many members of the lowest scores, the lowest first.
    PopLowest(u64),
    /// Takes out so many members of the highest scores, the highest first.
    PopHighest(u64),
    /// Puts a sorted set of these members in the place of whatever the key holds. The answer is the
    /// number of its members.
    Replace(Vec<(Bytes, Score)>),
}

codec!(enum SortedSetChange {
    0 => Add(add),
    1 => Increment(increment),
    2 => Remove(members),
    3 => PopLowest(count),
    4 => PopHighest(count),
    5 => Replace(members),
});

/// Members whose scores are to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddScores {
    /// The condition on each member.
    pub condition: ScoreCondition,
    /// The members with their scores. Of one that is named twice the last score counts.
    pub members: Vec<(Bytes, Score)>,
}

codec!(struct AddScores { condition, members });

/// A member whose score is to be added to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncrementScore {
    /// The condition on the member, for the score that it would have.
    pub condition: ScoreCondition,
    /// The member. If it is not there, it is added with a score of 0 before.
    pub member: Bytes,
    /// The number that is added.
    pub by: Score,
}

codec!(struct IncrementScore { condition, member, by });

/// The members that a change of scores concerns: those for which both conditions hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreCondition {
    /// Whether the member must be there.
    pub presence: Presence,
    /// How the new score must compare with the one that the member has, if it is there.
    pub comparison: Comparison,
}

codec!(struct ScoreCondition { presence, comparison });

/// A condition on whether a member is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It may be there or not.
    #[default]
    Any,
    /// It must not be there (`NX`).
    Absent,
    /// It must be there (`XX`).
    Present,
}

codec!(enum Presence { 0 => Any, 1 => Absent, 2 => Present });

/// A condition on the new score of a member that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comparison {
    /// It may be any.
    #[default]
    Any,
    /// It must be greater (`GT`).
    Greater,
    /// It must be less (`LT`).
    Less,
}

codec!(enum Comparison { 0 => Any, 1 => Greater, 2 => Less });

impl ScoreCondition {
    fn holds(self, before: Option<Score>, after: Score) -> bool {
        let Self { presence, comparison } = self;
        let is_present_enough = match presence {
            Presence::Any => true,
            Presence::Absent => before.is_none(),
            Presence::Present => before.is_some(),
        };
        let compares = match comparison {
            Comparison::Any => true,
            Comparison::Greater => before.is_none_or(|before| after > before),
            Comparison::Less => before.is_none_or(|before| after < before),
        };
        is_present_enough && compares
    }
}

impl Summand for Score {
    fn plus(&self, other: &Self) -> Self {
        self.merged_with(*other)
    }
}

impl Scored {
    fn score(&self) -> Score {
        let base = self.0.base().copied();
        match (base, self.0.sum()) {
            (Some(base), Some(sum)) => base.merged_with(sum),
            (base, sum) => base.or(sum).unwrap_or_default(),
        }
    }
}

impl SortedSet {
    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no member, as only in a new sorted set.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The score of a member, if it is there.
    pub fn score(&self, member: &Bytes) -> Option<Score> {
        self.0.get(member).map(Scored::score)
    }

    /// The members with their scores, in the order of their bytes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Bytes, Score)> + ExactSizeIterator {
        self.0.iter().map(|(member, scored)| (member, scored.score()))
    }

    /// The members with their scores, in the order of (score, bytes). A range by rank is a part of
    /// this.
    pub fn in_order(&self) -> Vec<(Score, &Bytes)> {
        let mut members: Vec<_> = self.iter().map(|(member, score)| (score, member)).collect();
        members.sort_unstable();
        members
    }

    /// The members within bounds of scores, in the order of (score, bytes).
    pub fn by_score(&self, bounds: (Bound<Score>, Bound<Score>)) -> Vec<(Score, &Bytes)> {
        let mut within = self.in_order();
        within.retain(|(score, _)| bounds.contains(score));
        within
    }

    /// The members within bounds of bytes, in the order of (score, bytes). It is of use where all
    /// scores are equal.
    pub fn by_lex(&self, bounds: &(Bound<Bytes>, Bound<Bytes>)) -> Vec<(Score, &Bytes)> {
        let mut within = self.in_order();
        within.retain(|(_, member)| bounds.contains(*member));
        within
    }

    /// The number of members within bounds of scores.
    pub fn count(&self, bounds: (Bound<Score>, Bound<Score>)) -> usize {
        self.iter().filter(|(_, score)| bounds.contains(score)).count()
    }

    /// The number of members that come before a member in the order of (score, bytes), with its
    /// score; none if it is not there.
    pub fn rank(&self, member: &Bytes) -> Option<(usize, Score)> {
        let score = self.score(member)?;
        let before = |(other, of_other): &(&Bytes, Score)| (*of_other, *other) < (score, member);
        Some((self.iter().filter(before).count(), score))
    }

    /// Executes a change. [`SortedSetChange::Replace`] is executed on an empty sorted set.
    pub(crate) fn apply(
        &mut self,
        change: &SortedSetChange,
        at: WriteStamp,
    ) -> Result<Applied, ChangeError> {
        Ok(match change {
            SortedSetChange::Add(AddScores { condition, members }) => {
                self.add(*condition, members, at)
            }
            SortedSetChange::Replace(members) => {
                self.add(ScoreCondition::default(), members, at);
                let answer = ValueAnswer::Count(self.len() as u64);
                Applied { answer, has_changed: !members.is_empty() }
            }
            SortedSetChange::Increment(increment) => self.increment(increment, at)?,
            SortedSetChange::Remove(members) => {
                let there = members.iter().filter(|member| self.0.remove(member).is_some());
                let removed = there.count() as u64;
                Applied { answer: ValueAnswer::Count(removed), has_changed: removed > 0 }
            }
            SortedSetChange::PopLowest(count) => {
                let order = owned(self.in_order());
                self.pop(order.into_iter(), *count)
            }
            SortedSetChange::PopHighest(count) => {
                let order = owned(self.in_order());
                self.pop(order.into_iter().rev(), *count)
            }
        })
    }

    fn add(
        &mut self,
        condition: ScoreCondition,
        members: &[(Bytes, Score)],
        at: WriteStamp,
    ) -> Applied {
        let mut counts = ScoredMembers::default();
        let mut has_changed = false;
        for (member, score) in members {
            let before = self.score(member);
            if !condition.holds(before, *score) {
                continue;
            }
            self.0.write(member.clone(), |scored| scored.0.assign(*score, at));
            has_changed = true;
            match before {
                None => counts.added += 1,
                Some(before) => counts.updated += u64::from(before != *score),
            }
        }
        Applied { answer: ValueAnswer::Scored(counts), has_changed }
    }

    fn increment(
        &mut self,
        increment: &IncrementScore,
        at: WriteStamp,
    ) -> Result<Applied, ChangeError> {
        let IncrementScore { condition, member, by } = increment;
        let before = self.0.get(member);
        let mut scored = before.cloned().unwrap_or_default();
        let before = before.map(Scored::score);
        // Redis lets scores become infinite, but not both ways at once.
        before.unwrap_or_default().plus(*by).ok_or(ChangeError::NotFinite)?;
        scored.0.add(by, at);
        let after = scored.score();
        if !condition.holds(before, after) {
            return Ok(Applied::unchanged(ValueAnswer::Score(None)));
        }
        self.0.write(member.clone(), |stored| *stored = scored);
        Ok(Applied::changed(ValueAnswer::Score(Some(after))))
    }

    fn pop(&mut self, order: impl Iterator<Item = (Bytes, Score)>, count: u64) -> Applied {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let popped: Vec<_> = order.take(count).collect();
        for (member, _) in &popped {
            self.0.remove(member);
        }
        Applied { has_changed: !popped.is_empty(), answer: ValueAnswer::ScoredElements(popped) }
    }
}

/// Members that no longer borrow from their set.
fn owned(order: Vec<(Score, &Bytes)>) -> Vec<(Bytes, Score)> {
    order.into_iter().map(|(score, member)| (member.clone(), score)).collect()
}
