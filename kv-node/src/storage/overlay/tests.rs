//! The overlay beside one that keeps every image whole.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;

use kv_core::types::LogPosition;

use super::*;
use crate::storage::{
    EngineError, EngineSizes, FlushOutcome, MemoryDisk, MemoryEngine, Reach, StartFinding,
};

type Image = BTreeMap<Bytes, Bytes>;

/// A reference for the overlay that keeps every image whole.
struct Twin {
    images: Vec<Image>,
    durable: usize,
}

#[derive(Clone, Debug)]
enum OverlayStep {
    Commit(Vec<(u8, Option<u8>)>),
    Begin,
    /// The log has the group, and the overlay has not been told.
    Append,
    End,
    /// The table in memory is sealed, and begins to be written.
    Seal,
    /// Tables have what was sealed, and the overlay has not been told.
    Flush,
    EndFlush,
    Restart,
}

fn step() -> impl Strategy<Value = OverlayStep> {
    let writes = proptest::collection::vec((0_u8..8, any::<Option<u8>>()), 0..4);
    prop_oneof![
        6 => writes.prop_map(OverlayStep::Commit),
        3 => Just(OverlayStep::Begin),
        3 => Just(OverlayStep::Append),
        3 => Just(OverlayStep::End),
        2 => Just(OverlayStep::Seal),
        2 => Just(OverlayStep::Flush),
        2 => Just(OverlayStep::EndFlush),
        1 => Just(OverlayStep::Restart),
    ]
}

/// Room in memory for much more than a test writes, so that tables are sealed when it says so.
const MEMORY_BYTES: usize = 1 << 20;

fn opened(engine: &Arc<MemoryEngine>) -> Overlay<MemoryEngine> {
    let mut store = Overlay::new(Arc::clone(engine), 2, MEMORY_BYTES);
    engine.replay(&mut |batch| store.replay(batch)).expect("it is read");
    store
}

