//! The real node: a thin shell of sockets, disks and clocks around `kv-core`.

mod nearest;
pub mod redis;
pub mod resp;
pub mod storage;
