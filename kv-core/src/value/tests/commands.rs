//! The answers of commands, as plain collections of the standard library give them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;

use super::history::{ElementId, elements_of};
use super::twin::is_met;
use crate::value::*;
use crate::version::Dot;

/// The answer to a change of a state of the same type.
pub(super) fn expected_answer(
    before: &TypedState,
    change: &ValueChange,
) -> Result<ValueAnswer, ChangeError> {
    Ok(match change {
        ValueChange::Clear => ValueAnswer::Count(before.data().is_some().into()),
        ValueChange::Scalar(change) => {
            let value = match before.data() {
                Some(Data::Scalar(scalar)) => scalar.value(),
                _ => None,
            };
            match change {
                ScalarChange::Increment(by) => increment(value, *by)?,
                ScalarChange::IncrementFloat(by) => increment_float(value, *by)?,
            }
        }
        ValueChange::Set(change) => set(before, change),
        ValueChange::Hash(change) => hash(before, change)?,
        ValueChange::SortedSet(change) => sorted_set(before, change)?,
        ValueChange::List(change) => list(&elements_of(before), change)?,
        ValueChange::HyperLogLog(HyperLogLogChange::Merge(_)) => ValueAnswer::Done,
        ValueChange::HyperLogLog(HyperLogLogChange::Add(elements)) => {
            let Some(Data::HyperLogLog(log)) = before.data() else {
                return Ok(ValueAnswer::HasRisen(true));
            };
            let mut registers = log.registers();
            let rose: Vec<bool> = elements.iter().map(|element| registers.add(element)).collect();
            ValueAnswer::HasRisen(rose.contains(&true))
        }
    })
}

fn increment(value: Option<ScalarValue<'_>>, by: i64) -> Result<ValueAnswer, ChangeError> {
    let before = match value {
        None => Some(0),
        Some(ScalarValue::Text(text)) => {
            let number = core::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            number.filter(|number: &i64| alloc::format!("{number}") == *text)
        }
        Some(ScalarValue::Integer(number)) => Some(number),
        Some(ScalarValue::Float(score)) => score.to_integer(),
    };
    let before = before.ok_or(ChangeError::NotAnInteger)?;
    let after = before.checked_add(by).ok_or(ChangeError::Overflow)?;
    if let Some(ScalarValue::Float(_)) = value {
        // Fractions are counted in numbers of 53 bits.
        let after = Score::from_integer(before.into()).plus(Score::from_integer(by.into()));
        let after = after.and_then(Score::to_integer);
        return after.map(ValueAnswer::Integer).ok_or(ChangeError::Overflow);
    }
    Ok(ValueAnswer::Integer(after))
}

fn increment_float(value: Option<ScalarValue<'_>>, by: Score) -> Result<ValueAnswer, ChangeError> {
    let before = match value {
        None => Some(0.0),
        Some(ScalarValue::Text(text)) => {
            core::str::from_utf8(text).ok().and_then(|text| text.parse().ok())
        }
        Some(ScalarValue::Integer(number)) => Some(number as f64),
        Some(ScalarValue::Float(score)) => Some(f64::from_bits(score.to_bits())),
    };
    let after = before.ok_or(ChangeError::NotANumber)? + f64::from_bits(by.to_bits());
    if !after.is_finite() {
        return Err(ChangeError::NotFinite);
    }
    Ok(ValueAnswer::Score(Score::from_bits(after.to_bits())))
}

fn set(before: &TypedState, change: &SetChange) -> ValueAnswer {
    let mut members: BTreeSet<Bytes> = match before.data() {
        Some(Data::Set(set)) => set.iter().cloned().collect(),
        _ => BTreeSet::new(),
    };
    let size = members.len();
    match change {
        SetChange::Add(added) => {
            members.extend(added.iter().cloned());
            ValueAnswer::Count((members.len() - size) as u64)
        }
        SetChange::Remove(removed) => {
            removed.iter().for_each(|member| drop(members.take(member)));
            ValueAnswer::Count((size - members.len()) as u64)
        }
        SetChange::Take(taken) => {
            ValueAnswer::Elements(taken.iter().filter_map(|member| members.take(member)).collect())
        }
        SetChange::Replace(new) => {
            ValueAnswer::Count(new.iter().collect::<BTreeSet<_>>().len() as u64)
        }
    }
}

