//! A seeded deterministic simulator for whole clusters of `kv-core`.

pub mod address;
pub mod agenda;
pub mod clock;
pub mod digest;
pub mod disk;
pub mod draws;
pub mod network;
pub mod scenario;
#[cfg(test)]
mod testing;
pub mod world_time;
