//! A seeded deterministic simulator for whole clusters of `kv-core`.

pub mod report;
pub mod result;
pub mod run;
pub mod scenario;
