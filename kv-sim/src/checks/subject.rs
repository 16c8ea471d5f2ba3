//! What a violation is about: enough for a report to show what happened to exactly that.

use kv_core::time::Time;
use kv_core::types::Key;
use kv_core::version::Dot;

/// A key and, if it is about some writes of it, those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The key.
    pub key: Key,
    /// The dots of the writes: of the one that was promised before others.
    pub dots: Vec<Dot>,
    /// When the first of them was named.
    pub since: Option<Time>,
}
