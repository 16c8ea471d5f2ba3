//! A batch: the writes that go into a store at once.

use alloc::vec::Vec;

use bytes::{Buf as _, Bytes};
use smallvec::SmallVec;

/// Writes that happen together or not at all, in order: a later write to the same key wins. They lie
/// in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Keys, each with its record behind it.
    bytes: Vec<u8>,
    writes: SmallVec<[Ends; 4]>,
}

/// The places at which a write ends in the bytes of its batch. It begins where the one before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    key: usize,
    /// The end of the record; nothing, if the write deletes.
    record: Option<usize>,
}

impl Batch {
    /// A batch of no writes, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), writes: SmallVec::new() }
    }

    /// Puts a record.
    pub fn put(&mut self, key: &[u8], record: &[u8]) {
        self.put_with(key, |bytes| bytes.extend_from_slice(record));
    }

    /// Puts the record that `write` appends to the bytes that it is given.
    pub fn put_with(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(key);
        let key = self.bytes.len();
        write(&mut self.bytes);
        self.writes.push(Ends { key, record: Some(self.bytes.len()) });
    }

    /// Deletes a record.
    pub fn delete(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.writes.push(Ends { key: self.bytes.len(), record: None });
    }

    /// The number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Tells whether the batch has no writes.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Each write: what `own` makes of the key, and its record, or nothing if it is deleted. Records keep
    /// all bytes of the batch in memory: as a rule there is one large one.
    pub fn into_writes<K>(
        self,
        mut own: impl FnMut(&[u8]) -> K,
    ) -> impl ExactSizeIterator<Item = (K, Option<Bytes>)> {
        let (mut rest, mut begin) = (Bytes::from(self.bytes), 0);
        self.writes.into_iter().map(move |Ends { key: end, record: record_end }| {
            let key = own(&rest[..end - begin]);
            rest.advance(end - begin);
            begin = record_end.unwrap_or(end);
            (key, record_end.map(|record_end| rest.split_to(record_end - end)))
        })
    }
}
