//! Writes that are minted: what they overwrite, what they are stamped with, and in which epoch.

use super::*;
use crate::event::{EpochReason, Event};
use crate::write::Write;

#[test]
fn a_put_overwrites_what_its_context_covers_and_nothing_else() {
    let mut disk = Disk::new();
    let first = minted(&disk.mint(nothing(), Role::Owner)).1.clone();
    disk.mint(nothing(), Role::Owner);
    let last = disk.mint(Basis::Given(first.context()), Role::Owner);
    let (dot, container) = minted(&last);
    assert_eq!(container.siblings().len(), 2);
    assert!(container.get(dot).is_some());
    assert!(first.dots().all(|dot| container.get(dot).is_none()));
}

#[test]
fn a_put_without_context_overwrites_what_the_replica_holds_and_says_what_that_was() {
    let mut disk = Disk::new();
    let (first, _) = minted(&disk.mint(nothing(), Role::Owner));
    let last = disk.mint(latest(), Role::Owner);
    assert_eq!(minted(&last).1.siblings().len(), 1);
    let replaced = last.events.iter().find_map(|event| match event {
        Event::Minted { replaced, .. } => Some(replaced.clone()),
        _ => None,
    });
    assert_eq!(replaced, Some(vec![first]));
}

#[test]
fn a_later_put_is_stamped_later_than_what_the_replica_holds() {
    let mut disk = Disk::new();
    disk.mint(nothing(), Role::Owner);
    let last = disk.mint(latest(), Role::Owner);
    assert_eq!(minted(&last).1.newest(), Some(HybridTime(8)));
}

#[test]
fn a_retry_is_answered_with_the_dot_of_the_first_try_even_when_that_was_overwritten() {
    let mut disk = Disk::new();
    let (first, _) = minted(&disk.mint_as(RequestId(77), nothing(), Role::Owner));
    let standing = disk.mint_as(RequestId(77), nothing(), Role::Owner);
    assert_eq!(minted(&standing).0, first);
    disk.mint(latest(), Role::Owner);
    let overwritten = disk.mint_as(RequestId(77), nothing(), Role::Owner);
    assert_eq!(minted(&overwritten).0, first);
    assert_eq!(minted(&overwritten).1.siblings().len(), 1);
}

#[test]
fn one_request_id_for_two_keys_is_two_writes() {
    let mut disk = Disk::new();
    let (first, _) = minted(&disk.mint_as(RequestId(77), latest(), Role::Owner));
    let mint = Mint {
        key: Key::from("another"),
        write: Write {
            content: Content::Tombstone,
            expiry: None,
            basis: latest(),
            time: HybridTime(7),
        },
        role: Role::Owner,
        request: RequestId(77),
        spare: Epoch(5),
        siblings_max: 3,
    };
    let outcome = disk.run(for_coordinator(ReplicaAction::Mint(mint.into())));
    assert_eq!(minted(&outcome).1.siblings().len(), 1);
    // The second one does not make the replica forget the first.
    disk.mint(latest(), Role::Owner);
    let retry = disk.mint_as(RequestId(77), nothing(), Role::Owner);
    assert_eq!(minted(&retry).0, first);
}

#[test]
fn one_sibling_too_many_is_refused_and_nothing_is_dropped_for_it() {
    let mut disk = Disk::new();
    for _ in 0..3 {
        disk.mint(nothing(), Role::Owner);
    }
    let refused = disk.mint(nothing(), Role::Owner);
    assert_eq!(refused.answer.refusal(), Some(Refusal::TooManySiblings { max: 3 }));
    assert_eq!(disk.held().siblings().len(), 3);
}

#[test]
fn a_restarted_process_mints_in_a_new_epoch_although_its_data_is_whole() {
    let mut disk = Disk::new();
    let (before, _) = minted(&disk.mint(latest(), Role::Owner));
    disk.store.sync();
    disk.restart();
    let after = disk.mint(latest(), Role::Owner);
    assert_ne!(minted(&after).0.actor, before.actor);
    let drawn = |reason| Event::EpochDrawn {
        partition: PARTITION,
        epoch: minted(&after).0.actor.epoch,
        reason,
    };
    assert!(after.events.contains(&drawn(EpochReason::Start)));
}

