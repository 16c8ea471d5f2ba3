//! Disks that fail or are full: what is refused, what is told, and what is durable all the same.

use super::*;

/// Waits for the outcome of one command, and passes over all events before.
fn outcome_of(reports: &Reports, wanted: Ticket) -> Outcome {
    let mut events = std::iter::repeat_with(|| reports.next()).flatten();
    let outcome = events.find_map(|event| match event {
        StorageEvent::Done { ticket, outcome, .. } => (ticket == wanted).then_some(outcome),
        _ => None,
    });
    outcome.expect("storage answers or the wait ends")
}

/// Mints keys from the `n`-th on until one is refused. Returns the fault, and the number that were
/// taken.
fn wait_refused(storage: &Storage, reports: &Reports, n: u64) -> (Refusal, u64) {
    let refused = (0..).find_map(|taken| {
        // The executor hears of it after the node.
        storage.submit(mints(n + taken..n + taken + 1));
        let refusal = outcome_of(reports, Ticket(n + taken)).answer.refusal()?;
        Some((refusal, taken))
    });
    refused.expect("it is refused before the numbers end")
}

#[test]
fn a_disk_that_fails_says_so_once_and_takes_nothing_more() {
    let disk = MemoryDisk::default();
    let (storage, mut reports) = start(disk.start(), StorageOptions::default());
    storage.submit(mints(1..10));
    reports.outcomes(9);
    reports.wait_durable(Seq(9));
    disk.set_fault(Some(StoreFault::Failed));
    storage.submit(mints(10..11));
    assert_eq!(reports.wait_failed().fault, StoreFault::Failed);
    assert_eq!(wait_refused(&storage, &reports, 11).0, Refusal::DiskFailed);
    assert_eq!(storage.counts().state.word(), "failed");
    disk.set_fault(None);
    storage.close();
    let store = Overlay::new(Arc::new(disk.start()));
    assert!(holds(&store, 9) && !holds(&store, 10), "what was durable stays");
}

#[test]
fn a_full_disk_refuses_and_what_it_was_given_before_is_durable_when_there_is_room() {
    for (fault, refusal) in
        [(StoreFault::Full, Refusal::DiskFull), (StoreFault::OutOfFiles, Refusal::OutOfFiles)]
    {
        let disk = MemoryDisk::default();
        let (mut reports, report) = Reports::new();
        let (storage, _) = opening(StorageOptions::default(), |opening| {
            Storage::on_threads(founded(disk.start()), opening, report).expect("it opens")
        });
        storage.submit(mints(1..10));
        reports.outcomes(9);
        reports.wait_durable(Seq(9));
        disk.set_fault(Some(fault));
        storage.submit(mints(10..11));
        let refusing = |event: &StorageEvent| match event {
            StorageEvent::Refusing(error) => Some(error.fault),
            _ => None,
        };
        let heard =
            std::iter::repeat_with(|| reports.next()).flatten().find_map(|event| refusing(&event));
        assert_eq!(heard, Some(fault));
        let (refused, taken) = wait_refused(&storage, &reports, 1_000);
        assert_eq!(refused, refusal);
        assert_ne!(storage.counts().state.word(), "writable");
        storage.submit(vec![read(9)]);
        let outcome = outcome_of(&reports, read(9).0);
        assert!(matches!(done(&outcome), Ok(ReplicaDone::Read(_))), "reads go on: {outcome:?}");

        disk.set_fault(None);
        let (mut durable, mut writable) = (Seq(0), 0);
        while durable < Seq(10 + taken) || writable == 0 {
            for event in reports.next() {
                match event {
                    StorageEvent::Durable { seq } => durable = seq,
                    StorageEvent::Writable { .. } => writable += 1,
                    other => panic!("nothing else is due: {other:?}"),
                }
            }
        }
        assert_eq!((writable, storage.counts().state.word()), (1, "writable"));
        reports.newest = durable;
        reports.durable = durable;
        storage.submit(mints(12..13));
        let outcome = reports.outcomes(1).remove(0).2;
        assert!(outcome.answer.refusal().is_none(), "{outcome:?}");
        storage.close();
        let store = Overlay::new(Arc::new(disk.start()));
        assert!(holds(&store, 10) && !holds(&store, 1_000 + taken) && holds(&store, 12));
    }
}

#[test]
fn storage_ends_at_once_while_its_disk_is_full() {
    let disk = MemoryDisk::default();
    let (storage, reports) = start(disk.start(), StorageOptions::default());
    disk.set_fault(Some(StoreFault::Full));
    storage.submit(mints(1..2));
    assert_eq!(wait_refused(&storage, &reports, 2).0, Refusal::DiskFull);
    storage.close();
    assert!(!holds(&Overlay::new(Arc::new(disk.start())), 1), "and promised nothing");
}

#[tokio::test]
async fn a_task_waits_for_room_as_the_threads_do() {
    let disk = MemoryDisk::default();
    let (reports, report) = Reports::new();
    let (storage, task, _) = opening(StorageOptions::default(), |opening| {
        Storage::as_task(disk.start(), opening, Duration::ZERO, report).expect("it opens")
    });
    disk.set_fault(Some(StoreFault::Full));
    storage.submit(mints(1..3));
    let running = tokio::spawn(task.run());
    let told = async |wanted: fn(&StorageEvent) -> bool| {
        while !reports.heard.try_iter().flatten().any(|event| wanted(&event)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    told(|event| matches!(event, StorageEvent::Refusing(_))).await;
    disk.set_fault(None);
    told(|event| matches!(event, StorageEvent::Durable { seq: Seq(2) })).await;
    drop(storage);
    running.await.expect("it ends by itself");
    let store = Overlay::new(Arc::new(disk.start()));
    assert!(holds(&store, 1) && holds(&store, 2));
}

#[test]
fn a_storage_thread_that_panics_is_a_failed_disk() {
    struct Broken;
    impl Engine for Broken {
        fn get(&self, _: &[u8]) -> Result<Option<Bytes>, Corrupt> {
            Ok(None)
        }
        fn scan(&self, _: &[u8], _: &[u8], _: &mut Visitor<'_>) {}
        fn apply(&self, _: &Records, _: Reach) -> Result<(), EngineError> {
            panic!("a test panics here")
        }
        fn sync(&self) -> Result<(), EngineError> {
            Ok(())
        }
        fn check(&self) -> Result<(), EngineError> {
            Ok(())
        }
        fn resume(&self) -> Result<(), EngineError> {
            Ok(())
        }
    }
    let (storage, reports) = start(Broken, StorageOptions::default());
    storage.submit(mints(1..2));
    assert_eq!(reports.wait_failed().fault, StoreFault::Failed);
    storage.close();
}
