//! Valkey, whose `WAITAOF` makes the same promise as a write with W=2: two disks.

use std::path::Path;

use super::primary_with_replicas::{PrimaryWithReplicas, RedisProgram};

/// Looks for the server.
///
/// # Errors
/// Why there is none, and what to do.
pub(crate) fn find() -> Result<RedisProgram, String> {
    RedisProgram::find("valkey-server", "Valkey", "run tests/setup.sh --peers, which installs it")
}

/// Starts a primary and two replicas.
pub(super) fn start(folder: &Path) -> Result<PrimaryWithReplicas, String> {
    Ok(PrimaryWithReplicas::start(find()?, folder))
}
