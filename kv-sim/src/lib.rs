//! A seeded deterministic simulator for whole clusters of `kv-core`.

pub mod address;
pub mod clock;
pub mod disk;
pub mod draws;
pub mod moment;
pub mod scenario;
#[cfg(test)]
mod testing;
