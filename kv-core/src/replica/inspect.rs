//! A look at what a store holds, from outside: for checks and for operators. Changes nothing.

use super::{hints, keyspace, owned};
use crate::merkle::leaf_of;
use crate::ring::Ring;
use crate::store::{Damage, Store, View};
use crate::types::Key;
use crate::version::Container;

/// What a store holds of a key: the owner's copy joined with all hints.
///
/// # Errors
/// [`Damage`], if a record that belongs to it cannot be read.
pub fn held(store: &impl Store, view: View, ring: &Ring, key: &Key) -> Result<Container, Damage> {
    let token = key.token();
    let partition = ring.partition_of(token);
    let leaf = leaf_of(token, ring.layout().partitions);
    let hinted = hints::load_all(partition, store, view, key)?;
    let Some(record) = store.get(view, &keyspace::owned(partition, leaf, key))? else {
        return Ok(hinted);
    };
    let (_, mut held) = owned::decode_owned(&record)?;
    if !hinted.is_empty() {
        held.join(&hinted);
    }
    Ok(held)
}
