//! The commit log: one for each node, in which every batch lies before it counts as durable.
//!
//! ```text
//!   segment 7                                   segment 8
//!   ┌────────┬───────┬───────┬───────┬───────┐  ┌────────┬───────┬───────┬──────────────┐
//!   │ header │ frame │ frame │ frame │ unused│  │ header │ frame │ frame │ not written  │
//!   └────────┴───────┴───────┴───────┴───────┘  └────────┴───────┴───────┴──────────────┘
//!       ◄───chain───◄───────◄───────◄── end and chain ──────◄───────◄
//! ```
//! It is pure code: [`LogWriter`] takes batches and says which bytes belong where, [`recover`] reads
//! files through a small trait, [`LogSource`]. The driver makes, writes, syncs and renames files. All
//! chance (the [`LogId`]) and all time (when to sync) are the driver's.
//!
//! # Format
//! A [`LogPosition`] counts bytes from the beginning of the log, so the position of a byte says its
//! segment and its offset there. Segments are files of one size ([`SegmentBytes`]), filled with zeros
//! once and then recycled under a new number: so a commit changes no metadata of the file system
//! (PostgreSQL's `wal_init_zero`, CASSANDRA-3411). A segment begins with a [`SegmentHeader`], which is
//! written together with the first frame, and says where the frames of the segments before end: what
//! lies behind that in the segment before was never used. So a segment needs no last frame of its own,
//! and a rotation costs one sync and not two.
//!
//! A frame ([`FrameHeader`]) is what one group commit writes: the batches of the group, or a part of a
//! batch that fits into no segment. Each frame
//! - has a checksum that is *seeded* by the log and the segment ([`LogIdentity::seed_of`]), so that no
//!   frame of a file's earlier life verifies (tikv/raft-engine #214), and every frame verifies alone;
//! - is *chained*: it names the checksum of what is before it, also over segments;
//! - names the position that was known to be *durable* when it was made: it is the witness of all
//!   before that;
//! - names its run of the node and the position at which that began: what earlier runs wrote from there
//!   on had been cut off. So what is cut need not be overwritten, and yet never counts again, even if
//!   the same batches are appended once more.
//!
//! Numbers are little-endian. A sector that is written again keeps what it held if the power fails: the
//! disk must not tear bytes outside of those that are written (SQLite calls that "powersafe
//! overwrite").
//!
//! # Modes
//! They differ in when the driver syncs, and so in what frames name as durable, and in nothing else.
//!
//! | mode | syncs | acknowledges | loses when the process dies | loses when the machine does |
//! |---|---|---|---|---|
//! | `always` | after each write | what is durable | nothing | nothing |
//! | `interval` | when the interval is over | what is written | nothing | what was written since the last sync began |
//! | `never` | at a clean stop, and before `replay_from` moves | what is written | nothing | what the system had not written out |
//!
//! # The life of a log
//! 1. [`LogWriter::create`]: the driver makes the file of segment 0, and writes and syncs its header.
//! 2. The driver makes the files that [`LogWriter::segment_to_prepare`] asks for, ahead of need: so the
//!    newest segment is never the last file, and its loss is seen.
//! 3. When the tables hold all batches up to a position, the driver records what
//!    [`LogWriter::replay_from`] makes of that, durably, and only then calls [`LogWriter::release`].
//! 4. [`LogWriter::stop`], a last sync, and then the file of the marker ([`StopMarker`]), written aside
//!    and renamed.
//! 5. At the next start, [`recover`] and [`RecoveredLog::replay`]. If the verdict is
//!    [`LogVerdict::Corrupt`], the driver makes every partition incomplete, durably; then the log goes on
//!    in a segment of its own, so that nothing is appended to a file that is not sound, and as soon as the
//!    tables are written, that segment is where the next start begins. Until then each start says again
//!    that the log is corrupt. Files below [`LogEnd::oldest`] may be recycled.
//! 6. If there is a marker, it is removed, durably, before anything is written
//!    ([`LogWriter::must_remove_marker`]). The first write of the run says where it began; it is synced,
//!    with all [`LogWriter::segments_to_sync`], before another one is taken, in every mode.
//!
//! # Memory
//! The writer holds the groups that were not taken yet. Recovery holds 256 KiB or one frame, whichever
//! is larger, the parts of one batch, and a few words for each segment, run and hole. No bytes in the
//! files make either of them panic.

mod corruption;
mod frame;
mod header;
mod marker;
mod position;
mod recovery;
mod scan;
mod source;
#[cfg(test)]
mod tests;
mod writer;

pub use self::corruption::{
    CorruptKind, CorruptPlace, ForeignLog, LogCorruption, LogError, LogVerdict,
};
pub use self::frame::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, FrameKind};
pub use self::header::{LOG_FORMAT, ReadHeader, SegmentHeader};
pub use self::marker::{MARKER_BYTES, MarkerUnreadable, StopMarker};
pub use self::position::{
    HEADER_BYTES, LogId, LogIdentity, LogPosition, LogRun, ReplayFrom, SegmentBytes,
    SegmentBytesError, SegmentNumber,
};
pub use self::recovery::{LogProgress, LoggedBatch, RecoveredLog, recover};
pub use self::source::{LogSource, SegmentFile};
pub use self::writer::{GROUP_BYTES, LogEnd, LogStopped, LogWrite, LogWriter, PREPARED_AHEAD};
