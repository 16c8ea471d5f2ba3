//! What is noticed of a log that is not what was written.

use alloc::string::ToString as _;

use proptest::prelude::*;

use super::*;

/// A log of several segments, with a large batch, a second run, and all of it durable.
fn sample() -> TestLog {
    let mut log = TestLog::new(SIZE);
    for at in 0..5_u8 {
        log.append(&[at; 90]);
        log.flush();
    }
    log.append(&[9; 700]);
    log.flush();
    log.restart();
    for at in 10..14_u8 {
        log.append(&[at; 60]);
        log.append(&[at; 3]);
        log.flush();
    }
    log
}

/// Checks that a log yields nothing wrong, and that what is missing is either named, or lies at the
/// end, in the last `unwitnessed` batches.
fn assert_no_silent_loss(log: &TestLog, unwitnessed: usize, what: &dyn core::fmt::Debug) {
    let (recovered, batches) = log.recover();
    let mut rest = log.appended.iter();
    for batch in &batches {
        assert!(rest.any(|appended| appended == batch), "{what:?}: a batch that was not appended");
    }
    if batches.len() < log.appended.len() && kinds(recovered.verdict()).is_empty() {
        let lost = log.appended.len() - batches.len();
        let ends = log.appended.starts_with(&batches);
        assert!(ends && lost <= unwitnessed, "{what:?}: {lost} lost and {:?}", recovered.verdict());
    }
}

#[test]
fn no_flipped_byte_gives_a_wrong_batch_or_a_silent_loss() {
    let log = sample();
    for &segment in log.disk.files.keys() {
        for at in 0..SIZE as usize {
            let mut log = log.clone();
            log.file(segment)[at] ^= 0x41;
            assert_no_silent_loss(&log, 2, &(segment, at));
        }
    }
}

#[test]
fn no_zeroed_sector_gives_a_wrong_batch_or_a_silent_loss() {
    let log = sample();
    let begun = log.identity.segment_bytes.segment_before(log.writer.written()).0;
    for &segment in log.disk.files.keys() {
        for at in (0..SIZE as usize).step_by(32) {
            for length in [32, 64, 256, 512] {
                let mut log = log.clone();
                log.file(segment)[at..].iter_mut().take(length).for_each(|byte| *byte = 0);
                // The frames that the range may touch have nothing behind them that knows of them.
                let unwitnessed = 2 * (length / 128 + 2);
                let is_all = length == 512 && segment == begun;
                let unwitnessed = if is_all { usize::MAX } else { unwitnessed };
                assert_no_silent_loss(&log, unwitnessed, &(segment, at, length));
            }
        }
    }
}

#[test]
fn every_file_that_is_cut_or_missing_is_named() {
    let log = sample();
    for &segment in log.disk.files.keys() {
        for at in 0..SIZE as usize {
            let mut log = log.clone();
            log.file(segment).truncate(at);
            assert_no_silent_loss(&log, 0, &(segment, at));
            let (recovered, _) = log.recover();
            let expected = CorruptKind::Short { expected: SIZE.into() };
            assert!(kinds(recovered.verdict()).contains(&expected), "{segment} cut at {at}");
        }
    }
    let last = *log.disk.files.last_key_value().expect("there are files").0;
    for segment in 0..last {
        let mut log = log.clone();
        log.disk.files.remove(&segment);
        let (recovered, _) = log.recover();
        let expected = CorruptKind::Missing { until: SegmentNumber(segment + 1) };
        assert!(kinds(recovered.verdict()).contains(&expected), "{segment} missing");
        assert_no_silent_loss(&log, 0, &segment);
    }
}

#[test]
fn no_two_files_that_are_swapped_or_copied_go_unnoticed() {
    let log = sample();
    let begun = log.identity.segment_bytes.segment_before(log.writer.written()).0;
    for a in 0..=begun {
        for b in (0..=begun).filter(|&b| b != a) {
            let mut swapped = log.clone();
            let (one, other) = (swapped.disk.files[&a].clone(), swapped.disk.files[&b].clone());
            swapped.disk.files.insert(a, other);
            assert_no_silent_loss(&swapped, 0, &("copied", b, a));
            swapped.disk.files.insert(b, one);
            assert_no_silent_loss(&swapped, 0, &("swapped", a, b));
        }
    }
}

#[test]
fn a_hole_before_a_frame_that_knew_it_durable_is_corrupt_and_what_follows_is_replayed() {
    let mut log = TestLog::with(&[b"one", b"two"]);
    let at = log.writer.written();
    log.append(b"three");
    log.flush();
    log.append(b"four");
    log.flush();
    log.at(at)[..64].fill(0);
    let (recovered, batches) = log.recover();
    let until = LogPosition(at.0 + 72);
    assert_eq!(kinds(recovered.verdict()), [CorruptKind::Hole { until }]);
    let LogVerdict::Corrupt(corruption) = recovered.verdict() else { panic!("it is corrupt") };
    let place = corruption.found[0];
    assert_eq!((place.segment.0, place.offset), (0, at.0));
    assert_eq!(batches, [&log.appended[..2], &log.appended[3..]].concat());
    insta::assert_snapshot!(place);
}

