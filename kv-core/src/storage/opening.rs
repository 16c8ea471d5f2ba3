//! What a store holds at the start of a process, and how a store becomes that of a first owner.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::Bytes;

use super::founding;
use super::keyspace::{self, StoredRecord};
use super::owned;
use super::partitions::{Corruption, Partitions, marker_of};
use super::recall;
use crate::config::Config;
use crate::log_runs::LogRuns;
use crate::store::{
    Batch, Corrupt, CorruptKey, ForeignData, KeptHints, Recovered, Store, StoreFault, View,
};
use crate::types::{ContentHash, FoundingId, LogPosition, NodeId, PartitionId};

/// Makes a store that of a first owner in a cluster that was just founded: writes the founding and the
/// data markers, since it holds nothing because there is nothing yet. A driver that has decided the
/// founding itself calls it; in a real cluster the nodes do it ([`crate::founding`]).
///
/// # Errors
/// [`StoreFault`], if the store does.
pub fn format(
    store: &mut impl Store,
    node: NodeId,
    founding: FoundingId,
    owned: &[PartitionId],
) -> Result<(), StoreFault> {
    let mut batch = Batch::default();
    founding::put_founded(&mut batch, node, founding);
    for &partition in owned {
        batch.put(&keyspace::marker(partition), &marker_of(node));
    }
    store.commit(batch).map(|_| ())
}

/// Finds out, at the start of a process, what the store holds.
///
/// A marker that cannot be read is none: the partition is copied from its other owners before it is
/// read again. A Merkle leaf that cannot be read is summed up anew. `log` says how far the log of the
/// store goes, as the driver found it.
///
/// # Errors
/// [`ForeignData`], if a marker is another node's. The node must not start on it.
pub fn open(
    node: NodeId,
    config: &Config,
    partitions: u32,
    store: &impl Store,
    log: LogPosition,
) -> Result<(Partitions, Recovered), ForeignData> {
    let recent_requests = usize::try_from(config.recent_requests).unwrap_or(usize::MAX);
    let states = (0..partitions).map(|_| None).collect();
    let mut opened = Partitions { node, recent_requests, states };
    let mut hints = BTreeMap::<(PartitionId, NodeId), KeptHints>::new();
    let (mut corrupt_at_start, mut leaves, mut foreign) = (Vec::new(), Vec::new(), None);
    let mut said = founding::Said::default();
    let mut runs = LogRuns::default();
    for prefix in keyspace::AT_START {
        store.scan(View::Durable, prefix, &[], &mut |key, record| {
            // A record of a partition that the ring does not have belongs to another layout.
            let is_here = |one: &StoredRecord| one.partition().is_none_or(|at| at.0 < partitions);
            match keyspace::parse(key).filter(is_here) {
                Some(StoredRecord::Marker { partition }) => match number(record) {
                    Ok(owner) if owner == node.0 => opened.get_mut(partition).complete = true,
                    Ok(owner) => foreign = Some(ForeignData { owner: NodeId(owner) }),
                    Err(Corrupt) => corrupt_at_start.push(partition),
                },
                Some(StoredRecord::Corrupt { partition, key }) => {
                    opened.get_mut(partition).lose(key, true);
                }
                Some(StoredRecord::Leaf { partition, leaf }) => match hash(record) {
                    Ok(hash) => opened.get_mut(partition).tree.load(leaf, hash),
                    Err(Corrupt) => leaves.push((partition, leaf)),
                },
                Some(StoredRecord::Hint { partition, target, .. }) => {
                    let none = KeptHints { partition, target, count: 0, bytes: 0 };
                    let kept = hints.entry((partition, target)).or_insert(none);
                    kept.count += 1;
                    // One that cannot be read is dropped when its turn comes.
                    kept.bytes += record.map_or(0, |record| record.len() as u64);
                }
                Some(StoredRecord::Founded) => said.on_founded(record),
                Some(StoredRecord::Pledge { founding }) => said.on_pledge(founding, record),
                Some(StoredRecord::Runs) => runs = recall::read(record),
                Some(StoredRecord::Owned { .. } | StoredRecord::HintOrder { .. }) | None => {}
            }
            ControlFlow::Continue(())
        });
    }
    let owner = said.owner().filter(|&owner| owner != node);
    foreign = foreign.or(owner.map(|owner| ForeignData { owner }));
    if let Some(foreign) = foreign {
        return Err(foreign);
    }
    for (partition, leaf) in leaves {
        corrupt_at_start.push(partition);
        owned::sum_up(opened.get_mut(partition), store, leaf);
    }
    let touched = || opened.states.iter().flatten();
    let recovered = Recovered {
        founding: said.record(),
        complete: touched().filter(|state| state.complete).map(|state| state.partition).collect(),
        roots: touched()
            .filter(|state| !state.tree.is_empty())
            .map(|state| (state.partition, state.tree.root()))
            .collect(),
        hints: hints.into_values().collect(),
        corrupt: touched()
            .flat_map(|state| &state.corrupt)
            .map(|(key, &Corruption { number, .. })| CorruptKey { key: key.clone(), number })
            .collect(),
        corrupt_at_start,
        runs,
        log,
    };
    Ok((opened, recovered))
}

fn number(record: Result<&Bytes, Corrupt>) -> Result<u64, Corrupt> {
    Ok(u64::from_be_bytes(record?[..].try_into().map_err(|_| Corrupt)?))
}

fn hash(record: Result<&Bytes, Corrupt>) -> Result<ContentHash, Corrupt> {
    Ok(ContentHash(u128::from_be_bytes(record?[..].try_into().map_err(|_| Corrupt)?)))
}
