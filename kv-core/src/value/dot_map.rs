//! Members, fields or elements by their keys, each with what stands of it.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::{Entry, IntoIter};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::iter::Peekable;

use super::dot_codec::{ActorTable, DotCodec};
use super::dot_store::{DotStore, Weighted};
use crate::codec::{Codec, Malformed, Reader};
use crate::version::VersionVector;

/// A dot store for each key, in the order of the keys.
///
/// Invariant: no store is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DotMap<K, S>(BTreeMap<K, S>);

impl<K, S> Default for DotMap<K, S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, S: DotStore> DotMap<K, S> {
    /// The number of keys of which something stands.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What stands of a key.
    pub(crate) fn get(&self, key: &K) -> Option<&S> {
        self.0.get(key)
    }

    /// All keys with what stands of them, in the order of the keys.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &S)> + ExactSizeIterator {
        self.0.iter()
    }

    /// Changes what stands of a key, from nothing if nothing does. Returns whether the key is new.
    pub(crate) fn write(&mut self, key: K, write: impl FnOnce(&mut S)) -> bool {
        let (is_new, stored) = match self.0.entry(key) {
            Entry::Vacant(free) => (true, free.insert(S::default())),
            Entry::Occupied(taken) => (false, taken.into_mut()),
        };
        write(stored);
        assert!(!stored.is_empty(), "a write leaves nothing of its key");
        is_new
    }

    /// Takes all away that stands of a key.
    pub(crate) fn remove(&mut self, key: &K) -> Option<S> {
        self.0.remove(key)
    }

    /// Takes away the key at an end, with what stands of it.
    pub(crate) fn pop_first(&mut self) -> Option<(K, S)> {
        self.0.pop_first()
    }

    /// Takes away the key at the other end, with what stands of it.
    pub(crate) fn pop_last(&mut self) -> Option<(K, S)> {
        self.0.pop_last()
    }
}

impl<K, S> DotStore for DotMap<K, S>
where
    K: Clone + Ord + DotCodec + Weighted,
    S: DotStore,
{
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn dots(&self) -> usize {
        self.0.values().map(S::dots).sum()
    }

    fn is_covered_by(&self, seen: &VersionVector) -> bool {
        self.0.values().all(|stored| !stored.is_empty() && stored.is_covered_by(seen))
    }

    fn forget(&mut self, seen: &VersionVector) {
        self.0.retain(|_, stored| {
            stored.forget(seen);
            !stored.is_empty()
        });
    }

    fn join(&mut self, seen: &VersionVector, other: &Self, seen_by_other: &VersionVector) {
        let mine = core::mem::take(&mut self.0).into_iter().peekable();
        let mut others = other.0.iter().peekable();
        let mut joined = Vec::with_capacity(mine.len().max(others.len()));
        let mut mine: Peekable<IntoIter<K, S>> = mine;
        loop {
            let order = match (mine.peek(), others.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            let next = match order {
                Ordering::Less => mine.next().map(|(key, mut stored)| {
                    stored.forget(seen_by_other);
                    (key, stored)
                }),
                Ordering::Greater => others.next().map(|(key, stored)| {
                    let mut stored = stored.clone();
                    stored.forget(seen);
                    (key.clone(), stored)
                }),
                Ordering::Equal => mine.next().zip(others.next()).map(|((key, mut a), (_, b))| {
                    a.join(seen, b, seen_by_other);
                    (key, a)
                }),
            };
            joined.extend(next.filter(|(_, stored)| !stored.is_empty()));
        }
        self.0 = joined.into_iter().collect();
    }

    fn weight(&self) -> usize {
        self.0.iter().map(|(key, stored)| key.weight() + stored.weight()).sum()
    }
}

impl<K: Ord + DotCodec, S: DotStore> DotCodec for DotMap<K, S> {
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>) {
        (self.0.len() as u64).encode(out);
        for (key, stored) in &self.0 {
            key.encode_with(actors, out);
            stored.encode_with(actors, out);
        }
    }

    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut read: Vec<(K, S)> = Vec::new();
        for _ in 0..input.count()? {
            let key = K::decode_with(actors, input)?;
            let stored = S::decode_with(actors, input)?;
            if stored.is_empty() || read.last().is_some_and(|(last, _)| *last >= key) {
                return Err(Malformed);
            }
            read.push((key, stored));
        }
        Ok(Self(read.into_iter().collect()))
    }
}
