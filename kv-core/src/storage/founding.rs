//! The records of a store on the founding of its cluster ([`crate::founding`]), written and read.

use alloc::vec::Vec;

use bytes::Bytes;

use super::keyspace;
use crate::store::{Batch, Corrupt, FoundingRecord, Refusal, Store, View};
use crate::types::{FoundingId, NodeId};

/// Writes that the store was new before a founding that is still to come.
pub(super) fn pledge(
    node: NodeId,
    store: &mut impl Store,
    founding: FoundingId,
) -> Result<(), Refusal> {
    let mut batch = Batch::default();
    batch.put(&keyspace::pledge(founding), &node.0.to_be_bytes());
    store.commit(batch)?;
    Ok(())
}

/// Writes the founding, and takes the pledges away in the same batch: a store that has served once must
/// never seem new again.
pub(super) fn found(
    node: NodeId,
    store: &mut impl Store,
    founding: FoundingId,
) -> Result<(), Refusal> {
    let mut batch = Batch::default();
    put_founded(&mut batch, node, founding);
    store.scan(View::Live, keyspace::ALL_PLEDGES, &[], &mut |key, _| {
        batch.delete(key);
        core::ops::ControlFlow::Continue(())
    });
    store.commit(batch)?;
    Ok(())
}

/// Puts the record of the founding.
pub(super) fn put_founded(batch: &mut Batch, node: NodeId, founding: FoundingId) {
    let record = [node.0.to_be_bytes(), founding.0.to_be_bytes()];
    batch.put(keyspace::FOUNDED_KEY, record.as_flattened());
}

/// The records of the founding that were read so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    founded: Option<Result<(NodeId, FoundingId), Corrupt>>,
    pledges: Vec<(NodeId, FoundingId)>,
}

impl Said {
    /// The record of the founding was met.
    pub(super) fn on_founded(&mut self, record: Result<&Bytes, Corrupt>) {
        let decoded = record.and_then(|record| {
            let (words, rest) = record.as_chunks::<8>();
            match (words, rest) {
                (&[node, founding], []) => {
                    let [node, founding] = [node, founding].map(u64::from_be_bytes);
                    Ok((NodeId(node), FoundingId(founding)))
                }
                _ => Err(Corrupt),
            }
        });
        self.founded = Some(decoded);
    }

    /// A pledge was met. One that cannot be read promises nothing.
    pub(super) fn on_pledge(&mut self, founding: FoundingId, record: Result<&Bytes, Corrupt>) {
        if let Ok(record) = record
            && let Ok(node) = record[..].try_into()
        {
            self.pledges.push((NodeId(u64::from_be_bytes(node)), founding));
        }
    }

    /// The node that the store says it belongs to.
    pub(super) fn owner(&self) -> Option<NodeId> {
        let founded = self.founded.and_then(Result::ok);
        founded.or(self.pledges.first().copied()).map(|(node, _)| node)
    }

    /// Sums up the records that were read.
    pub(super) fn record(&self) -> FoundingRecord {
        match self.founded {
            Some(Ok((_, founding))) => FoundingRecord::Founded(founding),
            Some(Err(Corrupt)) => FoundingRecord::Corrupt,
            None if self.pledges.is_empty() => FoundingRecord::None,
            None => FoundingRecord::Pledged(
                self.pledges.iter().map(|&(_, founding)| founding).collect(),
            ),
        }
    }
}
