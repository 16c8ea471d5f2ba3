//! Storage at work: its events, their order, and the data that remains.

mod faults;
mod opening;

use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use bytes::Bytes;
use kv_core::layout::Layout;
use kv_core::storage::{self, held};
use kv_core::store::{
    Answer, AnswerFamily as _, Batch, CopyKind, Corrupt, Mint, Outcome, Refusal, ReplicaAction,
    ReplicaAnswer, ReplicaCommand, ReplicaDone, Requester, Role, StoreFault, View, Visitor,
};
use kv_core::time::HybridTime;
use kv_core::types::{
    Epoch, FoundingId, Key, LogPosition, OperationId, PartitionId, RequestId, Seq,
};
use kv_core::version::{Content, Context};
use kv_core::write::{Basis, Write};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::*;

const NODE: NodeId = NodeId(1);
const TIMEOUT: Duration = Duration::from_secs(60);

/// A storage, and what its node would do with it.
struct Driven<E> {
    storage: Storage<E>,
    heard: UnboundedReceiver<StorageEvent>,
    newest: Seq,
    durable: Seq,
}

impl<E: Engine> Driven<E> {
    fn new(storage: Storage<E>, heard: UnboundedReceiver<StorageEvent>) -> Self {
        Self { storage, heard, newest: Seq(0), durable: Seq(0) }
    }

    fn submit(&mut self, commands: impl IntoIterator<Item = (Ticket, StoreCommand)>) {
        for (ticket, command) in commands {
            self.storage.submit(ticket, command);
        }
    }

    /// Executes what can be executed, and begins the next group.
    fn execute(&mut self) -> Vec<CommandDone> {
        let mut all = Vec::new();
        while let Some(done) = self.storage.execute_next() {
            let is_new = done.seq > self.newest;
            assert!(!is_new || done.seq > self.durable, "it is told before it is durable");
            self.newest = done.seq;
            all.push(done);
        }
        self.storage.commit();
        all
    }

    /// Hears the next news, and begins the next group.
    async fn hear(&mut self) -> StorageEvent {
        let heard = timeout(TIMEOUT, self.heard.recv()).await;
        let event = heard.expect("storage has news").expect("its committer lives");
        if let StorageEvent::Durable { seq, .. } = event {
            assert!(seq <= self.newest, "what is durable was executed before");
            self.durable = seq;
        }
        self.storage.on_event(&event);
        self.storage.commit();
        event
    }

    async fn wait_durable(&mut self, up_to: Seq) {
        while self.durable < up_to {
            let event = self.hear().await;
            assert!(matches!(event, StorageEvent::Durable { .. }), "the disk is well: {event:?}");
        }
    }

    fn counts(&self) -> StorageCounts {
        self.storage.watch().counts()
    }

    async fn close(self) {
        timeout(TIMEOUT, self.storage.close()).await.expect("the committer ends");
    }
}

/// Creates a report for a storage, and the end at which it is heard.
fn reports() -> (Report, UnboundedReceiver<StorageEvent>) {
    let (tell, heard) = unbounded_channel();
    // A test may end before its storage does.
    (Arc::new(move |event| drop(tell.send(event))), heard)
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
        let (mut overlay, _) = recovery::replayed(&engine, opening)?;
        recovery::commit(&engine, &mut overlay, |store| {
            storage::format(store, NODE, FoundingId(1), owned)
        })
    });
    written.expect("the engine is well");
    Arc::into_inner(engine).expect("nobody else has it")
}

/// The store that a node would find on this engine.
fn found<E: Engine>(engine: E) -> Overlay<E> {
    let engine = Arc::new(engine);
    let found = opening(StorageOptions::default(), |opening| recovery::replayed(&engine, opening));
    found.expect("it is read").0
}

