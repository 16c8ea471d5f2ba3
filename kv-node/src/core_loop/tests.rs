//! The core with its storage: what happens within one turn, and what between two.

use std::sync::Arc;
use std::time::Duration;

use kv_core::admin::{AdminCommand, AdminReply};
use kv_core::client::{Options, PutContext};
use kv_core::config::Config;
use kv_core::cx::Identity;
use kv_core::layout::Layout;
use kv_core::node::Node;
use kv_core::ring::Ring;
use kv_core::topology::Topology;
use kv_core::types::{ClusterId, Generation, Key};
use kv_core::version::Content;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::turn::COMMANDS_PER_TURN;
use super::*;
use crate::clock::Clock;
use crate::draws::Draws;
use crate::log::EventLog;
use crate::metrics::Metrics;
use crate::storage::{MemoryDisk, MemoryEngine, Opening, StorageOptions};

const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECTION: ConnectionId = ConnectionId(1);

/// The only node of a founded cluster. Its committer runs as a task; what that reports is held until
/// the test passes it on.
struct Scene {
    core: Core,
    storage: Storage<MemoryEngine>,
    reported: UnboundedReceiver<StorageEvent>,
}

impl Scene {
    async fn new(options: StorageOptions) -> Self {
        let id = NodeId(1);
        let layout = Layout::single_datacenter(1, 1, [(id, "n1".to_owned())]);
        let ring = Arc::new(Ring::new(layout).expect("one node is a cluster"));
        let config = Config { read_quorum: 1, write_quorum: 1, ..Config::default() };
        let (tell, reported) = mpsc::unbounded_channel();
        let opening = Opening { node: id, core: &config, ring: &ring, options };
        let report = Arc::new(move |event| drop(tell.send(event)));
        let engine = MemoryDisk::default().start();
        let (storage, background, recovered) =
            Storage::new(engine, &opening, Duration::ZERO, report).expect("it is new");
        tokio::spawn(background.run());
        let identity = Identity {
            node: id,
            generation: Generation(1),
            cluster: ClusterId::of("test"),
            topology: Arc::new(Topology::new(Arc::clone(&ring))),
        };
        let core = Core::new(
            Node::new(config, identity, recovered),
            Clock::start(),
            Draws::from_os().expect("the system has chance"),
            Arc::new(Metrics::new()),
            EventLog::new(ring, Arc::default()),
        );
        let mut scene = Self { core, storage, reported };
        scene.found().await;
        scene
    }

    async fn found(&mut self) {
        let command = AdminCommand::Init { without: Vec::new() };
        let mut output = self.turn([Input::Admin { request: AdminRequest(1), command }]);
        while output.admin.is_empty() {
            output = self.turn_when_durable().await;
        }
        assert!(matches!(output.admin[..], [(_, AdminReply::Founded { .. })]));
        // With that its run has begun, which is written down.
        self.turn_when_durable().await;
    }

    fn turn(&mut self, inputs: impl IntoIterator<Item = Input>) -> TurnOutput {
        self.core.turn(inputs, &mut self.storage)
    }

    /// Passes the next report on to the core.
    async fn turn_when_durable(&mut self) -> TurnOutput {
        let StorageEvent::Durable { seq, log } = next(&mut self.reported).await else {
            panic!("the disk is well")
        };
        self.storage.on_event(&StorageEvent::Durable { seq, log });
        self.turn([Input::Durable { seq, log }])
    }
}

async fn next<T>(channel: &mut UnboundedReceiver<T>) -> T {
    let next = timeout(TIMEOUT, channel.recv()).await;
    next.expect("it comes in time").expect("the sender lives")
}

fn get() -> ClientOperation {
    ClientOperation { key: Key::from("key"), verb: Verb::Get, options: Options::default() }
}

fn put() -> ClientOperation {
    let content = Content::Value(b"value".as_slice().into());
    let verb = Verb::Put { content, expiry: None, context: PutContext::Nothing };
    ClientOperation { verb, ..get() }
}

fn asked(tag: OperationTag, operation: ClientOperation) -> Input {
    Input::Client { request: request_of(CONNECTION, tag), operation: Box::new(operation) }
}

fn replies(output: &TurnOutput) -> &[(OperationTag, Reply)] {
    output.replies.get(&CONNECTION).map_or(&[], Vec::as_slice)
}

#[tokio::test]
async fn a_read_is_answered_in_the_turn_in_which_it_is_asked() {
    let mut scene = Scene::new(StorageOptions::default()).await;
    let output = scene.turn([asked(7, get())]);
    assert!(matches!(replies(&output), [(7, Reply::Value { .. })]), "{output:?}");
}

#[tokio::test]
async fn a_write_is_executed_in_its_turn_and_acknowledged_when_it_is_durable() {
    let mut scene = Scene::new(StorageOptions::default()).await;
    let before = scene.storage.watch().counts().executed;
    let output = scene.turn([asked(1, put())]);
    let counts = scene.storage.watch().counts();
    assert!(counts.executed > before && counts.waiting == 0, "{counts:?}");
    assert_eq!(replies(&output), [], "nothing of it is durable");
    let output = scene.turn_when_durable().await;
    assert!(matches!(replies(&output), [(1, Reply::Stored { .. })]), "{output:?}");
}

#[tokio::test]
async fn a_turn_executes_so_many_commands_and_the_next_one_goes_on() {
    let mut scene = Scene::new(StorageOptions::default()).await;
    let before = scene.storage.watch().counts().executed;
    let asked = (0..3 * COMMANDS_PER_TURN as OperationTag).map(|tag| asked(tag, get()));
    let mut answered = replies(&scene.turn(asked)).len();
    let counts = scene.storage.watch().counts();
    assert_eq!(counts.executed - before, COMMANDS_PER_TURN as u64);
    assert!(scene.storage.has_work() && answered <= COMMANDS_PER_TURN, "{answered}");
    while scene.storage.has_work() {
        answered += replies(&scene.turn([])).len();
    }
    assert_eq!(answered, 3 * COMMANDS_PER_TURN);
}

