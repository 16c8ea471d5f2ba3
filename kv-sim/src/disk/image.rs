//! What a disk holds, in layers: what is safe, what only seems to be, and what is not synced yet.
//!
//! A batch is live when it is committed. A sync makes everything up to a position safe, and reports
//! it. A sync that lies reports and does nothing. A kill leaves what is safe, and positions start
//! over. Clones are cheap: what is safe is copied when one of them is next synced, and the rest is
//! short.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use kv_core::store::{Batch, Damage, Fault, Store, View, Visitor};
use kv_core::types::Seq;

use crate::hashing::Table;

/// The records of one disk.
///
/// Invariants: `log` holds exactly the batches that are not safe, in order; `fresh` the newest of
/// their writes to each key; `claimed` the newest of those up to `reported`.
#[derive(Clone, Debug, Default)]
pub struct Image {
    safe: Arc<Safe>,
    claimed: BTreeMap<Bytes, Option<Bytes>>,
    fresh: BTreeMap<Bytes, (Seq, Option<Bytes>)>,
    log: VecDeque<(Seq, Batch)>,
    newest: Seq,
    reported: Seq,
}

/// The records that a kill would leave. They are looked up far more often than scanned, so they lie
/// in a table, and beside it stands their order.
///
/// Invariant: `order` holds exactly the keys of `records`.
#[derive(Clone, Debug, Default)]
struct Safe {
    records: Table<Bytes, Bytes>,
    order: BTreeSet<Place>,
}

/// The place of a key in the order of keys. Its first bytes, as a number, mostly decide, and save the
/// way to the key itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    head: u128,
    key: Bytes,
}

impl Place {
    fn of(key: Bytes) -> Self {
        let mut head = [0; 16];
        let length = key.len().min(head.len());
        head[..length].copy_from_slice(&key[..length]);
        Self { head: u128::from_be_bytes(head), key }
    }
}

impl Safe {
    fn apply(&mut self, key: Bytes, record: Option<Bytes>) {
        match record {
            Some(record) => {
                if self.records.insert(key.clone(), record).is_none() {
                    self.order.insert(Place::of(key));
                }
            }
            None => {
                if self.records.remove(&key).is_some() {
                    self.order.remove(&Place::of(key));
                }
            }
        }
    }

    /// The records from a key on, in the order of their keys.
    fn from(&self, begin: Bound<&[u8]>) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let begin = begin.map(|key| Place::of(Bytes::copy_from_slice(key)));
        let places = self.order.range((begin, Bound::Unbounded));
        places.map(|Place { key, .. }| (key, &self.records[key]))
    }
}

impl Image {
    /// Makes everything up to this position safe.
    ///
    /// # Panics
    /// If more than that was reported safe before: syncs end in the order in which they begin.
    pub fn sync(&mut self, seq: Seq) {
        assert!(seq >= self.reported, "a sync covers what earlier ones covered");
        let safe = Arc::make_mut(&mut self.safe);
        while let Some((at, batch)) = self.log.pop_front_if(|(at, _)| *at <= seq) {
            for (key, record) in batch.writes {
                if self.fresh.get(&key).is_some_and(|&(newest, _)| newest <= at) {
                    self.fresh.remove(&key);
                }
                safe.apply(key, record);
            }
        }
        self.claimed.clear();
        self.reported = seq;
    }

    /// Reports everything up to this position as safe, and does nothing.
    pub fn claim(&mut self, seq: Seq) {
        for (at, batch) in &self.log {
            if self.reported < *at && *at <= seq {
                self.claimed.extend(batch.writes.iter().cloned());
            }
        }
        self.reported = self.reported.max(seq);
    }

    /// Drops everything that is not safe.
    pub fn kill(&mut self) {
        let safe = std::mem::take(&mut self.safe);
        *self = Self { safe, ..Self::default() };
    }

    /// Drops everything.
    pub fn wipe(&mut self) {
        *self = Self::default();
    }

    /// The position up to which everything was reported as safe.
    pub const fn reported(&self) -> Seq {
        self.reported
    }

    /// The keys whose records a kill would take back although they were reported as safe.
    pub fn claimed(&self) -> impl ExactSizeIterator<Item = &Bytes> {
        self.claimed.keys()
    }