fn start<E: Engine>(engine: E, options: StorageOptions) -> Driven<E> {
    let (report, heard) = reports();
    let opened = opening(options, |opening| Storage::on_threads(engine, opening, report));
    Driven::new(opened.expect("it opens").0, heard)
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

/// A disk in memory that does what the test wants before it appends, refuses to write tables, and shows a
/// stretch as corrupt.
struct Hooked {
    engine: MemoryEngine,
    before_append: Box<dyn Fn() + Send + Sync>,
    /// The fault for which tables are not written, if there is one.
    flush_fault: Arc<std::sync::Mutex<Option<StoreFault>>>,
    /// The prefix of the records that cannot be shown; none, if it is empty.
    corrupt: &'static [u8],
}

impl Hooked {
    fn new(engine: MemoryEngine, before_append: impl Fn() + Send + Sync + 'static) -> Self {
        let before_append = Box::new(before_append);
        Self { engine, before_append, flush_fault: Arc::default(), corrupt: b"" }
    }

    /// A disk whose groups wait for the test's word.
    fn gated(engine: MemoryEngine, word: Receiver<()>) -> Self {
        let word = std::sync::Mutex::new(word);
        Self::new(engine, move || {
            let word = word.lock().expect("one thread appends");
            // Without a test there is nothing to wait for.
            let _ = word.recv();
        })
    }
}

impl Engine for Hooked {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        self.engine.get(key)
    }

    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        if prefix == self.corrupt && !prefix.is_empty() {
            let _ = visit(prefix, Err(Corrupt));
        } else {
            self.engine.scan(prefix, after, visit);
        }
    }

    fn replay(&self, take: &mut dyn FnMut(Batch)) -> Result<StartFinding, EngineError> {
        self.engine.replay(take)
    }

    fn log_end(&self) -> LogPosition {
        self.engine.log_end()
    }

    fn append(&self, group: &Group, reach: Reach) -> Result<(), EngineError> {
        (self.before_append)();
        self.engine.append(group, reach)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.engine.sync()
    }

    fn check(&self) -> Result<(), EngineError> {
        self.engine.check()
    }

    fn flush(&self, sealed: &SealedMemtable) -> Result<FlushOutcome, EngineError> {
        match *self.flush_fault.lock().expect("no test panics with it") {
            Some(fault) => Err(EngineError::new(fault, "the test says so")),
            None => self.engine.flush(sealed),
        }
    }

    fn close(&self) -> Result<(), EngineError> {
        self.engine.close()
    }

    fn sizes(&self) -> EngineSizes {
        self.engine.sizes()
    }
}

#[tokio::test]
async fn commands_are_executed_while_the_disk_is_busy_and_share_the_next_sync() {
    let disk = MemoryDisk::default();
    let (say, word) = channel();
    let engine = Hooked::gated(disk.start(), word);
    let mut driven = start(engine, StorageOptions::default());
    driven.submit(mints(1..2));
    assert_eq!(driven.execute().len(), 1);
    driven.submit(mints(2..1_002));
    let outcomes = driven.execute();
    assert_eq!(outcomes.len(), 1_000);
    assert!(outcomes.iter().zip(2..).all(|(done, n)| done.ticket == Ticket(n)), "in order");
    assert_eq!((disk.groups(), driven.durable), (0, Seq(0)), "nothing was written yet");
    for _ in 0..2 {
        say.send(()).expect("storage runs");
    }
    driven.wait_durable(Seq(1_001)).await;
    assert_eq!((disk.groups(), disk.syncs()), (2, 2), "1,000 commands and one sync");
    let counts = driven.counts();
    assert_eq!((counts.waiting, counts.executed, counts.groups), (0, 1_001, 2));
}

#[tokio::test]
async fn what_is_executed_behind_a_busy_disk_is_bounded_and_new_work_is_refused_meanwhile() {
    let (say, word) = channel();
    let engine = Hooked::gated(MemoryDisk::default().start(), word);
    let options = StorageOptions { unsynced_bytes_max: 1, ..StorageOptions::default() };
    let mut driven = start(engine, options);
    driven.submit(mints(1..2));
    assert_eq!(driven.execute().len(), 1);
    assert!(!driven.storage.is_full(), "the disk is busy, and nothing is piled up behind it");
    driven.submit(mints(2..200));
    assert_eq!(driven.execute().len(), 1, "that is as much as may be piled up");
    assert!(driven.storage.is_full() && !driven.storage.has_work());
    assert_eq!(driven.counts().waiting, 197);
    say.send(()).expect("storage runs");
    driven.wait_durable(Seq(1)).await;
    assert!(!driven.storage.is_full() && driven.storage.has_work());
    drop(say);
    while driven.durable < Seq(199) {
        driven.execute();
        driven.hear().await;
    }
    assert_eq!((driven.counts().waiting, driven.storage.is_full()), (0, false));
}

