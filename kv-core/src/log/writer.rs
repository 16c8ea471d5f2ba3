//! The writer: batches in; writes, segments to prepare and positions that became durable out.
//!
//! ```text
//!   append(batch) ──► open group ──► take_write ──► the driver writes ──► on_written
//!                                                   the driver syncs  ──► on_synced
//! ```
//! While the driver writes and syncs one group, the next one gathers. A driver loops over
//! [`LogWriter::segment_to_prepare`], [`LogWriter::take_write`] and
//! [`LogWriter::segments_to_sync`]; which of the three modes it is in shows only in when it syncs, and
//! in when it acknowledges.
//!
//! A write that was refused, as there was no room for it, may be made again at the same place. After a
//! write that failed for another reason, or a sync that failed for any, nothing of the log is believed any
//! more: the driver drops the writer, and the node stops. A sync that succeeds after one that failed may
//! have forgotten what that one was to write (PostgreSQL's "fsyncgate", 2018).
//!
//! # Invariants
//! - `durable ≤ written ≤ taken ≤ next`, and each of these only grows.
//! - The first write of a run is durable before the second one is taken.
//! - A frame names as durable what had been synced when it was closed, never what was only written.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use thiserror::Error;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, frame_bytes};
use super::header::SegmentHeader;
use super::marker::StopMarker;
use super::position::{HEADER_BYTES, LogIdentity, LogPosition, LogRun, ReplayFrom, SegmentNumber};

/// The number of bytes from which on a group takes no further batch: 1 MiB. Larger groups make nothing
/// cheaper, and a start reads whole frames into memory.
pub const GROUP_BYTES: usize = 1 << 20;

/// The number of segments that are kept prepared behind the last one that is needed.
pub const PREPARED_AHEAD: u64 = 1;

/// The bytes of the length before each batch in a frame of whole batches.
pub(super) const LENGTH_BYTES: usize = 4;

/// The least room in a segment for which the first part of a large batch is begun there, in bytes.
const PART_BYTES_MIN: u64 = 64;

/// A write that the driver is to make, in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogWrite {
    /// The segment whose file is written.
    pub segment: SegmentNumber,
    /// The offset in that file, in bytes.
    pub offset: u64,
    /// The bytes to write.
    pub bytes: Vec<u8>,
    /// The position at which the write ends: what [`LogWriter::on_written`] is told.
    pub end: LogPosition,
}

/// The refusal of a batch after [`LogWriter::stop`]. Nothing of it was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the log has been stopped")]
pub struct LogStopped;

/// The point at which a log is appended to after a start: what recovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// The position at which the last frame that counts ends.
    pub position: LogPosition,
    /// The checksum of that frame, or of a header after which there was none.
    pub chain: u64,
    /// The position up to which the log is known to be durable.
    pub durable: LogPosition,
    /// The oldest segment that is still needed.
    pub oldest: SegmentNumber,
    /// The newest segment of which there is a file, begun or prepared.
    pub newest: SegmentNumber,
    /// The greatest number of a run that was met.
    pub run: LogRun,
    /// True if the log goes on in a segment of its own, since what came before is corrupt.
    pub is_fresh: bool,
    /// True if there is a marker of a clean stop, which must go before anything is appended.
    pub has_marker: bool,
}

/// Appends batches to a log.
#[derive(Clone, Debug)]
pub struct LogWriter {
    identity: LogIdentity,
    run: LogRun,
    started: LogPosition,
    /// The position behind all frames that are closed.
    next: LogPosition,
    /// The checksum of the last frame that is closed, or of a header behind it.
    chain: u64,
    open: Option<OpenGroup>,
    closed: VecDeque<LogWrite>,
    taken: LogPosition,
    written: LogPosition,
    durable: LogPosition,
    /// The greatest position that a closed frame names as durable.
    witnessed: LogPosition,
    /// The segments of the writes that are not synced.
    unsynced: Option<(SegmentNumber, SegmentNumber)>,
    oldest: SegmentNumber,
    /// The newest segment of which the file is there.
    prepared: SegmentNumber,
    must_remove_marker: bool,
    /// The end of the first write of this run, which must be durable before another one is made.
    begun: LogPosition,
    is_stopped: bool,
}

