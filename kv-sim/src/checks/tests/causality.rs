use super::*;

#[test]
fn siblings_that_are_overwritten_with_what_was_seen_are_neither_lost_nor_false() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Sloppy, &[], &[A, B]);
    let second = bench.put(Mode::Sloppy, &[], &[C, B]);
    bench.read(Mode::Sloppy, &[B]);
    let merged = bench.put(Mode::Sloppy, &[first, second], &[B, A, C]);
    bench.read(Mode::Sloppy, &[A, C]);
    assert_eq!(bench.cluster.live[&A].dots().collect::<Vec<_>>(), [merged]);
    bench.end();
    bench.assert_held();
    assert_eq!(bench.checks.findings(Check::Causality).examined, 8);
}

#[test]
fn a_dot_that_names_two_writes_is_caught_when_it_is_minted() {
    let mut bench = Bench::new();
    let dot = bench.put(Mode::Sloppy, &[], &[A, B]);
    bench.lose(A, Loss::Wipe);
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint_as(dot, &asked, held());
    bench.assert_violated(Check::Causality, "names two writes");
    bench.assert_violated(Check::Causality, "operation #2 of client 7");
}

/// SEMANTICS §9.1: a wiped replica goes on in its old epoch, and what it writes is discarded by all
/// who remember that epoch.
#[test]
fn a_write_that_is_swallowed_by_a_reused_epoch_is_caught_at_the_next_read() {
    let mut bench = Bench::new();
    let actor = Actor { node: A, epoch: Epoch(1) };
    let other_key_took_n_1 = Dot { actor, n: 2 };
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint_as(other_key_took_n_1, &asked, held());
    bench.send(A, &[A, B]);
    bench.sync(&[A, B]);
    bench.stored(&asked, &[A, B], &[]);
    bench.lose(A, Loss::Wipe);

    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint_as(Dot { actor, n: 1 }, &asked, held());
    bench.send(A, &[B]);
    bench.sync(&[A, B]);
    bench.stored(&asked, &[A, B], &[]);
    bench.assert_held();
    bench.read(Mode::Sloppy, &[B]);
    bench.assert_violated(Check::Causality, "is lost");
    bench.end();
    bench.assert_violated(Check::Durability, "is lost");
}

#[test]
fn a_join_that_drops_siblings_is_caught_at_the_next_read() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, C]);
    let mine = bench.cluster.live[&A].clone();
    bench.put(Mode::Sloppy, &[], &[B, C]);
    let theirs = bench.cluster.live[&B].clone();
    let mut careless = theirs;
    careless.discard(mine.seen());
    careless.discard(&careless.seen().clone());
    let number = bench.ask_to_read(Mode::Sloppy);
    bench.answer(number, careless);
    bench.assert_violated(Check::Causality, "(and 1 more)");
}

#[test]
fn a_sibling_beside_the_write_that_had_seen_it_is_false() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Sloppy, &[], &[A, B]);
    let asked = bench.ask(Mode::Sloppy, &[first]);
    bench.mint(A, 1, &asked, context(&[]));
    bench.read(Mode::Sloppy, &[A]);
    bench.assert_violated(Check::Causality, "false sibling");
}

#[test]
fn a_sibling_that_the_coordinator_read_before_it_wrote_must_not_stand() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Strict, &[], &[A, B]);
    let asked = bench.ask(Mode::Strict, &[]);
    let read = Event::ReadBeforeWrite { request: asked.request, dots: vec![first] };
    bench.checks.on_event(bench.now, A, &read);
    bench.mint(C, 1, &asked, held());
    bench.send(C, &[A]);
    bench.read(Mode::Strict, &[A]);
    bench.assert_violated(Check::Causality, "false sibling");
}

#[test]
fn a_write_upon_what_is_held_overwrites_what_stood_there_and_nothing_else() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A]);
    bench.put(Mode::Sloppy, &[], &[B]);
    let asked = bench.ask(Mode::Sloppy, &[]);
    bench.mint(A, 1, &asked, held());
    bench.send(B, &[A]);
    bench.read(Mode::Sloppy, &[A]);
    bench.end();
    bench.assert_held();
    assert_eq!(bench.cluster.live[&A].siblings().len(), 2);
}

#[test]
fn a_twin_may_stand_beside_what_overwrote_the_other() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    let twin = bench.mint(A, 1, &asked, context(&[]));
    let overwriting = bench.ask(Mode::Sloppy, &[twin]);
    bench.mint(A, 1, &overwriting, context(&[twin]));
    bench.mint(B, 1, &asked, context(&[]));
    bench.send(B, &[A]);
    bench.read(Mode::Sloppy, &[A]);
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Causality), 1);
}

#[test]
fn a_write_is_present_if_one_of_its_twins_is() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Sloppy, &[]);
    let first = bench.mint(A, 1, &asked, context(&[]));
    bench.mint(B, 1, &asked, context(&[]));
    let seen = [first].into_iter().collect();
    let container = bench.cluster.live.get_mut(&B).expect("it minted");
    container.discard(&seen);
    bench.read(Mode::Sloppy, &[B]);
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Causality), 1);
}

#[test]
fn of_two_attempts_each_knew_only_what_it_was_told() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Sloppy, &[], &[A]);
    let asked = bench.ask(Mode::Sloppy, &[]);
    let again = bench.ask_as(asked.request, Mode::Sloppy, &[first]);
    assert_eq!(asked.content, again.content);
    bench.mint(A, 1, &asked, context(&[]));
    bench.read(Mode::Sloppy, &[A]);
    bench.assert_held();
}

#[test]
fn a_value_under_the_dot_of_another_write_is_caught() {
    let mut bench = Bench::new();
    let dot = bench.put(Mode::Sloppy, &[], &[A, B]);
    let mut forged = Container::default();
    let version = bench.cluster.live[&A].get(dot).expect("it stands").clone();
    forged.add(dot, Version { content: Content::Value(Bytes::from_static(b"flipped")), ..version });
    let number = bench.ask_to_read(Mode::Sloppy);
    bench.answer(number, forged);
    bench.assert_violated(Check::Causality, "was not written under it");
}

#[test]
fn a_sibling_that_nobody_wrote_is_caught() {
    let mut bench = Bench::new();
    let dot = bench.put(Mode::Sloppy, &[], &[A, B]);
    let version = bench.cluster.live[&A].get(dot).expect("it stands").clone();
    let mut forged = Container::default();
    forged.add(Dot { n: 9, ..dot }, version);
    let number = bench.ask_to_read(Mode::Sloppy);
    bench.answer(number, forged);
    bench.assert_violated(Check::Causality, "nobody wrote");
}

#[test]
fn a_session_has_seen_what_its_replies_showed_and_did_not_overwrite() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Sloppy, &[], &[A]);
    let second = bench.put(Mode::Sloppy, &[], &[B]);
    let mut seen = Dots::new();
    learn(&mut seen, &bench.cluster.live[&A]);
    learn(&mut seen, &bench.cluster.live[&B]);
    assert_eq!(seen[..], [first, second]);
    let third = bench.put(Mode::Sloppy, &[first], &[A]);
    learn(&mut seen, &bench.cluster.live[&A]);
    assert_eq!(seen[..], [second, third]);
}
