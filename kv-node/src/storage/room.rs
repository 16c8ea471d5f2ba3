//! The room on a disk.

use std::io;
use std::path::Path;

use kv_core::store::StoreFault;

use super::engine::EngineError;
use super::state::DiskRoom;

/// Returns the room on the disk under this directory.
pub(super) fn room(path: &Path) -> io::Result<DiskRoom> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(DiskRoom {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

/// Checks that at least so many bytes are free on the disk.
///
/// # Errors
/// [`StoreFault::Full`], if less is free. A disk that does not say is tried.
pub(super) fn check_room(path: &Path, bytes_min: u64) -> Result<(), EngineError> {
    match room(path) {
        Ok(DiskRoom { free_bytes, .. }) if free_bytes < bytes_min => {
            let mib = |bytes: u64| bytes >> 20;
            let message = format!(
                "{} MiB are free on the disk of {}, and {} MiB are needed",
                mib(free_bytes),
                path.display(),
                mib(bytes_min)
            );
            Err(EngineError::new(StoreFault::Full, message))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}
