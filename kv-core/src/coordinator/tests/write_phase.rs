//! Puts: who mints, who is sent the write, which copies count, and when the client is answered.

use super::*;
use crate::time::Span;

#[test]
fn a_put_is_acknowledged_after_w_durable_copies_and_not_before() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let written = container(a, 1);
    assert_eq!(fixture.put(Options::default()), [fixture.mint(a)]);
    assert_eq!(
        fixture.minted(a, written.clone()),
        [fixture.merge(b, &written), fixture.merge(c, &written)]
    );
    assert_eq!(fixture.acked(b, None), []);
    assert_eq!(fixture.acked(b, None), [], "one node counts once");
    assert_eq!(fixture.acked(a, None), [stored(&written, achieved(&[b, a], &[]))]);
    assert_eq!(fixture.coordinator.len(), 1, "the third owner is still waited for");
    assert_eq!(fixture.acked(c, None), []);
    assert!(fixture.coordinator.is_empty());
    assert_eq!(fixture.coordinator.next_deadline(), None);
}

#[test]
fn acks_that_overtake_the_container_are_counted_and_answered_when_it_comes() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let written = container(a, 1);
    fixture.put(Options { write: Some(Level::One), ..Options::default() });
    assert_eq!(fixture.acked(a, None), []);
    assert_eq!(
        fixture.minted(a, written.clone()),
        [
            fixture.merge(b, &written),
            fixture.merge(c, &written),
            stored(&written, achieved(&[a], &[])),
        ]
    );
}

#[test]
fn a_coordinator_that_owns_nothing_of_the_key_asks_the_first_owner_that_seems_up() {
    let fixture = CoordinatorFixture::new(false);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    let mut fixture = fixture.down(&[a]);
    assert_eq!(fixture.put(Options::default()), [fixture.mint(b)]);
}

#[test]
fn an_owner_that_seems_down_is_sent_the_write_all_the_same_and_a_fallback_keeps_it() {
    let fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let fallback = fixture.others[0];
    let mut fixture = fixture.down(&[c]);
    let written = container(a, 1);
    fixture.put(Options::default());
    assert_eq!(
        fixture.minted(a, written.clone()),
        [
            fixture.merge(b, &written),
            fixture.merge(c, &written),
            fixture.hint(fallback, place_of(c, 0), &written),
        ]
    );
}

#[test]
fn a_fallback_counts_in_sloppy_and_not_in_strict() {
    for (options, counts) in [(Options::default(), true), (strict(), false)] {
        let fixture = CoordinatorFixture::new(true);
        let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
        let [first, second] = [fixture.others[0], fixture.others[1]];
        let mut fixture = fixture.down(&[b, c]);
        let written = container(a, 1);
        fixture.put(options);
        assert_eq!(
            fixture.minted(a, written.clone()),
            [
                fixture.merge(b, &written),
                fixture.hint(first, place_of(b, 0), &written),
                fixture.merge(c, &written),
                fixture.hint(second, place_of(c, 0), &written),
            ]
        );
        assert_eq!(fixture.acked(a, None), []);
        let expected = counts
            .then(|| stored(&written, achieved(&[a], &[first])))
            .into_iter()
            .collect::<Vec<_>>();
        assert_eq!(fixture.acked(first, Some(b)), expected);
    }
}

#[test]
fn when_no_owner_seems_up_a_fallback_mints_in_sloppy() {
    let fixture = CoordinatorFixture::new(false);
    let (owners, other) = (fixture.owners.clone(), fixture.others[0]);
    let mut fixture = fixture.down(&owners);
    let nothing = Basis::Given(Context::default());
    assert_eq!(
        fixture.put(Options::default()),
        [fixture.send(other, minting(nothing, Some(place_of(owners[0], 0))))]
    );
}

#[test]
fn a_minter_that_does_not_answer_is_followed_by_the_next_under_the_same_request_id() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    assert_eq!(fixture.put(Options::default()), [fixture.mint(a)]);
    // Both are expected under the id of the first request.
    assert_eq!(fixture.wait(), [probe(Probe::AnotherMinterAsked), fixture.mint(b)]);
}

#[test]
fn a_write_that_was_minted_late_looks_for_fallbacks_after_one_delay() {
    // Seen in ring.toml: three owners that seem up and are not, asked one after another, left no
    // time to ask anybody to be a fallback.
    let mut fixture = CoordinatorFixture::new(false);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let [first, second] = [fixture.others[0], fixture.others[1]];
    let written = container(c, 1);
    fixture.put(Options::default());
    assert_eq!(fixture.wait(), [probe(Probe::AnotherMinterAsked), fixture.mint(b)]);
    assert_eq!(fixture.wait(), [probe(Probe::AnotherMinterAsked), fixture.mint(c)]);
    let named_at = fixture.now;
    assert_eq!(
        fixture.minted(c, written.clone()),
        [fixture.merge(a, &written), fixture.merge(b, &written)]
    );
    let hedged = fixture.wait();
    assert_eq!(fixture.now.since(named_at), fixture.local.config.hedge());
    assert_eq!(
        hedged,
        [
            probe(Probe::WriteHedged),
            fixture.merge(a, &written),
            fixture.hint(first, place_of(a, 0), &written),
            fixture.merge(b, &written),
            fixture.hint(second, place_of(b, 0), &written),
            fixture.merge(c, &written),
            probe(Probe::FallbackForTwo),
            fixture.hint(first, place_of(c, 0), &written),
        ]
    );
}

