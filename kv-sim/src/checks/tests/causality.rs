use super::*;

#[test]
fn siblings_that_are_overwritten_with_what_was_seen_are_neither_lost_nor_false() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Sloppy, &[], &[A, B]);
    let second = fixture.put(Mode::Sloppy, &[], &[C, B]);
    fixture.read(Mode::Sloppy, &[B]);
    let merged = fixture.put(Mode::Sloppy, &[first, second], &[B, A, C]);
    fixture.read(Mode::Sloppy, &[A, C]);
    assert_eq!(fixture.cluster.live[&A].dots().collect::<Vec<_>>(), [merged]);
    fixture.end();
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Causality).examined, 8);
}

#[test]
fn a_dot_that_names_two_writes_is_caught_when_it_is_minted() {
    let mut fixture = Fixture::new();
    let dot = fixture.put(Mode::Sloppy, &[], &[A, B]);
    fixture.lose(A, Loss::Wipe);
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint_as(dot, &asked, held());
    fixture.assert_violated(CheckName::Causality, "names two writes");
    fixture.assert_violated(CheckName::Causality, "operation #2 of client 7");
}

/// semantics.md §9.1: a wiped replica goes on in its old epoch, and what it writes is discarded by
/// all who remember that epoch.
#[test]
fn a_write_that_is_swallowed_by_a_reused_epoch_is_caught_at_the_next_read() {
    let mut fixture = Fixture::new();
    let actor = Actor { node: A, epoch: Epoch(1) };
    let other_key_took_n_1 = Dot { actor, n: 2 };
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint_as(other_key_took_n_1, &asked, held());
    fixture.send(A, &[A, B]);
    fixture.sync(&[A, B]);
    fixture.stored(&asked, &[A, B], &[]);
    fixture.lose(A, Loss::Wipe);

    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint_as(Dot { actor, n: 1 }, &asked, held());
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.stored(&asked, &[A, B], &[]);
    fixture.assert_held();
    fixture.read(Mode::Sloppy, &[B]);
    fixture.assert_violated(CheckName::Causality, "is lost");
    fixture.end();
    fixture.assert_violated(CheckName::Durability, "is lost");
}

#[test]
fn a_join_that_drops_siblings_is_caught_at_the_next_read() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, C]);
    let mine = fixture.cluster.live[&A].clone();
    fixture.put(Mode::Sloppy, &[], &[B, C]);
    let theirs = fixture.cluster.live[&B].clone();
    let mut careless = theirs;
    careless.discard(mine.seen());
    careless.discard(&careless.seen().clone());
    let number = fixture.ask_to_read(Mode::Sloppy);
    fixture.answer(number, careless);
    fixture.assert_violated(CheckName::Causality, "(and 1 more violation of this check)");
}

#[test]
fn a_sibling_beside_the_write_that_had_seen_it_is_false() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Sloppy, &[], &[A, B]);
    let asked = fixture.ask(Mode::Sloppy, &[first]);
    fixture.mint(A, 1, &asked, context(&[]));
    fixture.read(Mode::Sloppy, &[A]);
    fixture.assert_violated(CheckName::Causality, "false sibling");
}

#[test]
fn a_sibling_that_the_coordinator_read_before_it_wrote_must_not_stand() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Strict, &[], &[A, B]);
    let asked = fixture.ask(Mode::Strict, &[]);
    let read =
        Event::ReadBeforeWrite { request: asked.request, key: Key::from(KEY), dots: vec![first] };
    fixture.checks.on_event(fixture.now, A, &read, &fixture.cluster);
    fixture.mint(C, 1, &asked, held());
    fixture.send(C, &[A]);
    fixture.read(Mode::Strict, &[A]);
    fixture.assert_violated(CheckName::Causality, "false sibling");
}

#[test]
fn a_write_upon_what_is_held_overwrites_what_stood_there_and_nothing_else() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A]);
    fixture.put(Mode::Sloppy, &[], &[B]);
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, held());
    fixture.send(B, &[A]);
    fixture.read(Mode::Sloppy, &[A]);
    fixture.end();
    fixture.assert_held();
    assert_eq!(fixture.cluster.live[&A].siblings().len(), 2);
}

#[test]
fn a_twin_may_stand_beside_what_overwrote_the_other() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    let twin = fixture.mint(A, 1, &asked, context(&[]));
    let overwriting = fixture.ask(Mode::Sloppy, &[twin]);
    fixture.mint(A, 1, &overwriting, context(&[twin]));
    fixture.mint(B, 1, &asked, context(&[]));
    fixture.send(B, &[A]);
    fixture.read(Mode::Sloppy, &[A]);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Causality), 1);
}

#[test]
fn a_write_is_present_if_one_of_its_twins_is() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    let first = fixture.mint(A, 1, &asked, context(&[]));
    fixture.mint(B, 1, &asked, context(&[]));
    let seen = [first].into_iter().collect();
    let container = fixture.cluster.live.get_mut(&B).expect("it minted");
    container.discard(&seen);
    fixture.read(Mode::Sloppy, &[B]);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Causality), 1);
}

#[test]
fn of_two_attempts_each_knew_only_what_it_was_told() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Sloppy, &[], &[A]);
    let asked = fixture.ask(Mode::Sloppy, &[]);
    let again = fixture.ask_as(asked.request, Mode::Sloppy, &[first]);
    assert_eq!(asked.content, again.content);
    fixture.mint(A, 1, &asked, context(&[]));
    fixture.read(Mode::Sloppy, &[A]);
    fixture.assert_held();
}

#[test]
fn a_value_under_the_dot_of_another_write_is_caught() {
    let mut fixture = Fixture::new();
    let dot = fixture.put(Mode::Sloppy, &[], &[A, B]);
    let mut forged = Container::default();
    let version = fixture.cluster.live[&A].get(dot).expect("it stands").clone();
    forged.add(dot, Version { content: Content::Value(Bytes::from_static(b"flipped")), ..version });
    let number = fixture.ask_to_read(Mode::Sloppy);
    fixture.answer(number, forged);
    fixture.assert_violated(CheckName::Causality, "was not written under it");
}

#[test]
fn a_sibling_that_nobody_wrote_is_caught() {
    let mut fixture = Fixture::new();
    let dot = fixture.put(Mode::Sloppy, &[], &[A, B]);
    let version = fixture.cluster.live[&A].get(dot).expect("it stands").clone();
    let mut forged = Container::default();
    forged.add(Dot { n: 9, ..dot }, version);
    let number = fixture.ask_to_read(Mode::Sloppy);
    fixture.answer(number, forged);
    fixture.assert_violated(CheckName::Causality, "nobody wrote");
}

#[test]
fn a_session_has_seen_what_its_replies_showed_and_did_not_overwrite() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Sloppy, &[], &[A]);
    let second = fixture.put(Mode::Sloppy, &[], &[B]);
    let mut seen = Dots::new();
    learn(&mut seen, &fixture.cluster.live[&A]);
    learn(&mut seen, &fixture.cluster.live[&B]);
    assert_eq!(seen[..], [first, second]);
    let third = fixture.put(Mode::Sloppy, &[first], &[A]);
    learn(&mut seen, &fixture.cluster.live[&A]);
    assert_eq!(seen[..], [second, third]);
}