#[tokio::test]
async fn storage_with_many_commands_to_execute_is_full() {
    let options = StorageOptions { queue_commands_max: 100, ..StorageOptions::default() };
    let mut driven = start(MemoryDisk::default().start(), options);
    driven.submit(mints(1..100));
    assert!(!driven.storage.is_full());
    driven.submit(mints(100..101));
    assert!(driven.storage.is_full() && driven.storage.has_work());
    driven.storage.execute_next();
    assert!(!driven.storage.is_full());
}

#[tokio::test]
async fn reads_see_what_is_durable_and_mints_what_is_live() {
    let (say, word) = channel();
    say.send(()).expect("the receiver is here");
    let engine = founded(Hooked::gated(MemoryDisk::default().start(), word));
    let mut driven = start(engine, StorageOptions::default());
    driven.submit([mint(1), read(1), mint(1)]);
    let outcomes = driven.execute();
    let Ok(ReplicaDone::Read(container)) = done(&outcomes[1].outcome) else { panic!("it reads") };
    assert!(container.is_empty());
    let dot = |at: usize| match done(&outcomes[at].outcome) {
        Ok(ReplicaDone::Minted(minted)) => minted.dot,
        other => panic!("it mints: {other:?}"),
    };
    assert_eq!(dot(0), dot(2), "the request is known although it is not durable");
    drop(say);
    driven.wait_durable(Seq(1)).await;
    driven.submit([read(1)]);
    let outcomes = driven.execute();
    let Ok(ReplicaDone::Read(container)) = done(&outcomes[0].outcome) else { panic!("it reads") };
    assert_eq!(container.siblings().len(), 1);
}

#[tokio::test]
async fn a_clean_end_executes_and_syncs_all_that_was_submitted() {
    let interval = Durability::Interval { every: Duration::from_secs(3_600) };
    for durability in [Durability::Always, interval, Durability::Never] {
        let disk = MemoryDisk::default();
        let options = StorageOptions { durability, ..StorageOptions::default() };
        let mut driven = start(disk.start(), options);
        driven.submit(mints(1..1_000));
        driven.execute();
        driven.submit(mints(1_000..5_000));
        let watch = driven.storage.watch();
        driven.close().await;
        assert_eq!((watch.counts().waiting, watch.counts().executed), (0, 4_999));
        let store = found(disk.start());
        assert!((1..5_000).all(|n| holds(&store, n)), "{durability:?}");
    }
}

#[tokio::test]
async fn a_clean_end_writes_what_piled_up_behind_a_busy_disk() {
    let disk = MemoryDisk::default();
    let (say, word) = channel();
    let engine = Hooked::gated(disk.start(), word);
    let options = StorageOptions { unsynced_bytes_max: 1, ..StorageOptions::default() };
    let mut driven = start(engine, options);
    driven.submit(mints(1..2));
    driven.execute();
    driven.submit(mints(2..10));
    driven.execute();
    drop(say);
    driven.close().await;
    let store = found(disk.start());
    assert!((1..10).all(|n| holds(&store, n)));
}

#[tokio::test]
async fn the_interval_syncs_by_itself_and_never_does_not() {
    let every = Duration::from_millis(5);
    let disk = MemoryDisk::default();
    let options =
        StorageOptions { durability: Durability::Interval { every }, ..StorageOptions::default() };
    let mut driven = start(disk.start(), options);
    driven.submit(mints(1..10));
    driven.execute();
    driven.wait_durable(Seq(9)).await;
    let begun = Instant::now();
    while disk.syncs() == 0 {
        assert!(begun.elapsed() < TIMEOUT, "it syncs");
        tokio::time::sleep(every).await;
    }
    tokio::time::sleep(every * 4).await;
    assert_eq!(disk.syncs(), 1, "where nothing is written nothing is synced");
    driven.close().await;

    let disk = MemoryDisk::default();
    let options = StorageOptions { durability: Durability::Never, ..StorageOptions::default() };
    let mut driven = start(disk.start(), options);
    driven.submit(mints(1..10));
    driven.execute();
    driven.wait_durable(Seq(9)).await;
    assert_eq!(disk.syncs(), 0);
}

