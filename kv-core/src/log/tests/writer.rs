//! What the writer makes of batches.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn what_is_appended_is_recovered_in_order_with_its_positions(
        steps in proptest::collection::vec((0_usize..1_500, any::<u8>(), 0_u8..4), 1..40),
        size in (64_u32..200).prop_map(|words| 8 * words),
        stops: bool,
    ) {
        let mut log = TestLog::new(size);
        for (length, byte, then) in steps {
            log.append(&vec![byte; if then == 3 { length } else { length / 16 }]);
            match then {
                0 => log.write(),
                1 => log.flush(),
                _ => {}
            }
        }
        if stops {
            log.stop();
        } else {
            log.flush();
        }
        let (recovered, batches) = log.recover();
        prop_assert_eq!(&batches, &log.appended);
        prop_assert_eq!(matches!(recovered.verdict(), LogVerdict::Clean), stops);
        prop_assert!(kinds(recovered.verdict()).is_empty());
        prop_assert!(log.appended.iter().all(|&(end, _)| end <= log.writer.durable()));
        prop_assert_eq!(recovered.end().position, log.writer.written());
    }
}

#[test]
fn batches_gather_while_a_write_is_under_way_and_go_out_in_one() {
    let mut log = TestLog::new(4_096);
    for batch in [&b"one"[..], b"two", b"three"] {
        log.append(batch);
    }
    let write = log.writer.take_write().expect("a group waits");
    assert_eq!(write.bytes.len(), 56 + 3 * 4 + 11 + 1);
    assert_eq!(log.writer.take_write(), None);
    assert!(log.appended.is_sorted_by_key(|&(end, _)| end));
    assert!(log.appended[2].0 <= write.end);
}

#[test]
fn a_batch_is_durable_when_its_group_is_synced_and_not_when_it_is_written() {
    let mut log = TestLog::new(SIZE);
    let end = log.append(b"a batch");
    log.write();
    assert!(log.writer.durable() < end);
    log.sync();
    assert!(log.writer.durable() >= end);
}

#[test]
fn nothing_is_written_to_a_segment_that_is_not_prepared() {
    let mut log = TestLog::new(SIZE);
    log.append(&[1; 300]);
    log.append(&[2; 300]);
    log.append(&[3; 300]);
    let first = log.writer.take_write().expect("segment 0 is there");
    assert_eq!(first.segment, SegmentNumber(0));
    let next = log.writer.segment_to_prepare().expect("there is only one file ahead");
    log.prepare();
    assert!(next <= SegmentNumber(2));
    let second = log.writer.take_write().expect("segment 1 is there now");
    assert_eq!((second.segment, second.offset), (SegmentNumber(1), 0), "its header comes with it");
}

#[test]
fn a_group_that_waits_for_its_segment_goes_on_gathering() {
    let mut log = TestLog::new(SIZE);
    log.append(&[1; 350]);
    log.write();
    let mut bare = log.writer.clone();
    bare.append(&[2; 200]).expect("it was not stopped");
    let segment = bare.segment_to_prepare().expect("segment 2 is ahead");
    assert_eq!(segment, SegmentNumber(2));
    bare.append(&[3; 10]).expect("it was not stopped");
    let write = bare.take_write().expect("segment 1 was prepared ahead");
    assert_eq!(write.segment, SegmentNumber(1));
    assert_eq!(write.bytes.len(), 96 + 56 + 4 + 200 + 4 + 10 + 6);
}

#[test]
fn a_batch_of_many_segments_counts_only_as_a_whole() {
    let mut log = TestLog::new(SIZE);
    log.append(b"before");
    let large: Vec<u8> = (0..3_000_u32).map(|at| at as u8).collect();
    log.append(&large);
    log.append(b"behind");
    log.flush();
    assert!(log.disk.files.len() >= 8, "{}", log.disk.files.len());
    assert_eq!(log.recover().1, log.appended);
    // Without its last part, and what follows, nothing of it is there.
    let (_, last) = log.disk.files.split_off(&7).pop_first().expect("a part lies there");
    assert!(last.iter().any(|&byte| byte != 0));
    log.disk.files.insert(7, vec![0; SIZE as usize]);
    log.disk.files.insert(8, vec![0; SIZE as usize]);
    let (recovered, batches) = log.recover();
    assert_eq!(batches, log.appended[..1]);
    assert!(matches!(recovered.verdict(), LogVerdict::Torn { .. }));
    // What is appended behind the parts that are left is not taken for their end.
    log.restart();
    log.append(&large);
    log.flush();
    let (_, batches) = log.recover();
    assert_eq!(batches, log.appended);
}

#[test]
fn a_segment_that_is_full_to_its_last_byte_is_followed_by_the_next() {
    let mut log = TestLog::new(SIZE);
    let fills = SIZE as usize - 96 - 56 - 4;
    let end = log.append(&vec![5; fills]);
    log.flush();
    assert_eq!((end, log.writer.written()), (LogPosition(512), LogPosition(512)));
    // The segment that ends there is the one with which a replay from there begins.
    assert!(log.checkpoint(end).is_empty());
    assert_eq!(log.restart(), LogVerdict::Torn { at: end });
    log.append(b"in the next segment");
    log.flush();
    assert_eq!(log.recover().1, log.appended);
}

