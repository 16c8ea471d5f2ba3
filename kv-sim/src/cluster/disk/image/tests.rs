//! What is live, durable and safe after commits, syncs, lies, kills, rot and a full disk; and an
//! image beside one that is kept whole.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;

fn batch(writes: &[(&str, Option<&str>)]) -> Batch {
    let mut batch = Batch::default();
    for (key, to) in writes {
        match to {
            Some(to) => batch.put(key.as_bytes(), to.as_bytes()),
            None => batch.delete(key.as_bytes()),
        }
    }
    batch
}

fn shown(image: &Image, view: View) -> Vec<String> {
    let mut shown = Vec::new();
    image.scan(view, b"", b"", &mut |key, record| {
        let record = record.map_or("?".into(), |record| record.escape_ascii().to_string());
        shown.push(format!("{}={record}", key.escape_ascii()));
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
    assert!(image.claimed().map(|key| &key[..]).eq([b"a"]));
    image.kill(0);
    assert_eq!(shown(&image, View::Live), ["a=1"]);
    assert_eq!((image.newest(), image.reported()), (Seq(0), Seq(0)));
}

#[test]
fn what_a_failed_sync_was_to_write_stays_live_and_is_never_safe() {
    let mut image = Image::default();
    let first = image.commit(batch(&[("a", Some("1"))])).expect("the disk takes it");
    image.fail(first);
    let second = image.commit(batch(&[("b", Some("2"))])).expect("the disk takes it");
    image.sync(second);
    assert_eq!(shown(&image, View::Live), ["a=1", "b=2"]);
    assert_eq!(shown(&image, View::Durable), ["b=2"]);
}

#[test]
fn a_corrupt_record_is_shown_as_corruption_until_it_is_written_again() {
    let mut image = Image::default();
    let seq = image.commit(batch(&[("a", Some("1")), ("b", Some("1"))])).expect("room");
    image.sync(seq);
    image.rot(["a", "none"].map(|key| RecordKey::from(key.as_bytes())));
    assert_eq!(shown(&image, View::Durable), ["a=?", "b=1"]);
    assert_eq!(image.get(View::Live, b"a"), Err(Corrupt));
    assert!(image.sound().map(|key| &key[..]).eq([b"b"]));
    let seq = image.commit(batch(&[("a", Some("2"))])).expect("room");
    assert_eq!(shown(&image, View::Live), ["a=2", "b=1"]);
    assert_eq!(shown(&image, View::Durable), ["a=?", "b=1"]);
    image.sync(seq);
    assert_eq!(shown(&image, View::Durable), ["a=2", "b=1"]);
    assert_eq!(image.corrupt().count(), 0);
}

#[test]
fn what_a_lying_sync_wrote_over_rot_can_be_read_until_a_kill() {
    let mut image = Image::default();
    let seq = image.commit(batch(&[("a", Some("1"))])).expect("room");
    image.sync(seq);
    image.rot([RecordKey::from(&b"a"[..])]);
    let seq = image.commit(batch(&[("a", Some("2"))])).expect("room");
    image.claim(seq);
    assert_eq!((shown(&image, View::Durable), image.corrupt().count()), (vec!["a=2".into()], 0));
    image.kill(0);
    assert_eq!((shown(&image, View::Durable), image.corrupt().count()), (vec!["a=?".into()], 1));
}

#[test]
fn a_full_disk_takes_what_needs_no_room_and_a_broken_one_takes_nothing() {
    let mut image = Image::default();
    image.commit(batch(&[("a", Some("1")), ("b", Some("1"))])).expect("room");
    image.fillers = 1;
    assert_eq!(image.commit(batch(&[("a", Some("22"))])), Err(StoreFault::Full));
    assert_eq!(image.commit(batch(&[("c", Some(""))])), Err(StoreFault::Full));
    assert!(image.commit(batch(&[("a", Some("2"))])).is_ok());
    assert!(image.commit(batch(&[("a", None), ("c", Some(""))])).is_ok());
    image.breakers = 1;
    assert_eq!(image.commit(batch(&[("c", None)])), Err(StoreFault::Failed));
}

#[test]
fn a_disk_is_rolled_back_to_what_was_safe_once() {
    let mut image = Image::default();
    image.keep_past();
    for value in ["1", "2", "3"] {
        let seq = image.commit(batch(&[("a", Some(value))])).expect("room");
        image.sync(seq);
    }
    assert_eq!(image.moments(), 4);
    image.roll_back(2);
    assert_eq!(shown(&image, View::Live), ["a=2"]);
    assert_eq!(image.moments(), 3, "what came after never was");
    image.roll_back(0);
    assert!(shown(&image, View::Live).is_empty());
}

#[test]
fn the_past_takes_little_room_and_reaches_back_to_the_beginning() {
    let mut image = Image::default();
    image.keep_past();
    for value in 0..5_000 {
        let value = value.to_string();
        let seq = image.commit(batch(&[("a", Some(&value))])).expect("room");
        image.sync(seq);
    }
    assert!((128..=Past::MOMENTS_MAX).contains(&image.moments()));
    image.roll_back(0);
    assert!(shown(&image, View::Live).is_empty());
}

/// The same disk in the plainest form: every image is kept whole.
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
enum ImageStep {
    Commit(Vec<(u8, Option<u8>)>),
    Sync { back: usize },
    Claim { back: usize },
    Kill { kept: usize },
    Wipe,
}

fn step() -> impl Strategy<Value = ImageStep> {
    let writes = proptest::collection::vec((0_u8..8, any::<Option<u8>>()), 0..4);
    prop_oneof![
        6 => writes.prop_map(ImageStep::Commit),
        2 => (0_usize..3).prop_map(|back| ImageStep::Sync { back }),
        2 => (0_usize..3).prop_map(|back| ImageStep::Claim { back }),
        1 => (0_usize..3).prop_map(|kept| ImageStep::Kill { kept }),
        1 => Just(ImageStep::Wipe),
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
                ImageStep::Commit(writes) => {
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
                    prop_assert_eq!(image.commit(batch), Ok(Seq(newest as u64 + 1)));
                }
                ImageStep::Sync { back } => {
                    let to = newest.saturating_sub(back).max(twin.reported);
                    (twin.safe, twin.reported) = (to, to);
                    image.sync(Seq(to as u64));
                }
                ImageStep::Claim { back } => {
                    twin.reported = newest.saturating_sub(back).max(twin.reported);
                    image.claim(Seq(twin.reported as u64));
                }
                ImageStep::Kill { kept } => {
                    let left = (twin.safe + kept).min(newest);
                    let safe = twin.images.swap_remove(left);
                    twin = Twin { images: vec![safe], ..Twin::default() };
                    image.kill(kept);
                }
                ImageStep::Wipe => {
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
                prop_assert_eq!(image.safe(&[key, key]), Ok(safe));
            }
        }
    }
}
