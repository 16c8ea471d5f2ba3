//! The causal container `(D, V)` of one key, and its merge laws.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use smallvec::SmallVec;

use super::{Dot, Version, VersionVector};
use crate::codec::{Codec, Malformed, Reader, decode_onto, encode_list};
use crate::fingerprint;
use crate::time::HybridTime;
use crate::types::{ContentHash, Key, NodeId, RequestId};

/// Everything that one replica knows of one key: the siblings that stand (`D`) and all events that
/// are accounted for (`V`). Clones share their contents until one of them changes.
///
/// Whole containers travel between replicas, never single versions: `V[i] = n` says that all of
/// `i`'s events on this key up to `n` are accounted for, which is true only of a container that
/// came from one that had them.
///
/// Invariant: the option is `None` if and only if nothing is known.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Container(Option<Arc<ContainerBody>>);

/// The contents of a container of which something is known. They take one piece of memory, unless
/// siblings or many actors meet.
///
/// Invariants: siblings are strictly sorted by dot; `seen` covers each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct ContainerBody {
    siblings: Siblings,
    seen: VersionVector,
}

type Siblings = SmallVec<[(Dot, Version); 1]>;

/// The relation between the events that two containers have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both have seen the same events.
    Equal,
    /// The left container has seen less.
    Older,
    /// The left container has seen more.
    Newer,
    /// Each container has seen what the other has not.
    Concurrent,
}

impl Container {
    /// The siblings that stand, in the order of their dots.
    pub fn siblings(&self) -> &[(Dot, Version)] {
        self.0.as_ref().map_or(&[], |known| &known.siblings)
    }

