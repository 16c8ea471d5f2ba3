//! What a request asks for: whose answers count, and how many are enough.

use serde::{Deserialize, Serialize};

/// Who counts towards a quorum (SEMANTICS §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Owners, and fallbacks that stand in for them, on distinct machines: writeable while W
    /// machines are reachable; converges.
    #[default]
    Sloppy,
    /// Owners that answered: if R + W > N, a read sees every write acked before it began.
    Strict,
}

/// How many answers are enough, and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// This many, anywhere.
    Count(u8),
    /// One.
    One,
    /// More than half of all owners.
    Quorum,
    /// All owners.
    All,
    /// More than half of the owners in the coordinator's own data center.
    LocalQuorum,
    /// More than half of the owners in each data center.
    EachQuorum,
}
