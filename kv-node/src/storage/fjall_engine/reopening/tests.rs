//! Engines that refused, and go on.

use fjall::PersistMode;
use kv_core::types::ContentHash;

use super::super::tests::{CACHE_BYTES, open, put, scanned};
use super::*;
use crate::storage::engine::{Engine as _, Reach};

#[test]
fn an_engine_that_is_opened_anew_holds_all_and_writes_on() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    let engine = open(&path);
    for round in 0..5_u8 {
        put(&engine, &[(b"kept", &[round]), (&[b'k', round], b"1")]);
        engine.reopen().expect("it opens");
        assert_eq!(engine.get(b"kept"), Ok(Some(Bytes::copy_from_slice(&[round]))));
    }
    assert_eq!(scanned(&engine, b"k", b"").len(), 6);
    drop(engine);
    let engine = open(&path);
    assert_eq!(scanned(&engine, b"k", b"").len(), 6, "and so does the next process");
    for left in ["data.probe", "data.journal"] {
        assert!(!home.path().join(left).exists(), "{left}");
    }
}

#[test]
fn a_group_that_is_torn_in_the_journal_is_written_again_and_what_follows_it_is_found() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    let engine = open(&path);
    put(&engine, &[(b"before", b"1")]);
    let journal = path.join("0.jnl");
    let whole = std::fs::read(&journal).expect("it can be read");
    let end = whole.iter().rposition(|&byte| byte != 0).expect("something was written") + 1;
    // So that it cannot be compressed.
    let long: Vec<u8> =
        (0..500_u32).flat_map(|n| ContentHash::of(&[&n.to_be_bytes()]).0.to_be_bytes()).collect();
    put(&engine, &[(b"torn", &long), (b"torn too", b"1")]);
    // A disk that was full took the half of it.
    let mut half = std::fs::read(&journal).expect("it can be read");
    half[end + 2_000..].fill(0);
    std::fs::write(&journal, half).expect("it can be written");
    engine.journal.lock().expect("nobody panicked").last = None;
    engine.reopen().expect("it opens");
    assert_eq!(engine.get(b"torn"), Ok(None), "a group shows wholly or not at all");
    put(&engine, &[(b"torn", b"2"), (b"torn too", b"2")]);
    put(&engine, &[(b"after", b"3")]);
    drop(engine);
    let engine = open(&path);
    for (key, record) in [("before", "1"), ("torn", "2"), ("torn too", "2"), ("after", "3")] {
        assert_eq!(engine.get(key.as_bytes()), Ok(Some(Bytes::from(record))), "{key}");
    }
}

#[test]
fn an_engine_that_has_lost_what_it_had_written_does_not_go_on() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    let engine = open(&path);
    put(&engine, &[(b"k", b"1")]);
    std::fs::remove_file(path.join("0.jnl")).expect("it is there");
    let error = engine.reopen().expect_err("it lacks a record");
    assert_eq!(error.fault, StoreFault::Failed, "{error}");
    assert!(error.message.contains("lacks what it had written"), "{error}");
}

#[test]
fn of_a_group_that_was_refused_what_stands_in_the_journal_is_no_loss() {
    let home = tempfile::tempdir().expect("there is room");
    let engine = open(&home.path().join("data"));
    put(&engine, &[(b"k", b"1")]);
    let refused = Records::from([(Bytes::from("k"), Some(Bytes::from("2")))]);
    engine.opened().expect("it is open").apply(&refused, PersistMode::Buffer).expect("it is well");
    engine.reopen().expect_err("nobody wrote that");
    engine.journal.lock().expect("nobody panicked").on_refused(&refused);
    engine.reopen().expect("it may have come so far");
    assert_eq!(engine.get(b"k"), Ok(Some(Bytes::from("2"))));
}

#[test]
fn a_disk_with_less_room_than_the_reserve_is_full_and_is_not_tried() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    drop(open(&path));
    let engine = FjallEngine::open(&path, CACHE_BYTES, u64::MAX / 2, Arc::default())
        .expect("it opens all the same");
    let records = Records::from([(Bytes::from("k"), Some(Bytes::from("1")))]);
    let refusals = [engine.check(), engine.resume(), engine.apply(&records, Reach::Synced)];
    for refusal in refusals {
        let error = refusal.expect_err("it has not so much room");
        assert_eq!(error.fault, StoreFault::Full);
        assert!(error.message.contains("MiB are needed"), "{error}");
    }
    assert_eq!(engine.get(b"k"), Ok(None));
}
