//! Epochs that are drawn, and corrupt records that are reported.

use kv_core::event::EpochReason;
use kv_core::store::{DropReason, HandoffCommand, HintTerms};

use super::*;

const PARTITION: PartitionId = PartitionId(0);

fn terms() -> HintTerms {
    HintTerms { target: B, created: WallTime(0), expires: WallTime(9), copies: 1 }
}

/// Lets a node mint in a role, for nobody's request, and draw an epoch for this reason.
fn draw(fixture: &mut Fixture, node: NodeId, role: Role, reason: EpochReason) {
    let key = Key::from(KEY);
    let (basis, time) = (context(&[]), HybridTime(1));
    let write = Write { content: Content::Tombstone, expiry: None, basis, time };
    let (request, spare) = (RequestId(u128::MAX), Epoch(0));
    let mint = Mint { key, write, role, request, spare, siblings_max: 64 };
    let requester = Requester { node, request, operation: OperationId(0), for_owner: None };
    let action = ReplicaAction::Mint(Box::new(mint));
    let command = ReplicaCommand { requester, action }.into();
    let answer = ReplicaAnswer { requester, result: Err(kv_core::store::Refusal::DiskFull) };
    let events = vec![Event::EpochDrawn { partition: PARTITION, epoch: Epoch(1), reason }];
    let (answer, root, corrupt) = (answer.into(), ContentHash::default(), Vec::new());
    let outcome = Outcome { partition: PARTITION, answer, root, events, corrupt };
    let at = fixture.tick();
    let command = StoreCommand { partition: PARTITION, command };
    fixture.checks.on_outcome(at, node, &command, &outcome, &fixture.cluster);
}

/// Lets a node delete a hint, into which it minted or not.
fn delete_hint(fixture: &mut Fixture, keeper: NodeId, minted: bool) {
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(B, 1, &asked, context(&[]));
    fixture.sync(&[B]);
    let (key, container) = (Key::from(KEY), fixture.cluster.live[&B].clone());
    let items = vec![(key.clone(), container.hash(&key))];
    fixture
        .cluster
        .hints
        .insert((keeper, B), StoredHint { key, container, terms: terms(), minted });
    let command = HandoffCommand::Drop { target: B, reason: DropReason::Delivered, items };
    let command = StoreCommand { partition: PARTITION, command: command.into() };
    let at = fixture.tick();
    fixture.checks.before_drop(at, keeper, &command, &fixture.cluster);
}

#[test]
fn a_process_draws_once_for_each_part_in_which_it_mints() {
    let mut fixture = Fixture::new();
    draw(&mut fixture, A, Role::Owner, EpochReason::Start);
    draw(&mut fixture, A, Role::Fallback(terms()), EpochReason::Start);
    fixture.checks.on_started(fixture.now, A);
    draw(&mut fixture, A, Role::Owner, EpochReason::Start);
    fixture.assert_held();
    draw(&mut fixture, A, Role::Owner, EpochReason::Start);
    fixture.assert_violated(CheckName::Epochs, "its process has not minted yet, and it has");
}

#[test]
fn a_fallback_draws_once_after_a_hint_of_its_own_was_deleted() {
    let mut fixture = Fixture::new();
    fixture.cluster.obstacles = vec![(D, Obstacle::DiskFull)];
    delete_hint(&mut fixture, D, true);
    draw(&mut fixture, D, Role::Fallback(terms()), EpochReason::HintDeleted);
    fixture.assert_held();
    draw(&mut fixture, D, Role::Fallback(terms()), EpochReason::HintDeleted);
    fixture.assert_violated(CheckName::Epochs, "none was since it last drew");

    let mut fixture = Fixture::new();
    fixture.cluster.obstacles = vec![(D, Obstacle::DiskFull)];
    delete_hint(&mut fixture, D, false);
    draw(&mut fixture, D, Role::Fallback(terms()), EpochReason::HintDeleted);
    fixture.assert_violated(CheckName::Epochs, "none was since it last drew");
}

#[test]
fn only_a_fault_makes_a_record_corrupt() {
    let mut fixture = Fixture::new();
    fixture.checks.on_rot(fixture.now, A, PARTITION);
    draw(&mut fixture, A, Role::Owner, EpochReason::Corruption);
    fixture.checks.on_event(
        fixture.now,
        A,
        &Event::Corrupt { partition: PARTITION },
        &fixture.cluster,
    );
    fixture.assert_held();
    draw(&mut fixture, B, Role::Owner, EpochReason::Corruption);
    fixture.checks.on_event(
        fixture.now,
        B,
        &Event::Corrupt { partition: PARTITION },
        &fixture.cluster,
    );
    fixture.assert_violated(CheckName::Epochs, "no fault has spoilt any");
    fixture.assert_violated(CheckName::Corruption, "no fault has spoilt any");
}

#[test]
fn nobody_knows_more_of_an_actor_than_it_does_itself() {
    let mut fixture = Fixture::new();
    draw(&mut fixture, A, Role::Owner, EpochReason::Ahead);
    fixture.assert_violated(CheckName::Epochs, "that it does not remember");
}
