//! Members of a new cluster, over real storage commands: all that they do, in order.

mod steps;

use self::steps::{
    again, answers_founded, asks, ends_founding, failed_founding, founding_unheard, founds,
    informs, informs_in_rounds, joins_incomplete, marks, pledges, records, refuses, says, steps,
    whole_founding,
};
use super::*;
use crate::config::Config;
use crate::event::Event;
use crate::message::{FoundingMessage, Message};
use crate::store::{Answer, Command, Outcome, Recovered, StoreCommand, StoreFault};
use crate::testing::MemoryStore;
use crate::testing::world::{Done, Machine, World, answers, executes, sends, tells};

const NODES: u64 = 3;

/// So few that all that a founding does is a short list.
const PARTITIONS: u32 = 2;

/// The founding of an operator who is the first to cause a draw.
const FOUNDING: FoundingId = FoundingId(1);

impl Machine for Founding {
    const ISSUER: Issuer = Issuer::Founding;

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

#[test]
fn new_members_wait_until_one_of_them_is_told_and_then_all_are_complete() {
    let mut world = world();
    world.wait_ms(60_000);
    assert_eq!(steps(&mut world), []);
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
    // The three members have drawn before.
    let expected = whole_founding(&world, 2, [1, 3], FoundingId(4));
    assert_eq!(steps(&mut world), expected);
    assert_eq!(world.nodes.values().filter_map(|it| it.machine.next_deadline()).count(), 0);
}

#[test]
fn a_member_that_lost_its_store_learns_that_it_is_incomplete() {
    let mut world = world();
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    let expected = whole_founding(&world, 1, [2, 3], FOUNDING);
    assert_eq!(steps(&mut world), expected);
    restart(&mut world, 3, true);
    assert!(!is_founded(&mut world, 3));
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 3));
    assert_eq!(complete(&mut world, 3), 0);
    let told = [informs(&world, 1, 3, FOUNDING), informs(&world, 2, 3, FOUNDING)];
    let expected = [&told[..], &joins_incomplete(3, FOUNDING)].concat();
    assert_eq!(steps(&mut world), expected);
}

#[test]
fn a_member_that_kept_its_store_waits_for_nobody() {
    let mut world = world();
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    steps(&mut world);
    restart(&mut world, 3, false);
    assert!(is_founded(&mut world, 3));
    assert_eq!(complete(&mut world, 3), PARTITIONS as usize);
    world.wait_ms(3_000);
    assert_eq!(steps(&mut world), []);
}

#[test]
fn nothing_is_founded_while_a_member_is_silent_and_the_operator_is_told_which() {
    let mut world = world();
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(3));
    init(&mut world, 1, &[]);
    world.wait_ms(15_000);
    assert!(!is_founded(&mut world, 1) && !is_founded(&mut world, 2));
    let expected = failed_founding(&world);
    assert_eq!(steps(&mut world), expected);
}

#[test]
fn a_member_that_is_left_out_copies_when_it_comes() {
    let mut world = world();
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(3));
    init(&mut world, 1, &[3]);
    world.wait_ms(3_000);
    assert_eq!(complete(&mut world, 1), PARTITIONS as usize);
    assert_eq!(complete(&mut world, 2), PARTITIONS as usize);
    let expected = [
        &[asks(&world, 1, 2, FOUNDING)][..],
        &pledges(&world, 2, 1, FOUNDING),
        &founds(1, FOUNDING),
        &[
            answers_founded(1, FOUNDING),
            informs(&world, 1, 2, FOUNDING),
            informs(&world, 1, 3, FOUNDING),
        ],
        &founds(2, FOUNDING),
        &informs_in_rounds(&world, &[[2, 1], [1, 2]], 3, FOUNDING),
    ];
    assert_eq!(steps(&mut world), expected.concat());
    world.is_lost = alloc::boxed::Box::new(|_| false);
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 3));
    let expected =
        [&informs_in_rounds(&world, &[[1, 2]], 3, FOUNDING)[..], &joins_incomplete(3, FOUNDING)];
    assert_eq!(steps(&mut world), expected.concat());
    assert_eq!(complete(&mut world, 3), 0, "it never made a pledge to this founding");
}

#[test]
fn so_few_founders_that_nobody_could_copy_are_refused() {
    let mut world = world();
    init(&mut world, 1, &[2, 3]);
    init(&mut world, 1, &[1]);
    let too_many = AdminRefusal::TooManyLeftOut { partition: PartitionId(0) };
    let expected = [refuses(1, too_many), refuses(1, AdminRefusal::LeavesItselfOut)];
    assert_eq!(steps(&mut world), expected);
}