/// A group that still takes batches.
#[derive(Clone, Debug)]
struct OpenGroup {
    /// The position of its frame.
    position: LogPosition,
    /// The end of the frames before, if the group begins a segment.
    begins_after: Option<LogPosition>,
    /// Room for the header of a segment, if it begins one, and of the frame; then the payload.
    bytes: Vec<u8>,
}

impl OpenGroup {
    const fn header_bytes(&self) -> usize {
        if self.begins_after.is_some() { HEADER_BYTES } else { 0 }
    }

    const fn payload_bytes(&self) -> usize {
        self.bytes.len() - self.header_bytes() - FRAME_HEADER_BYTES
    }

    /// The position behind the payload.
    const fn end_of_payload(&self) -> LogPosition {
        self.position.after((FRAME_HEADER_BYTES + self.payload_bytes()) as u64)
    }
}

impl LogWriter {
    /// Begins a new log. Its first write is the header of the first segment, of which the driver has
    /// made the file; the log exists once that is durable.
    pub fn create(identity: LogIdentity, run: LogRun) -> Self {
        let begin = LogEnd {
            position: LogPosition(0),
            chain: 0,
            durable: LogPosition(0),
            oldest: SegmentNumber(0),
            newest: SegmentNumber(0),
            run: LogRun(0),
            is_fresh: false,
            has_marker: false,
        };
        let mut writer = Self::at(identity, &begin, run);
        writer.begin_segment(SegmentNumber(0), false);
        writer.begun = writer.next;
        writer
    }

    /// Goes on where recovery found the end of the log, in a run whose number should be greater than
    /// any before; if it is not, the next after the greatest that was met is taken.
    ///
    /// What lies behind the end is not overwritten. The first write of the run says where it began, and
    /// nothing else is written before that is durable: so from then on nothing of an earlier run counts
    /// that lies behind it, whatever becomes of the rest. (Without that, a write of this run that is torn
    /// might just complete a frame of an earlier one that was torn at the same place.)
    pub fn resume(identity: LogIdentity, end: &LogEnd, run: LogRun) -> Self {
        let run = run.max(LogRun(end.run.0.saturating_add(1)));
        let mut writer = Self::at(identity, end, run);
        if end.is_fresh {
            writer.begin_segment(end.newest.next(), true);
        } else {
            writer.group_with_room_for(0);
            writer.close(FrameKind::Begin);
        }
        writer.begun = writer.next;
        writer
    }

    fn at(identity: LogIdentity, end: &LogEnd, run: LogRun) -> Self {
        let LogEnd { position, chain, durable, oldest, newest, has_marker, .. } = *end;
        let segment = |position| identity.segment_bytes.segment_before(position);
        Self {
            identity,
            run,
            started: position,
            next: position,
            chain,
            open: None,
            closed: VecDeque::new(),
            taken: position,
            written: position,
            durable: durable.min(position),
            witnessed: durable,
            // What a process wrote before it died may be in memory alone.
            unsynced: Some((segment(durable.min(position)), segment(position))),
            oldest,
            prepared: newest,
            must_remove_marker: has_marker,
            begun: LogPosition(0),
            is_stopped: false,
        }
    }

    /// The position up to which everything is durable. A batch is, once this has reached the position
    /// that [`LogWriter::append`] gave for it.
    pub const fn durable(&self) -> LogPosition {
        self.durable
    }

    /// The position up to which everything has been handed to the operating system: what a sync that
    /// begins now makes durable.
    pub const fn written(&self) -> LogPosition {
        self.written
    }

    /// Tells whether something was appended that has not been taken to be written.
    pub fn has_unwritten(&self) -> bool {
        self.open.is_some() || !self.closed.is_empty()
    }

    /// The number of the run, as frames carry it.
    pub const fn run(&self) -> LogRun {
        self.run
    }

    /// Tells whether the marker of the last clean stop must be removed, and its folder synced, before
    /// anything is written.
    pub const fn must_remove_marker(&self) -> bool {
        self.must_remove_marker
    }

