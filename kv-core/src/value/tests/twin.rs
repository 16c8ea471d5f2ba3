//! A dumb twin of all types: a log of events, each of which says what it puts and what it takes away.
//!
//! It has no clocks. A replica is the set of the events that it knows, and what stands is all that
//! these put, without what any of them took away.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use super::dice::Drawn;
use super::history::ElementId;
use crate::time::HybridTime;
use crate::value::*;
use crate::version::Dot;

/// A place in a value at which events put things.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// The whole of a number, or a field, or the score of a member.
    Base(Bytes),
    /// What was added to it.
    Sum(Bytes),
    /// A member of a set.
    Member(Bytes),
    /// An element of a list.
    Element(ElementId),
    /// The elements that a HyperLogLog has counted.
    Counted,
}

/// A thing that an event puts at a place.
#[derive(Clone, Debug)]
pub(super) enum Put {
    Here,
    Text(HybridTime, Bytes),
    Score(HybridTime, Score),
    Added { onto: Option<Dot>, integer: i128, float: Option<Score> },
    Counted(BTreeSet<Bytes>),
}

/// What one event did.
#[derive(Clone, Debug, Default)]
pub(super) struct TwinEvent {
    puts: BTreeMap<Slot, Put>,
    kills: BTreeSet<(Slot, Dot)>,
}

/// All events that ever happened.
#[derive(Default)]
pub(super) struct EventLog(pub(super) BTreeMap<Dot, TwinEvent>);

/// What stands of a type, by place and dot.
pub(super) struct Standing(BTreeMap<Slot, BTreeMap<Dot, Put>>, Drawn);

impl TwinEvent {
    /// Tells whether the event did nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.puts.is_empty() && self.kills.is_empty()
    }
}

impl EventLog {
    pub(super) fn standing(&self, of: Drawn, known: &BTreeSet<Dot>) -> Standing {
        let mut killed = BTreeSet::new();
        for dot in known {
            killed.extend(&self.0[dot].kills);
        }
        let mut standing = BTreeMap::<Slot, BTreeMap<Dot, Put>>::new();
        for dot in known {
            for (slot, put) in &self.0[dot].puts {
                if !killed.contains(&(slot.clone(), *dot)) {
                    standing.entry(slot.clone()).or_default().insert(*dot, put.clone());
                }
            }
        }
        Standing(standing, of)
    }
}

