//! Batches that were committed together and become durable together.

use kv_core::store::Batch;
use kv_core::types::Seq;

/// The bytes of the length before each batch.
const LENGTH_BYTES: usize = 4;

/// Batches on their way to the log, as it holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The position of the last batch.
    seq: Seq,
    /// The encoded batches, each behind its length.
    bytes: Vec<u8>,
}

impl Group {
    /// Adds a batch. Returns the number of bytes that it takes.
    pub(super) fn add(&mut self, batch: &Batch, seq: Seq) -> usize {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        batch.encode(&mut self.bytes);
        let added = self.bytes.len() - begin;
        let length = u32::try_from(added - LENGTH_BYTES).expect("batches are shorter than 4 GiB");
        self.bytes[begin..begin + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.seq = seq;
        added
    }

    /// The position of the group's last batch.
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// The number of bytes of the group.
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The encoded batches, in the order in which they were committed.
    pub fn batches(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let (batch, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
            rest = behind;
            Some(batch)
        })
    }
}