#[test]
fn a_corrupt_last_group_is_told_from_a_torn_one_by_a_witness() {
    let mut log = TestLog::with(&[b"one"]);
    let at = log.writer.written();
    log.append(b"two");
    log.flush();
    let mut silent = log.clone();
    silent.at(at)[60] ^= 1;
    assert_eq!(*silent.recover().0.verdict(), LogVerdict::Torn { at }, "no log can know");
    assert!(log.writer.witness());
    log.write();
    log.at(at)[60] ^= 1;
    assert!(matches!(kinds(log.recover().0.verdict())[..], [CorruptKind::Hole { .. }]));
}

#[test]
fn a_log_that_ends_before_its_marker_is_corrupt() {
    let mut log = TestLog::with(&[b"one"]);
    let at = log.writer.written();
    log.append(b"two");
    log.stop();
    let durable = log.writer.durable();
    log.at(at)[..].fill(0);
    let (recovered, batches) = log.recover();
    assert_eq!(kinds(recovered.verdict()), [CorruptKind::EndsEarly { durable }]);
    assert_eq!(batches, log.appended[..1]);
    // Without the marker nothing says that it is not just torn.
    log.marker = None;
    assert_eq!(*log.recover().0.verdict(), LogVerdict::Torn { at });
}

#[test]
fn a_marker_that_cannot_be_read_matters_only_if_the_log_has_no_clean_end() {
    let mut log = TestLog::with(&[b"one"]);
    let at = log.writer.written();
    log.append(b"two");
    log.stop();
    log.marker.as_mut().expect("it was stopped")[20] ^= 1;
    assert_eq!(kinds(log.recover().0.verdict()), []);
    log.at(at)[..].fill(0);
    assert_eq!(kinds(log.recover().0.verdict()), [CorruptKind::MarkerUnreadable]);
}

#[test]
fn a_log_that_is_older_than_the_tables_is_corrupt() {
    let mut log = TestLog::with(&[b"one", b"two"]);
    let older = log.disk.clone();
    log.append(b"three");
    log.flush();
    log.replay_from = log.writer.replay_from(log.writer.durable());
    log.disk = older;
    let replay_from = log.replay_from.position;
    let expected = [CorruptKind::EndsBeforeTables { replay_from }];
    assert_eq!(kinds(log.recover().0.verdict()), expected);
}

#[test]
fn a_hole_below_what_the_tables_hold_does_not_matter() {
    let mut log = TestLog::with(&[b"one", b"two", b"three"]);
    log.replay_from = log.writer.replay_from(log.appended[1].0);
    let (_, expected) = log.recover();
    log.file(0)[96 + 20] ^= 1;
    log.file(0)[10] ^= 1;
    let (recovered, batches) = log.recover();
    assert_eq!((kinds(recovered.verdict()), batches), (Vec::new(), expected));
}

#[test]
fn after_corruption_appending_goes_on_in_a_segment_of_its_own() {
    let mut log = TestLog::with(&[b"one", b"two", b"three"]);
    log.file(0)[96 + 20] ^= 1;
    let hole = kinds(&log.restart());
    assert!(matches!(hole[..], [CorruptKind::Hole { .. }]));
    let begin = log.writer.durable();
    assert_eq!(begin, log.identity.segment_bytes.frames_of(SegmentNumber(2)));
    log.append(b"four");
    log.flush();
    // Until the tables hold the rest, a start says it again, and loses nothing more.
    let (recovered, batches) = log.recover();
    assert_eq!(kinds(recovered.verdict()), [&hole[..], &[CorruptKind::FoundBefore]].concat());
    assert_eq!(batches, log.appended);
    assert_eq!(log.checkpoint(begin), SegmentNumber(0)..SegmentNumber(2));
    log.disk.files.retain(|&number, _| number >= 2);
    log.appended.retain(|&(end, _)| end > begin);
    let (recovered, batches) = log.recover();
    assert_eq!((kinds(recovered.verdict()), batches), (Vec::new(), log.appended));
}

#[test]
fn a_part_of_another_time_breaks_the_chain() {
    // Two futures of one log in one run, as a restored snapshot gives: the frames fit by place.
    let mut one = TestLog::with(&[b"both"]);
    let mut other = one.clone();
    let at = one.writer.written();
    for (log, batch) in [(&mut one, b"here "), (&mut other, b"there")] {
        log.append(batch);
        log.flush();
        log.append(b"then");
        log.flush();
    }
    let piece = other.at(at)[..72].to_vec();
    one.at(at)[..72].copy_from_slice(&piece);
    let (recovered, _) = one.recover();
    assert_eq!(kinds(recovered.verdict()), [CorruptKind::Chain]);
}

