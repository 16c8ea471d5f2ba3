//! The real node: a thin shell of sockets, disks and clocks around `kv-core`.
//!
//! ```text
//!   Redis clients ─► resp, redis, redis_server ─┐           ┌─► storage ─► disk
//!                                               ├► core_loop┤
//!   peers ─────────► peers ─────────────────────┘    │      └─► peers ─► other nodes
//!                                                    └─► metrics, log ─► http, people
//! ```
//! Nothing here decides anything about data: what does belongs into `kv-core`.

#[cfg(not(madsim))]
pub mod admin_client;
#[cfg(not(madsim))]
pub mod admin_targets;
#[cfg(not(madsim))]
pub mod cli;
pub mod clock;
pub mod config;
pub mod core_loop;
#[cfg(not(madsim))]
pub mod descriptors;
#[cfg(not(madsim))]
pub mod dev;
pub mod draws;
pub mod health;
pub mod http;
pub mod inspection;
pub mod log;
#[cfg(not(madsim))]
pub mod memory;
pub mod metrics;
mod nearest;
pub mod node;
#[cfg(not(madsim))]
pub mod orders;
pub mod peers;
pub mod redis;
pub mod redis_server;
pub mod resp;
#[cfg(not(madsim))]
pub mod signals;
pub mod socket;
#[cfg(not(madsim))]
pub mod start;
#[cfg(not(madsim))]
pub mod status;
pub mod stop;
pub mod storage;
pub mod tasks;
