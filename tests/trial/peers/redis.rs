//! Redis, as Debian has it.

use std::path::Path;

use super::primary_with_replicas::{PrimaryWithReplicas, RedisProgram};

/// Looks for the server.
///
/// # Errors
/// Why there is none, and what to do.
pub(crate) fn find() -> Result<RedisProgram, String> {
    RedisProgram::find("redis-server", "Redis", "run tests/setup.sh, which installs it")
}

/// Starts a primary and two replicas.
pub(super) fn start(folder: &Path) -> Result<PrimaryWithReplicas, String> {
    Ok(PrimaryWithReplicas::start(find()?, folder))
}
