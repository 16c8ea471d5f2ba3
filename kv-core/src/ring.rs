//! Placeholder until the ring lands.
use crate::types::{Digest, NodeId, PartitionId, Token};
use alloc::vec::Vec;
/// Placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineIndex(pub u32);
/// Placeholder.
#[derive(Debug)]
pub struct Ring;
#[expect(missing_docs, clippy::unused_self, unused_variables, reason = "placeholder")]
impl Ring {
    pub fn version(&self) -> u64 {
        todo!()
    }
    pub fn digest(&self) -> Digest {
        todo!()
    }
    pub fn partition_of(&self, token: Token) -> PartitionId {
        todo!()
    }
    pub fn owners(&self, partition: PartitionId) -> &[NodeId] {
        todo!()
    }
    pub fn fallbacks(&self, partition: PartitionId) -> Vec<NodeId> {
        todo!()
    }
    pub fn machine(&self, node: NodeId) -> Option<MachineIndex> {
        todo!()
    }
    pub fn owned_by(&self, node: NodeId) -> Vec<PartitionId> {
        todo!()
    }
    pub fn shared(&self, a: NodeId, b: NodeId) -> Vec<PartitionId> {
        todo!()
    }
}