impl Standing {
    /// The number of things that stand, read or not.
    pub(super) fn dots(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    fn has(&self, slot: &Slot) -> bool {
        self.0.contains_key(slot)
    }

    /// The base of the greatest (time, dot).
    fn base(&self, name: &Bytes) -> Option<(Dot, &Put)> {
        let stamp = |(dot, put): &(&Dot, &Put)| match put {
            Put::Text(time, _) | Put::Score(time, _) => (*time, **dot),
            _ => panic!("it is no base"),
        };
        let bases = self.0.get(&Slot::Base(name.clone()))?;
        bases.iter().max_by_key(stamp).map(|(dot, put)| (*dot, put))
    }

    /// All that was added to the base that is read.
    fn sum(&self, name: &Bytes) -> Option<(i128, Option<Score>)> {
        let base = self.base(name).map(|(dot, _)| dot);
        let mut sum = None;
        for put in self.0.get(&Slot::Sum(name.clone()))?.values() {
            let Put::Added { onto, integer, float } = put else { panic!("it is no sum") };
            if base.is_some() && *onto != base {
                continue;
            }
            let (whole, part): (i128, Option<Score>) = sum.unwrap_or_default();
            let part = match (part, float) {
                (Some(a), Some(b)) => Some(a.merged_with(*b)),
                (a, b) => a.or(*b),
            };
            sum = Some((whole + integer, part));
        }
        sum
    }

    /// The value of a number or a field, in words.
    fn scalar(&self, name: &Bytes) -> Option<String> {
        let text = self.base(name).map(|(_, put)| match put {
            Put::Text(_, text) => String::from_utf8_lossy(text).into_owned(),
            _ => panic!("it is no text"),
        });
        Some(match (text, self.sum(name)) {
            (None, None) => return None,
            (Some(text), None) => format!("text {text}"),
            (text, Some((integer, None))) => {
                let base = text.map_or(0, |text| text.parse::<i128>().expect("it was counted"));
                let sum = (base + integer).clamp(i64::MIN.into(), i64::MAX.into());
                format!("integer {sum}")
            }
            (text, Some((integer, Some(float)))) => {
                let base = text.map_or(0.0, |text| text.parse::<f64>().expect("it was counted"));
                let base = Score::from_bits(base.to_bits()).expect("it is a number");
                let sum = base.merged_with(Score::from_integer(integer)).merged_with(float);
                format!("float {sum:?}")
            }
        })
    }

    fn score(&self, name: &Bytes) -> Option<Score> {
        let base = self.base(name).map(|(_, put)| match put {
            Put::Score(_, score) => *score,
            _ => panic!("it is no score"),
        });
        let sum = self.sum(name).and_then(|(_, sum)| sum);
        match (base, sum) {
            (Some(base), Some(sum)) => Some(base.merged_with(sum)),
            (base, sum) => base.or(sum),
        }
    }

    fn names(&self) -> BTreeSet<Bytes> {
        let name = |slot: &Slot| match slot {
            Slot::Base(name) | Slot::Sum(name) => Some(name.clone()),
            Slot::Member(_) | Slot::Element(_) | Slot::Counted => None,
        };
        self.0.keys().filter_map(name).collect()
    }

    /// The text of an element of a list.
    pub(super) fn element(&self, id: ElementId) -> Option<Bytes> {
        let texts = self.0.get(&Slot::Element(id))?;
        let stamp = |(dot, put): &(&Dot, &Put)| match put {
            Put::Text(time, _) => (*time, **dot),
            _ => panic!("it is no text"),
        };
        let (_, Put::Text(_, text)) = texts.iter().max_by_key(stamp)? else { return None };
        Some(text.clone())
    }

    /// What is read, in words; elements of lists without their order.
    pub(super) fn in_words(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for slot in self.0.keys() {
            match slot {
                Slot::Member(name) => lines.push(format!("{name:?}")),
                Slot::Element(id) => lines.push(format!("{id:?} {:?}", self.element(*id))),
                Slot::Counted => {
                    let mut registers = Registers::default();
                    self.counted().iter().for_each(|element| {
                        registers.add(element);
                    });
                    lines.push(format!("{:?}", registers.histogram()));
                }
                Slot::Base(_) | Slot::Sum(_) => {}
            }
        }
        for name in self.names() {
            lines.push(if self.1 == Drawn::SortedSet {
                format!("{name:?} {:?}", self.score(&name).expect("it stands"))
            } else {
                format!("{name:?} {}", self.scalar(&name).expect("it stands"))
            });
        }
        lines.sort();
        lines
    }

    fn counted(&self) -> BTreeSet<Bytes> {
        let all = self.0.get(&Slot::Counted).into_iter().flat_map(BTreeMap::values);
        let elements = all.flat_map(|put| match put {
            Put::Counted(elements) => elements.clone(),
            _ => panic!("nothing is counted"),
        });
        elements.collect()
    }
}

/// The event of a change where this stands, if it changes anything.
pub(super) struct Execution<'a> {
    pub(super) standing: &'a Standing,
    pub(super) at: WriteStamp,
    pub(super) event: TwinEvent,
}

