//! Reads the data at start, and tells whether it may be believed.

use std::sync::Arc;

use kv_core::storage::{self, Partitions};
use kv_core::store::{ForeignData, Recovered, Store, StoreFault};
use thiserror::Error;

use super::Opening;
use super::engine::{Engine, EngineError, Reach};
use super::overlay::Overlay;

/// The reason why a node does not start on its data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecoveryError {
    /// The data could not be written.
    #[error("cannot write to the data: {0}")]
    Engine(#[from] EngineError),
    /// The data belongs to another node.
    #[error(
        "{0}, and this is another node: bring this node's own data here, or move this data away, and \
         then this node copies from its peers what they hold"
    )]
    Foreign(#[from] ForeignData),
}

pub(super) struct Recovery {
    pub(super) partitions: Partitions,
    pub(super) recovered: Recovered,
}

/// Reads the facts that the core needs before the first command.
///
/// If something cannot be read, nobody knows what it was: the markers go, and the node copies from
/// its peers what they hold before it answers reads again (semantics.md §4).
pub(super) fn recover<E: Engine>(
    engine: &Arc<E>,
    opening: &Opening<'_>,
) -> Result<Recovery, RecoveryError> {
    let (recovery, corruption) = read(engine, opening)?;
    if corruption == 0 {
        return Ok(recovery);
    }
    tracing::error!(
        corruption,
        "records that are read at start are corrupt: this node answers no reads until it has \
         copied its partitions from its peers"
    );
    let partitions = opening.ring.layout().partitions;
    write(engine, |store| storage::distrust(store, partitions))?;
    Ok(read(engine, opening)?.0)
}

fn read<E: Engine>(engine: &Arc<E>, opening: &Opening<'_>) -> Result<(Recovery, u64), ForeignData> {
    let store = Overlay::new(Arc::clone(engine));
    let partitions = opening.ring.layout().partitions;
    let (partitions, recovered) = storage::open(opening.node, opening.core, partitions, &store)?;
    Ok((Recovery { partitions, recovered }, store.corrupt_seen()))
}

pub(super) fn write<E: Engine>(
    engine: &Arc<E>,
    commit: impl FnOnce(&mut Overlay<E>) -> Result<(), StoreFault>,
) -> Result<(), EngineError> {
    let mut store = Overlay::new(Arc::clone(engine));
    commit(&mut store).expect("an overlay without a fault takes every batch");
    assert!(store.newest().0 > 0, "something was committed");
    store.begin_commit().map_or(Ok(()), |group| engine.apply(&group.records, Reach::Synced))
}
