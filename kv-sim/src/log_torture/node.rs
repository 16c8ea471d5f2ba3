//! A node as far as its log goes: it drives the real writer over simulated files, and keeps for itself
//! what it appended and what it was told.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::log::{LogIdentity, LogPosition, LogWrite, LogWriter};

use super::chance::TortureChance;
use super::disk::{TortureDisk, TortureFile};
use super::fault::TortureFault;

/// The least length of a batch, in bytes: a number that no other one has.
pub(super) const CONTENT_BYTES_MIN: usize = 4;

/// When the node syncs, and so what it promises when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncMode {
    Always,
    Interval,
    Never,
}

/// A batch that was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AppendedBatch {
    pub(super) end: LogPosition,
    pub(super) bytes: Vec<u8>,
    /// The position that had been synced by then.
    synced: LogPosition,
}

/// A write that was made, with the position that must have been known durable when it was put together.
#[derive(Clone, Debug)]
pub(super) struct WriteMade {
    pub(super) write: LogWrite,
    pub(super) knew: LogPosition,
}

/// The faults that a history may still meet, and those that it has met.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultBudget {
    pub(super) left: Vec<TortureFault>,
    pub(super) met: BTreeMap<TortureFault, u64>,
}

impl FaultBudget {
    /// Tells whether a fault happens now, in so many of a hundred cases if it is among those left.
    pub(super) fn strikes(
        &mut self,
        fault: TortureFault,
        percent: usize,
        chance: &mut TortureChance,
    ) -> bool {
        let Some(at) = self.left.iter().position(|&left| left == fault) else { return false };
        if !chance.percent(percent) {
            return false;
        }
        self.left.swap_remove(at);
        *self.met.entry(fault).or_default() += 1;
        true
    }
}

/// The node must be started again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Died;

#[derive(Clone, Debug)]
pub(super) struct TortureNode {
    pub(super) identity: LogIdentity,
    pub(super) mode: SyncMode,
    pub(super) writer: LogWriter,
    pub(super) disk: TortureDisk,
    /// The batches of this log's past, in order.
    pub(super) appended: Vec<AppendedBatch>,
    /// Those of them that a corrupt log had lost; an older image may bring them back.
    pub(super) missed: Vec<AppendedBatch>,
    /// The end and the number of every batch that was ever appended, in whatever past.
    pub(super) ever: BTreeSet<(LogPosition, u32)>,
    /// The writes of this log's past, in order.
    pub(super) made: Vec<WriteMade>,
    /// The position up to which the node was told that all was written, and synced.
    pub(super) written: LogPosition,
    pub(super) synced: LogPosition,
    /// The marker that the node has written, if it has not removed it since.
    pub(super) marker: Option<Vec<u8>>,
    /// The position that this marker names.
    pub(super) stopped_at: LogPosition,
    /// The numbers of files that are to be used again. Until then they lie on the disk under these.
    spare: Vec<u64>,
    /// A number that no batch has yet.
    pub(super) contents: u32,
    /// The length of all batches, if they have one.
    pub(super) batch_bytes: Option<usize>,
    pub(super) faults: FaultBudget,
}

impl TortureNode {
    pub(super) fn new(
        identity: LogIdentity,
        mode: SyncMode,
        disk: TortureDisk,
        writer: LogWriter,
    ) -> Self {
        Self {
            identity,
            mode,
            writer,
            disk,
            appended: Vec::new(),
            missed: Vec::new(),
            ever: BTreeSet::new(),
            made: Vec::new(),
            written: LogPosition(0),
            synced: LogPosition(0),
            marker: None,
            stopped_at: LogPosition(0),
            spare: Vec::new(),
            contents: 0,
            batch_bytes: None,
            faults: FaultBudget::default(),
        }
    }

    /// The size of a segment, in bytes.
    pub(super) const fn segment_bytes(&self) -> usize {
        self.identity.segment_bytes.get() as usize
    }

    /// Tells whether what was undone may lie in the files again, or seem not to be undone: what was cut
    /// off, what lay elsewhere by mistake, and what comes of a snapshot that was restored.
    pub(super) fn may_show_what_was_undone(&self) -> bool {
        let faults = [
            TortureFault::OldFile,
            TortureFault::OldLog,
            TortureFault::OldDisk,
            TortureFault::OtherFuture,
            TortureFault::MisdirectedWrite,
            TortureFault::MarkerOld,
        ];
        faults.iter().any(|fault| self.faults.met.contains_key(fault))
    }

    /// Tells whether this batch was ever appended there, in whatever past.
    pub(super) fn has_ever_appended(&self, end: LogPosition, bytes: &[u8]) -> bool {
        let number = bytes.first_chunk().map_or(0, |&number| u32::from_le_bytes(number));
        self.ever.contains(&(end, number)) && content(number, bytes.len()) == bytes
    }

    /// Appends a batch that is like no other.
    pub(super) fn append(&mut self, chance: &mut TortureChance) {
        let length = match self.batch_bytes {
            Some(length) => length,
            None if chance.percent(4) => {
                chance.between(CONTENT_BYTES_MIN, 3 * self.segment_bytes())
            }
            None => chance.between(CONTENT_BYTES_MIN, self.segment_bytes() / 4),
        };
        self.contents += 1;
        let bytes = content(self.contents, length);
        let Ok(end) = self.writer.append(&bytes) else { return };
        self.ever.insert((end, self.contents));
        self.appended.push(AppendedBatch { end, bytes, synced: self.synced });
    }

