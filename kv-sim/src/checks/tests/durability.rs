use super::*;

#[test]
fn a_write_that_is_durable_where_it_was_acknowledged_is_kept() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Sloppy, &[], &[A, D]);
    bench.put(Mode::Sloppy, &[first], &[B, C]);
    bench.end();
    bench.assert_held();
    assert_eq!(bench.checks.findings(Check::Durability).examined, 2);
}

#[test]
fn an_acknowledgement_before_the_write_is_durable_is_caught_at_once() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint(A, 1, &asked, held());
    bench.send(A, &[B]);
    bench.sync(&[A]);
    bench.stored(&asked, &[A, B], &[]);
    bench.assert_violated(Check::Durability, "before it was durable");
    bench.assert_violated(Check::Durability, "not on n2");
}

#[test]
fn each_node_that_is_named_must_hold_the_write_even_if_enough_others_do() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint(A, 1, &asked, held());
    bench.send(A, &[B]);
    bench.sync(&[A, B]);
    bench.stored(&asked, &[A, B, C], &[]);
    bench.assert_violated(Check::Durability, "not on n3");
}

#[test]
fn copies_on_one_machine_count_once() {
    let mut bench = Bench::new();
    bench.cluster.machines.extend([(D, 9), (E, 9)]);
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint(D, 1, &asked, held());
    bench.send(D, &[E]);
    bench.sync(&[D, E]);
    bench.stored(&asked, &[], &[D, E]);
    bench.assert_violated(Check::Durability, "(1 distinct machines that count)");
}

#[test]
fn a_fallback_does_not_count_towards_a_strict_quorum() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Strict, &[]);
    bench.mint(A, 1, &asked, held());
    bench.send(A, &[D]);
    bench.sync(&[A, D]);
    bench.stored(&asked, &[A], &[D]);
    bench.assert_violated(Check::Durability, "before it was durable");
}

#[test]
fn a_fallback_may_have_delivered_its_hint_before_the_client_is_told() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint(A, 1, &asked, held());
    bench.send(A, &[B]);
    bench.sync(&[A, B]);
    drop_hint(&mut bench, D, B);
    bench.stored(&asked, &[A], &[D]);
    bench.end();
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Durability), 1);
}

/// A stand-in deletes its hint, because its target has said that it holds it.
fn drop_hint(bench: &mut Bench, node: NodeId, target: NodeId) -> Vec<String> {
    let items = vec![(Key::from(KEY), Digest::default())];
    let partition = PartitionId(0);
    let command = StoreCommand { partition, action: Action::HintDrop { target, items } };
    let outcome = Outcome {
        partition,
        result: Ok(Done::HintDropped { count: 1, bytes: 64 }),
        root: Digest::default(),
        events: Vec::new(),
        lost: Vec::new(),
    };
    let at = bench.tick();
    bench.cluster.live.remove(&node);
    bench.checks.on_outcome(at, node, &command, &outcome, &bench.cluster)
}

/// Seen at seed 466 of swarm.toml: the stand-in was paused between its target's answer, which was
/// true, and the deletion of the hint; meanwhile the target and another owner lost their disks.
#[test]
fn a_hint_that_is_deleted_after_its_target_lost_what_it_was_delivered_was_the_last_copy() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, B, D]);
    assert_eq!(bench.lose(B, Loss::Wipe).len(), 0);
    assert_eq!(bench.lose(A, Loss::Wipe).len(), 0, "the hint is left");
    assert_eq!(drop_hint(&mut bench, D, B).len(), 1);
    bench.end();
    bench.assert_held();
}

#[test]
fn a_hint_that_was_deleted_although_its_target_never_held_it_is_held_against_the_cluster() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, D]);
    assert_eq!(bench.lose(B, Loss::Wipe).len(), 0);
    assert_eq!(bench.lose(A, Loss::Wipe).len(), 0, "the hint is left");
    assert_eq!(drop_hint(&mut bench, D, B).len(), 0);
    bench.end();
    bench.assert_violated(Check::Durability, "is lost");
}

#[test]
fn a_rollback_of_a_disk_that_was_wiped_before_excuses_nothing_more() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, D]);
    assert_eq!(bench.lose(A, Loss::Wipe).len(), 0, "the hint is left");
    assert_eq!(drop_hint(&mut bench, D, B).len(), 0);
    assert_eq!(bench.lose(A, Loss::Rollback).len(), 0, "it had lost it before");
    bench.end();
    bench.assert_violated(Check::Durability, "is lost");
}

#[test]
fn a_write_that_is_lost_although_a_copy_was_left_is_caught() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, B]);
    assert_eq!(bench.lose(A, Loss::Wipe), Vec::<String>::new());
    bench.cluster.live.insert(B, Container::default());
    bench.end();
    bench.assert_violated(
        Check::Durability,
        "promised: at 0.003000 s: sloppy W = 2, durable on owners n1, n2",
    );
    bench.assert_violated(Check::Durability, "n2 holds nothing and never saw the write");
}

#[test]
fn a_write_of_which_faults_destroyed_all_copies_is_excused_and_no_other() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, B]);
    bench.lose(A, Loss::Wipe);
    bench.put(Mode::Sloppy, &[], &[C, B]);
    let excuses = bench.lose(B, Loss::Wipe);
    assert_eq!(excuses.len(), 1, "{excuses:?}");
    assert!(excuses[0].contains("operation #1"), "{}", excuses[0]);
    let mut good = bench.clone();
    good.end();
    good.assert_held();
    assert_eq!(good.weakened(Check::Durability), 1);

    bench.cluster.live.clear();
    bench.end();
    bench.assert_violated(Check::Durability, "operation #2");
}

