//! Dots in few bytes: a state that has a thousand members names a handful of actors.
//!
//! The vector of what a state has seen is written before all else, and names each actor in full.
//! Every dot in the state is covered by it, so behind it a dot is the position of its actor there and
//! its number. A dot that the vector does not cover is malformed.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{Codec, Malformed, Reader};
use crate::version::{Actor, Dot, VersionVector};

/// A value that has dots in it, and is written behind a vector that covers them.
pub(crate) trait DotCodec: Sized {
    /// Appends the bytes of the value.
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>);

    /// Reads a value, and leaves the bytes behind it.
    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// The actors of a vector by their positions, with the greatest known event of each.
#[derive(Debug)]
pub(crate) struct ActorTable(Vec<(Actor, u64)>);

impl ActorTable {
    /// The actors of which events have been seen.
    pub(crate) fn of(seen: &VersionVector) -> Self {
        Self(seen.iter().collect())
    }
}

impl DotCodec for Dot {
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>) {
        let at = actors.0.binary_search_by_key(&self.actor, |&(actor, _)| actor);
        // An invariant of every state: what stands has been seen.
        let at = at.expect("a state has seen every dot in it");
        (at as u64).encode(out);
        self.n.encode(out);
    }

    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let at = usize::try_from(u64::decode(input)?).map_err(|_| Malformed)?;
        let &(actor, known) = actors.0.get(at).ok_or(Malformed)?;
        let n = u64::decode(input)?;
        if (1..=known).contains(&n) { Ok(Self { actor, n }) } else { Err(Malformed) }
    }
}

impl DotCodec for Option<Dot> {
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(dot) = self {
            dot.encode_with(actors, out);
        }
    }

    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        if bool::decode(input)? { Dot::decode_with(actors, input).map(Some) } else { Ok(None) }
    }
}

impl DotCodec for () {
    fn encode_with(&self, _: &ActorTable, _: &mut Vec<u8>) {}

    fn decode_with(_: &ActorTable, _: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(())
    }
}

impl DotCodec for Bytes {
    fn encode_with(&self, _: &ActorTable, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn decode_with(_: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::decode(input)
    }
}