#[test]
fn two_replicas_that_named_one_write_are_joined_and_both_count() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let (one, twin) = (container(b, 1), container(a, 1));
    let both = joined(&one, &twin);
    fixture.put(Options::default());
    fixture.wait();
    assert_eq!(fixture.minted(b, one.clone()), [fixture.merge(a, &one), fixture.merge(c, &one)]);
    assert_eq!(
        fixture.minted(a, twin),
        [
            probe(Probe::TwinsMinted),
            fixture.merge(a, &both),
            fixture.merge(b, &both),
            fixture.merge(c, &both),
        ]
    );
    assert_eq!(fixture.acked(a, None), []);
    assert_eq!(fixture.acked(b, None), [stored(&both, achieved(&[a, b], &[]))]);
}

#[test]
fn a_minter_that_refuses_is_followed_at_once_but_a_full_key_is_full_everywhere() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    let full = Refusal::TooManySiblings { max: 1 };
    fixture.put(Options::default());
    assert_eq!(
        fixture.refused(a, Refusal::DiskFull),
        [probe(Probe::AnotherMinterAsked), fixture.mint(b)]
    );
    assert_eq!(
        fixture.refused(b, full),
        [probe(Probe::WriteRefused), refused(RequestRefusal::Replica(full))]
    );
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn a_write_that_may_have_been_named_is_never_refused_only_unknown() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let [first, second] = [fixture.others[0], fixture.others[1]];
    fixture.put(Options::default());
    assert_eq!(fixture.wait(), [probe(Probe::AnotherMinterAsked), fixture.mint(b)]);
    assert_eq!(
        fixture.refused(b, Refusal::TooManySiblings { max: 1 }),
        [probe(Probe::AnotherMinterAsked), fixture.mint(c)]
    );
    for (fallback, owner) in [(first, a), (second, b)] {
        let nothing = Basis::Given(Context::default());
        let as_fallback = minting(nothing, Some(place_of(owner, 0)));
        assert_eq!(
            fixture.wait(),
            [probe(Probe::AnotherMinterAsked), fixture.send(fallback, as_fallback)]
        );
    }
    assert_eq!(fixture.wait(), [probe(Probe::OperationExpired), unknown(achieved(&[], &[]))]);
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn an_owner_that_misses_the_write_is_asked_again_and_a_fallback_keeps_it_meanwhile() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let fallback = fixture.others[0];
    let written = container(a, 1);
    fixture.put(Options::default());
    fixture.minted(a, written.clone());
    assert_eq!(fixture.acked(a, None), []);
    assert_eq!(fixture.acked(b, None), [stored(&written, achieved(&[a, b], &[]))]);
    assert_eq!(
        fixture.wait(),
        [
            probe(Probe::WriteHedged),
            fixture.merge(c, &written),
            fixture.hint(fallback, place_of(c, 2), &written),
        ]
    );
    assert_eq!(fixture.acked(fallback, Some(c)), []);
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn where_no_fallback_is_left_the_coordinator_keeps_the_hint_and_counts_for_nothing() {
    let fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let others = fixture.others.clone();
    let mut fixture = fixture.down(&[others, vec![b, c]].concat());
    let written = container(a, 1);
    fixture.put(Options::default());
    assert_eq!(
        fixture.minted(a, written.clone()),
        [
            fixture.merge(b, &written),
            probe(Probe::CoordinatorKeptHint),
            fixture.hint(a, place_of(b, 0), &written),
            fixture.merge(c, &written),
            probe(Probe::CoordinatorKeptHint),
            fixture.hint(a, place_of(c, 0), &written),
        ]
    );
    assert_eq!(fixture.acked(a, None), []);
    assert_eq!(fixture.acked(a, Some(b)), []);
}

#[test]
fn two_owners_that_share_a_fallback_get_another_while_the_write_waits_for_it() {
    let mut fixture = CoordinatorFixture::new(false);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let [first, second] = [fixture.others[0], fixture.others[1]];
    let written = container(b, 1);
    fixture.put(Options { write: Some(Level::All), ..Options::default() });
    fixture.wait();
    fixture.minted(b, written.clone());
    assert_eq!(
        fixture.wait(),
        [
            probe(Probe::WriteHedged),
            fixture.merge(a, &written),
            fixture.hint(first, place_of(a, 0), &written),
            fixture.merge(b, &written),
            fixture.hint(second, place_of(b, 0), &written),
            fixture.merge(c, &written),
            probe(Probe::FallbackForTwo),
            fixture.hint(first, place_of(c, 0), &written),
        ]
    );
    assert_eq!(fixture.acked(b, None), []);
    for owner in [a, c] {
        assert_eq!(fixture.acked(first, Some(owner)), []);
    }
    assert_eq!(fixture.acked(second, Some(b)), []);
    assert_eq!(
        fixture.wait(),
        [
            probe(Probe::WriteHedged),
            fixture.merge(a, &written),
            probe(Probe::FallbackForTwo),
            fixture.hint(second, place_of(a, 1), &written),
            fixture.merge(c, &written),
            probe(Probe::FallbackForTwo),
            fixture.hint(second, place_of(c, 1), &written),
        ],
        "for the silent two"
    );
    let expected = [stored(&written, achieved(&[b], &[first, second]))];
    assert_eq!(fixture.acked(second, Some(c)), expected);
}

