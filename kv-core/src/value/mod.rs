//! The values of keys, and what commands do with them.
//!
//! Nothing here knows of nodes, clocks, disks or the Redis protocol.

pub mod bits;
pub mod index;
mod integer;
pub mod text;

pub use integer::parse_integer;