    /// The record under this key as a kill would leave it.
    pub fn safe(&self, key: &[u8]) -> Option<&Bytes> {
        self.safe.records.get(key)
    }

    /// Visits the records as a kill would leave them, as [`Store::scan`] does.
    pub fn scan_safe(&self, prefix: &[u8], visit: &mut Visitor<'_>) {
        merge(self.safe.from(begin(prefix, &[])), std::iter::empty(), prefix, visit);
    }
}

impl Store for Image {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, Damage> {
        let above = match view {
            View::Live => self.fresh.get(key).map(|(_, record)| record),
            View::Durable => self.claimed.get(key),
        };
        Ok(above.map_or_else(|| self.safe(key).cloned(), Clone::clone))
    }

    fn scan(&self, view: View, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        let begin = begin(prefix, after);
        let bounds = (begin, Bound::Unbounded);
        let below = self.safe.from(begin);
        match view {
            View::Live => {
                let above =
                    self.fresh.range::<[u8], _>(bounds).map(|(key, (_, record))| (key, record));
                merge(below, above, prefix, visit);
            }
            View::Durable => merge(below, self.claimed.range::<[u8], _>(bounds), prefix, visit),
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<Seq, Fault> {
        self.newest = self.newest.next();
        for (key, record) in &batch.writes {
            self.fresh.insert(key.clone(), (self.newest, record.clone()));
        }
        self.log.push_back((self.newest, batch));
        Ok(self.newest)
    }

    fn newest(&self) -> Seq {
        self.newest
    }
}

/// Where a scan begins.
fn begin<'a>(prefix: &'a [u8], after: &'a [u8]) -> Bound<&'a [u8]> {
    if after.is_empty() || after < prefix {
        Bound::Included(prefix)
    } else {
        Bound::Excluded(after)
    }
}

/// Visits records in the order of their keys; where both layers have one, the upper one counts.
fn merge<'a>(
    below: impl Iterator<Item = (&'a Bytes, &'a Bytes)>,
    above: impl Iterator<Item = (&'a Bytes, &'a Option<Bytes>)>,
    prefix: &[u8],
    visit: &mut Visitor<'_>,
) {
    let (mut below, mut above) = (below.peekable(), above.peekable());
    loop {
        let order = match (below.peek(), above.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let lower = if order.is_le() { below.next() } else { None };
        let upper = if order.is_ge() { above.next() } else { None };
        let (key, record) = match (lower, upper) {
            (_, Some((key, Some(record)))) | (Some((key, record)), None) => (key, record),
            (_, Some((_, None))) => continue,
            (None, None) => unreachable!("one of the two was peeked at"),
        };
        if !key.starts_with(prefix) || visit(key, Ok(record)).is_break() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::*;

    fn batch(writes: &[(&str, Option<&str>)]) -> Batch {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Batch { writes: writes.iter().map(|(key, to)| (bytes(key), to.map(bytes))).collect() }
    }

    fn shown(image: &Image, view: View) -> Vec<String> {
        let mut shown = Vec::new();
        image.scan(view, b"", b"", &mut |key, record| {
            let record = record.expect("nothing is damaged");
            shown.push(format!("{}={}", key.escape_ascii(), record.escape_ascii()));
            ControlFlow::Continue(())
        });
        shown
    }

    #[test]
    fn a_batch_is_live_at_once_and_durable_when_it_is_synced() {
        let mut image = Image::default();
        let seq = image.commit(batch(&[("a", Some("1"))])).expect("the disk takes it");
        assert_eq!(shown(&image, View::Live), ["a=1"]);
        assert!(shown(&image, View::Durable).is_empty());
        image.sync(seq);
        assert_eq!(shown(&image, View::Durable), ["a=1"]);
    }

    #[test]
    fn a_kill_takes_back_what_a_lying_sync_reported_and_nothing_that_a_true_one_did() {
        let mut image = Image::default();
        let first = image.commit(batch(&[("a", Some("1"))])).expect("the disk takes it");
        image.sync(first);
        let second = image.commit(batch(&[("a", Some("2"))])).expect("the disk takes it");
        image.claim(second);
        assert_eq!(shown(&image, View::Durable), ["a=2"]);
        assert_eq!(image.claimed().collect::<Vec<_>>(), ["a"]);
        image.kill();
        assert_eq!(shown(&image, View::Live), ["a=1"]);
        assert_eq!((image.newest(), image.reported()), (Seq(0), Seq(0)));
    }

    /// The same disk without any wit: every image is kept whole.
    #[derive(Default)]
    struct Twin {
        images: Vec<BTreeMap<Bytes, Bytes>>,
        safe: usize,
        reported: usize,
    }

    impl Twin {
        fn image(&self, view: View) -> &BTreeMap<Bytes, Bytes> {
            match view {
                View::Live => &self.images[self.images.len() - 1],
                View::Durable => &self.images[self.reported],
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Commit(Vec<(u8, Option<u8>)>),
        Sync { back: usize },
        Claim { back: usize },
        Kill,
        Wipe,
    }

    fn step() -> impl Strategy<Value = Step> {
        let writes = proptest::collection::vec((0_u8..8, any::<Option<u8>>()), 0..4);
        prop_oneof![
            6 => writes.prop_map(Step::Commit),
            2 => (0_usize..3).prop_map(|back| Step::Sync { back }),
            2 => (0_usize..3).prop_map(|back| Step::Claim { back }),
            1 => Just(Step::Kill),
            1 => Just(Step::Wipe),
        ]
    }

    proptest! {
        #[test]
        fn an_image_agrees_with_one_that_is_kept_whole_at_every_step(
            steps in proptest::collection::vec(step(), 0..60),
            prefix in proptest::collection::vec(0_u8..8, 0..2),
            after in proptest::collection::vec(0_u8..8, 0..2),
        ) {
            let mut image = Image::default();
            let mut twin = Twin { images: vec![BTreeMap::new()], ..Twin::default() };
            for step in steps {
                let newest = twin.images.len() - 1;
                match step {
                    Step::Commit(writes) => {
                        let mut next = twin.images[newest].clone();
                        let mut batch = Batch::default();
                        for (key, record) in writes {
                            let key = Bytes::from(vec![key, key]);
                            let record = record.map(|record| Bytes::from(vec![record]));
                            match &record {
                                Some(record) => next.insert(key.clone(), record.clone()),
                                None => next.remove(&key),
                            };
                            batch.writes.push((key, record));
                        }
                        twin.images.push(next);
                        prop_assert_eq!(image.commit(batch), Ok(Seq(newest as u64 + 1)));
                    }
                    Step::Sync { back } => {
                        let to = newest.saturating_sub(back).max(twin.reported);
                        (twin.safe, twin.reported) = (to, to);
                        image.sync(Seq(to as u64));
                    }
                    Step::Claim { back } => {
                        twin.reported = newest.saturating_sub(back).max(twin.reported);
                        image.claim(Seq(twin.reported as u64));
                    }
                    Step::Kill => {
                        let safe = twin.images.swap_remove(twin.safe);
                        twin = Twin { images: vec![safe], ..Twin::default() };
                        image.kill();
                    }
                    Step::Wipe => {
                        twin = Twin { images: vec![BTreeMap::new()], ..Twin::default() };
                        image.wipe();
                    }
                }
                for view in [View::Live, View::Durable] {
                    let mut scanned = Vec::new();
                    image.scan(view, &prefix, &after, &mut |key, record| {
                        scanned.push((Bytes::copy_from_slice(key), record.cloned()));
                        ControlFlow::Continue(())
                    });
                    let expected: Vec<_> = twin
                        .image(view)
                        .iter()
                        .filter(|(key, _)| key.starts_with(&prefix))
                        .filter(|(key, _)| after.is_empty() || key[..] > after[..])
                        .map(|(key, record)| (key.clone(), Ok(record.clone())))
                        .collect();
                    prop_assert_eq!(scanned, expected);
                    for key in 0_u8..8 {
                        let found = twin.image(view).get(&[key, key][..]).cloned();
                        prop_assert_eq!(image.get(view, &[key, key]), Ok(found));
                    }
                }
                for key in 0_u8..8 {
                    let safe = twin.images[twin.safe].get(&[key, key][..]);
                    prop_assert_eq!(image.safe(&[key, key]), safe);
                }
            }
        }
    }
}
