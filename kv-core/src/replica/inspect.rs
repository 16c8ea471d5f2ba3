//! A look at what a store holds, from outside: for checks and for operators. Changes nothing.

use super::{hints, keyspace, owned};
use crate::merkle::leaf_of;
use crate::ring::Ring;
use crate::store::{Damage, Store, View};
use crate::types::Key;
use crate::version::Container;

/// What a store holds of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The owner's copy joined with all hints, as far as they can be read.
    pub container: Container,
    /// Whether the owner's copy is there and cannot be read.
    pub is_damaged: bool,
}

/// What a store holds of a key.
pub fn held(store: &impl Store, view: View, ring: &Ring, key: &Key) -> Held {
    let token = key.token();
    let partition = ring.partition_of(token);
    let leaf = leaf_of(token, ring.layout().partitions);
    let owned = store.get(view, &keyspace::owned(partition, leaf, key));
    let owned =
        owned.and_then(|record| record.map(|bytes| owned::decode_owned(&bytes)).transpose());
    let mut held = match owned {
        Ok(found) => {
            let container = found.map(|(_, container)| container).unwrap_or_default();
            Held { container, is_damaged: false }
        }
        Err(Damage) => Held { container: Container::default(), is_damaged: true },
    };
    hints::for_each(partition, store, view, key, |hint| {
        if let Ok(hint) = hint {
            held.container.join(&hint.container);
        }
    });
    held
}
