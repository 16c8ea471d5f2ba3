//! Wall clocks that were wrong by years, and are right again.

use super::*;

/// Two years, which lies beyond the horizon.
const FAR: Span = Span::from_ms(2 * YEAR_SECONDS * 1_000);

/// Makes a cluster in which all clocks are two years ahead, and one node was started meanwhile.
fn started_ahead() -> GossipWorld {
    let mut world = GossipWorld::new(5, 1..=10, 1);
    world.run(SECOND.times(20));
    world.ahead = FAR;
    world.kill(0);
    world.restart(0);
    world.run(SECOND.times(20));
    assert_eq!(world.suspecting(0), 0, "wrong as they are, the clocks agree");
    world
}

/// The generations of the first node that the nodes know.
fn generation_of_first(world: &GossipWorld) -> BTreeSet<u64> {
    let of_first = |known: &Known| known.node == NodeId(1);
    let known = world.hosts.iter().flat_map(|host| host.membership.known().find(of_first));
    known.map(|known| known.generation.0).collect()
}

#[test]
fn a_node_that_started_years_ahead_is_heard_once_the_clocks_are_right() {
    let mut world = started_ahead();
    world.ahead = Span::ZERO;
    world.run(SECOND.times(20));
    assert!((0..5).all(|index| world.suspecting(index) == 0));
    let known = generation_of_first(&world);
    assert_eq!(known.len(), 1, "{known:?}");
    assert!(known.iter().all(|&generation| generation <= world.wall().as_seconds()), "{known:?}");
}

#[test]
fn a_node_that_starts_with_the_right_clock_is_heard_though_it_once_started_years_ahead() {
    let mut world = started_ahead();
    world.kill(0);
    world.ahead = Span::ZERO;
    world.run(SECOND.times(20));
    world.restart(0);
    world.run(SECOND.times(20));
    assert_eq!(world.suspecting(0), 0);
    let started = world.hosts[0].local.identity.generation.0;
    assert_eq!(generation_of_first(&world), [started].into());
    assert!(started <= world.wall().as_seconds());
}

#[test]
fn a_node_whose_clock_was_wrong_for_a_while_goes_on_under_its_own_generation() {
    let mut alone = Alone::new();
    let right = alone.now.wall;
    for years_off in [-5_i64, 5] {
        let off_us = years_off * YEAR_SECONDS as i64 * 1_000_000;
        alone.now.wall = WallTime(right.0.saturating_add_signed(off_us));
        alone.on_deadline(SECOND);
        alone.now.wall = right;
        alone.on_deadline(SECOND);
        assert_eq!(alone.knows_of(1).0, WALL_SECONDS, "{years_off} years off");
    }
}

#[test]
fn what_was_believed_under_a_wrong_clock_is_forgotten_and_asked_for_anew() {
    let mut alone = Alone::new();
    let (right, absurd) = (alone.now.wall, WALL_SECONDS + 2 * YEAR_SECONDS);
    alone.now.wall = right + FAR;
    alone.on_ack2(3, vec![delta(2, absurd, 5), delta(3, WALL_SECONDS, 5)]);
    assert_eq!(alone.knows_of(2), (absurd, 5));
    alone.now.wall = right;
    assert_eq!(alone.take(), []);
    // By how much its turns are late, and whom it calls, is drawn.
    let (late, partners) = (Event::Stalled { ms: 826 }, [3, 2, 3]);
    for (heartbeat, partner) in (2..).zip(partners) {
        alone.on_deadline(SECOND);
        let own = Stamp { generation: Generation(WALL_SECONDS), heartbeat };
        let known =
            vec![known(2, 0, 0), known(3, WALL_SECONDS, 5), known(1, WALL_SECONDS, heartbeat)];
        let syn = GossipMessage::Syn(Syn { known });
        let asked = alone.says(partner, request_of(NodeId(1), own), syn);
        assert_eq!(alone.take(), [observe(late.clone()), asked]);
    }
    assert_eq!(alone.knows_of(3), (WALL_SECONDS, 5), "what can be true is kept");
    alone.on_ack2(3, vec![delta(2, WALL_SECONDS + 1, 1)]);
    assert_eq!(alone.knows_of(2), (WALL_SECONDS + 1, 1));
}

#[test]
fn absurd_news_of_the_node_itself_is_no_sign_of_a_second_one() {
    let mut alone = Alone::new();
    let absurd = WALL_SECONDS + 2 * YEAR_SECONDS;
    alone.on_ack2(2, vec![delta(1, absurd, 5)]);
    assert_eq!(alone.take(), [rejected(2, RejectReason::Future)]);
    alone.on_ack2(2, vec![delta(1, WALL_SECONDS + 1, 5)]);
    assert_eq!(alone.take(), [probe(Probe::UnsaidNews), rejected(2, RejectReason::Future)]);
}

/// Seen at seed 2477 of swarm.toml: a node that had just started said that its heartbeat was as old as
/// its machine. So whoever it answered took it for dead, though it was alive.
#[test]
fn the_first_heartbeat_of_a_run_is_as_old_as_the_run_and_not_as_the_machine() {
    let local = local_of(1, 3);
    let wall = WallTime(WALL_SECONDS * 1_000_000);
    let now = Now { monotonic: Time(300_000_000), wall };
    let membership = membership_of(&local);
    let mut alone = Alone { membership, local, now, draws: Draws::new(1), out: vec![] };
    let known = Known { node: NodeId(1), generation: Generation(0), version: 0 };
    alone.on_syn(2, vec![known]);
    let generation = alone.local.identity.generation;
    let (node, since, heartbeat, age_ms) = (NodeId(1), 0, 0, 0);
    let delta = Delta { node, generation, since, heartbeat, age_ms, states: vec![] };
    let effects = alone.take();
    assert_eq!(effects, [alone.acks(2, vec![delta], vec![])]);
}