fn scanned(
    store: &Overlay<MemoryEngine>,
    view: View,
    prefix: &[u8],
    after: &[u8],
    most: usize,
) -> Vec<(Bytes, Bytes)> {
    let mut scanned = Vec::new();
    store.scan(view, prefix, after, &mut |key, record| {
        let record = record.expect("nothing is corrupt").clone();
        scanned.push((Bytes::copy_from_slice(key), record));
        if scanned.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    scanned
}

proptest! {
    #[test]
    fn an_overlay_agrees_with_one_that_is_kept_whole_at_every_step(
        steps in proptest::collection::vec(step(), 0..80),
        prefix in proptest::collection::vec(0_u8..8, 0..2),
        after in proptest::collection::vec(0_u8..8, 0..3),
        most in 1_usize..9,
    ) {
        let disk = MemoryDisk::default();
        let mut engine = Arc::new(disk.start());
        let mut store = opened(&engine);
        let mut flushing: Option<(Arc<SealedMemtable>, bool)> = None;
        let mut twin = Twin { images: vec![Image::new()], durable: 0 };
        let mut under_way: Option<(Group, bool)> = None;
        // The image that a restart finds.
        let mut safe = 0;
        for step in steps {
            let newest = twin.images.len() - 1;
            match step {
                OverlayStep::Commit(writes) => {
                    let mut next = twin.images[newest].clone();
                    let mut batch = Batch::default();
                    for (key, record) in writes {
                        let key = Bytes::from(vec![key, key]);
                        let record = record.map(|record| Bytes::from(vec![record]));
                        match &record {
                            Some(record) => next.insert(key.clone(), record.clone()),
                            None => next.remove(&key),
                        };
                        match &record {
                            Some(record) => batch.put(&key, record),
                            None => batch.delete(&key),
                        }
                    }
                    twin.images.push(next);
                    prop_assert_eq!(store.commit(batch), Ok(Seq(newest as u64 + 1)));
                }
                OverlayStep::Begin => {
                    let group = store.begin_commit();
                    if under_way.is_some() {
                        prop_assert!(group.is_none(), "one at a time");
                    } else if let Some(group) = group {
                        prop_assert_eq!(group.seq(), Seq(newest as u64));
                        under_way = Some((group, false));
                    }
                }
                OverlayStep::Append => {
                    if let Some((group, appended @ false)) = &mut under_way {
                        engine.append(group, Reach::Synced).expect("the disk is well");
                        safe = usize::try_from(group.seq().0).expect("few batches");
                        *appended = true;
                    }
                }
                OverlayStep::End => {
                    if under_way.take_if(|(_, appended)| *appended).is_some() {
                        store.end_commit();
                        twin.durable = safe;
                    }
                }
                OverlayStep::Seal => {
                    // A table is sealed when a group begins: all in it is in groups.
                    if newest as u64 == store.stages.begun.0 {
                        store.seal();
                    }
                    if let Some(sealed) = store.begin_flush() {
                        prop_assert!(sealed.up_to.0 as usize <= twin.durable);
                        flushing = Some((sealed, false));
                    }
                }
                OverlayStep::Flush => {
                    if let Some((sealed, flushed @ false)) = &mut flushing {
                        engine.flush(sealed).expect("the disk is well");
                        *flushed = true;
                    }
                }
                OverlayStep::EndFlush => {
                    if flushing.take_if(|(_, flushed)| *flushed).is_some() {
                        store.end_flush();
                    }
                }
                OverlayStep::Restart => {
                    engine = Arc::new(disk.start());
                    store = opened(&engine);
                    (under_way, flushing) = (None, None);
                    let image = twin.images.swap_remove(safe);
                    safe = 0;
                    twin = Twin { images: vec![image], durable: 0 };
                }
            }
            let newest = twin.images.len() - 1;
            for (view, image) in [(View::Live, newest), (View::Durable, twin.durable)] {
                let image = &twin.images[image];
                let expected: Vec<_> = image
                    .iter()
                    .filter(|(key, _)| key.starts_with(&prefix))
                    .filter(|(key, _)| after.is_empty() || key[..] > after[..])
                    .map(|(key, record)| (key.clone(), record.clone()))
                    .take(most)
                    .collect();
                prop_assert_eq!(scanned(&store, view, &prefix, &after, most), expected);
                for key in 0_u8..8 {
                    let found = image.get(&[key, key][..]).cloned();
                    prop_assert_eq!(store.get(view, &[key, key]), Ok(found));
                }
            }
        }
    }
}

/// Tables that have lost everything after `b`.
struct TornTables;

impl Engine for TornTables {
    fn get(&self, _: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        Err(Corrupt)
    }

    fn scan(&self, _: &[u8], _: &[u8], visit: &mut Visitor<'_>) {
        let _ = visit(b"b", Ok(&Bytes::from_static(b"base"))).is_break() || {
            visit(b"b\0", Err(Corrupt)).is_break()
        };
    }

    fn replay(&self, _: &mut dyn FnMut(Batch)) -> Result<StartFinding, EngineError> {
        Ok(StartFinding::Whole)
    }

    fn log_end(&self) -> LogPosition {
        LogPosition::default()
    }

    fn append(&self, _: &Group, _: Reach) -> Result<(), EngineError> {
        unreachable!("nothing is appended")
    }

    fn sync(&self) -> Result<(), EngineError> {
        unreachable!("nothing is synced")
    }

    fn check(&self) -> Result<(), EngineError> {
        unreachable!("nothing is appended")
    }

    fn flush(&self, _: &SealedMemtable) -> Result<FlushOutcome, EngineError> {
        unreachable!("nothing is flushed")
    }

    fn close(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn sizes(&self) -> EngineSizes {
        EngineSizes::default()
    }
}

#[test]
fn corruption_below_is_shown_and_what_was_committed_over_it_too() {
    let mut store = Overlay::new(Arc::new(TornTables), 1, MEMORY_BYTES);
    let mut batch = Batch::default();
    for key in ["a", "b", "c"] {
        batch.put(key.as_bytes(), b"fresh");
    }
    store.commit(batch).expect("there is no fault");
    let mut shown = Vec::new();
    store.scan(View::Live, b"", b"", &mut |key, record| {
        let record = record.cloned();
        shown.push(format!("{}={record:?}", key.escape_ascii()));
        ControlFlow::Continue(())
    });
    let expected =
        [r#"a=Ok(b"fresh")"#, r#"b=Ok(b"fresh")"#, r"b\x00=Err(Corrupt)", r#"c=Ok(b"fresh")"#];
    assert_eq!(shown, expected);
    assert_eq!(store.get(View::Live, b"c"), Ok(Some(Bytes::from_static(b"fresh"))));
    assert_eq!(store.get(View::Live, b"d"), Err(Corrupt), "never `not found`");
    assert_eq!(store.corrupt_seen(), 2);
}

#[test]
fn after_a_fault_nothing_is_committed_and_everything_can_be_read() {
    let mut store = opened(&Arc::new(MemoryDisk::default().start()));
    let mut batch = Batch::default();
    batch.put(b"k", b"v");
    store.commit(batch.clone()).expect("there is no fault");
    store.fail(StoreFault::Failed);
    store.fail(StoreFault::Full);
    assert_eq!(store.commit(batch), Err(StoreFault::Failed), "the graver fault stays");
    store.resume();
    assert_eq!(store.fault(), Some(StoreFault::Failed), "and does not pass");
    assert!(store.begin_commit().is_none());
    assert_eq!(store.get(View::Live, b"k"), Ok(Some(Bytes::from("v"))));
    assert_eq!(store.get(View::Durable, b"k"), Ok(None));
}

#[test]
fn what_was_committed_before_a_passing_fault_goes_out_after_it() {
    for fault in [StoreFault::Full, StoreFault::OutOfFiles] {
        let mut store = opened(&Arc::new(MemoryDisk::default().start()));
        let mut batch = Batch::default();
        batch.put(b"k", b"v");
        let seq = store.commit(batch.clone()).expect("there is no fault");
        store.fail(fault);
        assert_eq!(store.commit(batch.clone()), Err(fault));
        assert!(store.begin_commit().is_none());
        store.resume();
        assert_eq!(
            store.begin_commit().map(|group| group.seq()),
            Some(seq),
            "nothing was forgotten"
        );
        assert!(store.commit(batch).is_ok());
    }
}
