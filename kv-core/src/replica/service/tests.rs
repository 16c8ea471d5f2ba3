//! The serving half, hand-fed: what it asks of the storage, and when it says what to whom.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::*;
use crate::config::Config;
use crate::cx::{Effect, Identity, Peers};
use crate::layout::Layout;
use crate::message::Kind;
use crate::ring::Ring;
use crate::store::{Basis, CopyKind};
use crate::testing::Counting;
use crate::time::{HybridTime, Now, Time, WallTime};
use crate::types::{ClusterId, Digest, Epoch, Generation, Key};
use crate::version::{Actor, Content, Dot, Version, VersionVector};

const ASKER: (NodeId, RequestId) = (NodeId(4), RequestId(44));
const OPERATION: OperationId = OperationId(6);

struct Bench {
    replica: Replica,
    site: Site,
}

impl Bench {
    /// A node that owns the key, or one that does not.
    fn new(is_owner: bool) -> Self {
        let nodes = (1..=5_u64).map(|id| (NodeId(id), id.to_string()));
        let ring = Ring::new(Layout::single_datacenter(64, 3, nodes)).expect("five nodes, N = 3");
        let partition = ring.partition_of(key().token());
        let owner = ring.owners(partition)[0];
        let other = ring.fallbacks(partition).next().expect("five nodes, three owners");
        let identity = Identity {
            node: if is_owner { owner } else { other },
            generation: Generation(1),
            cluster: ClusterId(1),
            ring: Arc::new(ring),
        };
        let site = Site {
            identity,
            config: Config::default(),
            peers: Peers::default(),
            synced: BTreeSet::new(),
            roots: BTreeMap::new(),
        };
        Self { replica: Replica::default(), site }
    }

    fn feed(&mut self, step: impl FnOnce(&mut Replica, &mut Cx<'_>, &Site)) -> Vec<Effect> {
        let mut out = Vec::new();
        let now = Now { monotonic: Time(0), wall: WallTime(1_000_000) };
        let mut draw = Counting::default();
        step(&mut self.replica, &mut Cx { now, draw: &mut draw, out: &mut out }, &self.site);
        out
    }

    fn done(&mut self, seq: u64, result: Result<Done, Refusal>) -> Vec<Effect> {
        let partition = self.site.ring().partition_of(key().token());
        let outcome =
            Outcome { partition, result, root: Digest(0), events: Vec::new(), lost: Vec::new() };
        self.feed(|replica, cx, site| {
            replica.on_store_done(cx, site, 0, Seq(seq), outcome);
        })
    }

    fn durable(&mut self, seq: u64) -> Vec<Effect> {
        self.feed(|replica, cx, site| replica.on_durable(cx, site, Seq(seq)))
    }
}

fn key() -> Key {
    Key::from("k")
}

fn dot() -> Dot {
    Dot { actor: Actor { node: NodeId(1), epoch: Epoch(1) }, n: 1 }
}

fn container(time: HybridTime) -> Container {
    let (content, request) = (Content::Tombstone, RequestId(1));
    let mut container = Container::default();
    container.add(dot(), Version { content, time, expiry: None, request, tag: None });
    container
}

fn mint(place: Option<Place>) -> MintRequest {
    let basis = Basis::Given(VersionVector::default());
    let content = Content::Tombstone;
    MintRequest { operation: OPERATION, key: key(), content, expiry: None, basis, place }
}

fn said(effects: &[Effect]) -> Vec<(NodeId, Kind)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(message) => Some((message.header.to, message.body.kind())),
            Effect::Reply { .. } | Effect::Store { .. } | Effect::Observe(_) => None,
        })
        .collect()
}