#[test]
fn what_is_below_a_position_in_the_tables_is_released_and_not_before() {
    let mut log = TestLog::new(SIZE);
    for _ in 0..6 {
        log.append(&[1; 200]);
        log.flush();
    }
    let written = log.append(&[2; 200]);
    log.write();
    let durable = log.writer.durable();
    let released = log.checkpoint(written);
    let size = log.identity.segment_bytes;
    assert_eq!(released, SegmentNumber(0)..size.segment_before(durable));
    assert_eq!(log.replay_from.position, durable);
    assert!(log.checkpoint(written).is_empty(), "each is released once");
}

#[test]
fn the_segments_to_sync_are_those_that_were_written_since() {
    let mut log = TestLog::new(SIZE);
    log.flush();
    assert_eq!(log.writer.segments_to_sync(), None);
    log.append(&[1; 300]);
    log.append(&[1; 300]);
    log.write();
    let both = SegmentNumber(0)..=SegmentNumber(1);
    assert_eq!(log.writer.segments_to_sync(), Some(both));
    log.sync();
    assert_eq!(log.writer.segments_to_sync(), None);
}

#[test]
fn after_a_start_all_is_synced_that_the_run_before_may_have_left_in_memory() {
    let mut log = TestLog::with(&[b"one"]);
    for _ in 0..4 {
        log.append(&[1; 200]);
        log.write();
    }
    let (recovered, _) = log.recover();
    let writer = LogWriter::resume(log.identity, recovered.end(), LogRun(0));
    let to_sync = writer.segments_to_sync().expect("nobody knows what was synced");
    assert_eq!(*to_sync.start(), SegmentNumber(0));
    let size = log.identity.segment_bytes;
    assert_eq!(*to_sync.end(), size.segment_before(log.writer.written()));
    assert!(writer.durable() < writer.written());
}

#[test]
fn nothing_is_written_while_the_marker_of_the_last_stop_is_there() {
    let mut log = TestLog::with(&[b"one"]);
    log.stop();
    assert_eq!(log.writer.append(b"too late"), Err(LogStopped));
    let (recovered, _) = log.recover();
    let mut writer = LogWriter::resume(log.identity, recovered.end(), LogRun(0));
    writer.append(b"two").expect("it was not stopped");
    assert!(writer.must_remove_marker());
    assert_eq!(writer.take_write(), None);
    writer.on_marker_removed();
    assert!(writer.take_write().is_some());
}

#[test]
fn nothing_is_written_before_the_beginning_of_the_run_is_durable() {
    let log = TestLog::with(&[b"one"]);
    let (recovered, _) = log.recover();
    let mut writer = LogWriter::resume(log.identity, recovered.end(), LogRun(0));
    writer.append(b"two").expect("it was not stopped");
    let begin = writer.take_write().expect("the run begins");
    assert_eq!(writer.take_write(), None);
    writer.on_written(begin.end);
    assert_eq!(writer.take_write(), None);
    writer.on_synced(begin.end);
    assert!(writer.take_write().is_some_and(|write| write.end > begin.end));
}

#[test]
fn there_is_no_marker_before_the_last_frame_is_durable() {
    let mut log = TestLog::with(&[b"one"]);
    assert_eq!(log.writer.stop_marker(), None);
    log.writer.stop();
    log.write();
    assert_eq!(log.writer.stop_marker(), None);
    log.sync();
    assert_eq!(log.writer.stop_marker().map(|marker| marker.end), Some(log.writer.durable()));
}

#[test]
fn a_witness_is_written_once_and_only_when_there_is_news() {
    let mut log = TestLog::with(&[b"one"]);
    assert!(log.writer.witness());
    log.write();
    assert!(!log.writer.witness(), "nothing has become durable since");
    log.append(b"two");
    assert!(!log.writer.witness(), "a group says it as well");
    log.flush();
    assert!(log.writer.witness());
    log.write();
    assert_eq!(log.recover().1, log.appended);
}

#[test]
fn only_sizes_that_a_segment_can_have_are_taken() {
    for bytes in [0, 504, 516, (1 << 30) + 8] {
        assert_eq!(SegmentBytes::new(bytes), Err(SegmentBytesError(bytes)));
    }
    assert_eq!(SegmentBytes::new(8 << 20), Ok(SegmentBytes::DEFAULT));
}

#[test]
fn headers_and_markers_are_read_back_and_no_flipped_bit_passes() {
    let header = SegmentHeader {
        segment_bytes: SIZE,
        node: NodeId(1),
        log: LogId(2),
        number: SegmentNumber(3),
        end: LogPosition(4),
        chain: 5,
        durable: LogPosition(6),
        run: LogRun(7),
        started: LogPosition(8),
        follows_corruption: true,
    };
    let (bytes, checksum) = header.encode();
    assert_eq!(SegmentHeader::decode(&bytes), ReadHeader::Valid { header, checksum });
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentHeader::decode(&flipped), ReadHeader::None, "bit {bit}");
    }
    let marker = StopMarker {
        node: NodeId(1),
        log: LogId(2),
        end: LogPosition(3),
        chain: 4,
        run: LogRun(5),
        started: LogPosition(6),
    };
    let bytes = marker.encode();
    assert_eq!(StopMarker::decode(&bytes), Ok(marker));
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(StopMarker::decode(&flipped), Err(MarkerUnreadable), "bit {bit}");
    }
    for end in 0..bytes.len() {
        assert_eq!(StopMarker::decode(&bytes[..end]), Err(MarkerUnreadable), "cut at {end}");
    }
}
