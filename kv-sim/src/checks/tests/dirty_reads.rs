use super::*;
use kv_core::store::CopyKind;

/// Lets the disk of a node answer a read with this container.
fn disk_reads(fixture: &mut Fixture, node: NodeId, copy: CopyKind, container: Container) {
    let (partition, request, key) = (PartitionId(0), RequestId(1), Key::from(KEY));
    let requester = Requester { node, request, operation: OperationId(0), for_owner: None };
    let action = ReplicaAction::Read { key, copy };
    let command = StoreCommand { partition, command: ReplicaCommand { requester, action }.into() };
    let answer = ReplicaAnswer { requester, result: Ok(ReplicaDone::Read(container)) }.into();
    let root = ContentHash::default();
    let outcome = Outcome { partition, answer, root, events: Vec::new(), corrupt: Vec::new() };
    let at = fixture.tick();
    fixture.checks.on_outcome(at, node, &command, &outcome, &fixture.cluster);
}

/// Lets a client ask to read, and a node send this container to the coordinator.
fn send_answer(fixture: &mut Fixture, node: NodeId, container: &Container) {
    let request = Some(RequestId(99));
    fixture.ask_to_read_as(Options { request, ..Options::default() });
    answer_again(fixture, node, container);
}

fn answer_again(fixture: &mut Fixture, node: NodeId, container: &Container) {
    let at = fixture.tick();
    fixture.checks.on_read_reply(at, node, RequestId(99), container, &fixture.cluster);
}

/// A write that one node holds, and has not synced.
fn unsynced_on(node: NodeId) -> (Fixture, Container) {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(node, 1, &asked, context(&[]));
    let live = fixture.cluster.live[&node].clone();
    (fixture, live)
}

#[test]
fn what_a_disk_reads_and_has_not_synced_is_dirty() {
    for (node, copy) in [(A, CopyKind::Owned), (D, CopyKind::Hinted)] {
        let (mut fixture, live) = unsynced_on(node);
        disk_reads(&mut fixture, node, copy, Container::default());
        fixture.assert_held();
        disk_reads(&mut fixture, node, copy, live.clone());
        fixture.assert_violated(CheckName::DirtyReads, "which its disk read");

        let (mut fixture, live) = unsynced_on(node);
        fixture.sync(&[node]);
        disk_reads(&mut fixture, node, copy, live);
        fixture.assert_held();
    }
}

#[test]
fn what_a_node_sends_and_its_disk_has_not_synced_is_dirty() {
    let (mut fixture, live) = unsynced_on(A);
    send_answer(&mut fixture, A, &live);
    fixture.assert_violated(CheckName::DirtyReads, "which it sent");
}

#[test]
fn an_answer_may_be_older_than_what_is_durable_by_now() {
    let (mut fixture, live) = unsynced_on(A);
    fixture.sync(&[A]);
    fixture.put(Mode::Sloppy, &[], &[B]);
    fixture.send(B, &[A]);
    fixture.sync(&[A]);
    send_answer(&mut fixture, A, &live);
    fixture.assert_held();
}

#[test]
fn what_a_fault_took_while_the_answer_was_on_its_way_to_the_node_is_counted() {
    let (mut fixture, live) = unsynced_on(A);
    fixture.sync(&[A]);
    send_answer(&mut fixture, A, &live);
    fixture.lose(A, Loss::Wipe);
    answer_again(&mut fixture, A, &live);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::DirtyReads), 1);
}

/// Seen at seed 4127 of swarm.toml: a hint was delivered and deleted while the answer of the disk was on
/// its way to the node.
#[test]
fn a_hint_may_be_gone_when_the_answer_is_sent() {
    let (mut fixture, live) = unsynced_on(D);
    fixture.sync(&[D]);
    disk_reads(&mut fixture, D, CopyKind::Hinted, live.clone());
    fixture.cluster.live.remove(&D);
    fixture.cluster.reported.remove(&D);
    send_answer(&mut fixture, D, &live);
    fixture.assert_held();
}

#[test]
fn the_answer_to_a_request_of_the_same_id_about_another_key_is_not_judged() {
    let (mut fixture, _) = unsynced_on(A);
    let (actor, time) = (Actor { node: B, epoch: Epoch(9) }, HybridTime(1));
    let (content, request) = (Content::Tombstone, RequestId(99));
    let mut elsewhere = Container::default();
    let version = Version { content, time, expiry: None, request, tag: None };
    elsewhere.add(Dot { actor, n: 1 }, version);
    send_answer(&mut fixture, A, &elsewhere);
    fixture.assert_held();
}
