//! Who a node is, as a small file apart from its data. People may read it.

use kv_core::types::{Generation, NodeId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The format that is written. Files of greater ones are refused.
pub(super) const FORMAT: u32 = 1;

const HEADER: &str = "\
# Who this node is. kv-node keeps this file; do not edit it, and do not copy it to another node.
";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIdentity {
    /// The node's name for life.
    pub node: NodeId,
    /// The name of its cluster.
    pub cluster: String,
    /// Its last start.
    pub generation: Generation,
}

/// Why the file says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum DecodeError {
    #[error("its checksum is wrong or missing")]
    Checksum,
    #[error("{0}")]
    Content(String),
    #[error("its format is {0}")]
    Newer(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    node: String,
    cluster: String,
    generation: u64,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl StoredIdentity {
    pub(super) fn encode(&self) -> String {
        let file = File {
            format: FORMAT,
            node: self.node.to_string(),
            cluster: self.cluster.clone(),
            generation: self.generation.0,
        };
        let content = toml::to_string(&file).expect("numbers and text are always TOML");
        let signed = format!("{HEADER}{content}");
        let checksum = crc32fast::hash(signed.as_bytes());
        format!("{signed}checksum = \"{checksum:08x}\"\n")
    }

    pub(super) fn decode(text: &str) -> Result<Self, DecodeError> {
        if let Ok(FormatOnly { format }) = toml::from_str(text)
            && format > FORMAT
        {
            return Err(DecodeError::Newer(format));
        }
        let (signed, checksum) = text.rsplit_once("checksum = ").ok_or(DecodeError::Checksum)?;
        if checksum != format!("\"{:08x}\"\n", crc32fast::hash(signed.as_bytes())) {
            return Err(DecodeError::Checksum);
        }
        let content = |error: &dyn std::fmt::Display| DecodeError::Content(error.to_string());
        let file: File = toml::from_str(signed).map_err(|error| content(&error))?;
        let File { format: _, node, cluster, generation } = file;
        let node = u64::from_str_radix(&node, 16).map_err(|error| content(&error))?;
        let (node, generation) = (NodeId(node), Generation(generation));
        Ok(Self { node, cluster, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> StoredIdentity {
        StoredIdentity {
            node: NodeId(u64::MAX),
            cluster: "a \"quoted\"\nname".into(),
            generation: Generation(1_800_000_000),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(StoredIdentity::decode(&identity().encode()), Ok(identity()));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let text = identity().encode().into_bytes();
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut flipped = text.clone();
                flipped[at] ^= 1 << bit;
                let flipped = String::from_utf8(flipped).expect("ASCII stays ASCII");
                assert!(StoredIdentity::decode(&flipped).is_err(), "bit {bit} of byte {at}");
            }
            let cut = String::from_utf8(text[..at].to_vec()).expect("it is ASCII");
            assert!(StoredIdentity::decode(&cut).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_newer_format_is_known_for_what_it_is_whatever_else_it_says() {
        let newer = "format = 2\nshape = \"unknown\"\n";
        assert_eq!(StoredIdentity::decode(newer), Err(DecodeError::Newer(2)));
    }
}
