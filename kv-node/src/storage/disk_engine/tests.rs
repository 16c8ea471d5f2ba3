//! The engine at work, reopened, killed, and with corrupt files.

mod corruption;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use kv_core::store::{Store as _, View};
use kv_core::types::{ContentHash, KEY_BYTES_MAX};

use super::*;
use crate::storage::Overlay;

const NODE: NodeId = NodeId(1);

/// Room in memory for more than a test writes: it says itself when a table is sealed.
const MEMORY_BYTES: usize = 1 << 30;

/// An engine with a store over it, as a node has it.
pub(super) struct Machine {
    pub(super) engine: Arc<DiskEngine>,
    pub(super) store: Overlay<DiskEngine>,
    pub(super) found: StartFinding,
}

fn terms(run: u64) -> Terms {
    Terms {
        node: NODE,
        run: LogRun(run),
        segment_bytes: SegmentBytes::new(64 << 10).expect("it is a size"),
        reserve_bytes: 0,
        tables: TableTerms { cache_bytes: 1 << 20, log_limiter: Arc::default(), has_others: false },
    }
}

impl Machine {
    pub(super) fn open(folder: &Path, run: u64) -> Self {
        Self::try_open(folder, run).unwrap_or_else(|error| panic!("it opens: {error}"))
    }

    pub(super) fn try_open(folder: &Path, run: u64) -> Result<Self, OpenError> {
        let engine = Arc::new(DiskEngine::open(folder, &terms(run))?);
        let mut store = Overlay::new(Arc::clone(&engine), 1, MEMORY_BYTES);
        let found = engine.replay(&mut |batch| store.replay(batch));
        let found = found.map_err(RecoveryError::Engine)?;
        Ok(Self { engine, store, found })
    }

    /// Writes records in one batch, durably.
    pub(super) fn put<'a>(
        &mut self,
        writes: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) {
        let mut batch = Batch::default();
        for (key, record) in writes {
            match record {
                Some(record) => batch.put(key, record),
                None => batch.delete(key),
            }
        }
        self.store.commit(batch).expect("there is no fault");
        let group = self.store.begin_commit().expect("something was committed");
        self.engine.append(&group, Reach::Synced).expect("the disk is well");
        self.store.end_commit();
    }

    /// Moves what is in memory into tables.
    pub(super) fn flush(&mut self) {
        self.store.seal();
        let sealed = self.store.begin_flush().expect("all of it is durable");
        self.engine.flush(&sealed).expect("the disk is well");
        self.store.end_flush();
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        self.store.get(View::Durable, key)
    }

    fn scanned(&self, prefix: &[u8], after: &[u8]) -> Vec<Result<Vec<u8>, Corrupt>> {
        let mut scanned = Vec::new();
        self.store.scan(View::Durable, prefix, after, &mut |key, record| {
            scanned.push(record.map(|_| key.to_vec()));
            ControlFlow::Continue(())
        });
        scanned
    }

    /// Stops cleanly.
    pub(super) fn stop(self) {
        self.engine.close().expect("the disk is well");
    }
}

fn home() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().expect("there is room");
    let data = home.path().join("data");
    (home, data)
}

fn some(record: &'static str) -> Result<Option<Bytes>, Corrupt> {
    Ok(Some(Bytes::from(record)))
}

#[test]
fn what_was_written_is_found_again_in_the_log_and_in_tables() {
    let (_home, data) = home();
    let mut machine = Machine::open(&data, 1);
    machine.put([(&b"a"[..], Some(&b"1"[..])), (b"b", Some(b"2")), (b"c", Some(b"3"))]);
    machine.flush();
    machine.put([(&b"a"[..], None), (b"b", Some(&b"4"[..]))]);
    let check = |machine: &Machine| {
        assert_eq!(machine.found, StartFinding::Whole);
        assert_eq!(machine.get(b"a"), Ok(None));
        assert_eq!((machine.get(b"b"), machine.get(b"c")), (some("4"), some("3")));
        assert_eq!(machine.scanned(b"", b""), [Ok(b"b".to_vec()), Ok(b"c".to_vec())]);
    };
    check(&machine);
    // Killed, stopped, and with all of it in tables.
    drop(machine);
    let machine = Machine::open(&data, 2);
    check(&machine);
    machine.stop();
    let mut machine = Machine::open(&data, 3);
    check(&machine);
    machine.put([(&b"d"[..], None)]);
    machine.flush();
    machine.stop();
    check(&Machine::open(&data, 4));
}

#[test]
fn segments_are_used_again_and_a_log_does_not_grow_with_what_tables_hold() {
    let (_home, data) = home();
    let mut machine = Machine::open(&data, 1);
    let record = vec![b'r'; 20 << 10];
    for round in 0..30_u8 {
        for key in 0..4 {
            machine.put([(&[b'k', key][..], Some(&record[..])), (&[b'n', key], Some(&[round]))]);
        }
        machine.flush();
    }
    let EngineSizes { log_bytes, .. } = machine.engine.sizes();
    assert!(log_bytes <= 8 * (64 << 10), "{log_bytes} bytes of log");
    drop(machine);
    let machine = Machine::open(&data, 2);
    assert_eq!(machine.found, StartFinding::Whole);
    assert_eq!(machine.get(b"n\x03"), Ok(Some(Bytes::from_static(&[29]))));
}

#[test]
fn a_batch_that_is_larger_than_a_segment_is_found_again() {
    let (_home, data) = home();
    let mut machine = Machine::open(&data, 1);
    let record = vec![b'r'; 300 << 10];
    machine.put([(&b"large"[..], Some(&record[..]))]);
    machine.put([(&b"small"[..], Some(&b"s"[..]))]);
    drop(machine);
    let machine = Machine::open(&data, 2);
    assert_eq!(machine.get(b"large"), Ok(Some(record.into())));
    assert_eq!(machine.get(b"small"), some("s"));
}