impl Execution<'_> {
    fn kill(&mut self, slot: &Slot) -> bool {
        let dots = self.standing.0.get(slot).into_iter().flat_map(BTreeMap::keys);
        self.event.kills.extend(dots.map(|dot| (slot.clone(), *dot)));
        self.event.puts.remove(slot).is_some() || self.standing.has(slot)
    }

    fn kill_all(&mut self) {
        let slots: Vec<Slot> = self.standing.0.keys().cloned().collect();
        slots.iter().for_each(|slot| {
            self.kill(slot);
        });
    }

    fn put(&mut self, slot: Slot, put: Put) {
        self.kill(&slot);
        self.event.puts.insert(slot, put);
    }

    fn assign(&mut self, name: &Bytes, base: Put) {
        self.kill(&Slot::Sum(name.clone()));
        self.put(Slot::Base(name.clone()), base);
    }

    fn remove(&mut self, name: &Bytes) {
        self.kill(&Slot::Sum(name.clone()));
        self.kill(&Slot::Base(name.clone()));
        self.kill(&Slot::Member(name.clone()));
    }

    /// Adds to the base that is read: other bases go, and what was added to them, and what this
    /// actor has added before, which is part of the new sum.
    fn add(&mut self, name: &Bytes, by: i128, by_float: Option<Score>) {
        let (base, sum) = (Slot::Base(name.clone()), Slot::Sum(name.clone()));
        let onto = self.standing.base(name).map(|(dot, _)| dot);
        for dot in self.standing.0.get(&base).into_iter().flat_map(BTreeMap::keys) {
            if Some(*dot) != onto {
                self.event.kills.insert((base.clone(), *dot));
            }
        }
        let (mut integer, mut float) = (by, by_float);
        for (dot, put) in self.standing.0.get(&sum).into_iter().flatten() {
            let Put::Added { onto: of, integer: whole, float: part } = put else { continue };
            let counts = onto.is_none() || *of == onto;
            if counts && dot.actor == self.at.dot.actor {
                integer += whole;
                float = match (*part, float) {
                    (Some(a), Some(b)) => Some(a.merged_with(b)),
                    (a, b) => a.or(b),
                };
            }
            if !counts || dot.actor == self.at.dot.actor {
                self.event.kills.insert((sum.clone(), *dot));
            }
        }
        self.event.puts.insert(sum, Put::Added { onto, integer, float });
    }

    /// Executes a change of whatever type but a list; the answer of the real one says whether it was
    /// refused.
    pub(super) fn execute(&mut self, change: &ValueChange, answer: &ValueAnswer) {
        let time = self.at.time;
        match change {
            ValueChange::Clear => self.kill_all(),
            ValueChange::Scalar(ScalarChange::Increment(by)) => {
                self.add(&Bytes::new(), (*by).into(), None);
            }
            ValueChange::Scalar(ScalarChange::IncrementFloat(by)) => {
                self.add(&Bytes::new(), 0, Some(*by));
            }
            ValueChange::Set(SetChange::Add(members)) => {
                members.iter().for_each(|name| self.put(Slot::Member(name.clone()), Put::Here));
            }
            ValueChange::Set(SetChange::Replace(members)) => {
                self.kill_all();
                members.iter().for_each(|name| self.put(Slot::Member(name.clone()), Put::Here));
            }
            ValueChange::Set(SetChange::Remove(members) | SetChange::Take(members)) => {
                members.iter().for_each(|name| self.remove(name));
            }
            ValueChange::Hash(HashChange::Set(fields)) => {
                for (name, text) in fields {
                    self.assign(name, Put::Text(time, text.clone()));
                }
            }
            ValueChange::Hash(HashChange::Replace(fields)) => {
                self.kill_all();
                for (name, text) in fields {
                    self.assign(name, Put::Text(time, text.clone()));
                }
            }
            ValueChange::Hash(HashChange::SetIfAbsent((name, text))) => {
                if self.standing.scalar(name).is_none() {
                    self.assign(name, Put::Text(time, text.clone()));
                }
            }
            ValueChange::Hash(HashChange::Remove(fields)) => {
                fields.iter().for_each(|name| self.remove(name));
            }
            ValueChange::Hash(HashChange::Increment((name, by))) => {
                self.add(name, (*by).into(), None);
            }
            ValueChange::Hash(HashChange::IncrementFloat((name, by))) => {
                self.add(name, 0, Some(*by));
            }
            ValueChange::SortedSet(change) => self.sorted_set(change, answer),
            ValueChange::HyperLogLog(change) => {
                let mut counted = self.standing.counted();
                match change {
                    HyperLogLogChange::Add(elements) => counted.extend(elements.iter().cloned()),
                    HyperLogLogChange::Merge(others) => {
                        // Others are drawn with one element, out of few.
                        for element in ["", "a", "b", "c", "d"].map(Bytes::from) {
                            let mut one = Registers::default();
                            one.add(&element);
                            if others.contains(&one) {
                                counted.insert(element);
                            }
                        }
                    }
                }
                let is_new = !self.standing.has(&Slot::Counted);
                if is_new || counted != self.standing.counted() {
                    self.put(Slot::Counted, Put::Counted(counted));
                }
            }
            ValueChange::List(_) => panic!("lists are checked by their elements"),
        }
    }

    fn sorted_set(&mut self, change: &SortedSetChange, answer: &ValueAnswer) {
        let time = self.at.time;
        match change {
            SortedSetChange::Add(AddScores { condition, members }) => {
                let mut now = BTreeMap::<Bytes, Score>::new();
                for (name, score) in members {
                    let before = now.get(name).copied().or(self.standing.score(name));
                    if is_met(*condition, before, *score) {
                        now.insert(name.clone(), *score);
                        self.assign(name, Put::Score(time, *score));
                    }
                }
            }
            SortedSetChange::Replace(members) => {
                self.kill_all();
                for (name, score) in members {
                    self.assign(name, Put::Score(time, *score));
                }
            }
            SortedSetChange::Remove(members) => members.iter().for_each(|name| self.remove(name)),
            SortedSetChange::Increment(IncrementScore { member, by, .. }) => {
                if *answer != ValueAnswer::Score(None) {
                    self.add(member, 0, Some(*by));
                }
            }
            SortedSetChange::PopLowest(_) | SortedSetChange::PopHighest(_) => {
                let ValueAnswer::ScoredElements(popped) = answer else { panic!("{answer:?}") };
                popped.iter().for_each(|(name, _)| self.remove(name));
            }
        }
    }

    /// Sets the text of an element of a list.
    pub(super) fn set_element(&mut self, id: ElementId, text: &Bytes) {
        self.put(Slot::Element(id), Put::Text(self.at.time, text.clone()));
    }

    /// Removes an element of a list.
    pub(super) fn remove_element(&mut self, id: ElementId) {
        self.kill(&Slot::Element(id));
    }
}

