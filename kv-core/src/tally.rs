//! Placeholder until the tally lands.
use thiserror::Error;
/// Placeholder.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("quorum")]
pub struct QuorumError;