#[test]
fn a_pledge_to_a_founding_that_failed_says_nothing_of_another() {
    let mut world = world();
    // Node 2 makes its pledge, node 3 is silent: the founding does not come about.
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(3));
    init(&mut world, 1, &[]);
    world.wait_ms(15_000);
    let expected = failed_founding(&world);
    assert_eq!(steps(&mut world), expected);
    assert_eq!(world.member(2).machine.inspect().pledges.len(), 1);
    // The next one leaves node 2 out: by then its store may be any other.
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(2));
    init(&mut world, 1, &[2]);
    world.wait_ms(3_000);
    // The three members have drawn since the first founding.
    let founding = FoundingId(5);
    let expected = [
        &[asks(&world, 1, 3, founding)][..],
        &pledges(&world, 3, 1, founding),
        &founds(1, founding),
        &[
            answers_founded(1, founding),
            informs(&world, 1, 2, founding),
            informs(&world, 1, 3, founding),
        ],
        &founds(3, founding),
        &informs_in_rounds(&world, &[[3, 1], [3, 1], [1, 3]], 2, founding),
    ];
    assert_eq!(steps(&mut world), expected.concat());
    world.is_lost = alloc::boxed::Box::new(|_| false);
    world.wait_ms(3_000);
    let expected =
        [&informs_in_rounds(&world, &[[3, 1]], 2, founding)[..], &joins_incomplete(2, founding)];
    assert_eq!(steps(&mut world), expected.concat());
    assert!(is_founded(&mut world, 2));
    assert_eq!(complete(&mut world, 2), 0);
}

#[test]
fn a_pledge_is_not_made_before_it_is_durable() {
    let mut world = world();
    world.held.insert(NodeId(2));
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    let [writes, says] = pledges(&world, 2, 1, FOUNDING);
    let asks_again = [asks(&world, 1, 2, FOUNDING), writes.clone()];
    let expected = [
        &[asks(&world, 1, 2, FOUNDING), asks(&world, 1, 3, FOUNDING), writes][..],
        &pledges(&world, 3, 1, FOUNDING),
        &again(2, &asks_again),
    ];
    assert_eq!(steps(&mut world), expected.concat(), "it is not durable");
    assert!(!is_founded(&mut world, 1), "a pledge is missing");
    world.release(2);
    world.wait_ms(3_000);
    let expected = [&again(3, &[says])[..], &ends_founding(&world, 1, [2, 3], FOUNDING)];
    assert_eq!(steps(&mut world), expected.concat());
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
    let expected = founding_unheard(&world);
    assert_eq!(steps(&mut world), expected);
    restart(&mut world, 2, false);
    world.is_lost = alloc::boxed::Box::new(|_| false);
    world.wait_ms(3_000);
    let told = informs_in_rounds(&world, &[[3, 1]], 2, FOUNDING);
    let expected = [&told[..], &founds(2, FOUNDING)].concat();
    assert_eq!(steps(&mut world), expected);
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
    let expected = founding_unheard(&world);
    assert_eq!(steps(&mut world), expected);
    restart(&mut world, 2, true);
    world.is_lost = alloc::boxed::Box::new(|_| false);
    world.wait_ms(3_000);
    let told = informs_in_rounds(&world, &[[3, 1]], 2, FOUNDING);
    let expected = [&told[..], &joins_incomplete(2, FOUNDING)].concat();
    assert_eq!(steps(&mut world), expected);
    assert!(is_founded(&mut world, 2));
    assert_eq!(
        complete(&mut world, 2),
        0,
        "its pledge is gone, and so may be what it acknowledged"
    );
}

#[test]
fn of_two_members_that_are_told_at_once_the_first_gives_up_and_the_second_founds() {
    let mut world = world();
    world.held.insert(NodeId(3));
    init(&mut world, 1, &[]);
    init(&mut world, 2, &[]);
    world.wait_ms(3_000);
    let [first, second] = [FoundingId(1), FoundingId(2)];
    let crossed = FoundingMessage::Pledged(Pledged::AlsoFounding { founding: first });
    let [writes_first, says_first] = pledges(&world, 3, 1, first);
    let [writes_second, says_second] = pledges(&world, 3, 2, second);
    let expected = [
        &[
            asks(&world, 1, 2, first),
            asks(&world, 1, 3, first),
            tells(NodeId(2), Event::Probe(Probe::FoundingCrossed)),
            says(&world, 2, 1, crossed),
            writes_first,
            refuses(1, AdminRefusal::AlsoFounding { by: NodeId(2) }),
            asks(&world, 2, 1, second),
            asks(&world, 2, 3, second),
        ][..],
        &pledges(&world, 1, 2, second),
        &[
            writes_second.clone(),
            asks(&world, 2, 3, second),
            writes_second.clone(),
            asks(&world, 2, 3, second),
            writes_second,
        ],
    ];
    assert_eq!(steps(&mut world), expected.concat());
    world.release(3);
    world.wait_ms(3_000);
    // The first has given up, so the second goes on alone.
    let expected =
        [&[says_first][..], &again(3, &[says_second]), &ends_founding(&world, 2, [1, 3], second)];
    assert_eq!(steps(&mut world), expected.concat());
}