    /// The dots of the siblings that stand, in order.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.siblings().iter().map(|&(dot, _)| dot)
    }

    /// Every event that is accounted for. As the context of a reply that returns the whole
    /// container, it covers every value in it and nothing more.
    pub fn seen(&self) -> &VersionVector {
        const NOTHING: &VersionVector = &VersionVector::EMPTY;
        self.0.as_ref().map_or(NOTHING, |known| &known.seen)
    }

    /// Tells whether nothing at all is known of the key.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The version of a dot, if it stands.
    pub fn get(&self, dot: Dot) -> Option<&Version> {
        let siblings = self.siblings();
        let at = siblings.binary_search_by_key(&dot, |&(candidate, _)| candidate).ok()?;
        Some(&siblings[at].1)
    }

    /// The greatest standing dot of a request. Twins of one request (it was minted twice, because
    /// the first answer was lost) are one write.
    pub fn made_by(&self, request: RequestId) -> Option<Dot> {
        let mut made = self.siblings().iter().filter(|(_, version)| version.request == request);
        made.next_back().map(|&(dot, _)| dot)
    }

    /// The newest time of a standing version; none if no version stands.
    pub fn newest(&self) -> Option<HybridTime> {
        self.newest_stamp().map(|(_, time)| time)
    }

    /// The newest time of a standing version, with the node that stamped it.
    pub fn newest_stamp(&self) -> Option<(NodeId, HybridTime)> {
        let stamps = self.siblings().iter().map(|(dot, version)| (dot.actor.node, version.time));
        stamps.max_by_key(|&(_, time)| time)
    }

    /// Joins what two replicas know: commutative, associative, idempotent.
    ///
    /// A sibling stands if both have it, or if one has it and the other has never seen its event.
    /// Returns whether anything in `other` was new here.
    pub fn join(&mut self, other: &Self) -> bool {
        let Some(theirs) = other.0.as_deref() else { return false };
        if self == other {
            return false;
        }
        if self.is_empty() {
            self.clone_from(other);
            return true;
        }
        let ContainerBody { siblings, seen } = self.known_mut();
        let before = siblings.len();
        let mut joined = Siblings::with_capacity(before.max(theirs.siblings.len()));
        let mut mine = core::mem::take(siblings).into_iter().peekable();
        let mut others = theirs.siblings.iter().peekable();
        loop {
            let order = match (mine.peek(), others.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            match order {
                Ordering::Less => {
                    joined.extend(mine.next().filter(|&(dot, _)| !theirs.seen.covers(dot)));
                }
                Ordering::Greater => {
                    let unseen = others.next().filter(|&&(dot, _)| !seen.covers(dot));
                    joined.extend(unseen.cloned());
                }
                Ordering::Equal => {
                    joined.extend(mine.next());
                    others.next();
                }
            }
        }
        *siblings = joined;
        // Where no event is new, no sibling is, and some may have been overwritten.
        seen.merge(&theirs.seen) || siblings.len() != before
    }

    /// The contents, to be added to: they must not stay empty.
    fn known_mut(&mut self) -> &mut ContainerBody {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// Overwrites every event that the context covers, and learns of all of them. Returns the dots
    /// that stood and no longer do.
    pub fn discard(&mut self, context: &VersionVector) -> Vec<Dot> {
        if context.is_empty() {
            return Vec::new();
        }
        let covered = self.dots().filter(|&dot| context.covers(dot)).collect();
        let ContainerBody { siblings, seen } = self.known_mut();
        siblings.retain(|&mut (dot, _)| !context.covers(dot));
        seen.merge(context);
        covered
    }

    /// Adds the event of a dot. The dot must be new: one dot names one write.
    pub fn add(&mut self, dot: Dot, version: Version) {
        assert!(!self.seen().covers(dot), "dot {dot:?} was minted before");
        let ContainerBody { siblings, seen } = self.known_mut();
        let at = siblings.partition_point(|&(candidate, _)| candidate < dot);
        siblings.insert(at, (dot, version));
        seen.raise(dot);
    }

    /// Compares the events that this container has seen with those of another.
    pub fn compare(&self, other: &Self) -> Relation {
        match (self.seen().includes(other.seen()), other.seen().includes(self.seen())) {
            (true, true) => Relation::Equal,
            (true, false) => Relation::Newer,
            (false, true) => Relation::Older,
            (false, false) => Relation::Concurrent,
        }
    }

    /// The siblings as a reader is shown them: of twins (one request, several dots) the greatest.
    pub fn distinct(&self) -> Vec<&(Dot, Version)> {
        let siblings = self.siblings();
        let is_last_twin = |at: usize| {
            let request = siblings[at].1.request;
            !siblings[at + 1..].iter().any(|(_, version)| version.request == request)
        };
        (0..siblings.len()).filter(|&at| is_last_twin(at)).map(|at| &siblings[at]).collect()
    }

    /// The sibling of the greatest (hybrid time, dot): what a reader sees under last-write-wins.
    pub fn latest(&self) -> Option<&(Dot, Version)> {
        self.siblings().iter().max_by_key(|(dot, version)| (version.time, *dot))
    }

    /// Checks that siblings are sorted and covered by what is seen, and that a container of which
    /// nothing is known is the empty one.
    ///
    /// # Panics
    /// If it is not so.
    pub fn invariants(&self) {
        let Some(ContainerBody { siblings, seen }) = self.0.as_deref() else { return };
        seen.invariants();
        assert!(!seen.is_empty(), "a container of which nothing is known is not the empty one");
        let rises = siblings.windows(2).all(|pair| pair[0].0 < pair[1].0);
        assert!(rises, "the dots of the siblings of a container do not rise strictly");
        for &(dot, _) in siblings {
            assert!(
                dot.n > 0 && seen.covers(dot),
                "sibling {dot:?} is not covered by what is seen"
            );
        }
    }

    /// The hash of the container and its key in a Merkle tree. It covers the hash of a value, not
    /// its bytes, so that a version whose bytes were dropped at expiry can keep its hash.
    pub fn hash(&self, key: &Key) -> ContentHash {
        let mut bytes = Vec::with_capacity(256);
        key.encode(&mut bytes);
        (self.siblings().len() as u64).encode(&mut bytes);
        for (dot, Version { content, time, expiry, .. }) in self.siblings() {
            dot.encode(&mut bytes);
            time.encode(&mut bytes);
            expiry.encode(&mut bytes);
            content.value().map(|value| ContentHash::of(&[value])).encode(&mut bytes);
        }
        self.seen().encode(&mut bytes);
        ContentHash::of(&[&bytes])
    }

    /// Appends the dots of the siblings and the events that are accounted for, for the identity of a run:
    /// the values follow from those.
    pub fn fingerprint(&self, out: &mut Vec<u8>) {
        fingerprint::number(out, self.siblings().len() as u64);
        self.dots().for_each(|dot| dot.fingerprint(out));
        fingerprint::number(out, self.seen().len() as u64);
        self.seen().iter().for_each(|(actor, n)| Dot { actor, n }.fingerprint(out));
    }

    /// The approximate size of the container in a message or a record, in bytes.
    pub fn weight(&self) -> usize {
        let version =
            |version: &Version| 64 + version.content.value().map_or(0, |value| value.len());
        let siblings: usize = self.siblings().iter().map(|(_, sibling)| version(sibling)).sum();
        siblings + 24 * self.seen().len()
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (siblings, seen) = (&self.siblings(), self.seen());
        f.debug_struct("Container").field("siblings", siblings).field("seen", seen).finish()
    }
}

impl Codec for Container {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_list(self.siblings(), out);
        self.seen().encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        // Read where it will lie: it is large to be moved.
        let mut known = Arc::<ContainerBody>::default();
        let ContainerBody { siblings, seen } =
            Arc::get_mut(&mut known).expect("nobody shares it yet");
        decode_onto(siblings, input)?;
        seen.decode_onto_nothing(input)?;
        let sorted = siblings.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let covered = siblings.iter().all(|&(dot, _)| dot.n > 0 && seen.covers(dot));
        if !sorted || !covered {
            return Err(Malformed);
        }
        Ok(Self(if seen.is_empty() { None } else { Some(known) }))
    }
}

#[cfg(test)]
mod tests;
