//! Storage at work: its events, their order, and the data that remains.

mod faults;
mod opening;

use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use bytes::Bytes;
use kv_core::layout::Layout;
use kv_core::storage::{self, held};
use kv_core::store::{
    Answer, AnswerFamily as _, CopyKind, Corrupt, Mint, Outcome, Refusal, ReplicaAction,
    ReplicaAnswer, ReplicaCommand, ReplicaDone, Requester, Role, View, Visitor,
};
use kv_core::time::HybridTime;
use kv_core::types::{Epoch, FoundingId, Key, OperationId, PartitionId, RequestId, Seq};
use kv_core::version::{Content, Context};
use kv_core::write::{Basis, Write};

use super::*;

const NODE: NodeId = NodeId(1);
const TIMEOUT: Duration = Duration::from_secs(60);

/// A node's end of its storage.
struct Reports {
    heard: Receiver<Vec<StorageEvent>>,
    newest: Seq,
    durable: Seq,
}

impl Reports {
    fn new() -> (Self, Report) {
        let (tell, heard) = channel();
        // A test may end before its storage does.
        let report: Report = Arc::new(move |events| drop(tell.send(events)));
        (Self { heard, newest: Seq(0), durable: Seq(0) }, report)
    }

    fn next(&self) -> Vec<StorageEvent> {
        self.heard.recv_timeout(TIMEOUT).expect("storage answers")
    }

    /// Waits for this many outcomes, in the order in which they were reported.
    fn outcomes(&mut self, count: usize) -> Vec<(Ticket, Seq, Outcome)> {
        let mut outcomes = Vec::new();
        while outcomes.len() < count {
            for event in self.next() {
                match event {
                    StorageEvent::Done { ticket, seq, outcome } => {
                        let new = seq > self.newest;
                        assert!(!new || seq > self.durable, "it is told before it is durable");
                        self.newest = seq;
                        outcomes.push((ticket, seq, outcome));
                    }
                    StorageEvent::Durable { seq } => self.durable = seq,
                    StorageEvent::Failed(error) | StorageEvent::Refusing(error) => {
                        panic!("the disk is well: {error}")
                    }
                    StorageEvent::Writable { .. } => panic!("it was all the time"),
                }
            }
        }
        outcomes
    }

    fn wait_durable(&mut self, up_to: Seq) {
        while self.durable < up_to {
            for event in self.next() {
                match event {
                    StorageEvent::Durable { seq } => self.durable = seq,
                    other => panic!("only `Durable` is due: {other:?}"),
                }
            }
        }
    }

    fn wait_failed(&self) -> EngineError {
        loop {
            for event in self.next() {
                match event {
                    StorageEvent::Failed(error) => return error,
                    StorageEvent::Done { .. }
                    | StorageEvent::Refusing(_)
                    | StorageEvent::Writable { .. } => {}
                    StorageEvent::Durable { .. } => panic!("nothing is durable"),
                }
            }
        }
    }
}

fn ring() -> Ring {
    let layout = Layout::single_datacenter(1, 1, [(NODE, "n1".to_string())]);
    Ring::new(layout).expect("one node is a cluster")
}

/// Calls `open` with the settings of a test's node.
fn opening<T>(options: StorageOptions, open: impl FnOnce(&Opening<'_>) -> T) -> T {
    let (core, ring) = (Config::default(), ring());
    open(&Opening { node: NODE, core: &core, ring: &ring, options })
}

/// Makes the engine's records those of a member of a new cluster.
fn founded<E: Engine>(engine: E) -> E {
    let engine = Arc::new(engine);
    let written = opening(StorageOptions::default(), |opening| {
        let owned = opening.ring.owned_by(NODE);
        recovery::write(&engine, |store| storage::format(store, NODE, FoundingId(1), owned))
    });
    written.expect("the engine is well");
    Arc::into_inner(engine).expect("nobody else has it")
}

fn start<E: Engine>(engine: E, options: StorageOptions) -> (Storage, Reports) {
    let (reports, report) = Reports::new();
    let (storage, _) =
        opening(options, |opening| Storage::on_threads(engine, opening, report).expect("it opens"));
    (storage, reports)
}

fn key(n: u64) -> Key {
    Key::from(format!("key {n}").as_str())
}

fn command(action: ReplicaAction) -> StoreCommand {
    let requester = Requester {
        node: NodeId(1),
        request: RequestId(1),
        operation: OperationId(1),
        for_owner: None,
    };
    let command = ReplicaCommand { requester, action }.into();
    StoreCommand { partition: PartitionId(0), command }
}

fn done(outcome: &Outcome) -> &Result<ReplicaDone, Refusal> {
    let Answer::Replica(ReplicaAnswer { result, .. }) = &outcome.answer else {
        panic!("it is for a coordinator: {outcome:?}")
    };
    result
}

fn mint(n: u64) -> (Ticket, StoreCommand) {
    let mint = Mint {
        key: key(n),
        write: Write {
            content: Content::Value(Bytes::from(vec![b'v'; 100])),
            expiry: None,
            basis: Basis::Held(Context::default()),
            time: HybridTime(n),
        },
        role: Role::Owner,
        request: RequestId(u128::from(n)),
        spare: Epoch(9),
        siblings_max: 10,
    };
    (Ticket(n), command(ReplicaAction::Mint(mint.into())))
}

fn mints(range: std::ops::Range<u64>) -> Vec<(Ticket, StoreCommand)> {
    range.map(mint).collect()
}

fn read(n: u64) -> (Ticket, StoreCommand) {
    (Ticket(n), command(ReplicaAction::Read { key: key(n), copy: CopyKind::Owned }))
}

fn holds(store: &impl kv_core::store::Store, n: u64) -> bool {
    !held(store, View::Durable, &ring(), &key(n)).container.is_empty()
}

/// An engine whose writes wait for the test's word.
struct Gated {
    engine: MemoryEngine,
    word: std::sync::Mutex<Receiver<()>>,
}

impl Engine for Gated {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        self.engine.get(key)
    }

    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        self.engine.scan(prefix, after, visit);
    }

    fn apply(&self, records: &Records, reach: Reach) -> Result<(), EngineError> {
        let word = self.word.lock().expect("one thread writes");
        // Without a test there is nothing to wait for.
        let _ = word.recv();
        self.engine.apply(records, reach)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.engine.sync()
    }

    fn check(&self) -> Result<(), EngineError> {
        self.engine.check()
    }

    fn resume(&self) -> Result<(), EngineError> {
        self.engine.resume()
    }
}