/// The destinations of effects that nobody looks at.
struct Nowhere;

impl Outlets for Nowhere {
    fn send(&mut self, _: NodeId, _: Vec<Message>) {}

    fn on_storage_failed(&mut self) {}

    fn on_suspected(&mut self, _: NodeId) {}
}

/// A loop that runs as a task, with one connection.
struct LoopScene {
    core: CoreHandle,
    watch: crate::storage::StorageWatch,
    reported: UnboundedReceiver<StorageEvent>,
    replies: UnboundedReceiver<Vec<(OperationTag, Reply)>>,
}

async fn running(options: StorageOptions) -> LoopScene {
    let Scene { core, storage, reported } = Scene::new(options).await;
    let (handle, inboxes) = inboxes(16);
    let watch = storage.watch();
    tokio::spawn(CoreLoop::new(core, storage, Nowhere, inboxes).run());
    let (tell, replies) = mpsc::unbounded_channel();
    handle.tell(Urgent::Opened { connection: CONNECTION, replies: tell });
    LoopScene { core: handle, watch, reported, replies }
}

impl LoopScene {
    async fn ask(&self, operations: Vec<(OperationTag, ClientOperation)>) {
        let work = Work::Client { connection: CONNECTION, operations };
        self.core.work(work).await.expect("the loop runs");
    }

    /// Passes the next report on to the loop.
    async fn report(&mut self) {
        let event = next(&mut self.reported).await;
        self.core.tell(Urgent::Storage(event));
    }
}

#[tokio::test]
async fn other_tasks_have_their_turn_while_commands_are_left() {
    let mut scene = running(StorageOptions::default()).await;
    let count = 3 * COMMANDS_PER_TURN;
    scene.ask((0..count as OperationTag).map(|tag| (tag, get())).collect()).await;
    let mut answered = next(&mut scene.replies).await.len();
    assert!(scene.watch.counts().waiting > 0, "the rest of them waits meanwhile");
    while answered < count {
        answered += next(&mut scene.replies).await.len();
    }
    assert_eq!(answered, count);
}

#[tokio::test]
async fn no_work_is_taken_while_the_disk_is_to_catch_up_and_all_else_goes_on() {
    let options = StorageOptions { unsynced_bytes_max: 1, ..StorageOptions::default() };
    let mut scene = running(options).await;
    scene.ask(vec![(1, put())]).await;
    // The loop answers between two turns: the write was executed, and its group is at the disk.
    scene.core.inspect().await.expect("it runs");
    scene.ask(vec![(2, put())]).await;
    scene.core.inspect().await.expect("it runs");
    scene.ask(vec![(3, get())]).await;
    for _ in 0..3 {
        scene.core.inspect().await.expect("it runs");
        assert!(scene.replies.try_recv().is_err(), "the read is not taken");
    }
    scene.report().await;
    let first = next(&mut scene.replies).await;
    assert!(matches!(first[..], [(1, Reply::Stored { .. }), ..]), "{first:?}");
    let mut tags: Vec<_> = first.into_iter().map(|(tag, _)| tag).collect();
    scene.report().await;
    while tags.len() < 3 {
        tags.extend(next(&mut scene.replies).await.into_iter().map(|(tag, _)| tag));
    }
    tags.sort_unstable();
    assert_eq!(tags, [1, 2, 3]);
}

#[tokio::test]
async fn at_its_end_the_loop_closes_the_storage() {
    let Scene { mut core, mut storage, reported: _ } = Scene::new(StorageOptions::default()).await;
    let watch = storage.watch();
    let output = core.turn([asked(1, put())], &mut storage);
    assert_eq!(replies(&output), []);
    let (handle, inboxes) = inboxes(16);
    let groups = watch.counts().groups;
    let running = tokio::spawn(CoreLoop::new(core, storage, Nowhere, inboxes).run());
    handle.tell(Urgent::End);
    running.await.expect("it ends");
    assert_eq!(watch.counts().groups, groups + 1, "what was executed is written");
    assert!(handle.inspect().await.is_err(), "it has ended");
}

#[test]
fn a_request_is_its_connection_and_its_tag() {
    for (connection, tag) in [(0, 0), (1, TAG_MAX), ((1 << 40) - 1, 7)] {
        let request = request_of(ConnectionId(connection), tag);
        assert_eq!(parts_of(request), (ConnectionId(connection), tag));
    }
}

#[test]
fn nothing_is_read_for_a_client_that_is_gone_and_what_it_wrote_is_written() {
    let connection = ConnectionId(1);
    let operation =
        |verb| ClientOperation { key: Key::from("key"), verb, options: Options::default() };
    let put = Verb::Put { content: Content::Tombstone, expiry: None, context: PutContext::Nothing };
    let asked = |connections: &BTreeMap<ConnectionId, Replies>| {
        let operations = vec![(0, operation(Verb::Get)), (1, operation(put.clone()))];
        let inputs = inputs_of(Work::Client { connection, operations }, connections);
        let tag = |input| match input {
            Input::Client { request, .. } => parts_of(request).1,
            other => panic!("a client asked, and not {other:?}"),
        };
        inputs.into_iter().map(tag).collect::<Vec<_>>()
    };
    let (replies, _inbox) = mpsc::unbounded_channel();
    assert_eq!(asked(&BTreeMap::from([(connection, replies)])), [0, 1]);
    assert_eq!(asked(&BTreeMap::new()), [1]);
}
