//! A seeded deterministic simulator for whole clusters of `kv-core`.

pub mod artefact;
pub mod bench;
pub mod checks;
pub mod report;
pub mod result;
pub mod run;
pub mod scenario;
pub mod sweep;