#[test]
fn files_of_another_log_are_refused_and_named() {
    let log = TestLog::with(&[b"one"]);
    let mut other = log.clone();
    other.identity.log = LogId(9);
    let (node, log_id) = (log.identity.node, log.identity.log);
    let expected = ForeignLog::Segment { segment: SegmentNumber(0), node, log: log_id };
    assert_eq!(other.try_recover().err(), Some(LogError::Foreign(expected)));
    other.identity.node = NodeId(8);
    let error = other.try_recover().err().map(|error| error.to_string());
    insta::assert_snapshot!(error.unwrap_or_default());

    let mut resized = log.clone();
    resized.identity = identity(1_024);
    let expected =
        ForeignLog::SegmentBytes { segment: SegmentNumber(0), found: SIZE, expected: 1_024 };
    assert_eq!(resized.try_recover().err(), Some(LogError::Foreign(expected)));

    let mut stopped = log.clone();
    stopped.stop();
    let mut marked = TestLog::new(SIZE);
    marked.identity.log = LogId(9);
    marked.writer = LogWriter::create(marked.identity, LogRun(1));
    marked.flush();
    marked.marker = stopped.marker;
    let expected = ForeignLog::Marker { node, log: log_id };
    assert_eq!(marked.try_recover().err(), Some(LogError::Foreign(expected)));
}

/// Files of which one cannot be read, or is listed twice.
struct BadFiles {
    disk: LogFiles,
    is_listed_twice: bool,
}

impl LogSource for BadFiles {
    type Error = &'static str;

    fn segments(&mut self) -> Result<Vec<SegmentFile>, &'static str> {
        let Ok(mut files) = self.disk.segments();
        if self.is_listed_twice {
            files.push(files[0]);
        }
        Ok(files)
    }

    fn read(&mut self, _: SegmentNumber, _: u64, _: &mut [u8]) -> Result<(), &'static str> {
        Err("the disk does not answer")
    }
}

#[test]
fn a_read_that_fails_decides_nothing() {
    let log = TestLog::with(&[b"one"]);
    let mut bad = BadFiles { disk: log.disk.clone(), is_listed_twice: false };
    let error = recover(log.identity, None, ReplayFrom::default(), &mut bad, |_| {}).err();
    let expected =
        LogError::Read { segment: SegmentNumber(0), offset: 0, error: "the disk does not answer" };
    assert_eq!(error, Some(expected));
    bad.is_listed_twice = true;
    let error = recover(log.identity, None, ReplayFrom::default(), &mut bad, |_| {}).err();
    let segment = SegmentNumber(0);
    assert_eq!(error, Some(LogError::Foreign(ForeignLog::TwoFiles { segment })));
}

#[test]
fn files_without_a_header_are_no_log() {
    let mut log = TestLog::new(SIZE);
    log.file(0).fill(0);
    assert_eq!(kinds(log.recover().0.verdict()), [CorruptKind::NoHeader]);
    log.disk.files.clear();
    let until = SegmentNumber(1);
    let expected = [CorruptKind::Missing { until }, CorruptKind::NoHeader];
    assert_eq!(kinds(log.recover().0.verdict()), expected);
}

#[test]
fn a_file_may_have_any_number_in_its_name() {
    let mut log = TestLog::with(&[b"one"]);
    let last = log.disk.files[&1].clone();
    log.disk.files.insert(u64::MAX, last);
    let (recovered, batches) = log.recover();
    let until = SegmentNumber(u64::MAX);
    assert_eq!(kinds(recovered.verdict()), [CorruptKind::Missing { until }]);
    assert_eq!(batches, log.appended);
}

proptest! {
    #[test]
    fn no_bytes_make_recovery_panic(
        garbage in proptest::collection::vec(any::<u8>(), 1..600),
        segment in 0_u64..3,
        at in 0_usize..SIZE as usize,
        replay_from in 0_u64..4 * u64::from(SIZE),
    ) {
        let mut log = sample();
        log.replay_from.position = LogPosition(replay_from);
        let file = log.file(segment);
        file.truncate(at);
        file.extend(garbage);
        let _ = log.try_recover();
    }

    #[test]
    fn several_wounds_give_no_wrong_batch(
        wounds in proptest::collection::vec((0_u64..5, 0_usize..SIZE as usize, any::<u8>()), 1..8),
    ) {
        let mut log = sample();
        for &(segment, at, byte) in &wounds {
            log.file(segment)[at] = byte;
        }
        assert_no_silent_loss(&log, 8, &wounds);
    }
}

#[test]
fn the_newest_segment_that_was_swapped_with_a_spare_one_is_missed() {
    let batches = [[1; 200], [2; 200], [3; 200], [4; 200]];
    let mut log = TestLog::with(&batches.each_ref().map(|batch| &batch[..]));
    let (end, _) = log.appended[1];
    assert!(!log.checkpoint(end).is_empty(), "a segment is spare");
    let newest = SegmentBytes::new(SIZE).expect("it is a size").segment_before(log.appended[3].0);
    let swapped = core::mem::take(log.file(newest.0));
    let spare = core::mem::replace(log.file(0), swapped);
    *log.file(newest.0) = spare;
    let (recovered, _) = log.recover();
    assert!(kinds(recovered.verdict()).contains(&CorruptKind::Misplaced { found: newest }));
}
