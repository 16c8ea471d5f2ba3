//! The rules, each by an example.

use alloc::vec::Vec;
use core::ops::Bound;

use bytes::Bytes;

use super::twin::in_words;
use crate::codec::Codec;
use crate::time::HybridTime;
use crate::types::{Epoch, NodeId};
use crate::value::*;
use crate::version::{Actor, Dot, VersionVector};

fn at(node: u64, n: u64, time: u64) -> WriteStamp {
    let actor = Actor { node: NodeId(node), epoch: Epoch(0) };
    WriteStamp { dot: Dot { actor, n }, time: HybridTime(time) }
}

/// A state after a change, which is possible.
fn after(state: &TypedState, change: impl Into<ValueChange>, at: WriteStamp) -> TypedState {
    let mut state = state.clone();
    state.apply(&change.into(), at).expect("the change is possible");
    state
}

fn joined(a: &TypedState, b: &TypedState) -> TypedState {
    let mut joined = a.clone();
    joined.join(b).expect("both are of one type");
    joined
}

/// The state of versions of a container that accounts for nothing else.
fn resolved<'a>(siblings: impl IntoIterator<Item = (WriteStamp, &'a TypedState)>) -> TypedState {
    TypedState::resolved(siblings, &VersionVector::EMPTY)
}

/// A state that begins with a text.
fn text(text: &'static str, at: WriteStamp) -> TypedState {
    TypedState::of_text(VersionVector::EMPTY, text.into(), at)
}

fn refusal(state: &TypedState, change: impl Into<ValueChange>) -> ChangeError {
    let mut refusing = state.clone();
    let error = refusing.apply(&change.into(), at(9, 1, 0)).expect_err("the change is refused");
    assert_eq!(refusing, *state, "what is refused changes nothing");
    error
}

fn score(number: f64) -> Score {
    Score::from_bits(number.to_bits()).expect("it is a number")
}

