//! Files that know what a loss of power would leave of them.

use std::collections::BTreeMap;
use std::ops::Range;

use kv_core::log::{LogSource, LogWrite, ReplayFrom, SegmentFile, SegmentNumber};

use super::chance::TortureChance;

/// The files of a log, its marker, and what the tables say.
#[derive(Clone, Debug, Default)]
pub(super) struct TortureDisk {
    pub(super) files: BTreeMap<u64, TortureFile>,
    /// The marker, which is replaced and removed at once.
    pub(super) marker: Option<Vec<u8>>,
    /// The point from which a start replays, as recorded with the tables.
    pub(super) replay_from: ReplayFrom,
    /// The unit in which a file is written out, in bytes.
    pub(super) sector_bytes: usize,
    writes: u64,
}

/// A file, as it is read and as it would be after a loss of power.
#[derive(Clone, Debug)]
pub(super) struct TortureFile {
    pub(super) live: Vec<u8>,
    durable: Vec<u8>,
    /// The writes since the last sync, each with its number in the order of all writes.
    unsynced: Vec<(u64, Range<usize>)>,
}

impl TortureFile {
    /// A file with a content that is durable.
    pub(super) fn new(content: Vec<u8>) -> Self {
        Self { durable: content.clone(), live: content, unsynced: Vec::new() }
    }

    fn keep(&mut self, range: Range<usize>) {
        let range = range.start.min(self.durable.len())..range.end.min(self.durable.len());
        self.durable[range.clone()].copy_from_slice(&self.live[range]);
    }
}

impl TortureDisk {
    /// No files yet, which will be written out in units of so many bytes.
    pub(super) fn new(sector_bytes: usize) -> Self {
        Self { sector_bytes, ..Self::default() }
    }

    /// Writes as much of these bytes as the file has room for.
    pub(super) fn write(&mut self, segment: u64, offset: usize, bytes: &[u8]) {
        self.writes += 1;
        let Some(file) = self.files.get_mut(&segment) else { return };
        let end = (offset + bytes.len()).min(file.live.len());
        if offset < end {
            file.live[offset..end].copy_from_slice(&bytes[..end - offset]);
            file.unsynced.push((self.writes, offset..end));
        }
    }

    pub(super) fn sync(&mut self, segment: u64) {
        if let Some(file) = self.files.get_mut(&segment) {
            for (_, range) in std::mem::take(&mut file.unsynced) {
                file.keep(range);
            }
        }
    }

    /// Takes what was written to a file for synced, and does nothing.
    pub(super) fn forget_unsynced(&mut self, segment: u64) {
        if let Some(file) = self.files.get_mut(&segment) {
            file.unsynced.clear();
        }
    }

    /// Loses power: of what was not synced, any part may be left.
    pub(super) fn lose_power(&mut self, chance: &mut TortureChance) {
        let how = chance.below(4);
        let all = self.files.values().flat_map(|file| &file.unsynced).map(|&(number, _)| number);
        let (oldest, newest) = (all.clone().min().unwrap_or(0), all.max().unwrap_or(0));
        let last = oldest + chance.below((newest - oldest + 2) as usize) as u64;
        for file in self.files.values_mut() {
            for (number, range) in std::mem::take(&mut file.unsynced) {
                match how {
                    0 => file.keep(range),
                    1 => {}
                    // In the order of the writes, the last of which is torn.
                    2 if number < last => file.keep(range),
                    2 if number == last => {
                        let end = range.start + chance.below(range.len() + 1);
                        file.keep(range.start..end);
                    }
                    2 => {}
                    _ => keep_some_sectors(file, range, self.sector_bytes, chance),
                }
            }
            file.live.clone_from(&file.durable);
        }
    }

    /// Replaces the content of a file, durably.
    pub(super) fn replace(&mut self, segment: u64, content: Vec<u8>) {
        self.files.insert(segment, TortureFile::new(content));
    }

    /// Tells whether the bytes of a write lie where they were written.
    pub(super) fn holds(&self, write: &LogWrite) -> bool {
        let offset = write.offset as usize;
        let file = self.files.get(&write.segment.0).map_or(&[][..], |file| &file.live);
        file.get(offset..offset + write.bytes.len()) == Some(&write.bytes[..])
    }
}

fn keep_some_sectors(
    file: &mut TortureFile,
    range: Range<usize>,
    sector_bytes: usize,
    chance: &mut TortureChance,
) {
    let mut begin = range.start;
    while begin < range.end {
        let end = range.end.min((begin / sector_bytes + 1) * sector_bytes);
        match chance.below(5) {
            0 | 1 => file.keep(begin..end),
            2 => {
                let torn = begin + chance.below(end - begin);
                file.keep(begin..torn);
            }
            _ => {}
        }
        begin = end;
    }
}

/// The files as recovery reads them.
pub(super) struct TortureReader<'a> {
    pub(super) disk: &'a TortureDisk,
    /// The number of reads after which one fails.
    pub(super) fails_after: Option<usize>,
}

/// The error of a read that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadFailed;

impl LogSource for TortureReader<'_> {
    type Error = ReadFailed;

    fn segments(&mut self) -> Result<Vec<SegmentFile>, ReadFailed> {
        let file = |(&number, file): (&u64, &TortureFile)| SegmentFile {
            number: SegmentNumber(number),
            bytes: file.live.len() as u64,
        };
        Ok(self.disk.files.iter().map(file).collect())
    }

    fn read(
        &mut self,
        segment: SegmentNumber,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), ReadFailed> {
        match &mut self.fails_after {
            Some(0) => return Err(ReadFailed),
            Some(left) => *left -= 1,
            None => {}
        }
        let file = self.disk.files.get(&segment.0).ok_or(ReadFailed)?;
        let offset = offset as usize;
        let bytes = file.live.get(offset..offset + buffer.len()).ok_or(ReadFailed)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}
