//! The identity of a node, as a small file apart from its data. People may read it.

use kv_core::types::{Generation, NodeId};
use serde::{Deserialize, Serialize};

use super::sealed::{SealError, seal, unseal};

/// The format that is written. Files of other formats are refused.
pub(super) const FORMAT: u32 = 2;

const HEADER: &str = "\
# Who this node is. kv-node keeps this file; do not edit it, and do not copy it to another node.
";

/// The content of the identity file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIdentity {
    /// The node's id for life.
    pub node: NodeId,
    /// The name of the node's cluster.
    pub cluster: String,
    /// The generation of the node's last start.
    pub generation: Generation,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    format: u32,
    node: String,
    cluster: String,
    generation: u64,
}

impl StoredIdentity {
    pub(super) fn encode(&self) -> String {
        let file = IdentityFile {
            format: FORMAT,
            node: self.node.to_string(),
            cluster: self.cluster.clone(),
            generation: self.generation.0,
        };
        seal(HEADER, &file)
    }

    pub(super) fn decode(text: &str) -> Result<Self, SealError> {
        let file: IdentityFile = unseal(text, FORMAT)?;
        let IdentityFile { format: _, node, cluster, generation } = file;
        let node = u64::from_str_radix(&node, 16)
            .map_err(|error| SealError::Content(error.to_string()))?;
        let (node, generation) = (NodeId(node), Generation(generation));
        Ok(Self { node, cluster, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let identity = StoredIdentity {
            node: NodeId(u64::MAX),
            cluster: "a \"quoted\"\nname".into(),
            generation: Generation(1_800_000_000),
        };
        assert_eq!(StoredIdentity::decode(&identity.encode()), Ok(identity));
    }
}
