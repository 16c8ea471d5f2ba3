//! Disks that fail or are full: what is refused, what is told, and what is durable all the same.

use super::*;

/// Executes one command.
fn outcome_of<E: Engine>(driven: &mut Driven<E>, command: (Ticket, StoreCommand)) -> Outcome {
    driven.submit([command]);
    driven.execute().pop().expect("it is executed at once").outcome
}

/// Passes over news until the disk refuses, for a while or for good.
async fn wait_refused<E: Engine>(driven: &mut Driven<E>) -> EngineError {
    loop {
        match driven.hear().await {
            StorageEvent::Refusing(error) | StorageEvent::Failed(error) => return error,
            StorageEvent::Durable { .. }
            | StorageEvent::Flushed
            | StorageEvent::Writable { .. } => {}
        }
    }
}

#[tokio::test]
async fn a_disk_that_fails_says_so_once_and_takes_nothing_more() {
    let disk = MemoryDisk::default();
    let mut driven = start(disk.start(), StorageOptions::default());
    driven.submit(mints(1..10));
    driven.execute();
    driven.wait_durable(Seq(9)).await;
    disk.set_fault(Some(StoreFault::Failed));
    assert_eq!(outcome_of(&mut driven, mint(10)).answer.refusal(), None, "it is not known yet");
    assert_eq!(wait_refused(&mut driven).await.fault, StoreFault::Failed);
    assert_eq!(driven.durable, Seq(9));
    assert_eq!(outcome_of(&mut driven, mint(11)).answer.refusal(), Some(Refusal::DiskFailed));
    assert_eq!(driven.counts().state.word(), "failed");
    disk.set_fault(None);
    let Driven { storage, mut heard, .. } = driven;
    storage.close().await;
    assert!(heard.recv().await.is_none(), "nothing more is said");
    let store = found(disk.start());
    assert!(holds(&store, 9) && !holds(&store, 10), "what was durable stays");
}

#[tokio::test]
async fn a_full_disk_refuses_and_what_it_was_given_before_is_durable_when_there_is_room() {
    for (fault, refusal) in
        [(StoreFault::Full, Refusal::DiskFull), (StoreFault::OutOfFiles, Refusal::OutOfFiles)]
    {
        let disk = MemoryDisk::default();
        let mut driven = start(founded(disk.start()), StorageOptions::default());
        driven.submit(mints(1..10));
        driven.execute();
        driven.wait_durable(Seq(9)).await;
        disk.set_fault(Some(fault));
        driven.submit(mints(10..11));
        driven.execute();
        driven.submit(mints(11..12));
        let executed = driven.execute().pop().map(|done| done.outcome.answer.refusal());
        assert_eq!(executed, Some(None), "it is not known yet");
        assert_eq!(wait_refused(&mut driven).await.fault, fault);
        assert_eq!(outcome_of(&mut driven, mint(12)).answer.refusal(), Some(refusal));
        assert_ne!(driven.counts().state.word(), "writable");
        let outcome = outcome_of(&mut driven, read(9));
        assert!(matches!(done(&outcome), Ok(ReplicaDone::Read(_))), "reads go on: {outcome:?}");
        assert!(!driven.storage.is_full(), "work is taken, and refused");

        disk.set_fault(None);
        let event = driven.hear().await;
        assert!(matches!(event, StorageEvent::Writable { .. }), "{event:?}");
        driven.wait_durable(Seq(11)).await;
        assert_eq!(driven.counts().state.word(), "writable");
        assert_eq!(outcome_of(&mut driven, mint(13)).answer.refusal(), None);
        driven.close().await;
        let store = found(disk.start());
        assert!(holds(&store, 10) && holds(&store, 11) && !holds(&store, 12) && holds(&store, 13));
    }
}

#[tokio::test]
async fn a_disk_that_is_full_while_nothing_is_written_is_noticed() {
    let disk = MemoryDisk::default();
    let mut driven = start(disk.start(), StorageOptions::default());
    disk.set_fault(Some(StoreFault::Full));
    assert_eq!(wait_refused(&mut driven).await.fault, StoreFault::Full);
    disk.set_fault(None);
    assert!(matches!(driven.hear().await, StorageEvent::Writable { .. }));
}

