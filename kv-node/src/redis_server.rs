//! Redis clients: accepts them, and keeps the state that all their connections share. One
//! connection is in `client`, the bytes of all in `budget` and `read_gate`, dropped connections in
//! `accounts`, and the node's facts for clients in `info`. The meaning of the bytes is the business
//! of [`crate::resp`] and [`crate::redis`].

mod accounts;
mod budget;
mod client;
mod flights;
mod info;
mod process;
mod rate;
mod read_gate;
mod registry;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kv_core::config::Config;
use kv_core::types::NodeId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

pub use accounts::DropReason;
use accounts::{Accounts, Rules};
use budget::Budget;
use client::{Client, farewell};
use rate::Rate;
use read_gate::ReadGate;
use registry::{Entry, Registry};

use crate::config::Limits;
use crate::core_loop::{ConnectionId, CoreHandle};
use crate::log::LogLimiter;
use crate::metrics::Metrics;
use crate::redis::Settings;
use crate::resp;
use crate::socket;
use crate::stop::Stopping;
use crate::storage::Durability;
use crate::tasks::Tasks;

/// The pause after the system refused a connection (no more file descriptors, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The share of the clients' bytes, as one part of so many, that reads may hold beside them while
/// the core works on them. A read of three replicas may hold three answers.
const READS_PART: usize = 8;

/// The number of connections that are told at once why they are turned away; more are closed
/// without a word. Each holds a descriptor beyond `limits.connections`, and `descriptors.rs` leaves
/// room for so many.
const TURNED_AWAY_MAX: usize = 32;

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
struct Shared {
    setup: RedisSetup,
    settings: Arc<Settings>,
    parser: resp::Limits,
    address: Option<SocketAddr>,
    started: Instant,
    registry: Registry,
    rate: Rate,
    accounts: Accounts,
    budget: Arc<Budget>,
    read_gate: Arc<ReadGate>,
}

/// Serves clients until the node stops, and then until they have the replies they are owed. Returns
/// the number of connections that had to be left.
pub async fn listen(listener: TcpListener, setup: RedisSetup, mut stopping: Stopping) -> usize {
    let room = Arc::new(Semaphore::new(setup.limits.connections));
    let timeout = Duration::from_millis(setup.limits.stop_ms as u64);
    let shared = Arc::new(Shared::new(setup, listener.local_addr().ok()));
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let (mut tasks, mut next) = (Tasks::default(), 0);
    tasks.spawn(watch(Arc::clone(&shared), stopping.clone()));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.stopped() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(permit) => {
                    next += 1;
                    let client = Client::new(ConnectionId(next), from, &stream, &shared);
                    tasks.spawn(client.serve(stream, stopping.clone(), permit));
                }
                Err(_) => {
                    shared.on_too_many();
                    if let Ok(permit) = Arc::clone(&turned_away).try_acquire_owned() {
                        tasks.spawn(async move {
                            turn_away(stream).await;
                            drop(permit);
                        });
                    }
                }
            },
            // The client has given up before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                shared.on_not_accepted(error);
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let left = tasks.end(timeout).await;
    if left > 0 {
        tracing::warn!(connections = left, "clients were left that waited or did not read");
    }
    left
}

/// Watches the memory and progress of connections, until the node stops.
async fn watch(shared: Arc<Shared>, mut stopping: Stopping) {
    let Shared { setup, accounts, budget, read_gate, .. } = &*shared;
    let rules = Rules::new(&setup.limits);
    let looked = || {
        setup.metrics.client_held_bytes.set(budget.used() as i64);
    };
    tokio::select! {
        biased;
        () = stopping.stopped() => {}
        () = accounts.watch(&rules, budget, looked) => {}
        () = read_gate.forget() => {}
    }
}

async fn turn_away(stream: TcpStream) {
    let (reader, writer) = socket::split(stream);
    farewell(reader, writer, b"-ERR max number of clients reached\r\n").await;
}

impl Shared {
    fn new(setup: RedisSetup, address: Option<SocketAddr>) -> Self {
        let RedisSetup { config, limits, .. } = &setup;
        let settings = Settings {
            config: config.clone(),
            session_keys_max: limits.session_keys,
            commands_max: limits.pipeline,
            operations_max: limits.pipeline,
            held_bytes_max: limits.held_bytes,
            reply_bytes_max: limits.reply_bytes,
        };
        let parser = resp::Limits { arguments_max: limits.arguments, ..settings.limits() };
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

    fn on_too_many(&self) {
        let RedisSetup { limits, metrics, log_limiter, .. } = &self.setup;
        metrics.connections_refused.inc();
        let max = limits.connections;
        log_limiter.tell("clients", "too many", move |repeated| {
            tracing::warn!(repeated, max, "a client is turned away: limits.connections are there");
        });
    }

    fn on_not_accepted(&self, error: io::Error) {
        let kind = error.to_string();
        self.setup.log_limiter.tell("clients", &kind, move |repeated| {
            tracing::warn!(repeated, "a client cannot be accepted: {error}");
        });
    }
}

/// The node as one connection sees it.
struct Seen<'a> {
    shared: &'a Shared,
    by: ConnectionId,
    entry: &'a Entry,
}