    /// The segments with writes that are not synced, from the oldest to the newest: all of them are
    /// synced, in this order, before [`LogWriter::on_synced`]. Right after a start these are the
    /// segments that the run before may have left in memory.
    pub fn segments_to_sync(&self) -> Option<RangeInclusive<SegmentNumber>> {
        self.unsynced.map(|(first, last)| first..=last)
    }

    /// The point to record when all batches up to this position are in the tables, durably: there, or
    /// where the log ends that is durable, if that is less.
    pub fn replay_from(&self, up_to: LogPosition) -> ReplayFrom {
        let position = up_to.min(self.durable);
        ReplayFrom { position, run: self.run, started: self.started }
    }

    /// The segment whose file the driver makes next, if one is missing: zero-filled to the size of a
    /// segment, or recycled under this number, with the name durable.
    pub fn segment_to_prepare(&self) -> Option<SegmentNumber> {
        let needed = self.open.as_ref().map_or(self.next, OpenGroup::end_of_payload);
        let ahead = self.identity.segment_bytes.segment_before(needed).0 + PREPARED_AHEAD;
        (self.prepared.0 < ahead).then(|| self.prepared.next())
    }

    /// The marker to write once the last frame is durable: nothing before that, or if the log has not
    /// been stopped.
    pub fn stop_marker(&self) -> Option<StopMarker> {
        let is_durable = self.is_stopped && self.durable == self.next;
        let LogIdentity { node, log, .. } = self.identity;
        let Self { next: end, chain, run, started, .. } = *self;
        is_durable.then_some(StopMarker { node, log, end, chain, run, started })
    }

    /// Appends a batch to the open group, or begins one. The position returned is where the batch ends:
    /// the batch is durable once [`LogWriter::durable`] has reached that. A batch of any size is taken;
    /// one that fits into no segment goes into several frames, and counts only if all of them do.
    ///
    /// # Errors
    /// [`LogStopped`], after [`LogWriter::stop`].
    pub fn append(&mut self, batch: &[u8]) -> Result<LogPosition, LogStopped> {
        if self.is_stopped {
            return Err(LogStopped);
        }
        let added = LENGTH_BYTES + batch.len();
        self.close_unless_it_takes(added);
        let most = self.identity.segment_bytes.get() - HEADER_BYTES as u64;
        // The length of a batch before it is a number of 32 bits, as is the size of a segment.
        if frame_bytes(added as u64) > most {
            return Ok(self.append_in_parts(batch));
        }
        let group = self.group_with_room_for(added as u64);
        group.bytes.extend_from_slice(&(batch.len() as u32).to_le_bytes());
        group.bytes.extend_from_slice(batch);
        Ok(group.end_of_payload())
    }

    /// Says in a frame of its own how far the log is durable, if no frame has said it yet and nothing is
    /// under way. To be called when the log has been idle for a moment: it needs no sync, and from then
    /// on a corrupt last group is told from a torn one. Tells whether there is something to write.
    pub fn witness(&mut self) -> bool {
        let is_idle = self.open.is_none() && self.closed.is_empty() && self.written == self.next;
        let is_news = self.durable > self.witnessed && self.durable == self.written;
        if !is_idle || !is_news || self.is_stopped || self.room() < frame_bytes(0) {
            return false;
        }
        self.group_with_room_for(0);
        self.close(FrameKind::Witness);
        true
    }

    /// Ends the log with a last frame. When that is durable, [`LogWriter::stop_marker`] gives the
    /// marker to write. Nothing is appended any more.
    pub fn stop(&mut self) {
        if !self.is_stopped {
            self.close(FrameKind::Batches);
            self.group_with_room_for(0);
            self.close(FrameKind::Stop);
            self.is_stopped = true;
        }
    }

