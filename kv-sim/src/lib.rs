//! A seeded deterministic simulator for whole clusters of `kv-core`.

pub mod address;
pub mod artefact;
pub mod bench;
pub mod checks;
pub mod client;
pub mod clock;
pub mod digest;
pub mod disk;
mod draw_counter;
pub mod draws;
pub mod event_queue;
pub mod former_names;
mod hashing;
mod ledger;
pub mod network;
pub mod node;
pub mod panics;
pub mod probes;
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
