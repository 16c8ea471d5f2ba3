//! The record in a store of the runs that wrote its log ([`crate::recall`]), and the data markers that
//! go when others remember more of the log than there is.

use bytes::Bytes;

use super::keyspace;
use super::partitions::PartitionState;
use crate::codec::{Codec, Reader};
use crate::log_runs::LogRuns;
use crate::store::{Batch, Corrupt, Refusal, Store};

/// Writes which runs have written the log.
pub(super) fn record(store: &mut impl Store, runs: &LogRuns) -> Result<(), Refusal> {
    let mut batch = Batch::default();
    batch.put_with(keyspace::RUNS_KEY, |record| runs.encode(record));
    store.commit(batch)?;
    Ok(())
}

/// The runs that a record names. One that cannot be read names none.
pub(super) fn read(record: Result<&Bytes, Corrupt>) -> LogRuns {
    let decode = |record: &Bytes| LogRuns::decode(&mut Reader::new(record)).ok();
    record.ok().and_then(decode).unwrap_or_default()
}

/// Takes the data marker of a partition away.
pub(super) fn unmark(state: &mut PartitionState, store: &mut impl Store) -> Result<(), Refusal> {
    let mut batch = Batch::default();
    batch.delete(&keyspace::marker(state.partition));
    store.commit(batch)?;
    state.complete = false;
    Ok(())
}
