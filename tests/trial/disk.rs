//! What the disk that holds a folder has written.

use std::fs::read_to_string;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The unit in which the system counts what disks write, on every one of them.
const SECTOR_BYTES: u64 = 512;

/// A disk, or the part of one that is a file system.
///
/// What the system says of a process instead (`write_bytes` in `/proc/PID/io`) counts a whole folio, up to some
/// megabytes, for each byte that was changed in it, and nothing of what the file system itself writes.
#[derive(Clone, Debug)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// The disk of a folder; none where that is not on one of its own, but on a network or in memory.
    pub(crate) fn of(folder: &Path) -> Option<Self> {
        let device = std::fs::metadata(folder).ok()?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let disk = Self(PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat")));
        disk.written_bytes().map(|_| disk)
    }

    /// The bytes that were written so far, by whoever.
    pub(crate) fn written_bytes(&self) -> Option<u64> {
        let stat = read_to_string(&self.0).ok()?;
        // Reads: count, merged, sectors, time; then the same of writes.
        let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
        Some(sectors * SECTOR_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_synced_was_written() {
        let folder = crate::folder();
        // Where the build lies on no disk of its own there is nothing to look at.
        let Some(disk) = Disk::of(folder.path()) else { return };
        let before = disk.written_bytes().expect("it was there just now");
        let mut file = std::fs::File::create(folder.path().join("file")).expect("a new file");
        file.write_all(&[1; 1 << 20]).expect("there is room");
        file.sync_all().expect("there is room");
        let after = disk.written_bytes().expect("it was there just now");
        assert!(after >= before + (1 << 20), "{}", after - before);
    }
}