#[test]
fn an_actor_of_which_a_peer_knows_more_than_itself_is_given_up() {
    let mut disk = Disk::new();
    let (dot, container) = {
        let outcome = disk.mint(latest(), Role::Owner);
        let (dot, container) = minted(&outcome);
        (dot, container.clone())
    };
    let mut ahead = container;
    ahead.discard(&[Dot { actor: dot.actor, n: dot.n + 5 }].into_iter().collect());
    disk.merge(ahead);
    let next = disk.mint(latest(), Role::Owner);
    assert_ne!(minted(&next).0.actor, dot.actor);
}

#[test]
fn a_fallback_mints_in_a_new_epoch_once_a_hint_that_it_minted_into_is_deleted() {
    let mut disk = Disk::new();
    let terms = for_target(9);
    let (first, container) = {
        let outcome = disk.mint(latest(), Role::Fallback(terms));
        let (dot, container) = minted(&outcome);
        (dot, container.clone())
    };
    let items = vec![(key(), container.hash(&key()))];
    let outcome = disk.run(drop_hints(terms.target, items));
    assert!(matches!(dropped(&outcome), Ok(Dropped { count: 1, .. })));
    let again = disk.mint(latest(), Role::Fallback(terms));
    assert_ne!(minted(&again).0.actor, first.actor);
}

#[test]
fn a_fallback_mints_upon_all_its_hints_for_the_key_whoever_they_are_for() {
    let mut disk = Disk::new();
    let (first, _) = minted(&disk.mint(nothing(), Role::Fallback(for_target(8))));
    let second = disk.mint(nothing(), Role::Fallback(for_target(9)));
    let (second, container) = minted(&second);
    assert!(container.get(first).is_some() && container.get(second).is_some());
}

/// A version that somebody else minted at this time, with the context of whoever saw it.
fn elsewhere(time: u64) -> Container {
    let actor = Actor { node: NodeId(2), epoch: Epoch(2) };
    let (content, time, request) = (Content::Tombstone, HybridTime(time), RequestId(u128::MAX));
    let mut container = Container::default();
    let version = crate::version::Version { content, time, expiry: None, request, tag: None };
    container.add(Dot { actor, n: 1 }, version);
    container
}

/// The time with which a write was stamped that was asked for at 7.
fn stamp(outcome: &Outcome) -> u64 {
    let (dot, container) = minted(outcome);
    container.get(dot).expect("it stands").time.0
}

#[test]
fn a_version_is_stamped_with_the_time_of_its_request_or_above_what_its_writer_had_seen() {
    let mut disk = Disk::new();
    assert_eq!(stamp(&disk.mint(nothing(), Role::Owner)), 7);
    // Nothing of it was ever held here.
    let seen = Basis::Given(elsewhere(50).context());
    assert_eq!(stamp(&disk.mint(seen, Role::Owner)), 51);
    let seen = Basis::Held(elsewhere(90).context());
    assert_eq!(stamp(&disk.mint(seen, Role::Owner)), 91);
}

#[test]
fn a_set_is_stamped_above_what_it_overwrites_here_and_what_stands_beside_a_write_is_not_looked_at()
{
    let mut disk = Disk::new();
    disk.merge(elsewhere(50));
    assert_eq!(stamp(&disk.mint(nothing(), Role::Owner)), 7);
    assert_eq!(stamp(&disk.mint(latest(), Role::Owner)), 51);
}

/// Seen with late-twin.toml: a twin that was minted upon what had overwritten the write hid it.
#[test]
fn a_twin_is_no_later_than_the_write_was() {
    // The second draws other epochs than the first, as another node would.
    let (mut first, mut second) = (Disk::new(), Disk { requests: 1_000, ..Disk::new() });
    let request = RequestId(77);
    let written = first.mint_as(request, nothing(), Role::Owner);
    let (_, stands) = minted(&written);
    let overwritten = first.mint(Basis::Given(stands.context()), Role::Owner);
    assert_eq!(stamp(&overwritten), 8);
    let (_, stands) = minted(&overwritten);
    second.merge(stands.clone());
    assert_eq!(stamp(&second.mint_as(request, nothing(), Role::Owner)), 7);
}
