//! The properties of the library that we rely upon, and the code around it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use kv_core::store::StoreFault;
use kv_core::types::KEY_BYTES_MAX;

use super::*;

pub(super) const CACHE_BYTES: u64 = 1 << 20;

pub(super) fn open(path: &Path) -> FjallEngine {
    FjallEngine::open(path, CACHE_BYTES, 0, Arc::default()).expect("it opens")
}

pub(super) fn put(engine: &FjallEngine, writes: &[(&[u8], &[u8])]) {
    let records = writes
        .iter()
        .map(|(key, record)| (Bytes::copy_from_slice(key), Some(Bytes::copy_from_slice(record))));
    engine.apply(&records.collect(), Reach::Synced).expect("the disk is well");
}

pub(super) fn scanned(
    engine: &FjallEngine,
    prefix: &[u8],
    after: &[u8],
) -> Vec<Result<Vec<u8>, Corrupt>> {
    let mut scanned = Vec::new();
    engine.scan(prefix, after, &mut |key, record| {
        scanned.push(record.map(|_| key.to_vec()));
        ControlFlow::Continue(())
    });
    scanned
}

#[test]
fn what_was_applied_is_found_again_and_what_was_deleted_is_not() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    let engine = open(&path);
    put(&engine, &[(b"a", b"1"), (b"b", b"2")]);
    let deletion = Records::from([(Bytes::from("a"), None)]);
    engine.apply(&deletion, Reach::Written).expect("the disk is well");
    engine.sync().expect("the disk is well");
    drop(engine);
    let engine = open(&path);
    assert_eq!(engine.get(b"a"), Ok(None));
    assert_eq!(engine.get(b"b"), Ok(Some(Bytes::from("2"))));
}

#[test]
fn keys_of_every_length_lie_in_one_order() {
    let home = tempfile::tempdir().expect("there is room");
    let engine = open(&home.path().join("data"));
    let mut keys = Vec::new();
    for length in [1, 64_999, 65_000, 65_001, 65_535, KEY_BYTES_MAX, KEY_BYTES_MAX + 20] {
        for last in [b'a', b'm', b'z'] {
            let mut key = vec![b'm'; length];
            key[length - 1] = last;
            keys.push(key.clone());
            key[0] = last;
            keys.push(key);
        }
    }
    let twin: BTreeMap<_, _> =
        keys.iter().map(|key| (key.clone(), key.len().to_be_bytes())).collect();
    for (key, record) in &twin {
        put(&engine, &[(key, record)]);
    }
    for (key, record) in &twin {
        assert_eq!(engine.get(key), Ok(Some(Bytes::copy_from_slice(record))));
    }
    let bounds = || twin.keys().cloned().chain([vec![], b"m".to_vec(), b"mz".to_vec()]);
    for prefix in bounds() {
        for after in bounds() {
            let expected: Vec<_> = twin
                .keys()
                .filter(|key| key.starts_with(&prefix) && (after.is_empty() || **key > after))
                .cloned()
                .map(Ok)
                .collect();
            assert!(scanned(&engine, &prefix, &after) == expected);
        }
    }
    let longest = twin.keys().max_by_key(|key| key.len()).expect("there are some");
    let deletion = Records::from([(Bytes::from(longest.clone()), None)]);
    engine.apply(&deletion, Reach::Synced).expect("the disk is well");
    assert_eq!(engine.get(longest), Ok(None));
}

#[test]
fn a_record_in_a_corrupt_table_is_corruption_and_never_missing() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    let engine = open(&path);
    let keys: Vec<_> = (0..2_000_u32).map(|n| format!("key {n:08}")).collect();
    for key in &keys {
        // Incompressible enough for many blocks.
        let record: Vec<u8> = (0..8_u8)
            .flat_map(|n| kv_core::types::ContentHash::of(&[key.as_bytes(), &[n]]).0.to_be_bytes())
            .collect();
        put(&engine, &[(key.as_bytes(), &record)]);
    }
    engine
        .opened()
        .expect("it is open")
        .records
        .rotate_memtable_and_wait()
        .expect("the disk is well");
    drop(engine);

    let table = tables(&path).into_iter().max_by_key(|(_, length)| *length).expect("one was made");
    let mut bytes = std::fs::read(&table.0).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&table.0, bytes).expect("it can be written");

    let engine = open(&path);
    let corrupt = keys.iter().filter(|key| engine.get(key.as_bytes()) == Err(Corrupt)).count();
    let missing = keys.iter().filter(|key| engine.get(key.as_bytes()) == Ok(None)).count();
    assert!((1..200).contains(&corrupt), "one block is corrupt: {corrupt}");
    assert_eq!(missing, 0);
    let scanned = scanned(&engine, b"key", b"");
    assert_eq!(scanned.iter().filter(|found| found.is_err()).count(), 1, "the scan says so");
    assert_eq!(scanned.last(), Some(&Err(Corrupt)), "and ends there");
}

