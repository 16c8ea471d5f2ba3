//! What is recovered after a stop, a crash, and a life of several runs.

use super::*;

#[test]
fn a_log_that_was_stopped_is_clean_and_goes_on() {
    let mut log = TestLog::with(&[b"one", b"two"]);
    log.stop();
    assert_eq!(log.restart(), LogVerdict::Clean);
    log.append(b"three");
    log.flush();
    assert_eq!(log.recover().1, log.appended);
    let at = log.writer.written();
    assert_eq!(log.restart(), LogVerdict::Torn { at }, "it was not stopped this time");
}

#[test]
fn a_torn_last_frame_is_cut_and_appending_goes_on_there() {
    let mut log = TestLog::with(&[b"one", b"two"]);
    let at = log.writer.written();
    log.append(b"three");
    log.write();
    log.at(at)[60] ^= 1;
    assert_eq!(log.restart(), LogVerdict::Torn { at });
    log.append(b"four");
    log.flush();
    let (recovered, batches) = log.recover();
    assert_eq!(batches, log.appended);
    assert_eq!(batches.len(), 3);
    assert_eq!(kinds(recovered.verdict()), []);
}

#[test]
fn several_writes_on_their_way_may_be_lost_in_any_order() {
    for lost in 0..3 {
        let mut log = TestLog::with(&[b"durable"]);
        let mut begins = Vec::new();
        for batch in [b"one", b"two", b"six"] {
            begins.push(log.writer.written());
            log.append(batch);
            log.write();
        }
        log.at(begins[lost])[..64].fill(0);
        let (recovered, batches) = log.recover();
        assert_eq!(*recovered.verdict(), LogVerdict::Torn { at: begins[lost] });
        assert_eq!(batches, log.appended[..=lost]);
        assert_eq!(recovered.cut_frames(), 2 - lost as u64);
    }
}

#[test]
fn what_was_cut_never_comes_back_even_if_the_same_is_appended_again() {
    let mut log = TestLog::with(&[b"durable"]);
    let at = log.writer.written();
    for batch in [b"one", b"two", b"six"] {
        log.append(batch);
        log.write();
    }
    log.at(at)[60] ^= 1;
    assert_eq!(log.restart(), LogVerdict::Torn { at });
    for batch in [b"one", b"two", b"six"] {
        log.append(batch);
        log.flush();
        let (recovered, batches) = log.recover();
        assert_eq!((batches, kinds(recovered.verdict())), (log.appended.clone(), Vec::new()));
    }
}

#[test]
fn what_was_cut_does_not_fill_the_place_of_a_write_that_was_lost() {
    // In the second run the first write is lost; the old frame at its place must not count.
    let mut log = TestLog::with(&[b"durable"]);
    let at = log.writer.written();
    let old = LogPosition(at.0 + 56);
    for _ in 0..2 {
        log.append(b"old");
        log.write();
    }
    let torn = log.disk.clone();
    log.at(at)[60] ^= 1;
    log.restart();
    log.append(b"new");
    log.flush();
    log.append(b"behind");
    log.flush();
    log.at(old)[..64].fill(0);
    assert!(matches!(kinds(log.recover().0.verdict())[..], [CorruptKind::Hole { .. }]));
    // All of the second run is lost but its first write, which says that the old frames do not count.
    let begin = log.at(at)[..56].to_vec();
    log.disk = torn;
    log.at(at)[..56].copy_from_slice(&begin);
    let (recovered, batches) = log.recover();
    assert_eq!(batches, log.appended[..1]);
    assert_eq!(*recovered.verdict(), LogVerdict::Torn { at: LogPosition(at.0 + 56) });
}

#[test]
fn frames_of_a_recycled_file_never_count() {
    let mut log = TestLog::new(SIZE);
    for at in 0..12_u8 {
        log.append(&[at; 100]);
        log.flush();
    }
    let position = log.writer.durable();
    let released = log.checkpoint(position);
    let newest = *log.disk.files.last_key_value().expect("there are files").0;
    for (number, old) in (newest + 1..).zip(released.start.0..released.end.0) {
        let file = log.disk.files.remove(&old).expect("it was released");
        log.disk.files.insert(number, file);
    }
    let (recovered, batches) = log.recover();
    assert_eq!(batches, []);
    assert_eq!(*recovered.verdict(), LogVerdict::Torn { at: position });
    // Nor when the log has reached them.
    log.appended.clear();
    log.restart();
    for at in 0..12_u8 {
        log.append(&[at; 100]);
        log.flush();
        let (recovered, batches) = log.recover();
        assert_eq!(batches, log.appended);
        assert_eq!(kinds(recovered.verdict()), []);
    }
}

#[test]
fn a_replay_begins_behind_what_the_tables_hold() {
    let mut log = TestLog::with(&[b"one", b"two", b"three"]);
    log.append(b"four");
    log.append(b"five");
    log.flush();
    for at in 0..log.appended.len() {
        log.replay_from = log.writer.replay_from(log.appended[at].0);
        let (recovered, batches) = log.recover();
        assert_eq!(batches, log.appended[at + 1..]);
        assert_eq!(kinds(recovered.verdict()), []);
    }
}

#[test]
fn each_run_has_a_greater_number_than_any_before() {
    let mut log = TestLog::with(&[b"one"]);
    let mut before = log.writer.run();
    for _ in 0..4 {
        log.restart();
        assert!(log.writer.run() > before);
        before = log.writer.run();
        log.append(b"more");
        log.flush();
    }
    let (recovered, _) = log.recover();
    let given = LogWriter::resume(log.identity, recovered.end(), LogRun(1_000));
    assert_eq!(given.run(), LogRun(1_000));
}

#[test]
fn a_marker_of_an_earlier_stop_is_passed_over() {
    let mut log = TestLog::with(&[b"one"]);
    log.stop();
    let old = log.marker.clone();
    log.restart();
    log.append(b"two");
    log.flush();
    log.marker = old;
    let (recovered, batches) = log.recover();
    assert_eq!(batches, log.appended);
    assert_eq!(*recovered.verdict(), LogVerdict::Torn { at: log.writer.written() });
    assert!(recovered.end().has_marker, "it must go before anything is appended");
}

#[test]
fn a_reading_says_how_far_it_is() {
    let mut log = TestLog::new(SIZE);
    for _ in 0..10 {
        log.append(&[1; 200]);
    }
    log.flush();
    let mut seen = Vec::new();
    let mut disk = log.disk.clone();
    let recovered = recover(log.identity, None, ReplayFrom::default(), &mut disk, |progress| {
        seen.push((progress.done, progress.all));
    })
    .expect("it can be read");
    assert!(seen.is_sorted());
    assert_eq!(seen.len(), log.disk.files.len());
    assert!(seen.last().is_some_and(|(done, all)| done == all));
    seen.clear();
    recovered
        .replay(&mut disk, |progress| seen.push((progress.done, progress.all)), |_| {})
        .expect("it can be read");
    assert!(seen.is_sorted() && seen.last().is_some_and(|(done, all)| done == all));
}

#[test]
fn the_tables_know_what_was_cut_before_they_were_written() {
    // All that the second run has written is lost, and what it had cut off lies there.
    let mut log = TestLog::with(&[b"durable"]);
    let at = log.writer.written();
    log.append(b"old");
    log.write();
    let torn = log.disk.clone();
    log.at(at)[60] ^= 1;
    log.restart();
    log.replay_from = log.writer.replay_from(log.appended[0].0);
    log.disk = torn;
    let (recovered, batches) = log.recover();
    assert_eq!((batches, kinds(recovered.verdict())), (Vec::new(), vec![CorruptKind::Chain]));
}
