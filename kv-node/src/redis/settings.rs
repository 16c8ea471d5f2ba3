//! The settings that all connections of a node share.

use kv_core::config::Config;
use kv_core::types::KEY_BYTES_MAX;

use crate::resp::ParserLimits;

/// The settings that all connections of a node share.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// The core's configuration: its levels stand where a client gives none, its limits are checked
    /// before anything is done, and it says how siblings are shown.
    pub config: Config,
    /// The number of keys for which one connection remembers the order of its writes. Each takes
    /// about a hundred bytes and its key.
    pub session_keys_max: usize,
    /// The number of unanswered commands of one connection at which no more are read.
    pub commands_max: usize,
    /// The number of operations of one connection that the core works on at once.
    pub operations_max: usize,
    /// The bytes that one connection may hold, in commands that wait and in replies that were not
    /// written yet, before no more commands are read.
    pub held_bytes_max: usize,
    /// The bytes of all values in one reply, at most.
    pub reply_bytes_max: usize,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            config: Config::default(),
            session_keys_max: 1_024,
            commands_max: 1_024,
            operations_max: 1_024,
            held_bytes_max: 128 * 1024 * 1024,
            reply_bytes_max: 128 * 1024 * 1024,
        }
    }
}

impl RedisSettings {
    /// The limits of each connection's parser. An argument that no key or value can be is skipped
    /// as it comes; one that is a little too long is refused in the words of the store.
    pub fn limits(&self) -> ParserLimits {
        let value_bytes_max = usize::try_from(self.config.value_bytes_max).unwrap_or(usize::MAX);
        let argument_bytes_max = value_bytes_max.max(KEY_BYTES_MAX).saturating_add(64 * 1024);
        let command_bytes_max = argument_bytes_max.saturating_mul(4).max(64 * 1024 * 1024);
        ParserLimits { argument_bytes_max, command_bytes_max, ..ParserLimits::default() }
    }
}
