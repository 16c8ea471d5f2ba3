//! A seeded deterministic simulator for whole clusters of `kv-core`.

pub mod address;
pub mod agenda;
pub mod artefact;
mod asked;
pub mod bench;
pub mod checks;
pub mod client;
pub mod clock;
pub mod digest;
pub mod disk;
pub mod draws;
mod hashing;
mod ledger;
pub mod marks;
pub mod network;
pub mod node;
pub mod panics;
pub mod record;
pub mod report;
pub mod result;
pub mod run;
pub mod scenario;
pub mod scene;
pub mod shrink;
pub mod state;
pub mod summary;
pub mod sweep;
#[cfg(test)]
mod testing;
pub mod timeline;
pub mod words;
pub mod world;
pub mod world_time;