#[test]
fn a_member_that_has_pledged_itself_leaves_the_founding_to_the_other_for_a_while() {
    let mut world = world();
    world.is_lost = alloc::boxed::Box::new(|message| message.header.to == NodeId(3));
    init(&mut world, 1, &[]);
    world.wait_ms(1_000);
    init(&mut world, 2, &[3]);
    let asks_third = [asks(&world, 1, 3, FOUNDING)];
    let expected = [
        &[asks(&world, 1, 2, FOUNDING)][..],
        &asks_third,
        &pledges(&world, 2, 1, FOUNDING),
        &[refuses(2, AdminRefusal::AlsoFounding { by: NodeId(1) })],
    ];
    assert_eq!(steps(&mut world), expected.concat());
    world.wait_ms(30_000);
    init(&mut world, 2, &[3]);
    world.wait_ms(3_000);
    let founding = FoundingId(5);
    let expected = [
        &again(9, &asks_third)[..],
        &[
            tells(NodeId(1), Event::Probe(Probe::FoundingTimedOut)),
            refuses(1, AdminRefusal::Unanswered { members: [NodeId(3)].into() }),
            asks(&world, 2, 1, founding),
        ],
        &pledges(&world, 1, 2, founding),
        &founds(2, founding),
        &[
            answers_founded(2, founding),
            informs(&world, 2, 1, founding),
            informs(&world, 2, 3, founding),
        ],
        &founds(1, founding),
        &informs_in_rounds(&world, &[[2, 1], [1, 2], [1, 2]], 3, founding),
    ];
    assert_eq!(steps(&mut world), expected.concat());
    assert!(is_founded(&mut world, 2), "the other has given up");
}

#[test]
fn what_is_founded_is_not_founded_again() {
    let mut world = world();
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    init(&mut world, 1, &[]);
    init(&mut world, 2, &[]);
    let refused = [1, 2].map(|node| refuses(node, AdminRefusal::AlreadyFounded));
    let expected = [&whole_founding(&world, 1, [2, 3], FOUNDING)[..], &refused].concat();
    assert_eq!(steps(&mut world), expected);
    // One that lost its store finds out before it does harm.
    restart(&mut world, 3, true);
    init(&mut world, 3, &[]);
    world.wait_ms(3_000);
    let told = [informs(&world, 1, 3, FOUNDING), informs(&world, 2, 3, FOUNDING)];
    let expected = [
        &[asks(&world, 3, 1, FoundingId(5)), asks(&world, 3, 2, FoundingId(5))][..],
        &again(2, &told),
        &[refuses(3, AdminRefusal::AlreadyFounded)],
        &joins_incomplete(3, FOUNDING),
    ];
    assert_eq!(steps(&mut world), expected.concat());
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
    steps(&mut world);
    restart(&mut world, 2, false);
    assert!(!is_founded(&mut world, 2));
    world.wait_ms(3_000);
    assert!(is_founded(&mut world, 2));
    let told = informs_in_rounds(&world, &[[3, 1]], 2, FOUNDING);
    let relearned = tells(NodeId(2), Event::Probe(Probe::FoundingRelearned));
    let expected = [&told[..], &[records(2, FOUNDING), relearned]].concat();
    assert_eq!(steps(&mut world), expected);
}

#[test]
fn a_full_disk_delays_a_founding_and_no_more() {
    let mut world = world();
    world.member(1).store.fault = Some(StoreFault::Full);
    world.member(2).store.fault = Some(StoreFault::Full);
    init(&mut world, 1, &[]);
    world.wait_ms(5_000);
    let [writes, says] = pledges(&world, 2, 1, FOUNDING);
    let in_vain = [writes.clone(), tells(NodeId(2), Event::Probe(Probe::FoundingNotWritten))];
    let asks_second = [asks(&world, 1, 2, FOUNDING)];
    let expected = [
        &asks_second[..],
        &[asks(&world, 1, 3, FOUNDING)],
        &in_vain,
        &pledges(&world, 3, 1, FOUNDING),
        &again(4, &[&asks_second[..], &in_vain].concat()),
    ];
    assert_eq!(steps(&mut world), expected.concat());
    assert!(!is_founded(&mut world, 1));
    world.member(2).store.fault = None;
    world.wait_ms(2_500);
    let marks_again = again(3, &[marks(1, 0), marks(1, 1)]);
    let expected = [&asks_second[..], &[writes, says], &marks_again].concat();
    assert_eq!(steps(&mut world), expected);
    assert!(!is_founded(&mut world, 1), "its own markers are missing");
    world.member(1).store.fault = None;
    world.wait_ms(5_000);
    let expected = ends_founding(&world, 1, [2, 3], FOUNDING);
    assert_eq!(steps(&mut world), expected);
    for node in 1..=NODES {
        assert_eq!(complete(&mut world, node), PARTITIONS as usize, "node {node}");
    }
}

#[test]
fn an_operator_who_waits_for_what_is_written_is_told_that_nobody_knows() {
    let mut world = world();
    world.held.insert(NodeId(1));
    init(&mut world, 1, &[]);
    world.wait_ms(3_000);
    assert!(matches!(world.member(1).machine.stage, FoundingState::Writing(_)));
    steps(&mut world);
    world.call(NodeId(1), |founding, cx, _| founding.abandon_all(cx));
    let unknown = answers(NodeId(1), AdminRequest(1), AdminReply::Unknown);
    assert_eq!(steps(&mut world), [unknown]);
}
