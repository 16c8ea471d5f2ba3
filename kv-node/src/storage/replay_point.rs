//! The point from which a start replays the log, as a small file beside log and tables. It says, too, which
//! log that is, and which tables hold what comes before.

use std::io;
use std::path::Path;

use kv_core::log::{LogId, LogIdentity, LogPosition, LogRun, ReplayFrom, SegmentBytes};
use kv_core::types::NodeId;
use serde::{Deserialize, Serialize};

use super::sealed::{self, SealError, seal, unseal};

/// The name of the file.
pub(super) const REPLAY_POINT: &str = "replay";

/// The format that is written. Files of other formats are refused.
const FORMAT: u32 = 1;

const HEADER: &str = "\
# From where kv-node reads its log at the next start: all before that is in its tables. Do not edit it.
";

/// The content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplayPoint {
    pub(super) log: LogIdentity,
    pub(super) from: ReplayFrom,
    /// The version of the list of tables: an older one lacks something.
    pub(super) tables: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayPointFile {
    format: u32,
    node: String,
    log: String,
    segment_bytes: u32,
    position: u64,
    run: u64,
    started: u64,
    tables: u64,
}

impl ReplayPoint {
    /// Reads the file in a folder.
    ///
    /// # Errors
    /// The system's, as the outer one; [`SealError`], if the file is not as it was written.
    pub(super) fn read(folder: &Path) -> io::Result<Result<Self, SealError>> {
        let text = std::fs::read(folder.join(REPLAY_POINT))?;
        Ok(Self::decode(&String::from_utf8_lossy(&text)))
    }

    /// Replaces the file in a folder, durably.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        sealed::replace(folder, REPLAY_POINT, self.encode().as_bytes())
    }

    fn encode(&self) -> String {
        let Self { log, from, tables } = *self;
        let file = ReplayPointFile {
            format: FORMAT,
            node: log.node.to_string(),
            log: format!("{:016x}", log.log.0),
            segment_bytes: log.segment_bytes.get() as u32,
            position: from.position.0,
            run: from.run.0,
            started: from.started.0,
            tables,
        };
        seal(HEADER, &file)
    }

    fn decode(text: &str) -> Result<Self, SealError> {
        let file: ReplayPointFile = unseal(text, FORMAT)?;
        let content = |error: String| SealError::Content(error);
        let id =
            |text: &str| u64::from_str_radix(text, 16).map_err(|error| content(error.to_string()));
        let segment_bytes =
            SegmentBytes::new(file.segment_bytes).map_err(|error| content(error.to_string()))?;
        let log = LogIdentity {
            node: NodeId(id(&file.node)?),
            log: LogId(id(&file.log)?),
            segment_bytes,
        };
        let from = ReplayFrom {
            position: LogPosition(file.position),
            run: LogRun(file.run),
            started: LogPosition(file.started),
        };
        Ok(Self { log, from, tables: file.tables })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("there is room");
        let log = LogIdentity {
            node: NodeId(u64::MAX),
            log: LogId(7),
            segment_bytes: SegmentBytes::DEFAULT,
        };
        let from = ReplayFrom {
            position: LogPosition(1 << 40),
            run: LogRun(1_800_000_000),
            started: LogPosition(96),
        };
        let point = ReplayPoint { log, from, tables: 12 };
        point.write(folder.path()).expect("there is room");
        assert_eq!(ReplayPoint::read(folder.path()).expect("it is there"), Ok(point));
    }
}
