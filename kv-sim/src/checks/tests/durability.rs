use kv_core::store::{DropReason, Dropped, HandoffAnswer, HandoffCommand};

use super::*;

#[test]
fn a_write_that_is_durable_where_it_was_acknowledged_is_kept() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Sloppy, &[], &[A, D]);
    fixture.put(Mode::Sloppy, &[first], &[B, C]);
    fixture.end();
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Durability).examined, 2);
}

#[test]
fn an_acknowledgement_before_the_write_is_durable_is_caught_at_once() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, held());
    fixture.send(A, &[B]);
    fixture.sync(&[A]);
    fixture.stored(&asked, &[A, B], &[]);
    fixture.assert_violated(CheckName::Durability, "before it was durable");
    fixture.assert_violated(CheckName::Durability, "not on n2");
}

#[test]
fn each_node_that_is_named_must_hold_the_write_even_if_enough_others_do() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, held());
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.stored(&asked, &[A, B, C], &[]);
    fixture.assert_violated(CheckName::Durability, "not on n3");
}

#[test]
fn copies_on_one_machine_count_once() {
    let mut fixture = Fixture::new();
    fixture.cluster.machines.extend([(D, 9), (E, 9)]);
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(D, 1, &asked, held());
    fixture.send(D, &[E]);
    fixture.sync(&[D, E]);
    fixture.stored(&asked, &[], &[D, E]);
    fixture.assert_violated(CheckName::Durability, "(1 distinct machines that count)");
}

#[test]
fn a_fallback_does_not_count_towards_a_strict_quorum() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Strict, &[]);
    fixture.mint(A, 1, &asked, held());
    fixture.send(A, &[D]);
    fixture.sync(&[A, D]);
    fixture.stored(&asked, &[A], &[D]);
    fixture.assert_violated(CheckName::Durability, "before it was durable");
}

#[test]
fn a_fallback_may_have_delivered_its_hint_before_the_client_is_told() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, held());
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    drop_hint(&mut fixture, D, B);
    fixture.stored(&asked, &[A], &[D]);
    fixture.end();
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Durability), 1);
}

/// Lets a fallback delete its hint, because its target has answered that it holds it.
fn drop_hint(fixture: &mut Fixture, node: NodeId, target: NodeId) -> Vec<String> {
    let items = vec![(Key::from(KEY), ContentHash::default())];
    let partition = PartitionId(0);
    let reason = DropReason::Delivered;
    let command = HandoffCommand::Drop { target, reason, items }.into();
    let command = StoreCommand { partition, command };
    let result = Ok(Dropped { count: 1, bytes: 64 });
    let outcome = Outcome {
        partition,
        answer: HandoffAnswer::Dropped { target, reason, result }.into(),
        root: ContentHash::default(),
        events: Vec::new(),
        corrupt: Vec::new(),
    };
    let at = fixture.tick();
    fixture.cluster.live.remove(&node);
    fixture.checks.on_outcome(at, node, &command, &outcome, &fixture.cluster)
}

/// Seen at seed 466 of swarm.toml: the fallback was paused between its target's answer, which was
/// true, and the deletion of the hint; meanwhile the target and another owner lost their disks.
#[test]
fn a_hint_that_is_deleted_after_its_target_lost_what_it_was_delivered_was_the_last_copy() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, B, D]);
    assert_eq!(fixture.lose(B, Loss::Wipe).len(), 0);
    assert_eq!(fixture.lose(A, Loss::Wipe).len(), 0, "the hint is left");
    assert_eq!(drop_hint(&mut fixture, D, B).len(), 1);
    fixture.end();
    fixture.assert_held();
}

#[test]
fn a_hint_that_was_deleted_although_its_target_never_held_it_is_held_against_the_cluster() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, D]);
    assert_eq!(fixture.lose(B, Loss::Wipe).len(), 0);
    assert_eq!(fixture.lose(A, Loss::Wipe).len(), 0, "the hint is left");
    assert_eq!(drop_hint(&mut fixture, D, B).len(), 0);
    fixture.end();
    fixture.assert_violated(CheckName::Durability, "is lost");
}

#[test]
fn a_rollback_of_a_disk_that_was_wiped_before_excuses_nothing_more() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, D]);
    assert_eq!(fixture.lose(A, Loss::Wipe).len(), 0, "the hint is left");
    assert_eq!(drop_hint(&mut fixture, D, B).len(), 0);
    assert_eq!(fixture.lose(A, Loss::Rollback).len(), 0, "it had lost it before");
    fixture.end();
    fixture.assert_violated(CheckName::Durability, "is lost");
}

#[test]
fn a_write_that_is_lost_although_a_copy_was_left_is_caught() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, B]);
    assert_eq!(fixture.lose(A, Loss::Wipe), Vec::<String>::new());
    fixture.cluster.live.insert(B, Container::default());
    fixture.end();
    fixture.assert_violated(
        CheckName::Durability,
        "promised: at 0.003000 s: sloppy W = 2, durable on owners n1, n2",
    );
    fixture.assert_violated(CheckName::Durability, "n2 holds nothing and never saw the write");
}

