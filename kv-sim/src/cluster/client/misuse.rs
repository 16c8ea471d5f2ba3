//! Requests that make no sense, made of such as would.

use bytes::Bytes;
use kv_core::client::{PutContext, Verb};
use kv_core::types::{ClusterId, Key};
use kv_core::version::{Content, Context};

use super::keys::ClientKeys;
use crate::cluster::scene::cluster_id;
use crate::scenario::Misuse;

/// The token that a client was given last, with the number of its key.
#[derive(Clone, Debug)]
pub(super) struct LastToken {
    pub(super) key: u32,
    pub(super) token: Bytes,
}

/// The parts of which a request that makes no sense is made.
pub(super) struct MisuseOf<'a> {
    /// The number of the key.
    pub(super) key: u32,
    /// The value that would be written.
    pub(super) value: Content,
    /// The token that the client was given last, if any.
    pub(super) last: Option<&'a LastToken>,
    /// The largest value that there may be, in bytes.
    pub(super) value_bytes_max: u64,
    /// 64 bits that pick what is altered of a token.
    pub(super) altered: u64,
}

/// Makes a request that makes no sense in this way. A `verb` is given back if it is no part of that.
pub(super) fn misused(
    how: Misuse,
    verb: Verb,
    of: MisuseOf<'_>,
    keys: &mut ClientKeys,
) -> (Key, Verb) {
    let MisuseOf { key: number, value, last, value_bytes_max, altered } = of;
    let key = keys.get(number).clone();
    let context = last.map_or_else(Context::default, |last| context_in(last, keys));
    let put =
        |token, content| Verb::Put { content, expiry: None, context: PutContext::Token(token) };
    let token = |cluster, key: &Key| context.to_token(cluster, key);
    match how {
        Misuse::OtherKey => {
            let given = last.filter(|last| last.key != number).map(|last| last.token.clone());
            let made = || token(cluster_id(), &Key::from("the key of somebody else"));
            (key, put(given.unwrap_or_else(made), value))
        }
        Misuse::OtherCluster => {
            let token = token(ClusterId::of("another one"), &key);
            (key, put(token, value))
        }
        Misuse::CorruptToken => {
            let token = corrupted(&token(cluster_id(), &key), altered);
            (key, put(token, value))
        }
        Misuse::EmptyKey => (Key::from(""), verb),
        Misuse::LongKey => (keys.too_long().clone(), verb),
        Misuse::LongValue => {
            let length = usize::try_from(value_bytes_max).unwrap_or(usize::MAX - 1) + 1;
            let content = Content::Value(Bytes::from(vec![b'.'; length]));
            (key, Verb::Put { content, expiry: None, context: PutContext::Nothing })
        }
    }
}

/// The context in a token that its cluster made.
fn context_in(last: &LastToken, keys: &mut ClientKeys) -> Context {
    Context::from_token(&last.token, cluster_id(), keys.get(last.key)).unwrap_or_default()
}

/// Cuts a token, or alters one of its bytes.
fn corrupted(token: &Bytes, altered: u64) -> Bytes {
    let at = (altered >> 16) as usize % token.len();
    if altered.is_multiple_of(4) {
        return token.slice(..at);
    }
    let mut bytes = token.to_vec();
    bytes[at] ^= (altered >> 8) as u8 | 1;
    bytes.into()
}

#[cfg(test)]
mod tests {
    use kv_core::version::ContextError;

    use super::*;
    use crate::testing::workload;

    fn context_of(verb: &Verb) -> Bytes {
        match verb {
            Verb::Put { context: PutContext::Token(token), .. } => token.clone(),
            verb => panic!("it passes no token: {verb:?}"),
        }
    }

    #[test]
    fn each_misuse_of_a_token_is_refused_for_its_own_reason() {
        let mut keys = ClientKeys::new(&workload(""));
        let context = Context::default();
        let token =
            |keys: &mut ClientKeys, key| context.clone().to_token(cluster_id(), keys.get(key));
        let lasts = [
            None,
            Some(LastToken { key: 3, token: token(&mut keys, 3) }),
            Some(LastToken { key: 4, token: token(&mut keys, 4) }),
        ];
        let ways = [
            (Misuse::OtherKey, ContextError::OtherKey),
            (Misuse::OtherCluster, ContextError::OtherCluster),
            (Misuse::CorruptToken, ContextError::Corrupt),
        ];
        for last in &lasts {
            for (how, error) in ways {
                for altered in (0..200).map(|number| kv_core::sampling::mix(&[number])) {
                    let value = Content::Value(Bytes::new());
                    let last = last.as_ref();
                    let of = MisuseOf { key: 3, value, last, value_bytes_max: 8, altered };
                    let (key, verb) = misused(how, Verb::Get, of, &mut keys);
                    let read = Context::from_token(&context_of(&verb), cluster_id(), &key);
                    assert_eq!(read, Err(error), "{how:?} with {last:?}");
                }
            }
        }
    }
}