#[test]
fn a_minted_write_is_told_at_once_and_acknowledged_only_when_durable() {
    let mut bench = Bench::new(true);
    bench.feed(|replica, cx, site| replica.on_mint(cx, site, ASKER, mint(None)));
    let container = container(HybridTime(1));
    let told = bench.done(3, Ok(Done::Minted { dot: dot(), container, hinted: None }));
    assert_eq!(said(&told), [(ASKER.0, Kind::Minted)]);
    assert_eq!(said(&bench.durable(2)), []);
    assert_eq!(said(&bench.durable(3)), [(ASKER.0, Kind::Acked)]);
}

#[test]
fn a_merge_that_changed_nothing_still_waits_for_what_came_before_it() {
    let mut bench = Bench::new(true);
    let merge =
        MergeRequest { operation: OPERATION, key: key(), container: container(HybridTime(1)) };
    bench.feed(|replica, cx, site| replica.on_merge(cx, site, ASKER, merge));
    let told = bench.done(7, Ok(Done::Merged));
    assert_eq!(said(&told), []);
    assert_eq!(said(&bench.durable(7)), [(ASKER.0, Kind::Acked)]);
}

#[test]
fn what_is_durable_before_its_outcome_is_known_is_acknowledged_with_the_outcome() {
    let mut bench = Bench::new(true);
    let merge =
        MergeRequest { operation: OPERATION, key: key(), container: container(HybridTime(1)) };
    bench.feed(|replica, cx, site| replica.on_merge(cx, site, ASKER, merge));
    bench.durable(9);
    let told = bench.done(8, Ok(Done::Merged));
    assert_eq!(said(&told), [(ASKER.0, Kind::Acked)]);
}

#[test]
fn a_node_that_does_not_own_the_key_names_no_write_as_an_owner() {
    let mut bench = Bench::new(false);
    let effects = bench.feed(|replica, cx, site| replica.on_mint(cx, site, ASKER, mint(None)));
    assert_eq!(said(&effects), [(ASKER.0, Kind::Refused)]);
}

#[test]
fn an_owner_answers_no_reads_before_its_marker_is_durable() {
    let mut bench = Bench::new(true);
    let read = ReadRequest { operation: OPERATION, key: key(), copy: CopyKind::Owned };
    let effects = bench.feed(|replica, cx, site| replica.on_read(cx, site, ASKER, read));
    assert_eq!(said(&effects), [(ASKER.0, Kind::Refused)]);
}

#[test]
fn a_read_is_answered_with_the_outcome() {
    let mut bench = Bench::new(true);
    bench.site.synced.insert(bench.site.ring().partition_of(key().token()));
    let read = ReadRequest { operation: OPERATION, key: key(), copy: CopyKind::Owned };
    bench.feed(|replica, cx, site| replica.on_read(cx, site, ASKER, read));
    let told = bench.done(0, Ok(Done::Read(Container::default())));
    assert_eq!(said(&told), [(ASKER.0, Kind::ReadReply)]);
}

#[test]
fn what_the_storage_refuses_is_refused_to_the_asker() {
    let mut bench = Bench::new(true);
    bench.feed(|replica, cx, site| replica.on_mint(cx, site, ASKER, mint(None)));
    let told = bench.done(0, Err(Refusal::DiskFailed));
    assert_eq!(said(&told), [(ASKER.0, Kind::Refused)]);
}

#[test]
fn a_container_from_the_far_future_is_kept_reported_and_not_adopted() {
    let mut bench = Bench::new(true);
    let merge = MergeRequest {
        operation: OPERATION,
        key: key(),
        container: container(HybridTime::from_wall(WallTime(3_600_000_000))),
    };
    let effects = bench.feed(|replica, cx, site| replica.on_merge(cx, site, ASKER, merge));
    let ahead = |effect: &Effect| match effect {
        Effect::Observe(event) => matches!(event, Event::ClockAhead { .. }),
        Effect::Reply { .. } | Effect::Send(_) | Effect::Store { .. } => false,
    };
    let stored = |effect: &Effect| matches!(effect, Effect::Store { .. });
    assert!(effects.iter().any(ahead) && effects.iter().any(stored));
}