fn hash(before: &TypedState, change: &HashChange) -> Result<ValueAnswer, ChangeError> {
    let empty = Hash::default();
    let fields: BTreeMap<&Bytes, ScalarValue<'_>> = match before.data() {
        Some(Data::Hash(hash)) => hash.iter().collect(),
        _ => empty.iter().collect(),
    };
    let distinct = |named: &mut dyn Iterator<Item = &Bytes>, are_there: bool| {
        let named: BTreeSet<Bytes> = named.cloned().collect();
        let found = named.iter().filter(|name| fields.contains_key(name) == are_there);
        ValueAnswer::Count(found.count() as u64)
    };
    Ok(match change {
        HashChange::Set(set) => distinct(&mut set.iter().map(|(field, _)| field), false),
        HashChange::SetIfAbsent((field, _)) => distinct(&mut core::iter::once(field), false),
        HashChange::Remove(removed) => distinct(&mut removed.iter(), true),
        HashChange::Increment((field, by)) => increment(fields.get(field).copied(), *by)?,
        HashChange::IncrementFloat((field, by)) => {
            increment_float(fields.get(field).copied(), *by)?
        }
        HashChange::Replace(set) => {
            let distinct: BTreeSet<&Bytes> = set.iter().map(|(field, _)| field).collect();
            ValueAnswer::Count(distinct.len() as u64)
        }
    })
}

fn sorted_set(before: &TypedState, change: &SortedSetChange) -> Result<ValueAnswer, ChangeError> {
    let mut scores: BTreeMap<Bytes, Score> = match before.data() {
        Some(Data::SortedSet(set)) => {
            set.iter().map(|(member, score)| (member.clone(), score)).collect()
        }
        _ => BTreeMap::new(),
    };
    let mut by_score: Vec<_> = scores.iter().map(|(name, score)| (*score, name.clone())).collect();
    by_score.sort();
    let popped = |order: Vec<(Score, Bytes)>, count: u64| {
        let count = usize::try_from(count).expect("it is small");
        let popped = order.into_iter().take(count).map(|(score, name)| (name, score));
        ValueAnswer::ScoredElements(popped.collect())
    };
    Ok(match change {
        SortedSetChange::Add(AddScores { condition, members }) => {
            let mut counts = ScoredMembers::default();
            for (name, score) in members {
                let before = scores.get(name).copied();
                if is_met(*condition, before, *score) {
                    scores.insert(name.clone(), *score);
                    match before {
                        None => counts.added += 1,
                        Some(before) if before != *score => counts.updated += 1,
                        Some(_) => {}
                    }
                }
            }
            ValueAnswer::Scored(counts)
        }
        SortedSetChange::Increment(IncrementScore { condition, member, by }) => {
            let before = scores.get(member).copied();
            let sum =
                f64::from_bits(before.map_or(0, Score::to_bits)) + f64::from_bits(by.to_bits());
            let after = Score::from_bits(sum.to_bits()).ok_or(ChangeError::NotFinite)?;
            ValueAnswer::Score(is_met(*condition, before, after).then_some(after))
        }
        SortedSetChange::Remove(removed) => {
            let found = removed.iter().filter(|name| scores.remove(*name).is_some());
            ValueAnswer::Count(found.count() as u64)
        }
        SortedSetChange::PopLowest(count) => popped(by_score, *count),
        SortedSetChange::PopHighest(count) => {
            by_score.reverse();
            popped(by_score, *count)
        }
        SortedSetChange::Replace(members) => {
            let distinct: BTreeSet<&Bytes> = members.iter().map(|(name, _)| name).collect();
            ValueAnswer::Count(distinct.len() as u64)
        }
    })
}

type Elements = Vec<(ElementId, Bytes)>;