#[test]
fn tables_are_merged_and_what_was_deleted_stays_so() {
    let (_home, data) = home();
    let mut machine = Machine::open(&data, 1);
    let mut twin = BTreeMap::new();
    for round in 0..40_u32 {
        let mut writes = BTreeMap::new();
        for n in 0..50_u32 {
            let key = ((n * 7 + round * 13) % 97).to_be_bytes().to_vec();
            let record = (n % 5 != 0).then(|| [round.to_be_bytes(), n.to_be_bytes()].concat());
            writes.insert(key.clone(), record.clone());
            twin.insert(key, record);
        }
        machine.put(writes.iter().map(|(key, record)| (&key[..], record.as_deref())));
        machine.flush();
    }
    drop(machine);
    let machine = Machine::open(&data, 2);
    for (key, record) in &twin {
        assert_eq!(machine.get(key), Ok(record.clone().map(Bytes::from)));
    }
    let present = twin.iter().filter(|(_, record)| record.is_some());
    let present: Vec<_> = present.map(|(key, _)| Ok(key.clone())).collect();
    assert_eq!(machine.scanned(b"", b""), present);
    assert!(machine.engine.sizes().tables < 20, "{:?}", machine.engine.sizes());
}

#[test]
fn keys_of_every_length_lie_in_one_order() {
    let (_home, data) = home();
    let mut machine = Machine::open(&data, 1);
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
    // A third in the tables, a third in memory, and a third in both.
    for (at, (key, record)) in twin.iter().enumerate() {
        if at % 3 != 0 {
            machine.put([(&key[..], Some(&record[..]))]);
        }
    }
    machine.flush();
    for (at, (key, record)) in twin.iter().enumerate() {
        if at % 3 != 1 {
            machine.put([(&key[..], Some(&record[..]))]);
        }
    }
    for (key, record) in &twin {
        assert_eq!(machine.get(key), Ok(Some(Bytes::copy_from_slice(record))));
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
            assert!(machine.scanned(&prefix, &after) == expected);
        }
    }
    let longest = twin.keys().max_by_key(|key| key.len()).expect("there are some");
    machine.put([(&longest[..], None)]);
    machine.flush();
    assert_eq!(machine.get(longest), Ok(None));
}

#[test]
fn a_record_in_a_block_that_cannot_be_read_is_corruption_and_never_missing() {
    let (_home, data) = home();
    let mut machine = Machine::open(&data, 1);
    let keys: Vec<_> = (0..2_000_u32).map(|n| format!("key {n:08}")).collect();
    // Incompressible, for many blocks.
    let record = |key: &String| -> Vec<u8> {
        let hashes = (0..8_u8).map(|n| ContentHash::of(&[key.as_bytes(), &[n]]).0);
        hashes.flat_map(u128::to_be_bytes).collect()
    };
    let records: Vec<_> = keys.iter().map(|key| (key, record(key))).collect();
    machine.put(records.iter().map(|(key, record)| (key.as_bytes(), Some(&record[..]))));
    machine.flush();
    machine.stop();
    let table = corruption::files(&data.join("tables/tables")).pop().expect("one was made");
    let mut bytes = std::fs::read(&table).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&table, bytes).expect("it can be written");

    let machine = Machine::open(&data, 2);
    assert_eq!(machine.found, StartFinding::Whole, "what is lost can be named");
    let reads: Vec<_> = keys.iter().map(|key| machine.get(key.as_bytes())).collect();
    let corrupt = reads.iter().filter(|read| read.is_err()).count();
    assert!((1..200).contains(&corrupt), "one block is corrupt: {corrupt}");
    assert!(!reads.contains(&Ok(None)));
    let scanned = machine.scanned(b"key", b"");
    assert_eq!(scanned.iter().filter(|found| found.is_err()).count(), 1, "the scan says so");
    assert_eq!(scanned.last(), Some(&Err(Corrupt)), "and ends there");
}

#[test]
fn an_engine_that_was_left_half_made_is_made_anew() {
    let (home, data) = home();
    let unfinished = home.path().join("data.new");
    std::fs::create_dir(&unfinished).expect("it can be written");
    std::fs::write(unfinished.join("replay"), "half").expect("it can be written");
    assert_eq!(Machine::open(&data, 1).found, StartFinding::Whole);
    assert!(!unfinished.exists());
}

#[test]
fn the_data_of_another_node_is_refused() {
    let (_home, data) = home();
    Machine::open(&data, 1).stop();
    let other = Terms { node: NodeId(2), ..terms(2) };
    let refused = DiskEngine::open(&data, &other).err().expect("it is refused").to_string();
    assert!(refused.contains("belongs to node"), "{refused}");
}

#[test]
fn a_disk_with_less_room_than_the_reserve_is_full_and_is_not_tried() {
    let (_home, data) = home();
    Machine::open(&data, 1).stop();
    let engine = DiskEngine::open(&data, &Terms { reserve_bytes: u64::MAX / 2, ..terms(2) });
    let engine = engine.unwrap_or_else(|error| panic!("it opens: {error}"));
    engine.replay(&mut |_| {}).expect("it is read");
    assert_eq!(engine.check().map_err(|error| error.fault), Err(StoreFault::Full));
    let refused = engine.append(&Group::default(), Reach::Synced);
    assert!(refused.expect_err("there is no room").message.contains("are needed"));
}
