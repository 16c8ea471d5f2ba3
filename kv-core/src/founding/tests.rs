use super::*;
use crate::config::Config;
use crate::event::Event;
use crate::message::{FoundingKind, FoundingMessage, Kind, Message};
use crate::store::{Answer, Fault, Outcome, Recovered};
use crate::testing::MemoryStore;
use crate::testing::world::{Machine, World};

const NODES: u64 = 3;
const PARTITIONS: u32 = 8;

impl Machine for Founding {
    fn start(recovered: &Recovered) -> Self {
        Self::new(ClusterId(1), recovered.founding.clone())
    }

    fn next_deadline(&self) -> Option<Time> {
        self.next_deadline()
    }

    fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext) {
        self.on_deadline(cx, local);
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext, message: Message) {
        let (from, request) = (message.header.from, message.header.request);
        assert_eq!(message.header.cluster, ClusterId(1), "whoever waits knows no other");
        match message.body {
            Body::Founding(message) => self.on_message(cx, local, (from, request), message),
            other => panic!("nobody here says {other:?}"),
        }
    }

    fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &mut NodeContext,
        seq: Seq,
        outcome: Outcome,
    ) {
        let Answer::Founding(answer) = outcome.answer else { panic!("it is not for this part") };
        let founded = self.on_store_done(cx, local, outcome.partition, seq, answer);
        take(local, founded);
    }

    fn on_durable(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext, seq: Seq) {
        let founded = self.on_durable(cx, local, seq);
        take(local, founded);
    }

    fn invariants(&self, local: &NodeContext) {
        Self::invariants(self, local);
    }
}

fn take(local: &mut NodeContext, founded: Option<Founded>) {
    if let Some(Founded { cluster, complete }) = founded {
        local.identity.cluster = cluster;
        local.complete.extend(complete);
    }
}

fn world() -> World<Founding> {
    World::unfounded(NODES, 3, PARTITIONS, Config::default())
}

/// An operator tells a node to found the cluster, without others.
fn init(world: &mut World<Founding>, node: u64, without: &[u64]) {
    let without = without.iter().copied().map(NodeId).collect();
    world.call(NodeId(node), |founding, cx, local| {
        founding.on_admin(cx, local, AdminRequest(node), AdminCommand::Init { without });
    });
}

/// A node is started anew: on what is durable, or on nothing.
fn restart(world: &mut World<Founding>, node: u64, is_wiped: bool) {
    let store = core::mem::take(&mut world.member(node).store);
    world.start(NodeId(node), if is_wiped { MemoryStore::default() } else { store });
}

fn is_founded(world: &mut World<Founding>, node: u64) -> bool {
    world.member(node).machine.is_founded()
}

/// The number of partitions in which a node is complete.
fn complete(world: &mut World<Founding>, node: u64) -> usize {
    world.member(node).local.complete.len()
}

fn refusals(world: &World<Founding>) -> Vec<AdminRefusal> {
    let refused = world.replies.iter().filter_map(|(_, _, reply)| match reply {
        AdminReply::Refused(refusal) => Some(refusal.clone()),
        AdminReply::Founded { .. } | AdminReply::Losses { .. } | AdminReply::LossAccepted => None,
    });
    refused.collect()
}

#[test]
fn new_members_wait_until_one_of_them_is_told_and_then_all_are_complete() {
    let mut world = world();
    world.wait_ms(60_000);
    for node in 1..=NODES {
        assert!(!is_founded(&mut world, node));
    }
    init(&mut world, 2, &[]);
    world.wait_ms(3_000);
    for node in 1..=NODES {
        assert!(is_founded(&mut world, node));
        assert_eq!(complete(&mut world, node), PARTITIONS as usize, "node {node}");
    }
    let clusters: BTreeSet<_> = world.nodes.values().map(|it| it.local.identity.cluster).collect();
    assert_eq!(clusters.len(), 1, "they are one cluster");
    assert_ne!(clusters.first(), Some(&ClusterId(1)), "and no other of that name is");
    assert!(matches!(
        world.replies[..],
        [(NodeId(2), AdminRequest(2), AdminReply::Founded { .. })]
    ));
    world.sent.clear();
    assert_eq!(world.nodes.values().filter_map(|it| it.machine.next_deadline()).count(), 0);
}

