//! Scans over records that lie in layers, the newest on top.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use kv_core::store::Visitor;

use super::engine::Records;

/// One write of a layer.
type LayerWrite<'a> = (&'a Bytes, &'a Option<Bytes>);

/// The writes of a layer whose keys begin with `prefix` and are greater than `after` (if it is not
/// empty).
pub(super) fn range<'a>(
    layer: &'a Records,
    prefix: &'a [u8],
    after: &'a [u8],
) -> impl Iterator<Item = LayerWrite<'a>> {
    let begin = if after.is_empty() || after < prefix {
        Bound::Included(prefix)
    } else {
        Bound::Excluded(after)
    };
    layer
        .range::<[u8], _>((begin, Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
}

/// The writes of two layers in the order of their keys; where both have one, the upper one's.
pub(super) fn over<'a>(
    upper: impl Iterator<Item = LayerWrite<'a>>,
    lower: impl Iterator<Item = LayerWrite<'a>>,
) -> impl Iterator<Item = LayerWrite<'a>> {
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
    writes: impl Iterator<Item = LayerWrite<'a>>,
    scan_base: impl FnOnce(&mut Visitor<'_>),
    visit: &mut Visitor<'_>,
) {
    let mut writes = writes.peekable();
    let mut flow = ControlFlow::Continue(());
    scan_base(&mut |key, record| {
        flow = show_until(&mut writes, |next| next < key, visit);
        flow?;
        flow = if writes.peek().is_some_and(|(next, _)| *next == key) {
            writes.next().map_or(ControlFlow::Continue(()), |write| show(write, visit))
        } else {
            visit(key, record)
        };
        flow
    });
    if flow.is_continue() {
        // What is left lies behind the end of the base; whether it was broken off makes no odds.
        let _ = show_until(&mut writes, |_| true, visit);
    }
}

fn show_until<'a>(
    writes: &mut Peekable<impl Iterator<Item = LayerWrite<'a>>>,
    shows: impl Fn(&[u8]) -> bool,
    visit: &mut Visitor<'_>,
) -> ControlFlow<()> {
    while let Some(write) = writes.next_if(|(key, _)| shows(key)) {
        show(write, visit)?;
    }
    ControlFlow::Continue(())
}

fn show((key, record): LayerWrite<'_>, visit: &mut Visitor<'_>) -> ControlFlow<()> {
    record.as_ref().map_or(ControlFlow::Continue(()), |record| visit(key, Ok(record)))
}
