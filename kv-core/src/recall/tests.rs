//! What a node asks, whom it believes, and what it takes back; as one of three nodes, hand-fed.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::config::Config;
use crate::cx::{Effect, Identity, Peers};
use crate::layout::Layout;
use crate::ring::Ring;
use crate::store::{RecallAnswer, RecallCommand};
use crate::testing::Counting;
use crate::testing::effects::{observe, probe, send, store, ticket};
use crate::time::{Now, WallTime};
use crate::topology::Topology;
use crate::types::{ClusterId, Generation};

const ME: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const OWNED: [PartitionId; 2] = [PartitionId(0), PartitionId(1)];

struct TestRecall {
    recall: Recall,
    local: NodeContext,
    now: Now,
}

/// This node in its run 20. Its store knows of run 10, and its log goes to 100.
fn started(vouched: &[PartitionId], is_pledged: bool) -> TestRecall {
    let nodes = [ME, B, C].map(|id| (id, id.to_string()));
    let ring = Ring::new(Layout::single_datacenter(2, 3, nodes)).expect("three nodes, N = 3");
    let identity = Identity {
        node: ME,
        generation: Generation(20),
        cluster: ClusterId(1),
        topology: Arc::new(Topology::new(Arc::new(ring))),
    };
    let mut runs = LogRuns::default();
    runs.begin(reach(10, 0));
    let vouched = vouched.iter().copied();
    TestRecall {
        recall: Recall::new(runs, LogPosition(100), vouched, is_pledged),
        local: NodeContext {
            identity,
            config: Config::default(),
            peers: Peers::default(),
            complete: BTreeSet::new(),
            roots: alloc::collections::BTreeMap::new(),
        },
        now: Now { monotonic: Time(1_000), wall: WallTime(1_000_000) },
    }
}

fn reach(generation: u64, log: u64) -> LogReach {
    LogReach { generation: Generation(generation), log: LogPosition(log) }
}