    /// Takes the next write: the oldest group that is closed, or else the open one. Nothing if there is
    /// none, if its segment is not prepared yet, while the marker of the last stop is there, or while the
    /// first write of the run is not durable. Writes are made in the order in which they are taken.
    pub fn take_write(&mut self) -> Option<LogWrite> {
        // The first write of a run is on its way, and must be durable first.
        let is_beginning = self.durable < self.begun && self.begun <= self.taken;
        if self.must_remove_marker || is_beginning {
            return None;
        }
        if self.closed.is_empty() {
            // A group that cannot be written yet goes on gathering.
            let segment = self.identity.segment_bytes.segment_of(self.open.as_ref()?.position);
            if segment > self.prepared {
                return None;
            }
            self.close(FrameKind::Batches);
        }
        let write = self.closed.pop_front_if(|write| write.segment <= self.prepared)?;
        self.taken = write.end;
        Some(write)
    }

    /// Learns that everything up to the end of a write has been handed to the operating system.
    ///
    /// # Panics
    /// If that was not taken: a mistake of the driver.
    pub fn on_written(&mut self, end: LogPosition) {
        assert!(end <= self.taken, "what was written had been taken");
        self.written = self.written.max(end);
        let segment = self.identity.segment_bytes.segment_before(end);
        let first = self.unsynced.map_or(segment, |(first, _)| first);
        self.unsynced = Some((first, segment));
    }

    /// Learns that everything up to a position is durable: what [`LogWriter::written`] was before the
    /// syncs of all [`LogWriter::segments_to_sync`] began.
    ///
    /// # Panics
    /// If that was not written: a mistake of the driver.
    pub fn on_synced(&mut self, up_to: LogPosition) {
        assert!(up_to <= self.written, "what was synced had been written");
        self.durable = self.durable.max(up_to);
        let written = self.written;
        self.unsynced = self.unsynced.filter(|_| up_to < written).map(|(first, last)| {
            let reached = self.identity.segment_bytes.segment_before(up_to);
            (first.max(reached), last)
        });
    }

    /// Learns that the file of the segment that [`LogWriter::segment_to_prepare`] asked for is there.
    ///
    /// # Panics
    /// If it had not been asked for: a mistake of the driver.
    pub fn on_prepared(&mut self, segment: SegmentNumber) {
        assert_eq!(segment, self.prepared.next(), "segments are prepared in order");
        self.prepared = segment;
    }

    /// Learns that the marker of the last clean stop is gone for good.
    pub const fn on_marker_removed(&mut self) {
        self.must_remove_marker = false;
    }

    /// Learns that the point that [`LogWriter::replay_from`] gave has been recorded, durably. Returns the
    /// numbers of the segments that are not needed any more: files with such a number may be recycled
    /// under one that is to be prepared, or deleted; one that was corrupt at the start is better deleted.
    pub fn release(&mut self, recorded: ReplayFrom) -> Range<SegmentNumber> {
        let up_to = recorded.position.min(self.durable);
        let needed = self.identity.segment_bytes.segment_before(up_to);
        let released = self.oldest..needed.max(self.oldest);
        self.oldest = released.end;
        released
    }

    /// Checks what the head of this module states.
    ///
    /// # Panics
    /// If it does not hold.
    pub fn invariants(&self) {
        let order = [self.durable, self.written, self.taken, self.next];
        assert!(order.is_sorted(), "what is durable was written, and before that taken: {order:?}");
        let segment = self.identity.segment_bytes.segment_before(self.written);
        assert!(segment <= self.prepared, "what was written lies in segments that are there");
    }

    /// The number of bytes that are left in the segment in which the next frame would begin.
    const fn room(&self) -> u64 {
        let size = self.identity.segment_bytes;
        match size.offset_of(self.next) {
            // The segment before is full to its last byte.
            0 => 0,
            offset => size.get() - offset,
        }
    }

    /// Closes the open group, if so many bytes more would make it too large.
    fn close_unless_it_takes(&mut self, added: usize) {
        let Some(group) = &self.open else { return };
        let payload = (group.payload_bytes() + added) as u64;
        let size = self.identity.segment_bytes;
        let fits = frame_bytes(payload) <= size.get() - size.offset_of(group.position);
        if !fits || group.payload_bytes() >= GROUP_BYTES {
            self.close(FrameKind::Batches);
        }
    }

