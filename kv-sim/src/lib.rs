//! A seeded deterministic simulator for whole clusters of `kv-core`.

pub mod scenario;
