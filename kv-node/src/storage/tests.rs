//! Storage at work: its events, their order, and the data that remains.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use bytes::Bytes;
use kv_core::layout::Layout;
use kv_core::replica::{self, held};
use kv_core::store::{
    Answer, AnswerFamily as _, Basis, CopyKind, Corrupt, ForeignData, Mint, Refusal, ReplicaAction,
    ReplicaAnswer, ReplicaCommand, ReplicaDone, Requester, Role, View, Visitor,
};
use kv_core::time::{HybridTime, WallTime};
use kv_core::types::{Epoch, FoundingId, Key, OperationId, PartitionId, RequestId};
use kv_core::version::{Content, VersionVector};

use super::*;

const NODE: NodeId = NodeId(1);
const CLUSTER: &str = "test";
const CACHE_BYTES: u64 = 1 << 20;
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
fn opening<T>(options: Options, open: impl FnOnce(&Opening<'_>) -> T) -> T {
    let (core, ring) = (Config::default(), ring());
    open(&Opening { node: NODE, core: &core, ring: &ring, options })
}

/// Makes the engine's records those of a member of a new cluster.
fn founded<E: Engine>(engine: E) -> E {
    let engine = Arc::new(engine);
    let written = opening(Options::default(), |opening| {
        let owned = opening.ring.owned_by(NODE);
        recovery::write(&engine, |store| replica::format(store, NODE, FoundingId(1), owned))
    });
    written.expect("the engine is well");
    Arc::into_inner(engine).expect("nobody else has it")
}

fn start<E: Engine>(engine: E, options: Options) -> (Storage, Reports) {
    let (reports, report) = Reports::new();
    let (storage, _) =
        opening(options, |opening| Storage::on_threads(engine, opening, report).expect("it opens"));
    (storage, reports)
}

fn open(path: &Path) -> (Storage, Reports, Recovered) {
    let (reports, report) = Reports::new();
    let mut directory = Directory::open(path).expect("it is free");
    let pinned = Pinned::of(CLUSTER, ring().layout());
    directory.claim(NODE, &pinned, WallTime(1_000_000)).expect("it is its own");
    let (storage, recovered) = opening(Options::default(), |opening| {
        Storage::open(directory, CACHE_BYTES, opening, Arc::default(), report).expect("it opens")
    });
    (storage, reports, recovered)
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
        content: Content::Value(Bytes::from(vec![b'v'; 100])),
        expiry: None,
        basis: Basis::Held(VersionVector::default()),
        role: Role::Owner,
        request: RequestId(u128::from(n)),
        spare: Epoch(9),
        time: HybridTime(n),
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
        start(Gated { engine: disk.start(), word: word.into() }, Options::default());
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
    let options = Options { queue_commands_max: 100, unsynced_bytes_max: 1, ..Options::default() };
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
    let (storage, _) = opening(Options::default(), |opening| {
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
    let (storage, mut reports) = start(disk.start(), Options::default());
    storage.submit(mints(1..10));
    reports.outcomes(9);
    reports.wait_durable(Seq(9));
    disk.set_fault(Some(Fault::Failed));
    storage.submit(mints(10..11));
    assert_eq!(reports.wait_failed().fault, Fault::Failed);
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
        [(Fault::Full, Refusal::DiskFull), (Fault::OutOfFiles, Refusal::OutOfFiles)]
    {
        let disk = MemoryDisk::default();
        let (mut reports, report) = Reports::new();
        let (storage, _) = opening(Options::default(), |opening| {
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
    let (storage, reports) = start(disk.start(), Options::default());
    disk.set_fault(Some(Fault::Full));
    storage.submit(mints(1..2));
    assert_eq!(wait_refused(&storage, &reports, 2).0, Refusal::DiskFull);
    storage.close();
    assert!(!holds(&Overlay::new(Arc::new(disk.start())), 1), "and promised nothing");
}

#[tokio::test]
async fn a_task_waits_for_room_as_the_threads_do() {
    let disk = MemoryDisk::default();
    let (reports, report) = Reports::new();
    let (storage, task, _) = opening(Options::default(), |opening| {
        Storage::as_task(disk.start(), opening, Duration::ZERO, report).expect("it opens")
    });
    disk.set_fault(Some(Fault::Full));
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
    let (storage, reports) = start(Broken, Options::default());
    storage.submit(mints(1..2));
    assert_eq!(reports.wait_failed().fault, Fault::Failed);
    storage.close();
}

#[test]
fn a_clean_end_executes_and_syncs_all_that_was_submitted() {
    let interval = Durability::Interval { every: Duration::from_secs(3_600) };
    for durability in [Durability::Always, interval, Durability::Never] {
        let disk = MemoryDisk::default();
        let options = Options { durability, ..Options::default() };
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
    let options = Options { durability: Durability::Interval { every }, ..Options::default() };
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
    let options = Options { durability: Durability::Never, ..Options::default() };
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
    let (storage, task, recovered) = opening(Options::default(), |opening| {
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
    let (storage, task, recovered) = opening(Options::default(), |opening| {
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
    let (storage, task, _) = opening(Options::default(), |opening| {
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

#[test]
fn what_is_corrupt_at_start_costs_the_markers() {
    /// An engine that cannot show one stretch.
    struct Torn(MemoryEngine);
    impl Engine for Torn {
        fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
            self.0.get(key)
        }
        fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
            if prefix == b"h" {
                let _ = visit(prefix, Err(Corrupt));
            } else {
                self.0.scan(prefix, after, visit);
            }
        }
        fn apply(&self, records: &Records, reach: Reach) -> Result<(), EngineError> {
            self.0.apply(records, reach)
        }
        fn sync(&self) -> Result<(), EngineError> {
            self.0.sync()
        }
        fn check(&self) -> Result<(), EngineError> {
            self.0.check()
        }
        fn resume(&self) -> Result<(), EngineError> {
            self.0.resume()
        }
    }
    let disk = MemoryDisk::default();
    let torn = Arc::new(founded(Torn(disk.start())));
    let recovered =
        opening(Options::default(), |opening| recovery::recover(&torn, opening).expect("it opens"));
    assert!(recovered.recovered.complete.is_empty());
    let later =
        opening(Options::default(), |opening| recovery::recover(&Arc::new(disk.start()), opening));
    assert!(later.expect("it opens").recovered.complete.is_empty(), "also ever after");
}

#[test]
fn a_node_does_not_start_on_the_data_of_another() {
    let disk = MemoryDisk::default();
    let recover = |node| {
        opening(Options::default(), |opening| {
            let opening = Opening { node, ..*opening };
            recovery::recover(&Arc::new(disk.start()), &opening).map(|_| ())
        })
    };
    founded(disk.start());
    assert_eq!(recover(NODE), Ok(()));
    let refused = recover(NodeId(77)).expect_err("it is another's");
    assert_eq!(refused, RecoveryError::Foreign(ForeignData { owner: NODE }));
    assert!(refused.to_string().contains("move this data away"), "{refused}");
    assert_eq!(recover(NODE), Ok(()), "its own node is not harmed");
}

#[test]
fn a_reopened_directory_holds_all_and_a_wiped_one_is_not_believed() {
    let home = tempfile::tempdir().expect("there is room");
    let (storage, _, recovered) = open(home.path());
    assert_eq!(recovered, Recovered::default(), "it is new");
    storage.close();
    let engine = FjallEngine::open(&home.path().join("data"), CACHE_BYTES, 0, Arc::default())
        .expect("it is free");
    drop(founded(engine));
    let (storage, mut reports, recovered) = open(home.path());
    assert_eq!(recovered.complete, [PartitionId(0)], "a founder holds all that there is");
    storage.submit(mints(1..100));
    reports.outcomes(99);
    assert!(Directory::open(home.path()).is_err(), "it is in use");
    storage.close();

    let (storage, mut reports, recovered) = open(home.path());
    assert_eq!((recovered.complete.len(), recovered.roots.len()), (1, 1));
    storage.submit((1..100).map(read).collect());
    for (_, _, outcome) in reports.outcomes(99) {
        let Ok(ReplicaDone::Read(container)) = done(&outcome) else { panic!("it reads") };
        assert_eq!(container.siblings().len(), 1);
    }
    storage.close();

    std::fs::remove_dir_all(home.path().join("data")).expect("it is there");
    let (storage, _, recovered) = open(home.path());
    assert_eq!(recovered, Recovered::default(), "nothing is there, and nothing is believed");
    storage.close();
    let directory = Directory::open(home.path()).expect("it is free");
    let identity = directory.identity().expect("a wipe does not take it");
    assert_eq!((identity.node, identity.generation.0), (NODE, 4));
}

/// The variable that names the child's directory. Without it, the process is no child.
const CHILD: &str = "KV_NODE_STORAGE_TEST_CHILD";

/// Not a test of its own: writes until it is killed, and prints what is durable.
#[test]
fn child_of_a_process_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let (storage, mut reports, _) = open(Path::new(&path));
    let first = std::env::var("FIRST").expect("it is given").parse::<u64>().expect("a number");
    let mut out = std::io::stdout().lock();
    for at in (first..).step_by(64) {
        storage.submit(mints(at..at + 64));
        let seq = reports.outcomes(64).last().expect("64 are some").1;
        reports.wait_durable(seq);
        writeln!(out, "durable {}", at + 63).expect("somebody listens");
    }
}

#[test]
fn what_was_durable_is_there_after_kill_9() {
    let home = tempfile::tempdir().expect("there is room");
    let mut durable = 0;
    for round in 0..5_u64 {
        let mut child = Command::new(std::env::current_exe().expect("it is running"))
            .args(["--exact", "storage::tests::child_of_a_process_that_is_killed", "--nocapture"])
            .env(CHILD, home.path())
            .env("FIRST", (durable + 1).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the system has room for a process");
        let before = durable;
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut heard = || {
            let line = lines.next()?.expect("it is text");
            Some(line.rsplit_once("durable ").and_then(|(_, n)| n.parse::<u64>().ok()))
        };
        while durable < before + 64 * (5 + 7 * round) {
            durable = heard().expect("the child writes").unwrap_or(durable);
        }
        child.kill().expect("it runs");
        child.wait().expect("it was ours");
        while let Some(line) = heard() {
            durable = line.unwrap_or(durable);
        }
        assert!(durable > before);
        let engine = FjallEngine::open(&home.path().join("data"), CACHE_BYTES, 0, Arc::default())
            .expect("it opens");
        let store = Overlay::new(Arc::new(engine));
        let lost: Vec<_> = (1..=durable).filter(|&n| !holds(&store, n)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
    }
}
