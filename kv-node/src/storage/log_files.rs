//! The files of the commit log: segments of one size, in a folder of their own.
//!
//! A segment is made once, filled with zeros, and synced. When its batches are in tables it is *spare*:
//! it keeps its name, and is renamed when the log needs a new segment. While there is none that is spare,
//! a *fresh* one lies ready, so that nobody waits for zeros.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use kv_core::log::{LogSource, LogWrite, SegmentFile, SegmentNumber};

use super::sealed::sync_directory;

/// The number of spare segments that are kept, at most: more are left only by a burst.
const SPARE_MAX: usize = 8;

/// The bytes that are written at once to fill a new segment.
const FILL_BYTES: usize = 1 << 20;

/// The number that no segment reaches: at a TB a second it would take months.
const NUMBER_END: u64 = 1 << 40;

/// The name of a segment that was made and has no number yet.
const FRESH: &str = "fresh";

/// The name of a segment that is being made ahead.
const AHEAD: &str = "ahead";

/// The files of a log.
#[derive(Debug)]
pub(super) struct LogFiles {
    folder: PathBuf,
    segment_bytes: u64,
    /// The files that were used lately.
    open: BTreeMap<SegmentNumber, File>,
    /// The segments that the log does not need any more.
    spare: Vec<SegmentNumber>,
    /// True if a fresh segment lies ready.
    has_fresh: bool,
    /// The number of segments with a number, spare ones included.
    count: u64,
}

impl LogFiles {
    /// The files in a folder, which is there.
    pub(super) const fn new(folder: PathBuf, segment_bytes: u64) -> Self {
        Self {
            folder,
            segment_bytes,
            open: BTreeMap::new(),
            spare: Vec::new(),
            has_fresh: false,
            count: 0,
        }
    }

    /// The number of bytes of all files.
    pub(super) const fn bytes(&self) -> u64 {
        (self.count + self.has_fresh as u64) * self.segment_bytes
    }

    /// The path of a segment.
    pub(super) fn path(&self, segment: SegmentNumber) -> PathBuf {
        self.folder.join(format!("{:016x}.log", segment.0))
    }

    /// Lists the segments that are there.
    pub(super) fn list(folder: &Path) -> io::Result<Vec<SegmentFile>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
            let number = number.filter(|digits| digits.len() == 16);
            let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            if let Some(number) = number.filter(|&number| number < NUMBER_END) {
                let bytes = entry.metadata()?.len();
                found.push(SegmentFile { number: SegmentNumber(number), bytes });
            }
        }
        Ok(found)
    }

    /// Makes the file of a segment, out of a spare or a fresh one if there is one, with its name durable.
    pub(super) fn prepare(&mut self, segment: SegmentNumber) -> io::Result<()> {
        if self.path(segment).try_exists()? {
            // It was made, and its name could not be synced then.
        } else if let Some(&spare) = self.spare.last() {
            std::fs::rename(self.path(spare), self.path(segment))?;
            self.spare.pop();
        } else {
            self.stock()?;
            std::fs::rename(self.folder.join(FRESH), self.path(segment))?;
            self.has_fresh = false;
            self.count += 1;
        }
        sync_directory(&self.folder)
    }

    /// Tells whether a fresh segment is to be made ahead: there is none, and no spare one.
    pub(super) const fn wants_fresh(&self) -> bool {
        !self.has_fresh && self.spare.is_empty()
    }

    /// Makes a fresh segment, unless there is one.
    fn stock(&mut self) -> io::Result<()> {
        if !self.has_fresh {
            self.fresh("unfinished").make()?;
            self.take_fresh("unfinished")?;
        }
        Ok(())
    }

    /// A segment that somebody else makes, without holding up the log.
    pub(super) fn fresh_ahead(&self) -> FreshSegment {
        self.fresh(AHEAD)
    }

    /// Takes a segment that was made ahead, if it is still wanted.
    pub(super) fn take_fresh_ahead(&mut self) -> io::Result<()> {
        if self.has_fresh {
            std::fs::remove_file(self.folder.join(AHEAD))
        } else {
            self.take_fresh(AHEAD)
        }
    }

    fn fresh(&self, name: &str) -> FreshSegment {
        FreshSegment { path: self.folder.join(name), bytes: self.segment_bytes }
    }

    fn take_fresh(&mut self, name: &str) -> io::Result<()> {
        std::fs::rename(self.folder.join(name), self.folder.join(FRESH))?;
        self.has_fresh = true;
        Ok(())
    }

    /// Writes to a segment.
    pub(super) fn write(&mut self, write: &LogWrite) -> io::Result<()> {
        self.file(write.segment)?.write_all_at(&write.bytes, write.offset)
    }

    /// Opens a segment that is to be synced. Tells whether it is there.
    pub(super) fn open(&mut self, segment: SegmentNumber) -> io::Result<bool> {
        match self.file(segment) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Syncs a segment.
    pub(super) fn sync(&mut self, segment: SegmentNumber) -> io::Result<()> {
        self.file(segment)?.sync_data()
    }

    /// Takes a segment that the log does not need any more: to be used again, or deleted if there are
    /// enough of these, or if it is not fit for it.
    pub(super) fn release(&mut self, segment: SegmentNumber, is_fit: bool) -> io::Result<()> {
        self.open.remove(&segment);
        let path = self.path(segment);
        let bytes = match std::fs::metadata(&path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if is_fit && bytes == self.segment_bytes && self.spare.len() < SPARE_MAX {
            self.spare.push(segment);
            return Ok(());
        }
        self.count = self.count.saturating_sub(1);
        std::fs::remove_file(path)
    }

    fn file(&mut self, segment: SegmentNumber) -> io::Result<&File> {
        if !self.open.contains_key(&segment) {
            // Only the last few are written to.
            while self.open.len() > 2 {
                self.open.pop_first();
            }
            let file = OpenOptions::new().read(true).write(true).open(self.path(segment))?;
            self.open.insert(segment, file);
        }
        Ok(&self.open[&segment])
    }
}

impl LogSource for LogFiles {
    type Error = io::Error;

    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        let found = Self::list(&self.folder)?;
        self.count = found.len() as u64;
        let fresh = std::fs::metadata(self.folder.join(FRESH));
        self.has_fresh = fresh.is_ok_and(|file| file.len() == self.segment_bytes);
        Ok(found)
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file(segment)?.read_exact_at(buffer, offset)
    }
}

/// A segment that is to be made.
#[derive(Debug)]
pub(super) struct FreshSegment {
    path: PathBuf,
    bytes: u64,
}

impl FreshSegment {
    /// Makes the file, full of zeros, and syncs it.
    pub(super) fn make(&self) -> io::Result<()> {
        let made = self.fill();
        if made.is_err() {
            // What it takes of a full disk is of no use to anybody.
            let _absent = std::fs::remove_file(&self.path);
        }
        made
    }

    fn fill(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        let zeros = vec![0; FILL_BYTES];
        let mut left = self.bytes;
        while left > 0 {
            let piece = left.min(FILL_BYTES as u64);
            file.write_all(&zeros[..piece as usize])?;
            left -= piece;
        }
        file.sync_all()
    }
}