    /// Makes the files that are asked for, if there is room.
    pub(super) fn prepare(&mut self, chance: &mut TortureChance) {
        while let Some(segment) = self.writer.segment_to_prepare() {
            if self.faults.strikes(TortureFault::DiskFull, 20, chance) {
                return;
            }
            let spare = self.spare.pop().and_then(|spare| self.disk.files.remove(&spare));
            let fresh = || TortureFile::new(vec![0; self.segment_bytes()]);
            self.disk.files.insert(segment.0, spare.unwrap_or_else(fresh));
            self.writer.on_prepared(segment);
        }
    }

    /// Makes the next write, if there is one. Tells whether there was.
    pub(super) fn write(&mut self, chance: &mut TortureChance) -> Result<bool, Died> {
        self.prepare(chance);
        let Some(write) = self.writer.take_write() else { return Ok(false) };
        let last = self.appended.iter().rev().find(|batch| batch.end <= write.end);
        let knew = last.map_or(LogPosition(0), |batch| batch.synced);
        let (segment, offset) = (write.segment.0, write.offset as usize);
        let end = write.end;
        if self.faults.strikes(TortureFault::WriteError, 10, chance) {
            let made = chance.below(write.bytes.len());
            self.disk.write(segment, offset, &write.bytes[..made]);
            return Err(Died);
        }
        if self.faults.strikes(TortureFault::MisdirectedWrite, 8, chance) {
            let segments: Vec<_> = self.disk.files.keys().copied().collect();
            let segment = *chance.one_of(&segments).unwrap_or(&segment);
            let offset = match chance.below(3) {
                0 => offset,
                _ => chance.below(self.segment_bytes() / 8) * 8,
            };
            self.disk.write(segment, offset, &write.bytes);
        } else if !self.faults.strikes(TortureFault::LostWrite, 8, chance) {
            self.disk.write(segment, offset, &write.bytes);
        }
        self.made.push(WriteMade { write, knew });
        self.writer.on_written(end);
        self.writer.invariants();
        self.written = end;
        Ok(true)
    }

    /// Syncs all that is written.
    pub(super) fn sync(&mut self, chance: &mut TortureChance) -> Result<(), Died> {
        let up_to = self.writer.written();
        for segment in
            self.writer.segments_to_sync().into_iter().flat_map(|all| all.start().0..=all.end().0)
        {
            if self.faults.strikes(TortureFault::SyncError, 10, chance) {
                return Err(Died);
            }
            if self.faults.strikes(TortureFault::ForgetfulSync, 10, chance) {
                self.disk.forget_unsynced(segment);
                return Err(Died);
            }
            if !self.faults.strikes(TortureFault::LyingSync, 10, chance) {
                self.disk.sync(segment);
            }
        }
        self.writer.on_synced(up_to);
        self.synced = up_to;
        Ok(())
    }

    /// Writes and syncs all that waits.
    pub(super) fn flush(&mut self, chance: &mut TortureChance) -> Result<(), Died> {
        while self.write(chance)? {}
        self.sync(chance)
    }

    /// Writes the tables up to a position that is durable, and uses the segments below it again.
    pub(super) fn checkpoint(&mut self, up_to: LogPosition, chance: &mut TortureChance) {
        let up_to = up_to.max(self.disk.replay_from.position);
        self.disk.replay_from = self.writer.replay_from(up_to);
        let released = self.writer.release(self.disk.replay_from);
        let numbers: Vec<_> =
            self.disk.files.range(..released.end.0).map(|(&number, _)| number).collect();
        self.spare.clear();
        for number in numbers {
            let is_sound = self.disk.files[&number].live.len() == self.segment_bytes();
            if is_sound && chance.percent(70) {
                self.spare.push(number);
            } else {
                self.disk.files.remove(&number);
            }
        }
    }

    /// Stops cleanly.
    pub(super) fn stop(&mut self, chance: &mut TortureChance) -> Result<(), Died> {
        self.writer.stop();
        self.flush(chance)?;
        // Without a marker there is no room for the last frame yet, and the node is killed.
        let marker = self.writer.stop_marker().ok_or(Died)?;
        self.stopped_at = self.synced;
        let marker = marker.encode().to_vec();
        self.disk.marker = Some(marker.clone());
        self.marker = Some(marker);
        Ok(())
    }

    /// Goes on with a writer that begins where recovery found the end.
    pub(super) fn restart(
        &mut self,
        writer: LogWriter,
        chance: &mut TortureChance,
    ) -> Result<(), Died> {
        self.writer = writer;
        self.spare.clear();
        if self.writer.must_remove_marker() {
            self.disk.marker = None;
            self.marker = None;
            self.writer.on_marker_removed();
        }
        while self.write(chance)? {}
        self.sync(chance)
    }
}

/// The bytes of the batch with this number.
fn content(number: u32, length: usize) -> Vec<u8> {
    let word = number.wrapping_mul(0x9e37_79b1).to_le_bytes();
    let mut bytes: Vec<u8> = word.into_iter().cycle().take(length).collect();
    for (byte, of_number) in bytes.iter_mut().zip(number.to_le_bytes()) {
        *byte = of_number;
    }
    bytes
}