#[tokio::test]
async fn storage_ends_at_once_while_its_disk_is_full() {
    let disk = MemoryDisk::default();
    let mut driven = start(disk.start(), StorageOptions::default());
    disk.set_fault(Some(StoreFault::Full));
    driven.submit(mints(1..2));
    driven.execute();
    assert_eq!(wait_refused(&mut driven).await.fault, StoreFault::Full);
    assert_eq!(outcome_of(&mut driven, mint(2)).answer.refusal(), Some(Refusal::DiskFull));
    driven.close().await;
    assert!(!holds(&found(disk.start()), 1), "and promised nothing");
}

#[tokio::test]
async fn a_task_waits_for_room_as_the_thread_does() {
    let disk = MemoryDisk::default();
    let (mut driven, background) = start_task(founded(disk.start()), Duration::ZERO);
    disk.set_fault(Some(StoreFault::Full));
    driven.submit(mints(1..3));
    driven.execute();
    let running = tokio::spawn(background.run());
    assert_eq!(wait_refused(&mut driven).await.fault, StoreFault::Full);
    disk.set_fault(None);
    assert!(matches!(driven.hear().await, StorageEvent::Writable { .. }));
    driven.wait_durable(Seq(2)).await;
    drop(driven);
    running.await.expect("it ends by itself");
    let store = found(disk.start());
    assert!(holds(&store, 1) && holds(&store, 2));
}

#[tokio::test]
async fn a_committer_that_panics_is_a_failed_disk() {
    let broken = Hooked::new(MemoryDisk::default().start(), || panic!("a test panics here"));
    let mut driven = start(broken, StorageOptions::default());
    driven.submit(mints(1..2));
    driven.execute();
    assert_eq!(wait_refused(&mut driven).await.fault, StoreFault::Failed);
    assert_eq!(driven.counts().state.word(), "failed");
    assert_eq!(outcome_of(&mut driven, mint(2)).answer.refusal(), Some(Refusal::DiskFailed));
    driven.close().await;
}

#[tokio::test]
async fn tables_that_cannot_be_written_hold_up_what_is_executed_and_are_told_as_a_full_disk() {
    let disk = MemoryDisk::default();
    let hooked = Hooked::new(founded(disk.start()), || {});
    let flush_fault = Arc::clone(&hooked.flush_fault);
    let set = |fault| *flush_fault.lock().expect("no test panics with it") = fault;
    set(Some(StoreFault::Full));
    let mut driven = start(hooked, small_memory());
    driven.submit(mints(1..60));
    drive_until(&mut driven, is_done).await;
    driven.submit(mints(60..1_000));
    drive_until(&mut driven, |driven| driven.storage.is_full()).await;
    let StorageCounts { waiting, memory_bytes, .. } = driven.counts();
    assert!(waiting > 100 && memory_bytes < 90_000, "{waiting} wait, with {memory_bytes} bytes");
    assert_eq!(wait_refused(&mut driven).await.fault, StoreFault::Full);
    driven.execute();
    assert!(!driven.storage.is_full(), "work is taken, and refused");
    let refused = outcome_of(&mut driven, mint(2_000)).answer.refusal();
    assert_eq!(refused, Some(Refusal::DiskFull));
    set(None);
    while !matches!(driven.hear().await, StorageEvent::Writable { .. }) {}
    assert_eq!(driven.counts().state.word(), "writable");
    assert_eq!(outcome_of(&mut driven, mint(3_000)).answer.refusal(), None);
    drive_until(&mut driven, is_done).await;
    driven.close().await;
    let store = found(disk.start());
    assert!(holds(&store, 1) && holds(&store, 3_000) && !holds(&store, 2_000));
}

#[tokio::test]
async fn a_table_that_fails_to_be_written_ends_the_storage() {
    let hooked = Hooked::new(MemoryDisk::default().start(), || {});
    *hooked.flush_fault.lock().expect("nobody has it") = Some(StoreFault::Failed);
    let mut driven = start(hooked, small_memory());
    driven.submit(mints(1..1_000));
    driven.execute();
    assert_eq!(wait_refused(&mut driven).await.fault, StoreFault::Failed);
    assert_eq!(driven.counts().state.word(), "failed");
    driven.close().await;
}
