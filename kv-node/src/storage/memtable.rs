//! Records in memory, cut by partition: what was committed and does not lie in a table yet.
//!
//! Each partition has a small map of its own, so a record is found in few steps however many there are,
//! and a scan of one partition walks one map. An entry keeps the newest record of its key and, behind
//! it, the older ones that somebody may still read: the one that is durable, and the one that is on its
//! way to the disk. That is how one table in memory serves both views.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use kv_core::storage::partition_of_record;
use kv_core::types::Seq;

/// The estimated bytes that an entry costs beside its key and its records.
const ENTRY_OVERHEAD_BYTES: usize = 112;

/// Every first byte of a key, as the prefix that it is.
static KINDS: [[u8; 1]; 256] = {
    let mut kinds = [[0]; 256];
    let mut kind = 0;
    while kind < kinds.len() {
        kinds[kind] = [kind as u8];
        kind += 1;
    }
    kinds
};

/// A key and its record, or nothing if it is deleted.
pub(super) type MemoryRecord<'a> = (&'a [u8], Option<&'a Bytes>);

type Cut = BTreeMap<Box<[u8]>, Entry>;

/// An ordered map of bytes, with the newest records of each key.
#[derive(Debug)]
pub(super) struct Memtable {
    /// One for each partition, in order, and one for what belongs to none.
    cuts: Vec<Cut>,
    /// True for each first byte of a key that was put.
    kinds: [bool; 256],
    bytes: usize,
}

/// A table in memory that takes nothing more, on its way into tables on the disk.
#[derive(Debug)]
pub struct SealedMemtable {
    /// The records. The newest of each key is what is written.
    pub(super) records: Memtable,
    /// The position up to which it holds what was committed.
    pub(super) up_to: Seq,
}

/// The positions up to which batches have been committed, in the stages of their way to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stages {
    /// The position up to which groups have been begun.
    pub(super) begun: Seq,
    /// The position up to which everything is durable.
    pub(super) durable: Seq,
}

/// The newest record of a key, with those before it that may still be read.
#[derive(Debug)]
struct Entry {
    seq: Seq,
    /// The record; nothing, if it was deleted.
    record: Option<Bytes>,
    older: Option<Box<Self>>,
}

impl Memtable {
    /// A table with nothing in it, cut for so many partitions.
    pub(super) fn new(partitions: u32) -> Self {
        Self { cuts: (0..=partitions).map(|_| Cut::new()).collect(), kinds: [false; 256], bytes: 0 }
    }

    /// A table with nothing in it, cut as this one is.
    pub(super) fn emptied(&self) -> Self {
        Self::new((self.cuts.len() - 1) as u32)
    }

    /// The estimated number of bytes that the table takes in memory.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a record, or notes that there is none any more. Positions never go down.
    pub(super) fn put(&mut self, key: Box<[u8]>, record: Option<Bytes>, seq: Seq, stages: Stages) {
        if let Some(&kind) = key.first() {
            self.kinds[usize::from(kind)] = true;
        }
        let added = record.as_ref().map_or(0, Bytes::len);
        let cut = self.cut_of(&key);
        let cut = &mut self.cuts[cut];
        if let Some(entry) = cut.get_mut(&key) {
            let before = entry.bytes();
            entry.replace(record, seq, stages);
            self.bytes = self.bytes + entry.bytes() - before;
        } else {
            self.bytes += ENTRY_OVERHEAD_BYTES + key.len() + added;
            cut.insert(key, Entry { seq, record, older: None });
        }
    }

    /// Finds what is known of a key up to a position: its record, or that it was deleted. `None` if
    /// nothing is known.
    pub(super) fn get(&self, key: &[u8], up_to: Seq) -> Option<Option<&Bytes>> {
        let entry = self.cuts[self.cut_of(key)].get(key)?.at(up_to)?;
        Some(entry.record.as_ref())
    }

    /// Lists in order the keys that begin with `prefix` and are greater than `after` (if it is not empty),
    /// each with its newest record up to a position, or with nothing if it was deleted then.
    pub(super) fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: &'a [u8],
        up_to: Seq,
    ) -> impl Iterator<Item = MemoryRecord<'a>> {
        let cuts = match partition_of_record(prefix) {
            Some(_) => {
                let cut = self.cut_of(prefix);
                &self.cuts[cut..=cut]
            }
            None => &self.cuts[..],
        };
        // Within a kind the cuts are in the order of their keys; kinds follow each other.
        let of_kind = KINDS.iter().zip(&self.kinds).filter(|(_, is_known)| **is_known);
        let kinds = of_kind.map(|(kind, _)| &kind[..]).filter(|_| prefix.is_empty());
        let prefixes = kinds.chain(Some(prefix).filter(|prefix| !prefix.is_empty()));
        prefixes.flat_map(move |prefix| {
            cuts.iter().flat_map(move |cut| range_of(cut, prefix, after, up_to))
        })
    }

    /// All keys in order, each with the newest that is known of it.
    pub(super) fn newest(&self) -> impl Iterator<Item = MemoryRecord<'_>> {
        self.range(&[], &[], Seq(u64::MAX))
    }

    fn cut_of(&self, key: &[u8]) -> usize {
        let others = self.cuts.len() - 1;
        let partition = partition_of_record(key).map(|partition| partition.0 as usize);
        partition.filter(|&partition| partition < others).unwrap_or(others)
    }
}

