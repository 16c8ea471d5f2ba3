//! The real node: a thin shell of sockets, disks and clocks around `kv-core`.

pub mod storage;