#[test]
fn commands_are_executed_while_the_disk_is_busy_and_share_the_next_sync() {
    let disk = MemoryDisk::default();
    let (say, word) = channel();
    let (storage, mut reports) =
        start(Gated { engine: disk.start(), word: word.into() }, StorageOptions::default());
    // Dropped before the storage, which else would wait for it when the test fails.
    let say = say;
    storage.submit(mints(1..2));
    reports.outcomes(1);
    storage.submit(mints(2..1_002));
    let outcomes = reports.outcomes(1_000);
    assert!(outcomes.iter().zip(2..).all(|((ticket, ..), n)| *ticket == Ticket(n)), "in order");
    assert_eq!((disk.groups(), reports.durable), (0, Seq(0)), "nothing was written yet");
    for _ in 0..2 {
        say.send(()).expect("storage runs");
    }
    reports.wait_durable(Seq(1_001));
    assert_eq!((disk.groups(), disk.syncs()), (2, 2), "1,000 commands and one sync");
    drop(say);
    let counts = storage.counts();
    assert_eq!((counts.waiting, counts.executed, counts.groups), (0, 1_001, 2));
}

#[test]
fn what_piles_up_behind_a_busy_disk_is_bounded_and_seen_from_outside() {
    let (say, word) = channel();
    let engine = Gated { engine: MemoryDisk::default().start(), word: word.into() };
    let options = StorageOptions {
        queue_commands_max: 100,
        unsynced_bytes_max: 1,
        ..StorageOptions::default()
    };
    let (storage, mut reports) = start(engine, options);
    // Dropped before the storage, which else would wait for it when the test fails.
    let say = say;
    assert!(!storage.is_full());
    storage.submit(mints(1..2));
    reports.outcomes(1);
    storage.submit(mints(2..200));
    reports.outcomes(1);
    assert!(reports.heard.recv_timeout(Duration::from_millis(50)).is_err(), "the executor waits");
    assert!(storage.is_full());
    drop(say);
    reports.outcomes(197);
    reports.wait_durable(Seq(199));
    assert!(!storage.is_full());
}

#[test]
fn reads_see_what_is_durable_and_mints_what_is_live() {
    let (say, word) = channel();
    let disk = MemoryDisk::default();
    let (mut reports, report) = Reports::new();
    say.send(()).expect("the receiver is here");
    let engine = Gated { engine: disk.start(), word: word.into() };
    let engine = founded(engine);
    let (storage, _) = opening(StorageOptions::default(), |opening| {
        Storage::on_threads(engine, opening, report).expect("it opens")
    });
    // Dropped before the storage, which else would wait for it when the test fails.
    let say = say;
    storage.submit(vec![mint(1), read(1), mint(1)]);
    let outcomes = reports.outcomes(3);
    let Ok(ReplicaDone::Read(container)) = done(&outcomes[1].2) else { panic!("it reads") };
    assert!(container.is_empty());
    let dot = |at: usize| match done(&outcomes[at].2) {
        Ok(ReplicaDone::Minted(minted)) => minted.dot,
        other => panic!("it mints: {other:?}"),
    };
    assert_eq!(dot(0), dot(2), "the request is known although it is not durable");
    drop(say);
    reports.wait_durable(Seq(1));
    storage.submit(vec![read(1)]);
    let outcomes = reports.outcomes(1);
    let Ok(ReplicaDone::Read(container)) = done(&outcomes[0].2) else { panic!("it reads") };
    assert_eq!(container.siblings().len(), 1);
}

