//! Contexts as clients hold them: opaque tokens that say what a reply covered.
//!
//! A token is bound to its key and cluster. One that was cut, altered, or belongs to another key,
//! cluster or backup is refused: taken at its word, it would swallow writes that nobody has seen.

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use super::VersionVector;
use crate::codec::{Codec, Malformed, Reader};
use crate::fingerprint;
use crate::types::{ClusterId, ContentHash, Key, KeyHash};

/// The events of one key that a client has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Every event that the reply accounted for.
    pub seen: VersionVector,
}

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

const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

impl Context {
    /// The token of this context for a key of a cluster.
    pub fn to_token(&self, cluster: ClusterId, key: &Key) -> Bytes {
        let mut token = Vec::with_capacity(128);
        token.push(FORMAT);
        cluster.encode(&mut token);
        key_hash(key).encode(&mut token);
        self.seen.encode(&mut token);
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
        let (of_cluster, of_key, seen): (ClusterId, KeyHash, _) =
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
        Ok(Self { seen })
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
    use crate::types::{Epoch, NodeId};
    use crate::version::{Actor, Dot};

    const CLUSTER: ClusterId = ClusterId(7);

    fn context() -> Context {
        let actor = Actor { node: NodeId(1), epoch: Epoch(2) };
        Context { seen: [Dot { actor, n: 3 }].into_iter().collect() }
    }

    #[test]
    fn a_token_returns_the_context_that_it_was_made_from() {
        let token = context().to_token(CLUSTER, &Key::from("k"));
        assert_eq!(Context::from_token(&token, CLUSTER, &Key::from("k")), Ok(context()));
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