/// Starts storage with its loops as a task.
fn start_task<E: Engine>(engine: E, sync_time: Duration) -> (Driven<E>, Background<E>) {
    let (report, heard) = reports();
    let (storage, background, recovered) = opening(StorageOptions::default(), |opening| {
        Storage::new(engine, opening, sync_time, report).expect("it opens")
    });
    assert_eq!(recovered.complete, [PartitionId(0)]);
    (Driven::new(storage, heard), background)
}

#[tokio::test]
async fn a_committer_that_is_a_task_takes_its_time_and_a_crash_takes_what_was_not_durable() {
    let disk = MemoryDisk::default();
    let sync_time = Duration::from_millis(20);
    let (mut driven, background) = start_task(founded(disk.start()), sync_time);
    let (before, begun) = (disk.groups(), Instant::now());
    let running = tokio::spawn(background.run());
    driven.submit(mints(1..100));
    driven.execute();
    driven.wait_durable(Seq(99)).await;
    assert!(begun.elapsed() >= sync_time);
    assert_eq!(disk.groups() - before, 1);
    driven.submit(mints(100..200));
    driven.execute();
    // It has the group, and waits for the disk.
    tokio::task::yield_now().await;
    running.abort();
    assert!(running.await.expect_err("it was aborted").is_cancelled());
    let store = found(disk.start());
    assert!((1..100).all(|n| holds(&store, n)) && (100..200).all(|n| !holds(&store, n)));

    let (mut driven, background) = start_task(disk.start(), sync_time);
    driven.submit(mints(200..300));
    driven.execute();
    let running = tokio::spawn(background.run());
    driven.close().await;
    running.await.expect("it ends by itself");
    let store = found(disk.look());
    assert!((200..300).all(|n| holds(&store, n)), "a clean end loses nothing");
}

#[tokio::test]
async fn at_its_end_storage_writes_what_waits_and_reads_nothing_for_nobody() {
    let disk = MemoryDisk::default();
    let mut driven = start(founded(disk.start()), StorageOptions::default());
    driven.submit((0..50).flat_map(|n| [read(100 + n), mint(n)]));
    let watch = driven.storage.watch();
    driven.close().await;
    let counts = watch.counts();
    assert_eq!((counts.waiting, counts.executed), (0, 50), "the writes, and no read");
    let store = found(disk.look());
    assert!((0..50).all(|n| holds(&store, n)));
}

/// Options under which a few writes fill a table in memory.
fn small_memory() -> StorageOptions {
    StorageOptions { memory_bytes_max: 60_000, ..StorageOptions::default() }
}

/// Executes and hears until this holds.
async fn drive_until<E: Engine>(driven: &mut Driven<E>, holds: impl Fn(&Driven<E>) -> bool) {
    loop {
        driven.execute();
        if holds(driven) {
            return;
        }
        driven.hear().await;
    }
}

/// Tells whether all that was submitted is executed and durable.
fn is_done<E: Engine>(driven: &Driven<E>) -> bool {
    driven.counts().waiting == 0 && driven.durable == driven.newest
}

#[tokio::test]
async fn what_is_in_memory_goes_into_tables_and_is_found_there() {
    let disk = MemoryDisk::default();
    let mut driven = start(founded(disk.start()), small_memory());
    for round in 0..20 {
        driven.submit(mints(1 + 100 * round..101 + 100 * round));
        drive_until(&mut driven, is_done).await;
        let StorageCounts { memory_bytes, .. } = driven.counts();
        assert!(memory_bytes < 90_000, "{memory_bytes} bytes, and those of one round");
    }
    drive_until(&mut driven, |driven| driven.counts().sizes.log_bytes < 100_000).await;
    let counts = driven.counts();
    assert!(counts.sizes.table_bytes > 100_000, "{counts:?}");
    driven.submit((1..2_001).map(read));
    for CommandDone { outcome, .. } in driven.execute() {
        let Ok(ReplicaDone::Read(container)) = done(&outcome) else { panic!("it reads") };
        assert_eq!(container.siblings().len(), 1);
    }
    driven.close().await;
    let store = found(disk.start());
    assert!((1..2_001).all(|n| holds(&store, n)));
}
