//! The order of lists, and the length of the paths that make it.

use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;

use super::dice::Dice;
use crate::time::HybridTime;
use crate::types::{Epoch, NodeId};
use crate::value::*;
use crate::version::{Actor, Dot};

/// A replica of one list.
#[derive(Clone)]
struct Editor {
    state: TypedState,
    dot: Dot,
}

impl Editor {
    fn new(node: u64) -> Self {
        let actor = Actor { node: NodeId(node), epoch: Epoch(0) };
        Self { state: TypedState::default(), dot: Dot { actor, n: 0 } }
    }

    fn change(&mut self, change: ListChange) -> ValueAnswer {
        self.dot.n += 1;
        let at = WriteStamp { dot: self.dot, time: HybridTime(self.dot.n) };
        let applied = self.state.apply(&ValueChange::List(change), at);
        applied.expect("the change is possible").answer
    }

    fn push(&mut self, end: ListEnd, elements: &[&str]) {
        let elements = elements.iter().map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let elements = elements.collect();
        self.change(ListChange::Push(ListPush { end, if_absent: IfAbsent::Create, elements }));
    }

    fn insert(&mut self, side: PivotSide, pivot: &str, element: &str) {
        let [pivot, element] = [pivot, element].map(|text| Bytes::copy_from_slice(text.as_bytes()));
        self.change(ListChange::Insert(ListInsert { side, pivot, element }));
    }

    fn join(&mut self, other: &Self) {
        self.state.join(&other.state).expect("both are lists");
    }

    fn list(&self) -> &List {
        match self.state.data() {
            Some(Data::List(list)) => list,
            other => panic!("{other:?} is no list"),
        }
    }

    fn texts(&self) -> Vec<&str> {
        self.list().iter().map(|text| core::str::from_utf8(text).expect("it is text")).collect()
    }
}

#[test]
fn a_queue_keeps_short_positions_however_many_elements_went_through_it() {
    let mut queue = Editor::new(1);
    queue.push(ListEnd::Right, &["first"]);
    for n in 0..100_000 {
        let (push, pop) = match n / 1_000 % 4 {
            0 => (ListEnd::Left, ListEnd::Left),
            1 => (ListEnd::Left, ListEnd::Right),
            2 => (ListEnd::Right, ListEnd::Right),
            _ => (ListEnd::Right, ListEnd::Left),
        };
        queue.push(push, &["next"]);
        if n % 1_000 > 10 {
            queue.change(ListChange::Pop(ListPop { end: pop, count: 1 }));
        }
        assert_eq!(queue.list().depth_max(), 1);
    }
    assert!(queue.state.weight() < 32 * queue.list().len() + 40);
}

#[test]
fn insertions_that_follow_each_other_share_a_level() {
    for side in [PivotSide::Before, PivotSide::After] {
        let mut fixed = Editor::new(1);
        fixed.push(ListEnd::Right, &["left", "pivot", "right"]);
        let mut chained = fixed.clone();
        let mut last = "pivot".to_string();
        for n in 0..500 {
            let text = n.to_string();
            fixed.insert(side, "pivot", &text);
            chained.insert(side, &last, &text);
            last = text;
        }
        assert!(fixed.list().depth_max() <= 2, "beside one pivot: {}", fixed.list().depth_max());
        assert!(chained.list().depth_max() <= 2, "one by one: {}", chained.list().depth_max());
        let numbers = |texts: Vec<&str>| -> Vec<u32> {
            texts.into_iter().filter_map(|text| text.parse().ok()).collect()
        };
        let forwards: Vec<u32> = (0..500).collect();
        let backwards: Vec<u32> = (0..500).rev().collect();
        let (of_fixed, of_chained) = match side {
            PivotSide::Before => (forwards, backwards),
            PivotSide::After => (backwards, forwards),
        };
        assert_eq!(numbers(fixed.texts()), of_fixed);
        assert_eq!(numbers(chained.texts()), of_chained);
    }
}

#[test]
fn elements_of_one_push_stand_together_in_order_whoever_pushed_beside_them() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut editors = [1, 2, 3].map(Editor::new);
        let mut blocks: Vec<Vec<alloc::string::String>> = Vec::new();
        for _ in 0..12 {
            let at = dice.index(editors.len());
            if dice.below(3) == 0 {
                let other = editors[dice.index(3)].clone();
                editors[at].join(&other);
                continue;
            }
            let end = dice.one_of(&[ListEnd::Left, ListEnd::Right]);
            let mut block: Vec<_> =
                (0..=dice.below(4)).map(|n| alloc::format!("{}.{n}", blocks.len())).collect();
            let texts: Vec<&str> = block.iter().map(AsRef::as_ref).collect();
            editors[at].push(end, &texts);
            if end == ListEnd::Left {
                block.reverse();
            }
            blocks.push(block);
        }
        let [mut all, second, third] = editors;
        all.join(&second);
        all.join(&third);
        let texts = all.texts();
        for block in &blocks {
            let first = texts.iter().position(|text| *text == block[0]).expect("it was pushed");
            assert_eq!(&texts[first..first + block.len()], block, "{texts:?}");
        }
        let count: usize = blocks.iter().map(Vec::len).sum();
        assert_eq!(texts.len(), count);
    }
}

#[test]
fn an_element_that_is_set_on_both_sides_is_one_element() {
    let mut left = Editor::new(1);
    left.push(ListEnd::Right, &["a", "b", "c"]);
    let mut right = Editor::new(2);
    right.join(&left);
    left.change(ListChange::Set((1, "left".into())));
    right.change(ListChange::Set((-2, "earlier".into())));
    right.change(ListChange::Set((-2, "right".into())));
    left.join(&right);
    assert_eq!(left.texts(), ["a", "right", "c"], "of equal times the greater dot counts");
}

#[test]
fn both_sides_of_a_partition_may_pop_the_same_element_and_no_other_is_lost() {
    let mut left = Editor::new(1);
    left.push(ListEnd::Right, &["a", "b", "c"]);
    let mut right = Editor::new(2);
    right.join(&left);
    let pop = |count| ListChange::Pop(ListPop { end: ListEnd::Left, count });
    assert_eq!(left.change(pop(1)), ValueAnswer::Elements(["a".into()].into()));
    assert_eq!(right.change(pop(2)), ValueAnswer::Elements(["a".into(), "b".into()].into()));
    right.push(ListEnd::Right, &["d"]);
    left.join(&right);
    assert_eq!(left.texts(), ["c", "d"]);
}
