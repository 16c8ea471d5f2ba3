//! A batch: the writes that go into a store at once.

use alloc::vec::Vec;

use bytes::{Buf as _, Bytes};
use smallvec::SmallVec;

use crate::codec::Malformed;

/// The length that stands for no record: the write deletes.
const DELETED: u32 = u32::MAX;

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

    /// The number of bytes of all keys and records.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Tells whether the batch has no writes.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Appends the batch as a commit log holds it: the number of writes; for each the length of its key
    /// and that of its record, which is `u32::MAX` if the write deletes; then all keys, each with its
    /// record behind it. Numbers have 4 bytes, little-endian.
    ///
    /// # Panics
    /// If the batch, or a part of it, has 4 GiB or more: commands are bounded far below that.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = |bytes: usize| {
            let length = u32::try_from(bytes).ok().filter(|&length| length != DELETED);
            length.expect("batches are shorter than 4 GiB").to_le_bytes()
        };
        out.reserve(4 + 8 * self.writes.len() + self.bytes.len());
        out.extend_from_slice(&length(self.writes.len()));
        let mut begin = 0;
        for &Ends { key, record } in &self.writes {
            out.extend_from_slice(&length(key - begin));
            let record_bytes = record.map(|record| length(record - key));
            out.extend_from_slice(&record_bytes.unwrap_or(DELETED.to_le_bytes()));
            begin = record.unwrap_or(key);
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Reads what [`Batch::encode`] has appended.
    ///
    /// # Errors
    /// [`Malformed`], if the bytes are no batch, or more than one.
    pub fn decode(encoded: &[u8]) -> Result<Self, Malformed> {
        let number = |at: usize| {
            let bytes = encoded.get(at..).and_then(<[u8]>::first_chunk).ok_or(Malformed)?;
            Ok::<_, Malformed>(u32::from_le_bytes(*bytes))
        };
        let count = number(0)? as usize;
        // No more room is made than the bytes could be worth.
        if count > encoded.len() / 8 {
            return Err(Malformed);
        }
        let bytes = encoded.get(4 + 8 * count..).ok_or(Malformed)?;
        let (mut writes, mut end) = (SmallVec::with_capacity(count), 0_usize);
        for at in (4..).step_by(8).take(count) {
            end = end.checked_add(number(at)? as usize).ok_or(Malformed)?;
            let mut ends = Ends { key: end, record: None };
            let record = number(at + 4)?;
            if record != DELETED {
                end = end.checked_add(record as usize).ok_or(Malformed)?;
                ends.record = Some(end);
            }
            writes.push(ends);
        }
        if end != bytes.len() {
            return Err(Malformed);
        }
        Ok(Self { bytes: bytes.to_vec(), writes })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch() -> impl Strategy<Value = Batch> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
        proptest::collection::vec((bytes(), proptest::option::of(bytes())), 0..6).prop_map(
            |writes| {
                let mut batch = Batch::default();
                for (key, record) in writes {
                    match record {
                        Some(record) => batch.put(&key, &record),
                        None => batch.delete(&key),
                    }
                }
                batch
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(batch in batch()) {
            let mut encoded = Vec::new();
            batch.encode(&mut encoded);
            prop_assert_eq!(Batch::decode(&encoded), Ok(batch));
        }

        #[test]
        fn what_is_cut_or_lengthened_is_no_batch(batch in batch(), cut in any::<prop::sample::Index>()) {
            let mut encoded = Vec::new();
            batch.encode(&mut encoded);
            prop_assert_eq!(Batch::decode(&encoded[..cut.index(encoded.len())]), Err(Malformed));
            encoded.push(0);
            prop_assert_eq!(Batch::decode(&encoded), Err(Malformed));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Batch::decode(&bytes);
        }
    }
}