    /// The open group, or a new one with room for so long a payload: in the next segment, if what is
    /// left of this one is too little.
    fn group_with_room_for(&mut self, payload_bytes: u64) -> &mut OpenGroup {
        let begins = self.room() < frame_bytes(payload_bytes);
        let (next, size) = (self.next, self.identity.segment_bytes);
        self.open.get_or_insert_with(|| {
            let segment = size.segment_before(next).next();
            let header_bytes = if begins { HEADER_BYTES } else { 0 };
            OpenGroup {
                position: if begins { size.frames_of(segment) } else { next },
                begins_after: begins.then_some(next),
                bytes: alloc::vec![0; header_bytes + FRAME_HEADER_BYTES],
            }
        })
    }

    /// Appends a batch that fits into no segment.
    fn append_in_parts(&mut self, batch: &[u8]) -> LogPosition {
        self.close(FrameKind::Batches);
        let (mut rest, mut kind) = (batch, FrameKind::First);
        loop {
            let most = match self.room().saturating_sub(FRAME_HEADER_BYTES as u64) {
                PART_BYTES_MIN.. => self.room(),
                _ => self.identity.segment_bytes.get() - HEADER_BYTES as u64,
            };
            let most = most - FRAME_HEADER_BYTES as u64;
            // The first part is never the only one, even of a batch that would fit without its length.
            let left = if kind == FrameKind::First { rest.len() - 1 } else { rest.len() };
            let (part, behind) = rest.split_at(left.min(most as usize));
            if behind.is_empty() {
                kind = FrameKind::Last;
            }
            let group = self.group_with_room_for(part.len().max(PART_BYTES_MIN as usize) as u64);
            group.bytes.extend_from_slice(part);
            let end = group.end_of_payload();
            self.close(kind);
            if behind.is_empty() {
                return end;
            }
            (rest, kind) = (behind, FrameKind::Middle);
        }
    }

    /// Closes the open group, if there is one: nothing is added to it any more.
    fn close(&mut self, kind: FrameKind) {
        let Some(OpenGroup { position, begins_after, mut bytes }) = self.open.take() else {
            return;
        };
        let segment = self.identity.segment_bytes.segment_of(position);
        let mut begin = 0;
        if let Some(end) = begins_after {
            let (header, checksum) = self.header(segment, end, false);
            bytes[..HEADER_BYTES].copy_from_slice(&header);
            (begin, self.chain) = (HEADER_BYTES, checksum);
        }
        let frame = FrameHeader {
            kind,
            // A payload fits into a segment, whose size is a number of 32 bits.
            payload_bytes: (bytes.len() - begin - FRAME_HEADER_BYTES) as u32,
            position,
            durable: self.durable,
            chain: self.chain,
            run: self.run,
            started: self.started,
        };
        self.chain = frame.seal(self.identity.seed_of(segment), &mut bytes, begin);
        self.next = frame.end();
        self.witnessed = self.durable;
        let offset = self.identity.segment_bytes.offset_of(position) - begin as u64;
        self.closed.push_back(LogWrite { segment, offset, bytes, end: self.next });
    }

    /// Begins a segment with its header alone.
    fn begin_segment(&mut self, segment: SegmentNumber, follows_corruption: bool) {
        let (header, checksum) = self.header(segment, self.next, follows_corruption);
        self.chain = checksum;
        self.next = self.identity.segment_bytes.frames_of(segment);
        let write = LogWrite { segment, offset: 0, bytes: header.to_vec(), end: self.next };
        self.closed.push_back(write);
    }

    fn header(
        &self,
        number: SegmentNumber,
        end: LogPosition,
        follows_corruption: bool,
    ) -> ([u8; HEADER_BYTES], u64) {
        let LogIdentity { node, log, segment_bytes } = self.identity;
        let header = SegmentHeader {
            segment_bytes: segment_bytes.get() as u32,
            node,
            log,
            number,
            end,
            chain: self.chain,
            durable: self.durable,
            run: self.run,
            started: self.started,
            follows_corruption,
        };
        header.encode()
    }
}
