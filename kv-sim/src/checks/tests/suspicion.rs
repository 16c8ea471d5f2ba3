//! Heartbeats that are raised and heard, and what nodes make of them.

use kv_core::message::gossip::{Ack2, Delta, GossipMessage, Known, Syn};
use kv_core::types::Generation;

use super::*;

/// Lets a node raise its heartbeat.
fn raise(fixture: &mut Fixture, node: NodeId, heartbeat: u64) {
    let known = vec![Known { node, generation: Generation(7), version: heartbeat }];
    let message = GossipMessage::Syn(Syn { known });
    fixture.checks.on_gossip(fixture.now, node, &message, Passage::Leaves);
}

/// Lets a node hear of a peer's heartbeat, if it knows the one before.
fn hear(fixture: &mut Fixture, node: NodeId, peer: NodeId, heartbeat: u64) {
    let (generation, since) = (Generation(7), heartbeat - 1);
    let delta = Delta { node: peer, generation, since, heartbeat, age_ms: 0, states: vec![] };
    let message = GossipMessage::Ack2(Ack2 { deltas: vec![delta] });
    fixture.checks.on_gossip(fixture.now, node, &message, Passage::Arrives);
}

fn tell(fixture: &mut Fixture, node: NodeId, event: Event) {
    fixture.checks.on_event(fixture.now, node, &event, &fixture.cluster);
}

/// A cluster in which A has heard of a heartbeat of B `ms` ago, which B raised just before.
fn heard_ago(ms: u64) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.now = Time(5_000_000);
    raise(&mut fixture, B, 1);
    fixture.tick();
    hear(&mut fixture, A, B, 1);
    fixture.now = Time(5_000_000 + ms * 1_000);
    fixture
}

#[test]
fn who_was_silent_for_two_intervals_may_be_taken_for_dead() {
    let mut fixture = heard_ago(2_000);
    tell(&mut fixture, A, Event::Suspected { peer: B });
    fixture.assert_held();
    let mut fixture = heard_ago(1_999);
    tell(&mut fixture, A, Event::Suspected { peer: B });
    fixture.assert_violated(CheckName::Suspicion, "that was not silent");
}

#[test]
fn a_heartbeat_counts_from_when_it_was_raised() {
    let mut fixture = heard_ago(0);
    raise(&mut fixture, B, 2);
    fixture.now = fixture.now + Span::from_ms(2_000);
    raise(&mut fixture, B, 3);
    hear(&mut fixture, A, B, 2);
    tell(&mut fixture, A, Event::Suspected { peer: B });
    fixture.assert_held();
}

#[test]
fn news_that_builds_upon_what_a_new_process_does_not_know_is_none() {
    let mut fixture = heard_ago(0);
    fixture.checks.on_started(fixture.now, A);
    fixture.now = fixture.now + Span::from_ms(2_500);
    raise(&mut fixture, B, 2);
    hear(&mut fixture, A, B, 2);
    tell(&mut fixture, A, Event::Suspected { peer: B });
    fixture.assert_held();
}

#[test]
fn whoever_listens_for_less_than_two_intervals_has_heard_no_silence() {
    let mut fixture = Fixture::new();
    fixture.now = Time(5_000_000);
    fixture.checks.on_started(fixture.now, A);
    fixture.now = fixture.now + Span::from_ms(1_999);
    tell(&mut fixture, A, Event::Suspected { peer: B });
    fixture.assert_violated(CheckName::Suspicion, "that was not silent");
}

#[test]
fn a_clock_that_a_fault_has_touched_measures_what_it_likes_and_that_is_counted() {
    for node in [A, B] {
        let mut fixture = heard_ago(10);
        fixture.checks.on_clock_strayed(fixture.now, node);
        tell(&mut fixture, A, Event::Suspected { peer: B });
        fixture.assert_held();
        assert_eq!(fixture.weakened(CheckName::Suspicion), 1);
    }
}

#[test]
fn only_news_makes_a_peer_seem_alive_again() {
    let mut fixture = heard_ago(1);
    tell(&mut fixture, A, Event::Trusted { peer: B });
    fixture.assert_held();
    let mut fixture = heard_ago(2);
    tell(&mut fixture, A, Event::Trusted { peer: B });
    fixture.assert_violated(CheckName::Suspicion, "of which it had no news");
}

#[test]
fn only_who_stood_still_believes_that_it_did() {
    let mut fixture = Fixture::new();
    fixture.checks.on_paused(fixture.now, A);
    tell(&mut fixture, A, Event::Stalled { ms: 9 });
    fixture.assert_held();
    tell(&mut fixture, B, Event::Stalled { ms: 9 });
    fixture.assert_violated(CheckName::Suspicion, "that never stood still");
}