#[test]
fn a_member_that_lost_its_store_learns_that_it_is_incomplete() {
    let mut world = world();
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    restart(&mut world, 3, true);
    assert!(!is_founded(&mut world, 3));
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 3));
    assert_eq!(complete(&mut world, 3), 0);
    assert!(world.events.contains(&(NodeId(3), Event::DataMissing)));
}

#[test]
fn a_member_that_kept_its_store_waits_for_nobody() {
    let mut world = world();
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    restart(&mut world, 3, false);
    assert!(is_founded(&mut world, 3));
    assert_eq!(complete(&mut world, 3), PARTITIONS as usize);
}

#[test]
fn nothing_is_founded_while_a_member_is_silent_and_the_operator_is_told_which() {
    let mut world = world();
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(3));
    init(&mut world, 1, &[]);
    world.wait_ms(15_000);
    assert!(!is_founded(&mut world, 1) && !is_founded(&mut world, 2));
    assert_eq!(refusals(&world), [AdminRefusal::Unanswered { members: [NodeId(3)].into() }]);
}

#[test]
fn a_member_that_is_left_out_copies_when_it_comes() {
    let mut world = world();
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(3));
    init(&mut world, 1, &[3]);
    world.wait_ms(3_000);
    assert_eq!(complete(&mut world, 1), PARTITIONS as usize);
    assert_eq!(complete(&mut world, 2), PARTITIONS as usize);
    world.is_lost = alloc::boxed::Box::new(|_| false);
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 3));
    assert_eq!(complete(&mut world, 3), 0, "it never made a pledge to this founding");
}

#[test]
fn so_few_founders_that_nobody_could_copy_are_refused() {
    let mut world = world();
    init(&mut world, 1, &[2, 3]);
    init(&mut world, 1, &[1]);
    assert!(matches!(
        refusals(&world)[..],
        [AdminRefusal::TooManyLeftOut { .. }, AdminRefusal::LeavesItselfOut]
    ));
}

#[test]
fn a_pledge_to_a_founding_that_failed_says_nothing_of_another() {
    let mut world = world();
    // Node 2 makes its pledge, node 3 is silent: the founding does not come about.
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(3));
    init(&mut world, 1, &[]);
    world.wait_ms(15_000);
    assert_eq!(world.member(2).machine.inspect().pledges.len(), 1);
    // The next one leaves node 2 out: by then its store may be any other.
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(2));
    init(&mut world, 1, &[2]);
    world.wait_ms(3_000);
    world.is_lost = alloc::boxed::Box::new(|_| false);
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 2));
    assert_eq!(complete(&mut world, 2), 0);
}

#[test]
fn a_pledge_is_not_made_before_it_is_durable() {
    let mut world = world();
    world.held.insert(NodeId(2));
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    let pledged = |message: &Message| {
        message.header.from == NodeId(2)
            && message.body.kind() == Kind::Founding(FoundingKind::Pledged)
    };
    assert!(!world.sent.iter().any(pledged), "it is not durable");
    assert!(!is_founded(&mut world, 1), "a pledge is missing");
    world.release(2);
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 1));
}

#[test]
fn a_crash_after_the_pledge_costs_nothing() {
    let mut world = world();
    world.is_lost = alloc::boxed::Box::new(|message| {
        // Node 2 does not hear that the cluster is founded.
        message.header.to == NodeId(2)
            && matches!(message.body, Body::Founding(FoundingMessage::Tell(_)))
    });
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 1) && !is_founded(&mut world, 2));
    restart(&mut world, 2, false);
    world.is_lost = alloc::boxed::Box::new(|_| false);
    world.wait_ms(3_000);
    assert_eq!(complete(&mut world, 2), PARTITIONS as usize, "its pledge stands");
}

