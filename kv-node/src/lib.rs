//! The real node: a thin shell of sockets, disks and clocks around `kv-core`.

pub mod clock;
pub mod config;
pub mod core_loop;
pub mod draws;
pub mod log;
pub mod metrics;
mod nearest;
pub mod peers;
pub mod redis;
pub mod resp;
pub mod stop;
pub mod storage;
pub mod tasks;