fn range_of<'a>(
    cut: &'a Cut,
    prefix: &'a [u8],
    after: &'a [u8],
    up_to: Seq,
) -> impl Iterator<Item = MemoryRecord<'a>> {
    let begin = if after.is_empty() || after < prefix {
        Bound::Included(prefix)
    } else {
        Bound::Excluded(after)
    };
    cut.range::<[u8], _>((begin, Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
        .filter_map(move |(key, entry)| Some((&**key, entry.at(up_to)?.record.as_ref())))
}

impl Entry {
    /// The newest record up to a position.
    fn at(&self, up_to: Seq) -> Option<&Self> {
        let mut entry = self;
        while entry.seq > up_to {
            entry = entry.older.as_deref()?;
        }
        Some(entry)
    }

    /// Puts a newer record in its place, and keeps what somebody may still read.
    fn replace(&mut self, record: Option<Bytes>, seq: Seq, stages: Stages) {
        if self.seq <= stages.begun {
            let (record, older) = (self.record.take(), self.older.take());
            self.older = Some(Box::new(Self { seq: self.seq, record, older }));
        }
        (self.record, self.seq) = (record, seq);
        // What is older than a durable record is read by nobody.
        let mut kept = self;
        while kept.seq > stages.durable {
            let Some(older) = &mut kept.older else { return };
            kept = older;
        }
        kept.older = None;
    }

    /// The estimated number of bytes of its records.
    fn bytes(&self) -> usize {
        let record = self.record.as_ref().map_or(0, Bytes::len);
        let older = self.older.as_ref().map_or(0, |older| ENTRY_OVERHEAD_BYTES / 2 + older.bytes());
        record + older
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITIONS: u32 = 2;

    fn stages(begun: u64, durable: u64) -> Stages {
        Stages { begun: Seq(begun), durable: Seq(durable) }
    }

    fn put(table: &mut Memtable, record: &str, seq: u64, stages: Stages) {
        table.put(
            (*b"key").into(),
            Some(Bytes::copy_from_slice(record.as_bytes())),
            Seq(seq),
            stages,
        );
    }

    fn records(table: &Memtable, up_to: [u64; 4]) -> [Option<Option<&Bytes>>; 4] {
        up_to.map(|up_to| table.get(b"key", Seq(up_to)))
    }

    fn some(record: &'static str) -> Option<Bytes> {
        Some(Bytes::from(record))
    }

    #[test]
    fn an_entry_keeps_what_is_durable_and_what_is_on_its_way_and_nothing_else() {
        let mut table = Memtable::new(PARTITIONS);
        put(&mut table, "1", 1, stages(0, 0));
        put(&mut table, "2", 2, stages(1, 1));
        put(&mut table, "3", 3, stages(2, 1));
        put(&mut table, "4", 4, stages(2, 1));
        let [one, two, four] = [some("1"), some("2"), some("4")];
        let known =
            [Some(one.as_ref()), Some(two.as_ref()), Some(two.as_ref()), Some(four.as_ref())];
        assert_eq!(records(&table, [1, 2, 3, 4]), known);
        let before = table.bytes();
        put(&mut table, "5", 5, stages(4, 4));
        let five = some("5");
        assert_eq!(
            records(&table, [1, 3, 4, 5]),
            [None, None, Some(four.as_ref()), Some(five.as_ref())],
            "what is older than the durable one is gone"
        );
        assert!(table.bytes() < before);
    }

    #[test]
    fn a_key_that_is_written_in_every_group_stays_small() {
        let mut table = Memtable::new(PARTITIONS);
        for seq in 1..100 {
            put(&mut table, "record", seq, stages(seq - 1, seq.saturating_sub(2)));
        }
        let most = 3 * (ENTRY_OVERHEAD_BYTES + "key record".len());
        assert!(table.bytes() < most, "{} bytes", table.bytes());
    }

    #[test]
    fn what_was_deleted_is_known_and_what_is_not_known_is_not_said_to_be_deleted() {
        let mut table = Memtable::new(PARTITIONS);
        table.put((*b"key").into(), None, Seq(2), stages(1, 1));
        assert_eq!(records(&table, [0, 1, 2, 3]), [None, None, Some(None), Some(None)]);
        assert_eq!(table.range(b"k", b"", Seq(2)).count(), 1);
        assert_eq!(table.range(b"k", b"", Seq(1)).count(), 0);
    }

    #[test]
    fn keys_come_in_order_over_all_cuts() {
        let mut table = Memtable::new(PARTITIONS);
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for kind in [b"d", b"m", b"t"] {
            // The last of these is a partition that there is not.
            for partition in 0..=PARTITIONS {
                for key in ["", "a", "b"] {
                    keys.push([&kind[..], &partition.to_be_bytes(), key.as_bytes()].concat());
                }
            }
        }
        keys.extend([b"f".to_vec(), b"p".to_vec(), b"p12345678".to_vec(), b"zz".to_vec()]);
        for key in &keys {
            table.put(key.as_slice().into(), some("record"), Seq(1), Stages::default());
        }
        keys.sort();
        for prefix in [&b""[..], b"d", b"p", b"m\0\0\0\x01", b"m\0\0\0\x02a", b"t\0\0", b"q"] {
            for after in [&b""[..], b"d\0\0\0\x01a", b"m\0\0\0\x01", b"t"] {
                let is_shown = |key: &&Vec<u8>| {
                    key.starts_with(prefix) && (after.is_empty() || key.as_slice() > after)
                };
                let shown: Vec<_> = keys.iter().filter(is_shown).map(Vec::as_slice).collect();
                let found: Vec<_> =
                    table.range(prefix, after, Seq(1)).map(|(key, _)| key).collect();
                assert_eq!(found, shown, "{prefix:?} behind {after:?}");
            }
        }
    }
}