#[test]
fn a_clean_end_executes_and_syncs_all_that_was_submitted() {
    let interval = Durability::Interval { every: Duration::from_secs(3_600) };
    for durability in [Durability::Always, interval, Durability::Never] {
        let disk = MemoryDisk::default();
        let options = StorageOptions { durability, ..StorageOptions::default() };
        let (storage, reports) = start(disk.start(), options);
        storage.submit(mints(1..5_000));
        storage.close();
        let told = reports.heard.iter().flatten();
        let done = told.filter(|event| matches!(event, StorageEvent::Done { .. })).count();
        assert_eq!(done, 4_999);
        let store = Overlay::new(Arc::new(disk.start()));
        assert!((1..5_000).all(|n| holds(&store, n)), "{durability:?}");
    }
}

#[test]
fn the_interval_syncs_by_itself_and_never_does_not() {
    let every = Duration::from_millis(5);
    let disk = MemoryDisk::default();
    let options =
        StorageOptions { durability: Durability::Interval { every }, ..StorageOptions::default() };
    let (storage, mut reports) = start(disk.start(), options);
    storage.submit(mints(1..10));
    reports.outcomes(9);
    reports.wait_durable(Seq(9));
    let begun = Instant::now();
    while disk.syncs() == 0 {
        assert!(begun.elapsed() < TIMEOUT, "it syncs");
        std::thread::sleep(every);
    }
    std::thread::sleep(every * 4);
    assert_eq!(disk.syncs(), 1, "where nothing is written nothing is synced");
    storage.close();

    let disk = MemoryDisk::default();
    let options = StorageOptions { durability: Durability::Never, ..StorageOptions::default() };
    let (storage, mut reports) = start(disk.start(), options);
    storage.submit(mints(1..10));
    reports.outcomes(9);
    reports.wait_durable(Seq(9));
    assert_eq!(disk.syncs(), 0);
    drop(storage);
}

#[tokio::test]
async fn a_task_does_what_the_threads_do_and_a_crash_takes_only_what_was_not_durable() {
    let disk = MemoryDisk::default();
    let (mut reports, report) = Reports::new();
    let sync_time = Duration::from_millis(20);
    let (storage, task, recovered) = opening(StorageOptions::default(), |opening| {
        Storage::as_task(founded(disk.start()), opening, sync_time, report).expect("it opens")
    });
    assert_eq!(recovered.complete, [PartitionId(0)]);
    let before = disk.groups();
    let running = tokio::spawn(task.run());
    storage.submit(mints(1..100));
    let told = async |reports: &mut Reports, up_to| {
        while reports.durable < Seq(up_to) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            for event in reports.heard.try_iter().flatten() {
                if let StorageEvent::Durable { seq } = event {
                    reports.durable = seq;
                }
            }
        }
    };
    told(&mut reports, 99).await;
    assert_eq!(disk.groups() - before, 1);
    storage.submit(mints(100..200));
    tokio::time::sleep(sync_time / 4).await;
    running.abort();
    assert!(running.await.expect_err("it was aborted").is_cancelled());

    let store = Overlay::new(Arc::new(disk.start()));
    assert!((1..100).all(|n| holds(&store, n)) && (100..200).all(|n| !holds(&store, n)));

    let (_, report) = Reports::new();
    let (storage, task, recovered) = opening(StorageOptions::default(), |opening| {
        Storage::as_task(disk.start(), opening, sync_time, report).expect("it opens")
    });
    assert_eq!(recovered.complete, [PartitionId(0)]);
    storage.submit(mints(200..300));
    storage.stop();
    drop(storage);
    task.run().await;
    let store = Overlay::new(Arc::new(disk.look()));
    assert!((200..300).all(|n| holds(&store, n)), "a clean end loses nothing");
}

#[tokio::test]
async fn at_its_end_storage_writes_what_waits_and_reads_nothing_for_nobody() {
    let disk = MemoryDisk::default();
    let (reports, report) = Reports::new();
    let (storage, task, _) = opening(StorageOptions::default(), |opening| {
        let engine = founded(disk.start());
        Storage::as_task(engine, opening, Duration::ZERO, report).expect("it opens")
    });
    storage.submit((0..50).flat_map(|n| [read(100 + n), mint(n)]).collect());
    storage.stop();
    task.run().await;
    assert_eq!((storage.counts().waiting, storage.counts().executed), (0, 50));
    let told = reports.heard.try_iter().flatten();
    let done = told.filter(|event| matches!(event, StorageEvent::Done { .. })).count();
    assert_eq!(done, 50, "the writes, and no read");
    let store = Overlay::new(Arc::new(disk.look()));
    assert!((0..50).all(|n| holds(&store, n)));
}