#[test]
fn a_wipe_after_the_pledge_makes_a_member_incomplete() {
    let mut world = world();
    world.is_lost = alloc::boxed::Box::new(|message| {
        message.header.to == NodeId(2)
            && matches!(message.body, Body::Founding(FoundingMessage::Tell(_)))
    });
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    restart(&mut world, 2, true);
    world.is_lost = alloc::boxed::Box::new(|_| false);
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 2));
    assert_eq!(
        complete(&mut world, 2),
        0,
        "its pledge is gone, and so may be what it acknowledged"
    );
}

#[test]
fn of_two_members_that_are_told_at_once_none_founds_and_each_names_the_other() {
    let mut world = world();
    world.held.insert(NodeId(3));
    init(&mut world, 1, &[]);
    init(&mut world, 2, &[]);
    world.wait_ms(3_000);
    let by = |node| AdminRefusal::AlsoFounding { by: NodeId(node) };
    let refusals = refusals(&world);
    assert!(refusals.contains(&by(1)) || refusals.contains(&by(2)), "{refusals:?}");
    world.release(3);
    world.wait_ms(3_000);
    let founded =
        world.replies.iter().filter(|(_, _, reply)| matches!(reply, AdminReply::Founded { .. }));
    assert!(founded.count() <= 1);
}

#[test]
fn a_member_that_has_pledged_itself_leaves_the_founding_to_the_other_for_a_while() {
    let mut world = world();
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(3));
    init(&mut world, 1, &[]);
    world.wait_ms(1_000);
    init(&mut world, 2, &[3]);
    assert_eq!(refusals(&world), [AdminRefusal::AlsoFounding { by: NodeId(1) }]);
    world.wait_ms(30_000);
    init(&mut world, 2, &[3]);
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 2), "the other has given up");
}

#[test]
fn what_is_founded_is_not_founded_again() {
    let mut world = world();
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    init(&mut world, 1, &[]);
    init(&mut world, 2, &[]);
    assert_eq!(refusals(&world), [AdminRefusal::AlreadyFounded, AdminRefusal::AlreadyFounded]);
    // One that lost its store finds out before it does harm.
    restart(&mut world, 3, true);
    init(&mut world, 3, &[]);
    world.wait_ms(3_000);
    assert_eq!(refusals(&world).last(), Some(&AdminRefusal::AlreadyFounded));
    assert_eq!(complete(&mut world, 3), 0);
}

#[test]
fn a_record_that_cannot_be_read_is_learned_anew_and_markers_stay_as_they_are() {
    let mut world = world();
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    let record = bytes::Bytes::from_static(b"f");
    let store = &mut world.member(2).store;
    assert!(store.keys().any(|key| *key == record));
    store.corrupt.insert(record);
    restart(&mut world, 2, false);
    assert!(!is_founded(&mut world, 2));
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 2));
    assert!(!world.events.contains(&(NodeId(2), Event::DataMissing)));
}

#[test]
fn a_full_disk_delays_a_founding_and_no_more() {
    let mut world = world();
    world.member(1).store.fault = Some(Fault::Full);
    world.member(2).store.fault = Some(Fault::Full);
    init(&mut world, 1, &[]);
    world.wait_ms(5_000);
    assert!(!is_founded(&mut world, 1));
    world.member(2).store.fault = None;
    world.wait_ms(2_500);
    assert!(!is_founded(&mut world, 1), "its own markers are missing");
    world.member(1).store.fault = None;
    world.wait_ms(5_000);
    for node in 1..=NODES {
        assert_eq!(complete(&mut world, node), PARTITIONS as usize, "node {node}");
    }
}
