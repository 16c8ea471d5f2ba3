//! Scans over records that lie in layers, the newest on top.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::ControlFlow;

use kv_core::store::Visitor;

use super::memtable::MemoryRecord;

/// The writes of two layers in the order of their keys; where both have one, the upper one's.
pub(super) fn over<'a>(
    upper: impl Iterator<Item = MemoryRecord<'a>>,
    lower: impl Iterator<Item = MemoryRecord<'a>>,
) -> impl Iterator<Item = MemoryRecord<'a>> {
    let (mut upper, mut lower) = (upper.peekable(), lower.peekable());
    std::iter::from_fn(move || {
        let order = match (upper.peek(), lower.peek()) {
            (Some((above, _)), Some((below, _))) => above.cmp(below),
            (None, Some(_)) => Ordering::Greater,
            (Some(_) | None, None) => Ordering::Less,
        };
        let covered = if order.is_ge() { lower.next() } else { None };
        if order.is_le() { upper.next() } else { covered }
    })
}

/// Visits the records of a base, which shows them one by one, with writes laid over them.
pub(super) fn scan_under<'a>(
    writes: impl Iterator<Item = MemoryRecord<'a>>,
    scan_base: impl FnOnce(&mut Visitor<'_>),
    visit: &mut Visitor<'_>,
) {
    let mut writes = writes.peekable();
    let mut flow = ControlFlow::Continue(());
    scan_base(&mut |key, record| {
        flow = show_until(&mut writes, |next| next < key, visit);
        flow?;
        let write = writes.next_if(|(next, _)| *next == key);
        flow = match (write, record) {
            (None, record) => visit(key, record),
            (Some(write), Ok(_)) => show(write, visit),
            (Some(write), Err(corrupt)) => {
                // Of the stretch that cannot be read only this key is known.
                let next = [key, &[0]].concat();
                match show(write, visit) {
                    ControlFlow::Continue(()) => visit(&next, Err(corrupt)),
                    ControlFlow::Break(()) => ControlFlow::Break(()),
                }
            }
        };
        flow
    });
    if flow.is_continue() {
        // What is left lies behind the end of the base; whether it was broken off makes no odds.
        let _ = show_until(&mut writes, |_| true, visit);
    }
}

fn show_until<'a>(
    writes: &mut Peekable<impl Iterator<Item = MemoryRecord<'a>>>,
    shows: impl Fn(&[u8]) -> bool,
    visit: &mut Visitor<'_>,
) -> ControlFlow<()> {
    while let Some(write) = writes.next_if(|(key, _)| shows(key)) {
        show(write, visit)?;
    }
    ControlFlow::Continue(())
}

fn show((key, record): MemoryRecord<'_>, visit: &mut Visitor<'_>) -> ControlFlow<()> {
    record.map_or(ControlFlow::Continue(()), |record| visit(key, Ok(record)))
}
