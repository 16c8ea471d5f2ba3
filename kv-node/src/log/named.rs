//! Nodes as people know them.

use std::fmt;

use kv_core::ring::Ring;
use kv_core::types::NodeId;

/// A node's name with its id, such as `n2 (9ae1f0c3d2b4a596)`; its id alone if it is no member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    name: Option<String>,
    node: NodeId,
}

impl Named {
    /// Looks up the name that the layout gives to a node.
    pub fn new(ring: &Ring, node: NodeId) -> Self {
        Self { name: ring.member(node).map(|member| member.name.clone()), node }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.node),
            None => write!(f, "{}", self.node),
        }
    }
}

#[cfg(test)]
mod tests {
    use kv_core::layout::Layout;

    use super::*;

    #[test]
    fn a_member_is_shown_with_its_name_and_a_stranger_without() {
        let nodes = [(NodeId(1), "n1".to_owned())];
        let ring = Ring::new(Layout::single_datacenter(16, 1, nodes)).expect("a sound layout");
        assert_eq!(Named::new(&ring, NodeId(1)).to_string(), "n1 (0000000000000001)");
        assert_eq!(Named::new(&ring, NodeId(2)).to_string(), "0000000000000002");
    }
}
