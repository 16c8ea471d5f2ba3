//! The real node: a thin shell of sockets, disks and clocks around `kv-core`.

pub mod config;
mod nearest;
pub mod redis;
pub mod resp;
pub mod storage;
