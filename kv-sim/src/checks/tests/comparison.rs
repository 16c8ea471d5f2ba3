//! Comparisons of a partition, and what both sides hold when they end.

use kv_core::merkle::FAN_OUT;
use kv_core::store::{
    BranchesFor, Caller, CorruptKey, JoinFor, RepairAnswer, RepairCommand, SessionStep,
};
use kv_core::types::Step;

use super::*;

const PARTITION: PartitionId = PartitionId(0);
const REQUEST: RequestId = RequestId(77);

/// Lets the storage of a node execute a command of repair.
fn execute(fixture: &mut Fixture, node: NodeId, command: RepairCommand, answer: RepairAnswer) {
    execute_finding(fixture, node, (command, answer), Vec::new());
}

/// Lets the storage of a node execute a command of repair, and find these keys corrupt.
fn execute_finding(
    fixture: &mut Fixture,
    node: NodeId,
    (command, answer): (RepairCommand, RepairAnswer),
    corrupt: Vec<CorruptKey>,
) {
    let command = StoreCommand { partition: PARTITION, command: command.into() };
    let (answer, root, events) = (answer.into(), ContentHash::default(), Vec::new());
    let outcome = Outcome { partition: PARTITION, answer, root, events, corrupt };
    let at = fixture.tick();
    fixture.checks.on_outcome(at, node, &command, &outcome, &fixture.cluster);
}

/// Lets `A` begin to compare the partition with `B`, which answers.
fn begin(fixture: &mut Fixture) {
    let branches = Box::new([ContentHash::default(); FAN_OUT]);
    let caller = Caller { peer: A, request: REQUEST, step: Step(1) };
    let own = BranchesFor::Session(SessionStep { request: REQUEST, step: Step(1) });
    for (node, whose) in [(A, own), (B, BranchesFor::Peer(caller, branches.clone()))] {
        let answer = RepairAnswer::Branches { whose: whose.clone(), result: Ok(branches.clone()) };
        execute(fixture, node, RepairCommand::Branches { whose }, answer);
    }
}

/// Lets a node join what a comparison of this request brings.
fn join(fixture: &mut Fixture, node: NodeId, request: RequestId) {
    let whose = JoinFor::Session(SessionStep { request, step: Step(2) });
    let answer = RepairAnswer::Joined { whose: whose.clone(), result: Ok(()) };
    execute(fixture, node, RepairCommand::Join { items: Vec::new(), whose }, answer);
}

fn end(fixture: &mut Fixture, node: NodeId, peer: NodeId) {
    let event = Event::RepairClean { peer, partition: PARTITION };
    let at = fixture.tick();
    fixture.checks.on_event(at, node, &event, &fixture.cluster);
}

/// A cluster in which `B` lacks what `A` holds.
fn differing() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, C]);
    fixture
}

fn examined(fixture: &Fixture) -> u64 {
    fixture.checks.findings(CheckName::Comparison).examined
}

#[test]
fn sides_that_are_equal_when_a_comparison_ends_were_compared_well() {
    let mut fixture = differing();
    begin(&mut fixture);
    fixture.send(A, &[B]);
    join(&mut fixture, B, REQUEST);
    end(&mut fixture, A, B);
    fixture.assert_held();
    assert_eq!(examined(&fixture), 1);
}

#[test]
fn sides_that_differ_when_a_comparison_ends_were_not() {
    let mut fixture = differing();
    begin(&mut fixture);
    end(&mut fixture, A, B);
    fixture.assert_violated(CheckName::Comparison, "partition 0 ended, and both sides differ");
}

#[test]
fn what_was_written_meanwhile_may_differ_and_what_was_known_at_the_beginning_may_not() {
    let write = |fixture: &mut Fixture| {
        let asked = fixture.ask(Mode::Sloppy, &[]);
        fixture.mint(A, 1, &asked, context(&[]));
    };
    let mut fixture = differing();
    begin(&mut fixture);
    fixture.send(A, &[B]);
    write(&mut fixture);
    end(&mut fixture, A, B);
    assert_eq!((fixture.violation(CheckName::Comparison), examined(&fixture)), (None, 1));
    let mut fixture = differing();
    begin(&mut fixture);
    write(&mut fixture);
    end(&mut fixture, A, B);
    fixture.assert_violated(CheckName::Comparison, "n2 does not know all that was known then");
}

#[test]
fn who_knows_the_same_and_holds_something_else_differs() {
    let mut fixture = differing();
    begin(&mut fixture);
    fixture.send(A, &[B]);
    let seen = fixture.cluster.live[&A].seen().clone();
    fixture.cluster.live.get_mut(&B).expect("it was sent something").discard(&seen);
    end(&mut fixture, A, B);
    fixture.assert_violated(CheckName::Comparison, "it is not the same");
}

#[test]
fn who_lost_something_meanwhile_is_not_judged() {
    let losses: [fn(&mut Fixture); 2] =
        [|fixture| fixture.checks.on_stopped(B), |fixture| drop(fixture.lose(A, Loss::Rollback))];
    for lose in losses {
        let mut fixture = differing();
        begin(&mut fixture);
        lose(&mut fixture);
        end(&mut fixture, A, B);
        assert_eq!(fixture.violation(CheckName::Comparison), None);
        assert_eq!(examined(&fixture), 0);
    }
}

#[test]
fn a_comparison_is_judged_once_with_the_node_that_answered() {
    let mut fixture = differing();
    begin(&mut fixture);
    end(&mut fixture, A, C);
    assert_eq!(examined(&fixture), 0, "it was compared with another");
    end(&mut fixture, A, B);
    assert_eq!(examined(&fixture), 0, "that one has ended");
    begin(&mut fixture);
    join(&mut fixture, C, RequestId(78));
    end(&mut fixture, A, B);
    fixture.assert_violated(CheckName::Comparison, "\"k\": n2 does not know all");
}

#[test]
fn who_finds_a_record_corrupt_meanwhile_and_gives_it_up_is_not_judged() {
    let mut fixture = differing();
    begin(&mut fixture);
    let found = CorruptKey { key: KEY.into(), number: 2 };
    let corrupt = CorruptKey { key: KEY.into(), number: 1 };
    let command = RepairCommand::MarkRepaired { corrupt, is_unknown: true };
    let answer = RepairAnswer::MarkedRepaired { number: 1, result: Ok(false) };
    execute_finding(&mut fixture, B, (command, answer), vec![found]);
    end(&mut fixture, A, B);
    fixture.assert_held();
    assert_eq!(examined(&fixture), 0);
}

#[test]
fn what_the_other_side_knew_when_it_was_asked_again_is_not_what_was_compared() {
    let mut fixture = Fixture::new();
    begin(&mut fixture);
    fixture.put(Mode::Sloppy, &[], &[B]);
    let branches = Box::new([ContentHash::default(); FAN_OUT]);
    let caller = Caller { peer: A, request: REQUEST, step: Step(1) };
    let whose = BranchesFor::Peer(caller, branches.clone());
    let answer = RepairAnswer::Branches { whose: whose.clone(), result: Ok(branches) };
    execute(&mut fixture, B, RepairCommand::Branches { whose }, answer);
    // So that nothing but the second question could be held against it.
    join(&mut fixture, B, RequestId(78));
    end(&mut fixture, A, B);
    fixture.assert_held();
}