fn scored(members: &[(&'static str, f64)]) -> Vec<(Bytes, Score)> {
    members.iter().map(|&(member, number)| (member.into(), score(number))).collect()
}

const NOTHING: TypedState = TypedState::absent(VersionVector::EMPTY);

fn add(members: &[&'static str]) -> SetChange {
    SetChange::Add(members.iter().map(|&member| member.into()).collect())
}

fn remove(members: &[&'static str]) -> SetChange {
    SetChange::Remove(members.iter().map(|&member| member.into()).collect())
}

fn increment(by: i64) -> ScalarChange {
    ScalarChange::Increment(by)
}

fn push(elements: &[&'static str]) -> ListChange {
    let elements = elements.iter().map(|&element| element.into()).collect();
    ListChange::Push(ListPush { end: ListEnd::Right, if_absent: IfAbsent::Create, elements })
}

macro_rules! changes {
    ($($type:ident => $variant:ident),*) => {$(
        impl From<$type> for ValueChange {
            fn from(change: $type) -> Self {
                Self::$variant(change)
            }
        }
    )*};
}

changes!(
    SetChange => Set, HashChange => Hash, SortedSetChange => SortedSet, ListChange => List,
    ScalarChange => Scalar
);

#[test]
fn a_member_that_is_added_beside_its_removal_stays_though_it_was_there_before() {
    let both = after(&NOTHING, add(&["x", "y"]), at(1, 1, 0));
    let removed = after(&both, remove(&["x", "y"]), at(2, 1, 9));
    let added = after(&both, add(&["x"]), at(1, 2, 0));
    assert_eq!(in_words(&joined(&removed, &added)), ["b\"x\""]);
}

#[test]
fn increments_of_a_key_that_was_absent_or_of_one_text_add_up() {
    let [left, right] = [1, 2].map(|node| after(&NOTHING, increment(5), at(node, 1, 0)));
    assert_eq!(in_words(&joined(&left, &right)), ["b\"\" integer 10"]);
    let base = text("100", at(1, 1, 0));
    let left = after(&after(&base, increment(1), at(1, 2, 0)), increment(1), at(1, 3, 0));
    let right = after(&base, increment(-30), at(2, 1, 0));
    assert_eq!(in_words(&joined(&left, &right)), ["b\"\" integer 72"]);
}

#[test]
fn of_texts_that_are_counted_apart_the_latest_is_read_with_its_own_increments() {
    let left = after(&text("100", at(1, 1, 5)), increment(1), at(1, 2, 5));
    let right = after(&text("7", at(2, 1, 6)), increment(1), at(2, 2, 6));
    let both = joined(&left, &right);
    assert_eq!(in_words(&both), ["b\"\" integer 8"]);
    // Where the latest is removed, the other is read: no replica may have dropped it at a join.
    let removed = after(&right, ValueChange::Clear, at(2, 3, 7));
    assert_eq!(in_words(&joined(&both, &removed)), ["b\"\" integer 101"]);
    assert_eq!(joined(&both, &removed), joined(&left, &joined(&right, &removed)));
    // What was not read goes with the next write that has seen it.
    let next = after(&both, increment(1), at(3, 1, 7));
    assert_eq!(in_words(&next), ["b\"\" integer 9"]);
    assert_eq!(in_words(&joined(&next, &removed)), ["b\"\" integer 1"]);
}

#[test]
fn an_increment_after_a_deletion_counts_beside_one_that_the_deletion_had_not_seen() {
    let base = after(&text("100", at(1, 1, 0)), increment(1), at(1, 2, 0));
    let beside = after(&base, increment(1), at(1, 3, 0));
    let deleted = after(&base, ValueChange::Clear, at(2, 1, 0));
    let anew = after(&deleted, increment(10), at(2, 2, 0));
    // The limit: the sum of the actor came back as a whole, also what the deletion had seen.
    assert_eq!(in_words(&joined(&beside, &deleted)), ["b\"\" integer 2"]);
    assert_eq!(in_words(&joined(&beside, &anew)), ["b\"\" integer 12"]);
}

#[test]
fn a_number_stops_at_the_ends_of_64_bits_and_goes_on_from_where_it_is() {
    let base = text("9223372036854775800", at(1, 1, 0));
    assert_eq!(refusal(&base, increment(8)), ChangeError::Overflow);
    assert_eq!(
        refusal(&text("-9223372036854775800", at(1, 1, 0)), increment(-9)),
        ChangeError::Overflow
    );
    let both =
        joined(&after(&base, increment(7), at(1, 2, 0)), &after(&base, increment(7), at(2, 1, 0)));
    assert_eq!(in_words(&both), ["b\"\" integer 9223372036854775807"]);
    let less = after(&both, increment(-10), at(1, 3, 0));
    assert_eq!(in_words(&less), ["b\"\" integer 9223372036854775804"]);
}

#[test]
fn only_numbers_are_counted() {
    for word in ["", "ten", " 1", "01", "+1", "1.5", "9223372036854775808"] {
        assert_eq!(refusal(&text(word, at(1, 1, 0)), increment(1)), ChangeError::NotAnInteger);
    }
    let by = ScalarChange::IncrementFloat(score(0.5));
    assert_eq!(refusal(&text("ten", at(1, 1, 0)), by.clone()), ChangeError::NotANumber);
    assert_eq!(refusal(&text("inf", at(1, 1, 0)), by.clone()), ChangeError::NotFinite);
    let half = after(&text("10", at(1, 1, 0)), by, at(1, 2, 0));
    assert_eq!(in_words(&half), ["b\"\" float 10.5"]);
    assert_eq!(refusal(&half, increment(1)), ChangeError::NotAnInteger);
    let whole = after(&half, ScalarChange::IncrementFloat(score(-0.5)), at(1, 3, 0));
    assert_eq!(in_words(&after(&whole, increment(1), at(1, 4, 0))), ["b\"\" float 11.0"]);
}

#[test]
fn fields_unite_and_of_one_field_the_latest_text_is_read_or_increments_add_up() {
    let set = |field: &'static str, text: &'static str| {
        HashChange::Set([(field.into(), text.into())].into())
    };
    let count = |by| HashChange::Increment(("hits".into(), by));
    let base = after(&NOTHING, set("hits", "10"), at(1, 1, 0));
    let left = after(&after(&base, set("a", "left"), at(1, 2, 3)), count(1), at(1, 3, 3));
    let right = after(&after(&base, set("a", "right"), at(2, 1, 2)), count(2), at(2, 2, 2));
    let right = after(&right, set("b", "only"), at(2, 3, 2));
    let expected = ["b\"a\" text left", "b\"b\" text only", "b\"hits\" integer 13"];
    assert_eq!(in_words(&joined(&left, &right)), expected);
    let removed = after(&base, HashChange::Remove(["hits".into()].into()), at(3, 1, 9));
    // The field stays for the increments that its removal had not seen.
    assert_eq!(in_words(&joined(&removed, &right))[2], "b\"hits\" integer 2");
    let text = after(&NOTHING, set("a", "ten"), at(1, 1, 0));
    let increment = HashChange::Increment(("a".into(), 1));
    assert_eq!(refusal(&text, increment), ChangeError::NotAnInteger);
}

#[test]
fn scores_are_set_by_the_latest_and_increments_add_up_on_them() {
    let add = |number| {
        let (condition, members) = (ScoreCondition::default(), scored(&[("m", number)]));
        SortedSetChange::Add(AddScores { condition, members })
    };
    let increment = |by| {
        let (condition, member) = (ScoreCondition::default(), "m".into());
        SortedSetChange::Increment(IncrementScore { condition, member, by: score(by) })
    };
    let base = after(&NOTHING, add(10.0), at(1, 1, 0));
    let left = after(&base, increment(1.5), at(1, 2, 0));
    let right = after(&base, increment(2.0), at(2, 1, 0));
    assert_eq!(in_words(&joined(&left, &right)), ["b\"m\" 13.5"]);
    let set = after(&base, add(4.0), at(3, 1, 1));
    assert_eq!(in_words(&joined(&left, &set)), ["b\"m\" 4.0"], "the latest score is read");
    let infinite = after(&base, increment(f64::INFINITY), at(1, 2, 0));
    assert_eq!(refusal(&infinite, increment(f64::NEG_INFINITY)), ChangeError::NotFinite);
}

#[test]
fn a_sorted_set_is_read_by_rank_by_score_and_by_bytes() {
    let members = scored(&[("d", 2.0), ("b", 1.0), ("a", 2.0), ("c", f64::NEG_INFINITY)]);
    let state = after(&NOTHING, SortedSetChange::Replace(members), at(1, 1, 0));
    let Some(Data::SortedSet(set)) = state.data() else { panic!("it is a sorted set") };
    let names = |found: Vec<(Score, &Bytes)>| -> Vec<Bytes> {
        found.into_iter().map(|(_, member)| member.clone()).collect()
    };
    assert_eq!(names(set.in_order()), ["c", "b", "a", "d"]);
    assert_eq!(set.rank(&"a".into()), Some((2, score(2.0))));
    assert_eq!(set.rank(&"e".into()), None);
    let (above, all) = (Bound::Excluded(score(1.0)), Bound::Unbounded);
    assert_eq!(names(set.by_score((above, all))), ["a", "d"]);
    assert_eq!(names(set.by_score((all, Bound::Included(score(1.0))))), ["c", "b"]);
    assert_eq!(set.count((all, all)), 4);
    assert_eq!(set.count((Bound::Included(score(3.0)), Bound::Included(score(1.0)))), 0);
    let from_b = Bound::Included("b".into());
    assert_eq!(names(set.by_lex(&(from_b, Bound::Excluded("d".into())))), ["c", "b"]);
}

#[test]
fn a_change_of_another_type_is_refused_and_a_replacement_is_not() {
    let set = after(&NOTHING, add(&["x"]), at(1, 1, 0));
    assert_eq!(refusal(&set, push(&["a"])), ChangeError::WrongType(TypeName::Set));
    assert_eq!(refusal(&set, increment(1)), ChangeError::WrongType(TypeName::Set));
    let list = after(&set, ListChange::Replace(["a".into()].into()), at(1, 2, 0));
    assert_eq!(list.type_name(), Some(TypeName::List));
    let none = after(&set, SetChange::Replace(Vec::new()), at(1, 2, 0));
    assert_eq!((none.type_name(), none.clock().get(at(1, 2, 0).dot.actor)), (None, 2));
    // A collection without members is no key, and may become of another type.
    let emptied = after(&set, remove(&["x"]), at(1, 2, 0));
    assert_eq!(emptied.type_name(), None);
    assert_eq!(after(&emptied, push(&["a"]), at(1, 3, 0)).type_name(), Some(TypeName::List));
}

#[test]
fn a_dot_that_was_seen_is_refused() {
    let set = after(&NOTHING, add(&["x"]), at(9, 2, 0));
    for n in [0, 1, 2] {
        let mut refusing = set.clone();
        let refused = refusing.apply(&add(&["y"]).into(), at(9, n, 0));
        assert_eq!((refused, &refusing), (Err(ChangeError::DotIsKnown), &set));
    }
}

#[test]
fn a_deletion_takes_away_what_it_has_seen_and_leaves_the_rest() {
    let set = after(&NOTHING, add(&["x"]), at(1, 1, 0));
    let more = after(&set, add(&["y"]), at(2, 1, 0));
    let tombstone = TypedState::absent(set.clock().clone());
    assert_eq!(in_words(&joined(&tombstone, &more)), ["b\"y\""]);
    assert_eq!(joined(&tombstone, &set), tombstone);
    let mut taken_away = set;
    assert_eq!(taken_away.join(&tombstone), Ok(true), "no event is new, and x is gone");
}

#[test]
fn values_of_different_types_do_not_join_and_that_of_the_latest_version_is_read() {
    let set = after(&NOTHING, add(&["x"]), at(1, 1, 5));
    let list = after(&NOTHING, push(&["a"]), at(2, 1, 6));
    let mut joining = set.clone();
    let differ = TypesDiffer { mine: TypeName::Set, other: TypeName::List };
    assert_eq!(joining.join(&list), Err(differ));
    assert_eq!(joining, set);
    let siblings = [(at(1, 1, 5), &set), (at(2, 1, 6), &list)];
    let read = resolved(siblings);
    assert_eq!(read.type_name(), Some(TypeName::List));
    assert_eq!(resolved(siblings.into_iter().rev()), read);
    // A change has seen both, so that the set does not come back.
    let next = after(&read, ValueChange::Clear, at(2, 2, 7));
    assert_eq!(joined(&next, &set).type_name(), None);
    // Where the list was deleted, the set is read.
    let tombstone = TypedState::absent(list.clock().clone());
    let siblings = [(at(1, 1, 5), &set), (at(2, 1, 6), &list), (at(3, 1, 9), &tombstone)];
    assert_eq!(resolved(siblings).type_name(), Some(TypeName::Set));
    // What made the list had seen and removed x: only y stands of the set, and is older.
    let made_of_it = after(&after(&set, remove(&["x"]), at(2, 1, 6)), push(&["a"]), at(2, 2, 6));
    let added = after(&set, add(&["y"]), at(1, 2, 7));
    let siblings = [(at(2, 2, 6), &made_of_it), (at(1, 2, 7), &added)];
    assert_eq!(in_words(&resolved(siblings)), ["b\"y\""]);
}

#[test]
fn values_of_one_type_are_joined_whole_also_where_nothing_stands_of_a_later_one() {
    let list = after(&NOTHING, push(&["e"]), at(1, 1, 0));
    let [a, b] =
        [("a", 2), ("b", 3)].map(|(text, node)| after(&list, push(&[text]), at(node, 1, 0)));
    let set = after(&after(&list, ValueChange::Clear, at(4, 1, 0)), add(&["x"]), at(4, 2, 0));
    let deleted = after(&set, ValueChange::Clear, at(5, 1, 0));
    // Nothing stands of it beside the deletion: y came and went.
    let set = after(&after(&set, add(&["y"]), at(4, 3, 0)), remove(&["y"]), at(4, 4, 0));
    let siblings =
        [(at(2, 1, 1), &a), (at(5, 1, 2), &deleted), (at(3, 1, 3), &b), (at(4, 4, 4), &set)];
    let read = resolved(siblings);
    let Some(Data::List(list)) = read.data() else { panic!("{read:?}") };
    assert_eq!(list.iter().collect::<Vec<_>>(), ["a", "b"], "the set was made without e");
}

#[test]
fn a_change_has_seen_what_was_overwritten_by_a_version_that_kept_no_clock() {
    let set = after(&NOTHING, add(&["x"]), at(1, 1, 5));
    let text = text("plain", at(2, 1, 6));
    let seen = [at(1, 1, 5).dot, at(2, 1, 6).dot].into_iter().collect();
    let read = TypedState::resolved([(at(2, 1, 6), &text)], &seen);
    assert_eq!((read.data(), read.clock()), (text.data(), &seen));
    let deleted = after(&read, ValueChange::Clear, at(2, 2, 7));
    assert_eq!(joined(&deleted, &set).type_name(), None);
}

#[test]
fn what_is_read_of_siblings_depends_on_nothing_but_which_there_are() {
    use super::dice::{ALL_TYPES, Dice};
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let mut states: Vec<(WriteStamp, TypedState)> = Vec::new();
        for node in 0..4 {
            // Each begins from one of the former ones, or from nothing.
            let former = dice.index(states.len() + 1);
            let mut state = states.get(former).map_or(NOTHING, |(_, state)| state.clone());
            let mut last = at(node, 0, 0);
            for n in 1..6 {
                let of = dice.one_of(&ALL_TYPES);
                last = at(node, n, dice.below(4));
                // Refused where another type stands, as often as not.
                let _ = state.apply(&dice.change(of), last);
            }
            states.push((last, state));
        }
        let in_order = |order: [usize; 4]| resolved(order.map(|at| (states[at].0, &states[at].1)));
        let first = in_order([0, 1, 2, 3]);
        first.invariants();
        for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
            assert_eq!(in_order(order), first);
        }
        // What is read is the join of all that is of its type, and of what the others have seen.
        let all = states.iter().fold(NOTHING, |all, (_, state)| {
            let is_alike = state.data().zip(first.data()).is_none_or(|(a, b)| a.has_type_of(b));
            let removed = TypedState::absent(state.clock().clone());
            joined(&all, if is_alike { state } else { &removed })
        });
        assert!(first.data().is_none() || first == all);
        assert!(states.iter().all(|(_, state)| first.clock().includes(state.clock())));
    }
}

#[test]
fn a_member_is_added_to_a_large_set_without_a_look_at_the_others() {
    let members = (0..20_000_u64).map(|n| Bytes::copy_from_slice(&n.to_be_bytes())).collect();
    let mut set = after(&NOTHING, SetChange::Replace(members), at(1, 1, 0));
    for n in 2..20_000 {
        set.apply(&add(&["one more"]).into(), at(1, n, 0)).expect("it is a set");
    }
    assert!(set.weight() > 20_000 * 8);
}

/// The bytes of these states are on disks: a change of them is another format.
#[test]
fn the_bytes_of_a_state_are_what_they_were() {
    let bytes = |state: &TypedState| {
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        assert_eq!(bytes[..18], [&[1][..], &[1, 0, 0, 0, 0, 0, 0, 0], &[0; 8], &[2]].concat());
        bytes[18..].to_vec()
    };
    let time = [3, 0, 0, 0, 0, 0, 0, 0];
    let clear = after(&after(&NOTHING, add(&["x"]), at(1, 1, 3)), ValueChange::Clear, at(1, 2, 3));
    assert_eq!(bytes(&clear), [0]);
    let counted = after(&text("7", at(1, 1, 3)), increment(-2), at(1, 2, 3));
    let base = [&[1, 1, 0, 1][..], &time, b"\x017"].concat();
    assert_eq!(bytes(&counted), [&base[..], &[1, 0, 2, 1, 0, 1, 3, 0]].concat());
    let set = after(&NOTHING, add(&["x", "y"]), at(1, 2, 3));
    assert_eq!(bytes(&set), b"\x02\x02\x01x\x01\x00\x02\x01y\x01\x00\x02");
    let set = HashChange::Set([("f".into(), "text".into())].into());
    let field = [&b"\x03\x01\x01f\x01\x00\x02"[..], &time, b"\x04text\x00"].concat();
    assert_eq!(bytes(&after(&NOTHING, set, at(1, 2, 3))), field);
    let sorted = SortedSetChange::Replace(scored(&[("m", 1.5)]));
    let member =
        [b"\x04\x01\x01m\x01\x00\x02", &time[..], &1.5_f64.to_le_bytes(), b"\x00"].concat();
    assert_eq!(bytes(&after(&NOTHING, sorted, at(1, 2, 3))), member);
    let list = after(&NOTHING, push(&["e"]), at(1, 2, 3));
    let element = [&b"\x05\x01\x01\x00\x00\x02\x00\x01\x00\x02"[..], &time, b"\x01e"].concat();
    assert_eq!(bytes(&list), element);
    let log = ValueChange::HyperLogLog(HyperLogLogChange::Add(["a".into()].into()));
    let log = after(&NOTHING, log, at(1, 2, 3));
    assert_eq!(bytes(&log)[..6], *b"\x06\x01\x00\x02\x00\x01");
}
