//! Redis clients: accepts them. The state that all connections share is in `shared`, one connection
//! in `client`, the bytes of all in `budget` and `read_gate`, dropped connections in
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
mod shared;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use accounts::Rules;
use client::{Client, farewell};
use shared::RedisShared;

use crate::core_loop::ConnectionId;
use crate::socket;
use crate::stop::Stopping;
use crate::tasks::Tasks;

pub use shared::RedisSetup;

/// The pause after the system refused a connection (no more file descriptors, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The number of connections that are told at once why they are turned away; more are closed
/// without a word. Each holds a descriptor beyond `limits.connections`, and `descriptors.rs` leaves
/// room for so many.
const TURNED_AWAY_MAX: usize = 32;

/// Serves clients until the node stops, and then until they have the replies they are owed. Returns
/// the number of connections that had to be left.
pub async fn listen(listener: TcpListener, setup: RedisSetup, mut stopping: Stopping) -> usize {
    let room = Arc::new(Semaphore::new(setup.limits.connections));
    let timeout = Duration::from_millis(setup.limits.stop_ms as u64);
    let shared = Arc::new(RedisShared::new(setup, listener.local_addr().ok()));
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
async fn watch(shared: Arc<RedisShared>, mut stopping: Stopping) {
    let RedisShared { setup, accounts, budget, read_gate, .. } = &*shared;
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