/// Lists the table files of the data, with their lengths.
fn tables(path: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(tables(&path));
        } else if path.components().any(|part| part.as_os_str() == "tables") {
            let length = path.metadata().expect("it is there").len();
            found.push((path, length));
        }
    }
    found
}

#[test]
fn a_database_that_was_left_half_made_is_made_anew() {
    let home = tempfile::tempdir().expect("there is room");
    let unfinished = home.path().join("data.new");
    std::fs::create_dir(&unfinished).expect("it can be written");
    std::fs::write(unfinished.join("0.jnl"), "half").expect("it can be written");
    put(&open(&home.path().join("data")), &[(b"k", b"v")]);
    assert!(!unfinished.exists());
}

#[test]
fn a_database_that_lost_its_version_is_not_taken_for_a_new_one() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    drop(open(&path));
    std::fs::remove_file(path.join("version")).expect("it is there");
    let error =
        FjallEngine::open(&path, CACHE_BYTES, 0, Arc::default()).err().expect("it is refused");
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
}

#[test]
fn data_that_is_open_is_refused() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    let _held = open(&path);
    let error =
        FjallEngine::open(&path, CACHE_BYTES, 0, Arc::default()).err().expect("it is refused");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
}

#[test]
fn only_a_full_disk_is_called_full() {
    let home = tempfile::tempdir().expect("there is room");
    let engine = open(&home.path().join("data"));
    let fault = |kind: std::io::ErrorKind| engine.refused(&fjall::Error::Io(kind.into())).fault;
    assert_eq!(fault(std::io::ErrorKind::StorageFull), StoreFault::Full);
    assert_eq!(fault(std::io::ErrorKind::QuotaExceeded), StoreFault::Full);
    assert_eq!(fault(std::io::ErrorKind::Other), StoreFault::Failed);
    for number in [23, 24] {
        let error = fjall::Error::Io(std::io::Error::from_raw_os_error(number));
        assert_eq!(engine.refused(&error).fault, StoreFault::OutOfFiles);
    }
    // Why it is poisoned the engine does not say; this disk has room.
    assert_eq!(engine.refused(&fjall::Error::Poisoned).fault, StoreFault::Failed);
}

#[test]
fn a_file_that_is_missing_is_named_and_nothing_is_made_in_its_place() {
    for file in
        ["version", "keyspaces", "keyspaces/0/current", "keyspaces/1/current", "keyspaces/1/v0"]
    {
        let home = tempfile::tempdir().expect("there is room");
        let path = home.path().join("data");
        drop(open(&path));
        let gone = path.join(file);
        assert!(gone.exists(), "{file}");
        std::fs::rename(&gone, home.path().join("gone")).expect("it can be moved");
        let error = FjallEngine::open(&path, CACHE_BYTES, 0, Arc::default())
            .err()
            .expect("it is refused")
            .to_string();
        assert!(
            error.starts_with(&format!(
                "{}, a file of the storage engine, is missing",
                gone.display()
            )),
            "{error}"
        );
        assert!(error.contains("one node at a time") && !error.contains("has room"), "{error}");
        std::fs::rename(home.path().join("gone"), &gone).expect("it can be moved back");
        open(&path);
    }
}

#[test]
fn a_lock_file_that_was_cleaned_away_is_made_anew() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("data");
    put(&open(&path), &[(b"k", b"1")]);
    std::fs::remove_file(path.join("lock")).expect("it is there");
    assert_eq!(open(&path).get(b"k"), Ok(Some(Bytes::from("1"))));
}
