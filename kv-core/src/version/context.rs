//! Contexts: what a client has seen of a key; and the opaque tokens in which clients hold them.
//!
//! A context has a time beside its events, so that whoever mints upon it stamps above all of them,
//! whatever its own clock shows and whether or not it holds them itself.
//!
//! A token is bound to its key and cluster. One that was cut, altered, or belongs to another key,
//! cluster or backup is refused: taken at its word, it would swallow writes that nobody has seen.

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use super::{Container, VersionVector};
use crate::codec::{Codec, Malformed, Reader, codec};
use crate::fingerprint;
use crate::time::HybridTime;
use crate::types::{ClusterId, ContentHash, Key, KeyHash};

/// The events of one key that a client has seen, and the newest of their times. The one that has seen
/// nothing is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Every event that the replies accounted for.
    pub seen: VersionVector,
    /// The greatest time of those events: what overwrites them is stamped above it.
    pub time: HybridTime,
}

codec!(struct Context { seen, time });

/// The reason for which a token was refused. Nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum ContextError {
    /// The token was cut short or altered, or never was one.
    #[error("the context token is corrupt: pass it back exactly as it was received")]
    Corrupt,
    /// The token was made by a version of this software that writes another format.
    #[error(
        "the context token has format {0}, which this version does not read: read the key again"
    )]
    Format(u8),
    /// The token was made by another cluster, or by this one before it was restored under another
    /// name.
    #[error("the context token belongs to another cluster: read the key again")]
    OtherCluster,
    /// The token was made for another key.
    #[error("the context token belongs to another key: read this key and use what comes back")]
    OtherKey,
}

impl ContextError {
    /// Appends what tells it from other errors, for the identity of a run.
    pub(crate) fn fingerprint(self, out: &mut Vec<u8>) {
        match self {
            Self::Corrupt => fingerprint::number(out, 1),
            Self::Format(format) => fingerprint::numbers(out, [2, format.into()]),
            Self::OtherCluster => fingerprint::number(out, 3),
            Self::OtherKey => fingerprint::number(out, 4),
        }
    }
}

const FORMAT: u8 = 2;
const CHECKSUM_BYTES: usize = 8;

impl Container {
    /// The context of a reply that returns the whole container.
    pub fn context(&self) -> Context {
        Context { seen: self.seen().clone(), time: self.newest().unwrap_or_default() }
    }
}

impl Context {
    /// Learns of all events of a container. Of those that it accounts for, the newest stands: what was
    /// overwritten is older than what overwrote it.
    pub fn learn(&mut self, container: &Container) {
        self.seen.merge(container.seen());
        self.time = self.time.max(container.newest().unwrap_or_default());
    }

    /// The token of this context for a key of a cluster.
    pub fn to_token(&self, cluster: ClusterId, key: &Key) -> Bytes {
        let mut token = Vec::with_capacity(128);
        token.push(FORMAT);
        cluster.encode(&mut token);
        key_hash(key).encode(&mut token);
        self.encode(&mut token);
        let checksum = checksum(&token);
        token.extend_from_slice(&checksum);
        Bytes::from(token.into_boxed_slice())
    }

    /// Reads the context from a token.
    ///
    /// # Errors
    /// [`ContextError`], if the token is not one that this cluster made for this key.
    pub fn from_token(token: &[u8], cluster: ClusterId, key: &Key) -> Result<Self, ContextError> {
        let (signed, sum) =
            token.split_last_chunk::<CHECKSUM_BYTES>().ok_or(ContextError::Corrupt)?;
        let (&format, encoded) = signed.split_first().ok_or(ContextError::Corrupt)?;
        if *sum != checksum(signed) {
            return Err(ContextError::Corrupt);
        }
        if format != FORMAT {
            return Err(ContextError::Format(format));
        }
        let mut input = Reader::new(encoded);
        let mut read = || {
            Ok((Codec::decode(&mut input)?, Codec::decode(&mut input)?, Codec::decode(&mut input)?))
        };
        let (of_cluster, of_key, context): (ClusterId, KeyHash, _) =
            read().map_err(|Malformed| ContextError::Corrupt)?;
        if !input.rest().is_empty() {
            return Err(ContextError::Corrupt);
        }
        if of_cluster != cluster {
            return Err(ContextError::OtherCluster);
        }
        if of_key != key_hash(key) {
            return Err(ContextError::OtherKey);
        }
        Ok(context)
    }
}

/// The first half of the key's own hash.
const fn key_hash(key: &Key) -> KeyHash {
    KeyHash(key.token().high())
}

fn checksum(signed: &[u8]) -> [u8; CHECKSUM_BYTES] {
    ContentHash::of(&[b"context", signed]).high().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Epoch, NodeId, RequestId};
    use crate::version::{Actor, Content, Dot, Version};

    const CLUSTER: ClusterId = ClusterId(7);

    fn context() -> Context {
        let actor = Actor { node: NodeId(1), epoch: Epoch(2) };
        Context { seen: [Dot { actor, n: 3 }].into_iter().collect(), time: HybridTime(8) }
    }

    #[test]
    fn a_token_returns_the_context_that_it_was_made_from() {
        let token = context().to_token(CLUSTER, &Key::from("k"));
        assert_eq!(Context::from_token(&token, CLUSTER, &Key::from("k")), Ok(context()));
    }

    #[test]
    fn a_context_keeps_the_newest_time_of_all_that_it_learned_of() {
        let mut learned = Context::default();
        for (node, time) in [(1, 5), (2, 9), (3, 7)] {
            let actor = Actor { node: NodeId(node), epoch: Epoch(1) };
            let (content, request) = (Content::Tombstone, RequestId(1));
            let time = HybridTime(time);
            let version = Version { content, time, expiry: None, request, tag: None };
            let mut container = Container::default();
            container.add(Dot { actor, n: 1 }, version);
            learned.learn(&container);
        }
        learned.learn(&Container::default());
        assert_eq!((learned.seen.len(), learned.time), (3, HybridTime(9)));
    }

    #[test]
    fn a_token_of_another_key_or_cluster_is_refused() {
        let token = context().to_token(CLUSTER, &Key::from("k"));
        let other_key = Context::from_token(&token, CLUSTER, &Key::from("l"));
        let other_cluster = Context::from_token(&token, ClusterId(8), &Key::from("k"));
        assert_eq!(other_key, Err(ContextError::OtherKey));
        assert_eq!(other_cluster, Err(ContextError::OtherCluster));
    }

    proptest! {
        #[test]
        fn a_token_with_any_byte_changed_is_refused(at in 0_usize..1_000, to in 1_u8..=255) {
            let mut token = Vec::from(context().to_token(CLUSTER, &Key::from("k")));
            let at = at % token.len();
            token[at] ^= to;
            prop_assert!(Context::from_token(&token, CLUSTER, &Key::from("k")).is_err());
        }

        #[test]
        fn garbage_is_refused_and_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Context::from_token(&garbage, CLUSTER, &Key::from("k")).is_err());
        }
    }
}
