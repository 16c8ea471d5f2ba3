//! The state that all connections of Redis clients share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use kv_core::config::Config;
use kv_core::types::NodeId;

use super::accounts::Accounts;
use super::budget::Budget;
use super::rate::Rate;
use super::read_gate::ReadGate;
use super::registry::{ConnectionEntry, Registry};
use crate::config::Limits;
use crate::core_loop::{ConnectionId, CoreHandle};
use crate::log::LogLimiter;
use crate::metrics::Metrics;
use crate::redis::RedisSettings;
use crate::resp::ParserLimits;
use crate::storage::Durability;

/// The share of the clients' bytes, as one part of so many, that reads may hold beside them while
/// the core works on them. A read of three replicas may hold three answers.
const READS_PART: usize = 8;

/// The arguments of a listener for Redis clients.
#[derive(Debug)]
pub struct RedisSetup {
    /// The node's name.
    pub name: String,
    /// The node's id.
    pub node: NodeId,
    /// The cluster's name.
    pub cluster: String,
    /// The core that executes the operations.
    pub core: CoreHandle,
    /// The core's configuration.
    pub config: Config,
    /// The node's limits.
    pub limits: Limits,
    /// The durability of an acknowledged write.
    pub durability: Durability,
    /// The metrics that count requests and connections.
    pub metrics: Arc<Metrics>,
    /// The limiter that keeps the log short.
    pub log_limiter: Arc<LogLimiter>,
}

/// The state that all connections share.
#[derive(Debug)]
pub(super) struct RedisShared {
    pub(super) setup: RedisSetup,
    pub(super) settings: Arc<RedisSettings>,
    pub(super) parser: ParserLimits,
    pub(super) address: Option<SocketAddr>,
    pub(super) started: Instant,
    pub(super) registry: Registry,
    pub(super) rate: Rate,
    pub(super) accounts: Accounts,
    pub(super) budget: Arc<Budget>,
    pub(super) read_gate: Arc<ReadGate>,
}

impl RedisShared {
    pub(super) fn new(setup: RedisSetup, address: Option<SocketAddr>) -> Self {
        let RedisSetup { config, limits, .. } = &setup;
        let settings = RedisSettings {
            config: config.clone(),
            session_keys_max: limits.session_keys,
            commands_max: limits.pipeline,
            operations_max: limits.pipeline,
            held_bytes_max: limits.held_bytes,
            reply_bytes_max: limits.reply_bytes,
        };
        let parser = ParserLimits { arguments_max: limits.arguments, ..settings.limits() };
        let (settings, started) = (Arc::new(settings), Instant::now());
        let budget = Budget::new(setup.limits.client_bytes);
        let value_bytes_max = usize::try_from(setup.config.value_bytes_max).unwrap_or(usize::MAX);
        let read_gate = ReadGate::new(setup.limits.client_bytes / READS_PART, value_bytes_max);
        Self {
            setup,
            settings,
            parser,
            address,
            started,
            registry: Registry::default(),
            rate: Rate::default(),
            accounts: Accounts::default(),
            budget,
            read_gate,
        }
    }

    pub(super) fn on_too_many(&self) {
        let RedisSetup { limits, metrics, log_limiter, .. } = &self.setup;
        metrics.connections_refused.inc();
        let max = limits.connections;
        log_limiter.tell("clients", "too many", move |repeated| {
            tracing::warn!(repeated, max, "a client is turned away: limits.connections are there");
        });
    }

    pub(super) fn on_not_accepted(&self, error: io::Error) {
        let kind = error.to_string();
        self.setup.log_limiter.tell("clients", &kind, move |repeated| {
            tracing::warn!(repeated, "a client cannot be accepted: {error}");
        });
    }
}

/// The node as one connection sees it.
pub(super) struct SeenByConnection<'a> {
    pub(super) shared: &'a RedisShared,
    pub(super) by: ConnectionId,
    pub(super) entry: &'a ConnectionEntry,
}
