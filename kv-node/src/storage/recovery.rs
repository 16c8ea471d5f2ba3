//! Reads the data at start, and tells whether it may be believed.

use std::sync::Arc;

use kv_core::storage::{self, Partitions};
use kv_core::store::{ForeignData, Recovered, StoreFault};
use thiserror::Error;

use super::Opening;
use super::engine::{Engine, EngineError, Reach, StartFinding};
use super::overlay::Overlay;

/// The reason why a node does not start on its data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecoveryError {
    /// The data could not be read to its end, or not be written.
    #[error("cannot use the data: {0}")]
    Engine(#[from] EngineError),
    /// The data belongs to another node.
    #[error(
        "{0}, and this is another node: bring this node's own data here, or move this data away, and \
         then this node copies from its peers what they hold"
    )]
    Foreign(#[from] ForeignData),
}

pub(super) struct Recovery<E> {
    pub(super) overlay: Overlay<E>,
    pub(super) partitions: Partitions,
    pub(super) recovered: Recovered,
}

/// Reads the facts that the core needs before the first command.
///
/// If something cannot be read or is missing, nobody knows what it was: the markers go, and the node
/// copies from its peers what they hold before it answers reads again (semantics.md §4).
pub(super) fn recover<E: Engine>(
    engine: &Arc<E>,
    opening: &Opening<'_>,
) -> Result<Recovery<E>, RecoveryError> {
    let (mut overlay, found) = replayed(engine, opening)?;
    let (partitions, recovered) = open(engine, &overlay, opening)?;
    let corruption = overlay.corrupt_seen();
    // Where no other node holds what cannot be read, the rest is served, and what is corrupt is refused.
    if found == StartFinding::Whole && (corruption == 0 || !opening.has_others()) {
        return Ok(Recovery { overlay, partitions, recovered });
    }
    tracing::error!(
        corruption,
        "records of this node are corrupt or missing, and nobody can say which: it answers no reads \
         until it has copied its partitions from its peers"
    );
    let partitions = opening.ring.layout().partitions;
    commit(engine, &mut overlay, |store| storage::distrust(store, partitions))?;
    // With all that is left in tables of its own, the next start has nothing to find any more.
    overlay.seal();
    let (partitions, recovered) = open(engine, &overlay, opening)?;
    Ok(Recovery { overlay, partitions, recovered })
}

/// An overlay that holds what the log does.
pub(super) fn replayed<E: Engine>(
    engine: &Arc<E>,
    opening: &Opening<'_>,
) -> Result<(Overlay<E>, StartFinding), EngineError> {
    let partitions = opening.ring.layout().partitions;
    let memory_bytes_max = opening.options.memory_bytes_max;
    let mut overlay = Overlay::new(Arc::clone(engine), partitions, memory_bytes_max);
    let found = engine.replay(&mut |batch| overlay.replay(batch))?;
    Ok((overlay, found))
}

fn open<E: Engine>(
    engine: &Arc<E>,
    overlay: &Overlay<E>,
    opening: &Opening<'_>,
) -> Result<(Partitions, Recovered), ForeignData> {
    let partitions = opening.ring.layout().partitions;
    storage::open(opening.node, opening.core, partitions, overlay, engine.log_end())
}

/// Commits something at start, durably.
pub(super) fn commit<E: Engine>(
    engine: &Arc<E>,
    overlay: &mut Overlay<E>,
    commit: impl FnOnce(&mut Overlay<E>) -> Result<(), StoreFault>,
) -> Result<(), EngineError> {
    commit(overlay).expect("an overlay without a fault takes every batch");
    if let Some(group) = overlay.begin_commit() {
        engine.append(&group, Reach::Synced)?;
        overlay.end_commit();
    }
    Ok(())
}