#[test]
fn a_hint_is_a_copy_that_is_left() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, D]);
    assert_eq!(bench.lose(A, Loss::Wipe), Vec::<String>::new());
    bench.end();
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Durability), 0);
}

#[test]
fn a_hint_that_is_on_its_way_out_is_none() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, D]);
    bench.cluster.live.insert(D, Container::default());
    assert_eq!(bench.lose(A, Loss::Wipe).len(), 1);
    bench.sync(&[D]);
    bench.end();
    bench.assert_held();
}

/// Seen at seed 118632 of swarm.toml: its own copy was damaged, and what it kept for another was delivered.
#[test]
fn a_hint_that_is_on_its_way_out_of_an_owner_is_none() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, C]);
    bench.cluster.live.insert(C, Container::default());
    assert_eq!(bench.lose(A, Loss::Wipe).len(), 1);
    bench.sync(&[C]);
    bench.end();
    bench.assert_held();
}

/// Seen at seeds 107767 and 127427 of swarm.toml.
#[test]
fn what_a_stand_in_delivered_and_a_fault_took_before_the_client_was_told_is_excused() {
    for was_delivered in [true, false] {
        let mut bench = Bench::new();
        bench.quorum = 1;
        let asked = bench.ask(Mode::Sloppy, &[]);
        bench.mint(D, 1, &asked, held());
        bench.sync(&[D]);
        if was_delivered {
            bench.send(D, &[B]);
            bench.sync(&[B]);
        }
        drop_hint(&mut bench, D, B);
        bench.cluster.live.insert(D, Container::default());
        bench.sync(&[D]);
        bench.lose(B, Loss::Wipe);
        bench.stored(&asked, &[], &[D]);
        bench.end();
        if was_delivered {
            bench.assert_held();
        } else {
            bench.assert_violated(Check::Durability, "is lost");
        }
    }
}

#[test]
fn what_a_disk_only_claimed_to_have_synced_is_excused_when_it_is_lost() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint(A, 1, &asked, held());
    bench.send(A, &[B]);
    bench.lie(A);
    bench.lie(B);
    bench.stored(&asked, &[A, B], &[]);
    bench.assert_held();
    assert_eq!(bench.lose(A, Loss::Unsynced).len(), 1);
    assert_eq!(bench.lose(B, Loss::Unsynced).len(), 0, "it is excused already");
    bench.end();
    bench.assert_held();
}

#[test]
fn a_copy_that_a_fault_took_before_the_client_was_told_is_not_held_against_the_write() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint(A, 1, &asked, held());
    bench.send(A, &[B]);
    bench.sync(&[A, B]);
    bench.lose(A, Loss::Wipe);
    bench.lose(B, Loss::Wipe);
    bench.stored(&asked, &[A, B], &[]);
    bench.end();
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Durability), 2);
}

#[test]
fn a_write_that_was_overwritten_by_a_lost_one_is_not_thereby_kept() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Sloppy, &[], &[A, B]);
    let asked = bench.ask(Mode::Sloppy, &[first]);
    let second = bench.mint(A, 1, &asked, context(&[first]));
    let swallowed = [first, second].into_iter().collect();
    for node in [A, B] {
        bench.cluster.live.get_mut(&node).expect("it holds it").discard(&swallowed);
    }
    bench.end();
    bench.assert_violated(Check::Durability, "operation #1");
    bench.assert_violated(Check::Durability, "accounts for the write");
}

#[test]
fn a_refused_write_must_not_be_done_later() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.refused(&asked);
    bench.assert_held();
    bench.mint(A, 1, &asked, held());
    bench.assert_violated(Check::Durability, "was refused");
}

#[test]
fn a_write_that_was_refused_once_may_be_the_work_of_another_attempt() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    let again = bench.ask_as(asked.request, Mode::Sloppy, &[]);
    bench.refused(&again);
    bench.mint(A, 1, &asked, held());
    bench.assert_held();
}

#[test]
fn a_second_naming_of_an_older_write_must_not_overwrite_a_newer_one() {
    let mut bench = Bench::new();
    let older = bench.ask(Mode::Sloppy, &[]);
    let first = bench.mint(A, 1, &older, held());
    bench.send(A, &[B]);
    bench.sync(&[A, B]);
    bench.stored(&older, &[A, B], &[]);
    let mut fine = bench.clone();

    bench.put(Mode::Sloppy, &[first], &[A, C]);
    let mut frozen = bench.clone();
    let mut was_frozen = bench.clone();
    bench.mint(C, 1, &older, held());
    bench.assert_violated(Check::Durability, "overwritten");
    bench.assert_violated(Check::Durability, "by a second naming");

    // Who names it knows by its clock that it is late: that must not stand still meanwhile.
    frozen.checks.on_clock(frozen.now, C, false);
    was_frozen.checks.on_clock(Time(0), C, false);
    was_frozen.checks.on_clock(Time(0), C, true);
    let mut ran_again = frozen.clone();
    ran_again.checks.on_clock(ran_again.now, C, true);
    for bench in [&mut frozen, &mut ran_again] {
        bench.mint(C, 1, &older, held());
        bench.assert_held();
    }
    was_frozen.mint(C, 1, &older, held());
    was_frozen.assert_violated(Check::Durability, "by a second naming");

    // A write that began before the older one was acknowledged has no such claim.
    fine.mint(B, 1, &older, held());
    fine.assert_held();
}