fn list(before: &Elements, change: &ListChange) -> Result<ValueAnswer, ChangeError> {
    let anybody = crate::version::Actor {
        node: crate::types::NodeId(u64::MAX),
        epoch: crate::types::Epoch(0),
    };
    let (after, _) = expected_list(before, change, Dot { actor: anybody, n: 1 });
    let count = |length: usize| ValueAnswer::Count(length as u64);
    Ok(match change {
        ListChange::Push(_) | ListChange::Replace(_) => count(after.len()),
        ListChange::Insert(ListInsert { pivot, .. }) => {
            let has_pivot = before.is_empty() || before.iter().any(|(_, text)| text == pivot);
            if has_pivot { count(after.len()) } else { ValueAnswer::NoPivot }
        }
        ListChange::Set((index, _)) => {
            let length = before.len() as i64;
            if length == 0 {
                return Err(ChangeError::NoSuchKey);
            }
            if !(-length..length).contains(index) {
                return Err(ChangeError::OutOfBounds);
            }
            ValueAnswer::Done
        }
        ListChange::Remove(_) => count(before.len() - after.len()),
        ListChange::Trim(_) => ValueAnswer::Done,
        ListChange::Pop(ListPop { end, count }) => {
            let count = usize::try_from(*count).expect("it is small");
            let texts = before.iter().map(|(_, text)| text.clone());
            ValueAnswer::Elements(match end {
                ListEnd::Left => texts.take(count).collect(),
                ListEnd::Right => texts.rev().take(count).collect(),
            })
        }
    })
}

/// The elements after a change of a list, and those among them that were written.
pub(super) fn expected_list(
    before: &Elements,
    change: &ListChange,
    dot: Dot,
) -> (Elements, Vec<ElementId>) {
    let mut after = before.clone();
    let mut written: Vec<ElementId> = Vec::new();
    match change {
        ListChange::Replace(elements) => {
            after = elements.iter().zip(0..).map(|(text, at)| ((dot, at), text.clone())).collect();
            written = after.iter().map(|(id, _)| *id).collect();
        }
        ListChange::Push(ListPush { if_absent: IfAbsent::Skip, .. }) if before.is_empty() => {}
        ListChange::Push(ListPush { end, elements, .. }) => {
            // Indexes count from the left within a write.
            let count = elements.len() as u64;
            for (at, text) in (0..).zip(elements) {
                match end {
                    ListEnd::Left => after.insert(0, ((dot, count - 1 - at), text.clone())),
                    ListEnd::Right => after.push(((dot, at), text.clone())),
                }
                written.push((dot, at));
            }
        }
        ListChange::Insert(ListInsert { side, pivot, element }) => {
            if let Some(at) = before.iter().position(|(_, text)| text == pivot) {
                let at = if *side == PivotSide::After { at + 1 } else { at };
                after.insert(at, ((dot, 0), element.clone()));
                written.push((dot, 0));
            }
        }
        ListChange::Set((index, text)) => {
            let length = before.len() as i64;
            let at = if *index < 0 { length + index } else { *index };
            if (0..length).contains(&at) {
                let at = usize::try_from(at).expect("it is in the list");
                after[at].1 = text.clone();
                written.push(after[at].0);
            }
        }
        ListChange::Remove((count, text)) => {
            let mut left = if *count == 0 { i64::MAX } else { count.abs() };
            let is_kept = |(_, other): &(ElementId, Bytes)| {
                let is_removed = other == text && left > 0;
                left -= i64::from(is_removed);
                !is_removed
            };
            if *count < 0 {
                after.reverse();
                after.retain(is_kept);
                after.reverse();
            } else {
                after.retain(is_kept);
            }
        }
        ListChange::Trim((start, stop)) => {
            let length = before.len() as i64;
            let absolute = |index: i64| if index < 0 { index + length } else { index };
            let kept = absolute(*start)..=absolute(*stop);
            let elements = (0..).zip(before).filter(|(at, _)| kept.contains(at));
            after = elements.map(|(_, element)| element.clone()).collect();
        }
        ListChange::Pop(ListPop { end, count }) => {
            let count = usize::try_from(*count).expect("it is small").min(after.len());
            match end {
                ListEnd::Left => drop(after.drain(..count)),
                ListEnd::Right => after.truncate(after.len() - count),
            }
        }
    }
    (after, written)
}
