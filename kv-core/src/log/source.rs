//! The files of a log as recovery reads them.

use alloc::vec::Vec;

use super::position::SegmentNumber;

/// The number of bytes that are read at once, at least: 256 KiB.
const CHUNK_BYTES: u64 = 256 << 10;

/// The files of a log. The driver's part of recovery.
pub trait LogSource {
    /// The error of the system below.
    type Error;

    /// Lists the files of the log, prepared ones included, in any order.
    ///
    /// # Errors
    /// Whatever the system says; then nothing is known of the log.
    fn segments(&mut self) -> Result<Vec<SegmentFile>, Self::Error>;

    /// Fills the buffer with the bytes of a segment from this offset on. No more is asked for than the
    /// file is long.
    ///
    /// # Errors
    /// Whatever the system says. It may be passing, so it is never taken for a corrupt frame.
    fn read(
        &mut self,
        segment: SegmentNumber,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), Self::Error>;
}

/// A file of a log, known by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentFile {
    /// The number that the name of the file says.
    pub number: SegmentNumber,
    /// The length of the file, in bytes.
    pub bytes: u64,
}

/// The piece of a segment that is in memory. Holds [`CHUNK_BYTES`], or one frame if that is larger.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadWindow {
    segment: SegmentNumber,
    begin: u64,
    bytes: Vec<u8>,
}

impl ReadWindow {
    /// The bytes of a file at an offset; nothing if it ends before.
    pub(super) fn get<S: LogSource>(
        &mut self,
        source: &mut S,
        file: SegmentFile,
        offset: u64,
        length: u64,
    ) -> Result<Option<&[u8]>, S::Error> {
        let end = offset.saturating_add(length);
        if end > file.bytes {
            return Ok(None);
        }
        let held = self.begin..self.begin + self.bytes.len() as u64;
        if self.segment != file.number || offset < held.start || end > held.end {
            let read = length.max(CHUNK_BYTES).min(file.bytes - offset);
            // Nothing is held if the read fails.
            self.bytes.clear();
            self.bytes.resize(read as usize, 0);
            (self.segment, self.begin) = (file.number, offset);
            if let Err(error) = source.read(file.number, offset, &mut self.bytes) {
                self.bytes.clear();
                return Err(error);
            }
        }
        // What is held fits into memory, so offsets within it do.
        let from = (offset - self.begin) as usize;
        Ok(self.bytes.get(from..from + length as usize))
    }

    /// Forgets what is held.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}