#[test]
fn a_strict_put_over_whatever_stands_reads_vectors_first() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    let stands = container(b, 4);
    let asked = fixture.ask(put(PutContext::Latest(Context::default())), strict());
    assert_eq!(asked, [fixture.read(a), fixture.read(b)]);
    assert_eq!(fixture.holds(b, stands.clone()), []);
    let (request, dots) = (FIRST_REQUEST, stands.dots().collect());
    assert_eq!(
        fixture.holds(a, Container::default()),
        [
            observe(Event::ReadBeforeWrite { request, key: key(), dots }),
            fixture.mint_upon(a, Basis::Given(stands.context())),
        ]
    );
}

#[test]
fn only_the_first_who_is_asked_overwrites_what_it_holds() {
    // By the time that the second is asked, the first may have minted, and others may
    // have overwritten it: what the second holds may be newer than the write.
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let seen = container(c, 4).context();
    let first = fixture.ask(put(PutContext::Latest(seen.clone())), Options::default());
    assert_eq!(first, [fixture.mint_upon(a, Basis::Held(seen.clone()))]);
    assert_eq!(
        fixture.wait(),
        [probe(Probe::AnotherMinterAsked), fixture.mint_upon(b, Basis::Given(seen))]
    );
}

/// Seen at seed 9743 of swarm.toml: while the first was asked again, the hedge asked another one.
#[test]
fn a_minter_for_whom_it_was_late_is_asked_once_more_and_nobody_else_before_the_delay_is_over() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    let latest = Context::default();
    fixture.ask(put(PutContext::Latest(latest.clone())), Options::default());
    fixture.now = fixture.now + Span(fixture.local.config.hedge().0 / 2);
    let asked_at = fixture.now;
    assert_eq!(
        fixture.refused(a, Refusal::Late),
        [probe(Probe::LateAskedAgain), fixture.mint_upon(a, Basis::Held(latest.clone()))]
    );
    assert_eq!(fixture.refused(a, Refusal::Late), []);
    let hedged = fixture.wait();
    assert_eq!(fixture.now.since(asked_at), fixture.local.config.hedge());
    assert_eq!(
        hedged,
        [probe(Probe::AnotherMinterAsked), fixture.mint_upon(b, Basis::Given(latest))]
    );
}

#[test]
fn a_late_refusal_of_the_read_phase_is_none_of_the_write() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.ask(put(PutContext::Latest(Context::default())), strict());
    assert_eq!(fixture.holds(a, Container::default()), []);
    let (request, dots) = (FIRST_REQUEST, vec![]);
    assert_eq!(
        fixture.holds(b, Container::default()),
        [observe(Event::ReadBeforeWrite { request, key: key(), dots }), fixture.mint(a)]
    );
    assert_eq!(fixture.refused(c, Refusal::Incomplete), []);
}

#[test]
fn answers_of_the_other_phase_are_dropped() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.ask(put(PutContext::Latest(Context::default())), strict());
    assert_eq!(fixture.minted(a, container(a, 1)), []);
    assert_eq!(fixture.acked(a, None), []);
    assert_eq!(fixture.holds(a, Container::default()), []);
    let (request, dots) = (FIRST_REQUEST, vec![]);
    assert_eq!(
        fixture.holds(b, Container::default()),
        [observe(Event::ReadBeforeWrite { request, key: key(), dots }), fixture.mint(a)]
    );
    assert_eq!(fixture.holds(c, container(c, 1)), []);
}

#[test]
fn who_refused_to_mint_is_asked_to_hold_what_another_minted() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.put(Options::default());
    fixture.refused(a, Refusal::DiskFull);
    let searching = &fixture.coordinator.inspect()[0];
    assert_eq!((searching.stage, &searching.refused[..]), (Stage::Mint, &[a][..]));
    let minted = container(b, 1);
    assert_eq!(
        fixture.minted(b, minted.clone()),
        [fixture.merge(a, &minted), fixture.merge(c, &minted)]
    );
    let spreading = &fixture.coordinator.inspect()[0];
    assert_eq!((spreading.stage, &spreading.refused[..]), (Stage::Spread, &[][..]));
    let mut awaited = [a, b, c];
    awaited.sort_unstable();
    assert_eq!(spreading.awaited, awaited);
}
