//! Keys that are longer than the engine takes.
//!
//! A key of the cluster may have 64 KiB, and the store puts a few bytes before it; the engine takes
//! 65,535. So of a long key only a head and a digest become the engine's key, and the whole key
//! lies with the record. Long keys with one head stand together, behind all short keys that sort
//! before them and before all that sort behind them; among themselves they are in no order, so a
//! scan gathers and sorts them.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use kv_core::store::Corrupt;
use kv_core::types::ContentHash;

/// The longest key that the engine gets as it is.
const SHORT_BYTES_MAX: usize = 65_000;

const LENGTH_BYTES: usize = 4;

/// Returns the part of a key, or of a prefix, that the engine gets unchanged.
pub(super) fn head(key: &[u8]) -> &[u8] {
    &key[..key.len().min(SHORT_BYTES_MAX)]
}

/// Tells whether a key of the store, or of the engine, is a long one.
pub(super) const fn is_long(key: &[u8]) -> bool {
    key.len() > SHORT_BYTES_MAX
}

/// Returns the engine's key for a key of the store.
pub(super) fn engine_key(key: &[u8]) -> Cow<'_, [u8]> {
    if !is_long(key) {
        return Cow::Borrowed(key);
    }
    Cow::Owned([head(key), &ContentHash::of(&[key]).0.to_be_bytes()].concat())
}

/// Wraps the record of a long key with the key before it.
pub(super) fn wrap(key: &[u8], record: &[u8]) -> Bytes {
    let length = u32::try_from(key.len()).expect("keys are shorter than 4 GiB");
    let mut wrapped = BytesMut::with_capacity(LENGTH_BYTES + key.len() + record.len());
    wrapped.put_u32(length);
    wrapped.put_slice(key);
    wrapped.put_slice(record);
    wrapped.freeze()
}

/// Splits a wrapped record into its long key and its record.
///
/// # Errors
/// [`Corrupt`], if it does not belong under the engine's key.
pub(super) fn unwrap(found_under: &[u8], wrapped: &Bytes) -> Result<(Bytes, Bytes), Corrupt> {
    let (length, rest) = wrapped.split_first_chunk::<LENGTH_BYTES>().ok_or(Corrupt)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Corrupt)?;
    let (key, _) = rest.split_at_checked(length).ok_or(Corrupt)?;
    if *engine_key(key) != *found_under {
        return Err(Corrupt);
    }
    let record_at = LENGTH_BYTES + length;
    Ok((wrapped.slice(LENGTH_BYTES..record_at), wrapped.slice(record_at..)))
}
