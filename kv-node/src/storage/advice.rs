//! Remedies for errors of the system, by their kind.

use std::io::{Error, ErrorKind};

use super::engine::is_out_of_files;

/// Returns an operator's remedy for an error of the system.
pub(super) fn advice(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => {
            "if it was moved or its disk is not mounted, bring it back; see that the path is right"
        }
        ErrorKind::PermissionDenied => {
            "give it to the user that kv-node runs as, to read and to write"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "its file system is mounted for reading only: see the kernel's log for why, and mount it \
             for writing"
        }
        ErrorKind::StorageFull => "the disk is full: make room and start again; no data is harmed",
        ErrorKind::QuotaExceeded => {
            "the quota is used up: raise it or make room, and start again; no data is harmed"
        }
        ErrorKind::NotADirectory => "something that is no directory is in the way: move it away",
        ErrorKind::IsADirectory => "a directory is where a file should be: move it away",
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => "it is corrupt or cut off",
        _ if is_out_of_files(error) => {
            "raise the limit of open files (ulimit -n, or LimitNOFILE= of systemd) and start again; no \
             data is harmed"
        }
        _ => "see the kernel's log: the disk may be failing",
    }
}
