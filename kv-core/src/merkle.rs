//! Placeholder until the Merkle tree lands.
use serde::{Deserialize, Serialize};
/// Children of an inner node.
pub const FAN_OUT: usize = 16;
/// A leaf.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LeafId(pub u8);