/// Tells whether a score may be set.
pub(super) fn is_met(condition: ScoreCondition, before: Option<Score>, after: Score) -> bool {
    let ScoreCondition { presence, comparison } = condition;
    let Some(before) = before else { return presence != Presence::Present };
    presence != Presence::Absent
        && match comparison {
            Comparison::Any => true,
            Comparison::Greater => after > before,
            Comparison::Less => after < before,
        }
}

/// What is read of a real state, in the words of the twin.
pub(super) fn in_words(state: &TypedState) -> Vec<String> {
    let scalar = |value: ScalarValue<'_>| match value {
        ScalarValue::Text(text) => format!("text {}", String::from_utf8_lossy(text)),
        ScalarValue::Integer(number) => format!("integer {number}"),
        ScalarValue::Float(score) => format!("float {score:?}"),
    };
    let mut lines: Vec<String> = match state.data() {
        None => Vec::new(),
        Some(Data::Scalar(number)) => {
            let value = number.value().map_or_else(|| "nothing".to_string(), scalar);
            [format!("{:?} {value}", Bytes::new())].into()
        }
        Some(Data::Set(set)) => set.iter().map(|member| format!("{member:?}")).collect(),
        Some(Data::Hash(hash)) => {
            hash.iter().map(|(field, value)| format!("{field:?} {}", scalar(value))).collect()
        }
        Some(Data::SortedSet(set)) => {
            set.iter().map(|(member, score)| format!("{member:?} {score:?}")).collect()
        }
        Some(Data::List(list)) => {
            let elements = list.ids().into_iter().zip(list.iter());
            elements.map(|(id, text)| format!("{id:?} {:?}", Some(text))).collect()
        }
        Some(Data::HyperLogLog(log)) => [format!("{:?}", log.registers().histogram())].into(),
    };
    lines.sort();
    lines
}