#[test]
fn a_write_of_which_faults_destroyed_all_copies_is_excused_and_no_other() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, B]);
    fixture.lose(A, Loss::Wipe);
    fixture.put(Mode::Sloppy, &[], &[C, B]);
    let excuses = fixture.lose(B, Loss::Wipe);
    assert_eq!(excuses.len(), 1, "{excuses:?}");
    assert!(excuses[0].contains("operation #1"), "{}", excuses[0]);
    let mut good = fixture.clone();
    good.end();
    good.assert_held();
    assert_eq!(good.weakened(CheckName::Durability), 1);

    fixture.cluster.live.clear();
    fixture.end();
    fixture.assert_violated(CheckName::Durability, "operation #2");
}

#[test]
fn a_hint_is_a_copy_that_is_left() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, D]);
    assert_eq!(fixture.lose(A, Loss::Wipe), Vec::<String>::new());
    fixture.end();
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Durability), 0);
}

#[test]
fn a_hint_that_is_on_its_way_out_is_none() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, D]);
    fixture.cluster.live.insert(D, Container::default());
    assert_eq!(fixture.lose(A, Loss::Wipe).len(), 1);
    fixture.sync(&[D]);
    fixture.end();
    fixture.assert_held();
}

/// Seen at seed 118632 of swarm.toml: the owner's copy was corrupt, and its hint for another was
/// delivered.
#[test]
fn a_hint_that_is_on_its_way_out_of_an_owner_is_none() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, C]);
    fixture.cluster.live.insert(C, Container::default());
    assert_eq!(fixture.lose(A, Loss::Wipe).len(), 1);
    fixture.sync(&[C]);
    fixture.end();
    fixture.assert_held();
}

/// Seen at seeds 107767 and 127427 of swarm.toml.
#[test]
fn what_a_fallback_delivered_and_a_fault_took_before_the_client_was_told_is_excused() {
    for was_delivered in [true, false] {
        let mut fixture = Fixture::new();
        fixture.write = Level::Count(1);
        let asked = fixture.ask(Mode::Sloppy, &[]);
        fixture.mint(D, 1, &asked, held());
        fixture.sync(&[D]);
        if was_delivered {
            fixture.send(D, &[B]);
            fixture.sync(&[B]);
        }
        drop_hint(&mut fixture, D, B);
        fixture.cluster.live.insert(D, Container::default());
        fixture.sync(&[D]);
        fixture.lose(B, Loss::Wipe);
        fixture.stored(&asked, &[], &[D]);
        fixture.end();
        if was_delivered {
            fixture.assert_held();
        } else {
            fixture.assert_violated(CheckName::Durability, "is lost");
        }
    }
}

#[test]
fn what_a_disk_only_claimed_to_have_synced_is_excused_when_it_is_lost() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, held());
    fixture.send(A, &[B]);
    fixture.lie(A);
    fixture.lie(B);
    fixture.stored(&asked, &[A, B], &[]);
    fixture.assert_held();
    assert_eq!(fixture.lose(A, Loss::Unsynced).len(), 1);
    assert_eq!(fixture.lose(B, Loss::Unsynced).len(), 0, "it is excused already");
    fixture.end();
    fixture.assert_held();
}

#[test]
fn a_copy_that_a_fault_took_before_the_client_was_told_is_not_held_against_the_write() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, held());
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.lose(A, Loss::Wipe);
    fixture.lose(B, Loss::Wipe);
    fixture.stored(&asked, &[A, B], &[]);
    fixture.end();
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Durability), 2);
}

#[test]
fn a_write_that_was_overwritten_by_a_lost_one_is_not_thereby_kept() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Sloppy, &[], &[A, B]);
    let asked = fixture.ask(Mode::Sloppy, &[first]);
    let second = fixture.mint(A, 1, &asked, context(&[first]));
    let swallowed = [first, second].into_iter().collect();
    for node in [A, B] {
        fixture.cluster.live.get_mut(&node).expect("it holds it").discard(&swallowed);
    }
    fixture.end();
    fixture.assert_violated(CheckName::Durability, "operation #1");
    fixture.assert_violated(CheckName::Durability, "accounts for the write");
}

#[test]
fn a_second_naming_of_an_older_write_must_not_overwrite_a_newer_one() {
    let mut fixture = Fixture::new();
    let older = fixture.ask(Mode::Sloppy, &[]);
    let first = fixture.mint(A, 1, &older, held());
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.stored(&older, &[A, B], &[]);
    let mut fine = fixture.clone();

    fixture.put(Mode::Sloppy, &[first], &[A, C]);
    let mut frozen = fixture.clone();
    let mut was_frozen = fixture.clone();
    fixture.mint(C, 1, &older, held());
    fixture.assert_violated(CheckName::Durability, "overwritten");
    fixture.assert_violated(CheckName::Durability, "by a second mint");

    // The minter knows by its clock that the request is late: the clock must not stand still
    // meanwhile.
    frozen.checks.on_clock(frozen.now, C, false);
    was_frozen.checks.on_clock(Time(0), C, false);
    was_frozen.checks.on_clock(Time(0), C, true);
    let mut ran_again = frozen.clone();
    ran_again.checks.on_clock(ran_again.now, C, true);
    for fixture in [&mut frozen, &mut ran_again] {
        fixture.mint(C, 1, &older, held());
        fixture.assert_held();
    }
    was_frozen.mint(C, 1, &older, held());
    was_frozen.assert_violated(CheckName::Durability, "by a second mint");

    // A write that began before the older one was acknowledged has no such claim.
    fine.mint(B, 1, &older, held());
    fine.assert_held();
}