impl TestRecall {
    fn feed<T>(
        &mut self,
        input: impl FnOnce(&mut Recall, &mut Cx<'_>, &NodeContext) -> T,
    ) -> (T, Vec<Effect>) {
        let (mut out, mut draw) = (Vec::new(), Counting::default());
        let cx = &mut Cx { now: self.now, draw: &mut draw, out: &mut out };
        let said = input(&mut self.recall, cx, &self.local);
        self.recall.invariants(&self.local);
        (said, out)
    }

    fn begin(&mut self) -> (Recalled, Vec<Effect>) {
        self.feed(|recall, cx, local| recall.begin(cx, local))
    }

    fn deadline(&mut self) -> Vec<Effect> {
        self.feed(|recall, cx, local| recall.on_deadline(cx, local)).1
    }

    fn remembered(&mut self, from: NodeId, reaches: &[LogReach]) -> (Recalled, Vec<Effect>) {
        let message = Remembered { reaches: reaches.to_vec() };
        self.feed(|recall, cx, local| {
            let message = RecallMessage::Remembered(message);
            recall.on_message(cx, local, (from, RequestId(0)), message)
        })
    }

    fn done(&mut self, seq: u64, answer: RecallAnswer) -> Vec<Effect> {
        self.feed(|recall, cx, local| recall.on_store_done(cx, local, Seq(seq), answer)).1
    }

    fn asks(&self, nth: u128, to: NodeId) -> Effect {
        let ask = RecallMessage::Ask(Ask { log: LogPosition(100) });
        send(self.now.monotonic, self.local.message(to, RequestId(1 << 64 | nth), ask.into()))
    }

    /// The runs of the log, the present one among them.
    fn records(&self, nth: usize, runs: &[LogReach]) -> Effect {
        let runs = LogRuns { begun: runs.to_vec() };
        store(ticket(Issuer::Recall, nth), OWNED[0], RecallCommand::Record { runs })
    }
}

fn trusts(partitions: &[PartitionId]) -> Recalled {
    Recalled::Trusted(partitions.to_vec())
}

#[test]
fn a_node_trusts_its_store_once_all_others_have_answered() {
    let mut node = started(&OWNED, false);
    assert_eq!(node.recall.next_deadline(), Some(Time(0)));
    let (said, done) = node.begin();
    assert_eq!(said, Recalled::Nothing);
    let runs = [reach(10, 0), reach(20, 100)];
    assert_eq!(done, [node.records(0, &runs), node.asks(1, B), node.asks(1, C)]);
    assert_eq!(node.remembered(B, &[reach(10, 100), reach(20, 999)]), (Recalled::Nothing, vec![]));
    assert!(!node.recall.is_settled());
    assert_eq!(node.remembered(C, &[]), (trusts(&OWNED), vec![]));
    assert!(node.recall.is_settled());
    assert_eq!(node.recall.next_deadline(), None);
}

#[test]
fn a_node_says_nothing_of_its_log_before_its_run_is_written_down_durably() {
    let mut node = started(&OWNED, false);
    node.begin();
    node.remembered(B, &[]);
    node.remembered(C, &[]);
    assert_eq!(node.recall.state(), None);
    node.done(1, RecallAnswer::Recorded { result: Err(Refusal::DiskFull) });
    assert_eq!(node.recall.state(), None);
    node.now.monotonic = node.now.monotonic + RETRY_PAUSE;
    assert_eq!(node.recall.next_deadline(), Some(node.now.monotonic));
    let again = node.records(1, &[reach(10, 0), reach(20, 100)]);
    assert_eq!(node.deadline(), [again]);
    node.done(3, RecallAnswer::Recorded { result: Ok(()) });
    node.feed(|recall, _, _| recall.on_durable(Seq(2), LogPosition(200)));
    assert_eq!(node.recall.state(), None);
    node.feed(|recall, _, _| recall.on_durable(Seq(3), LogPosition(300)));
    assert_eq!(node.recall.state().map(|state| state.durable), Some(LogPosition(300)));
}

#[test]
fn whoever_is_silent_is_asked_again_until_it_seems_down() {
    let mut node = started(&OWNED, false);
    node.begin();
    node.remembered(C, &[]);
    for (nth, after_ms) in [(2, 50), (3, 100), (4, 200)] {
        assert_eq!(node.deadline(), [], "not yet");
        node.now.monotonic = node.now.monotonic + Span::from_ms(after_ms);
        assert_eq!(node.recall.next_deadline(), Some(node.now.monotonic));
        let asks = node.asks(nth, B);
        assert_eq!(node.deadline(), [asks]);
    }
    node.local.peers.down.insert(B);
    let (said, done) = node.feed(|recall, _, local| recall.look_who_is_awaited(local));
    assert_eq!((said, done), (trusts(&OWNED), vec![]));
}

#[test]
fn a_node_whose_log_fell_behind_takes_all_markers_back_and_says_so() {
    for has_settled in [false, true] {
        let mut node = started(&OWNED, false);
        node.begin();
        if has_settled {
            node.remembered(B, &[]);
        }
        node.remembered(C, &[]);
        assert_eq!(node.recall.is_settled(), has_settled);
        node.done(1, RecallAnswer::Recorded { result: Ok(()) });

        let (remembered, found) = (reach(10, 101), LogPosition(100));
        let (said, done) = node.remembered(B, &[reach(10, 90), remembered]);
        assert_eq!(said, Recalled::Lost(OWNED.into()));
        let unmark =
            |nth, partition| store(ticket(Issuer::Recall, nth), partition, RecallCommand::Unmark);
        let fell_behind = observe(Event::LogFellBehind { peer: B, remembered, found });
        assert_eq!(done, [fell_behind, unmark(1, OWNED[1])]);
        assert!(!node.recall.is_settled());

        let unmarked = RecallAnswer::Unmarked { result: Ok(()) };
        assert_eq!(node.done(2, unmarked), [unmark(2, OWNED[0])]);
        let said = [LogReach { generation: Generation(20), log: LogRuns::BEYOND }];
        let records = node.records(3, &said);
        assert_eq!(node.done(3, unmarked), [records]);
        assert!(node.recall.is_settled());
        node.done(4, RecallAnswer::Recorded { result: Ok(()) });
        assert_eq!(node.recall.state(), None, "it is not durable yet");
        node.feed(|recall, _, _| recall.on_durable(Seq(4), LogPosition(400)));
        assert_eq!(node.recall.state().expect("it is durable").runs.begun, said);
        assert_eq!(node.remembered(C, &[remembered]), (Recalled::Nothing, vec![]), "it is known");
    }
}

#[test]
fn a_marker_that_a_full_disk_keeps_is_taken_away_later() {
    let mut node = started(&OWNED[..1], false);
    node.begin();
    node.remembered(B, &[reach(10, 101)]);
    node.done(1, RecallAnswer::Recorded { result: Ok(()) });
    assert_eq!(node.done(1, RecallAnswer::Unmarked { result: Err(Refusal::DiskFull) }), []);
    assert_eq!(node.deadline(), [], "not at once");
    node.now.monotonic = node.now.monotonic + RETRY_PAUSE;
    let unmark = store(ticket(Issuer::Recall, 2), OWNED[0], RecallCommand::Unmark);
    assert_eq!(node.deadline(), [unmark]);
}

#[test]
fn a_store_without_markers_answers_for_nothing_unless_it_holds_a_pledge() {
    let mut empty = started(&[], false);
    empty.begin();
    empty.remembered(B, &[reach(10, 101)]);
    assert_eq!(empty.remembered(C, &[]), (trusts(&[]), vec![]));

    let mut pledged = started(&[], true);
    assert_eq!(pledged.feed(|recall, _, _| recall.on_founded(OWNED.into())).0, Recalled::Nothing);
    pledged.begin();
    assert_eq!(pledged.remembered(B, &[reach(10, 101)]).0, Recalled::Lost(OWNED.into()));
}

#[test]
fn what_acks_and_gossip_say_of_a_log_is_told_to_whoever_asks() {
    let mut node = started(&OWNED, false);
    node.begin();
    let runs = LogRuns { begun: vec![reach(7, 0)] };
    let state = LogState { runs, durable: LogPosition(70) };
    node.feed(|recall, cx, local| {
        recall.on_state(cx, local, B, state);
        recall.on_acked(local, B, reach(7, 80));
        recall.on_acked(local, B, reach(7, 75));
        recall.on_acked(local, ME, reach(20, 120));
    });
    let ask = || RecallMessage::Ask(Ask { log: LogPosition(60) });
    let (_, done) = node.feed(|recall, cx, local| {
        recall.on_message(cx, local, (B, RequestId(9)), ask());
        recall.on_message(cx, local, (C, RequestId(8)), ask());
    });
    let answer = |to, request, reaches| {
        let remembered = RecallMessage::Remembered(Remembered { reaches });
        send(Time(1_000), node.local.message(to, RequestId(request), remembered.into()))
    };
    assert_eq!(done, [answer(B, 9, vec![reach(7, 80)]), answer(C, 8, vec![])]);
}

#[test]
fn a_run_that_began_on_less_is_told_so_until_it_answers_for_nothing() {
    let mut node = started(&OWNED, false);
    node.begin();
    let says = |node: &mut TestRecall, begun: &[LogReach], durable| {
        let state = LogState { runs: LogRuns { begun: begun.to_vec() }, durable };
        node.feed(|recall, cx, local| recall.on_state(cx, local, B, state)).1
    };
    assert_eq!(says(&mut node, &[reach(7, 0)], LogPosition(70)), []);
    // It comes back with as much as was remembered: that is forgotten, for what it says now.
    assert_eq!(says(&mut node, &[reach(7, 0), reach(8, 70)], LogPosition(75)), []);
    assert_eq!(node.recall.memory.of(B), [reach(8, 75)]);
    // And now with less.
    for durable in [74, 90].map(LogPosition) {
        let done = says(&mut node, &[reach(7, 0), reach(9, 74)], durable);
        let reaches = vec![reach(8, 75), LogReach { generation: Generation(9), log: durable }];
        let remembered = RecallMessage::Remembered(Remembered { reaches });
        let request = request_of(&node.local, B);
        let told = send(Time(1_000), node.local.message(B, request, remembered.into()));
        assert_eq!(done, [probe(Probe::LogLossTold), told.clone()]);
        let (_, done) = node.feed(|recall, cx, local| recall.remind(cx, local));
        assert_eq!(done, [probe(Probe::LogLossTold), told]);
    }
    let says_nothing = LogRuns::answering_for_nothing(Generation(9)).begun;
    assert_eq!(says(&mut node, &says_nothing, LogPosition(95)), []);
    assert_eq!(node.recall.memory.of(B), [reach(9, 95)]);
    assert_eq!(node.feed(|recall, cx, local| recall.remind(cx, local)).1, []);
}

#[test]
fn an_ack_of_an_earlier_run_that_comes_late_is_held_against_what_was_said_since() {
    let mut node = started(&OWNED, false);
    node.begin();
    let runs = LogRuns { begun: vec![reach(7, 0), reach(8, 70)] };
    let state = LogState { runs, durable: LogPosition(75) };
    node.feed(|recall, cx, local| {
        recall.on_state(cx, local, B, state);
        recall.on_acked(local, B, reach(8, 90));
        recall.on_acked(local, B, reach(7, 70));
    });
    assert_eq!(node.feed(|recall, cx, local| recall.remind(cx, local)).1, []);
    node.feed(|recall, _, local| recall.on_acked(local, B, reach(7, 71)));
    let (_, done) = node.feed(|recall, cx, local| recall.remind(cx, local));
    let reaches = vec![reach(7, 71), reach(8, 90)];
    let remembered = RecallMessage::Remembered(Remembered { reaches });
    let told = node.local.message(B, request_of(&node.local, B), remembered.into());
    assert_eq!(done, [probe(Probe::LogLossTold), send(Time(1_000), told)]);
}

#[test]
fn the_runs_that_had_come_least_far_make_room() {
    let mut node = started(&OWNED, false);
    node.begin();
    for run in 1..=20 {
        node.feed(|recall, _, local| recall.on_acked(local, B, reach(run, 1_000 - run)));
    }
    let kept = node.recall.memory.of(B);
    assert_eq!(kept.len(), LogMemory::RUNS_MAX);
    assert!(kept.contains(&reach(1, 999)));
}
