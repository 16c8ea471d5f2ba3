//! Storage commands against a store in memory: what they hold, what they refuse, and when an actor
//! takes a new name.

mod corruption;
mod minting;

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::layout::Layout;
use crate::merkle::{Tree, leaf_of};
use crate::ring::Ring;
use crate::store::{
    Answer, AnswerFamily as _, Command, CompletionReason, CopyKind, Corrupt, DropReason, Dropped,
    ForeignData, HandoffAnswer, HandoffCommand, Hint, HintBatch, HintTerms, JoinFor, Mint, Outcome,
    Party, Recovered, Refusal, RepairAnswer, RepairCommand, ReplicaAction, ReplicaAnswer,
    ReplicaCommand, ReplicaDone, Requester, Role, SessionStep, Store, StoreCommand, StoreFault,
    View,
};
use crate::testing::MemoryStore;
use crate::time::{HybridTime, WallTime};
use crate::types::{
    self, ContentHash, Epoch, FoundingId, Key, LogPosition, NodeId, OperationId, PartitionId,
    RequestId,
};
use crate::version::{Actor, Container, Content, Context, Dot, VersionVector};
use crate::write::{Basis, Write};

const PARTITION: PartitionId = PartitionId(0);
const ME: NodeId = NodeId(1);

/// One node's storage, with one partition that covers the ring.
struct Disk {
    store: MemoryStore,
    partitions: Partitions,
    requests: u128,
}

impl Disk {
    fn new() -> Self {
        let mut store = MemoryStore::default();
        format(&mut store, ME, FoundingId(0), &[PARTITION]).expect("the store is empty and well");
        store.sync();
        Self::on(store)
    }

    fn on(store: MemoryStore) -> Self {
        let (partitions, _) =
            open(ME, &Config::default(), 1, &store, LogPosition(0)).expect("its own");
        Self { store, partitions, requests: 0 }
    }

    /// The process ends, and starts again on what was durable.
    fn restart(&mut self) -> Recovered {
        self.store.crash();
        let opened = open(ME, &Config::default(), 1, &self.store, LogPosition(0));
        let (partitions, recovered) = opened.expect("it is its own");
        self.partitions = partitions;
        recovered
    }

    fn run(&mut self, command: impl Into<Command>) -> Outcome {
        let command = StoreCommand { partition: PARTITION, command: command.into() };
        let outcome = execute(self.partitions.get_mut(PARTITION), &mut self.store, &command);
        self.partitions.invariants(PARTITION);
        outcome
    }

    fn mint(&mut self, basis: Basis, role: Role) -> Outcome {
        self.requests += 1;
        self.mint_as(RequestId(self.requests), basis, role)
    }

    fn mint_as(&mut self, request: RequestId, basis: Basis, role: Role) -> Outcome {
        let mint = Mint {
            key: key(),
            write: Write {
                content: Content::Value(Bytes::copy_from_slice(&request.0.to_be_bytes())),
                expiry: None,
                basis,
                time: HybridTime(7),
            },
            role,
            request,
            spare: Epoch(1_000 + u64::try_from(self.requests).expect("few requests")),
            siblings_max: 3,
        };
        self.run(for_coordinator(ReplicaAction::Mint(mint.into())))
    }

    fn merge(&mut self, container: Container) -> Outcome {
        self.run(join(vec![(key(), container)]))
    }

    fn held(&mut self) -> Container {
        let whose = Party::Session(SESSION);
        let fetch = RepairCommand::Fetch { keys: vec![key()], bytes: 1, whose };
        let Answer::Repair(RepairAnswer::Fetched { result, .. }) = self.run(fetch).answer else {
            panic!("a fetch fetches")
        };
        result.into_iter().flatten().map(|(_, held)| held).next().unwrap_or_default()
    }

    /// The root that the tree should have, computed from the containers alone.
    fn root_recomputed(&self) -> ContentHash {
        let mut tree = Tree::default();
        for record_key in self.store.keys() {
            let Some(StoredRecord::Owned { key, .. }) = parse_record_key(record_key) else {
                continue;
            };
            let record = self.store.get(View::Live, record_key).expect("it is well");
            let (_, container) = decode_owned(&record.expect("it is there")).expect("it is well");
            tree.replace(leaf_of(key.token(), 1), None, Some(container.hash(&key)));
        }
        tree.root()
    }
}

fn key() -> Key {
    Key::from("k")
}

fn nothing() -> Basis {
    Basis::Given(Context::default())
}

fn latest() -> Basis {
    Basis::Held(Context::default())
}

fn for_target(target: u64) -> HintTerms {
    HintTerms { target: NodeId(target), created: WallTime(1), expires: WallTime(9), copies: 1 }
}

fn minted(outcome: &Outcome) -> (Dot, &Container) {
    match done(outcome) {
        Ok(ReplicaDone::Minted(minted)) => (minted.dot, &minted.container),
        other => panic!("it was to be minted: {other:?}"),
    }
}

const REQUESTER: Requester = Requester {
    node: NodeId(1),
    request: RequestId(1),
    operation: OperationId(1),
    for_owner: None,
};

const SESSION: SessionStep = SessionStep { request: RequestId(1), step: types::Step(1) };

fn for_coordinator(action: ReplicaAction) -> ReplicaCommand {
    ReplicaCommand { requester: REQUESTER, action }
}

fn join(items: Vec<(Key, Container)>) -> RepairCommand {
    RepairCommand::Join { items, whose: JoinFor::Session(SESSION) }
}

fn read_copy(copy: CopyKind) -> ReplicaCommand {
    for_coordinator(ReplicaAction::Read { key: key(), copy })
}

const fn mark_complete() -> RepairCommand {
    RepairCommand::MarkComplete { reason: CompletionReason::Copied }
}

const fn read_hints(target: NodeId) -> HandoffCommand {
    HandoffCommand::Read { target, bytes: 1 }
}

const fn drop_hints(target: NodeId, items: Vec<(Key, ContentHash)>) -> HandoffCommand {
    HandoffCommand::Drop { target, reason: DropReason::Delivered, items }
}

/// The result of a command for a coordinator.
fn done(outcome: &Outcome) -> &Result<ReplicaDone, Refusal> {
    let Answer::Replica(ReplicaAnswer { requester: REQUESTER, result }) = &outcome.answer else {
        panic!("the answer is for the coordinator: {outcome:?}")
    };
    result
}

fn hints(outcome: Outcome) -> Result<HintBatch, Refusal> {
    let Answer::Handoff(HandoffAnswer::Read { result, .. }) = outcome.answer else {
        panic!("hints were read: {outcome:?}")
    };
    result
}

fn dropped(outcome: &Outcome) -> Result<Dropped, Refusal> {
    let Answer::Handoff(HandoffAnswer::Dropped { result, .. }) = outcome.answer else {
        panic!("hints were dropped: {outcome:?}")
    };
    result
}

#[test]
fn what_is_held_of_a_key_is_found_in_the_owners_copy_and_in_every_hint() {
    let ring = Ring::new(Layout::single_datacenter(1, 1, [(ME, "me".into())])).expect("sound");
    let mut disk = Disk::new();
    let covers = |disk: &Disk, dot| {
        let covers = |seen: &VersionVector| seen.covers(dot);
        let found = any_has_seen(&disk.store, View::Live, &ring, &key(), covers);
        assert_eq!(found, covers(held(&disk.store, View::Live, &ring, &key()).container.seen()));
        found
    };
    let roles = [8, 9].map(|target| Role::Fallback(for_target(target)));
    for role in [Role::Owner].into_iter().chain(roles) {
        let (dot, _) = minted(&disk.mint(nothing(), role));
        assert!(covers(&disk, dot), "{role:?}");
        assert!(!covers(&disk, Dot { n: dot.n + 1, ..dot }), "{role:?}");
    }
}

#[test]
fn what_is_skimmed_is_what_is_read_but_for_the_values_and_corrupt_where_that_is() {
    let mut disk = Disk::new();
    disk.mint(nothing(), Role::Owner);
    disk.mint(nothing(), Role::Owner);
    let is_owned = |key: &&Bytes| matches!(parse_record_key(key), Some(StoredRecord::Owned { .. }));
    let record_key = disk.store.keys().find(is_owned).expect("it was written").clone();
    let record = disk.store.get(View::Live, &record_key).expect("it is well").expect("it is there");
    let (hash, read) = owned::decode_owned(&record).expect("it is well");
    let (skimmed_hash, skimmed) = owned::skim_owned(&record).expect("it is well");
    assert_eq!(skimmed_hash, hash);
    assert_eq!(skimmed.seen(), read.seen());
    assert!(skimmed.dots().eq(read.dots()));
    let empty = Content::Value(Bytes::new());
    assert!(skimmed.siblings().iter().all(|(_, version)| version.content == empty));
    for length in 0..record.len() {
        assert_eq!(owned::skim_owned(&record.slice(..length)), Err(Corrupt), "{length}");
    }
}

#[test]
fn a_hint_that_has_grown_since_it_was_delivered_is_kept() {
    let mut disk = Disk::new();
    let terms = for_target(9);
    let delivered = minted(&disk.mint(latest(), Role::Fallback(terms))).1.hash(&key());
    disk.mint(nothing(), Role::Fallback(terms));
    let items = vec![(key(), delivered)];
    let outcome = disk.run(drop_hints(terms.target, items));
    assert_eq!(dropped(&outcome), Ok(Dropped { count: 0, bytes: 0 }));
    let batch = hints(disk.run(read_hints(terms.target)));
    assert!(matches!(batch, Ok(HintBatch { hints, .. }) if hints.len() == 1));
}

#[test]
fn hints_survive_a_restart_and_are_counted() {
    let mut disk = Disk::new();
    let container = minted(&disk.mint(latest(), Role::Owner)).1.clone();
    let hint = Hint { key: key(), container, terms: for_target(9) };
    disk.run(for_coordinator(ReplicaAction::Hint(hint.into())));
    disk.store.sync();
    let recovered = disk.restart();
    let kept: Vec<_> = recovered.hints.iter().map(|hints| (hints.target, hints.count)).collect();
    assert_eq!(kept, [(NodeId(9), 1)]);
}

#[test]
fn an_owner_that_lost_its_data_takes_writes_and_answers_no_reads_until_it_is_complete() {
    let mut disk = Disk::on(MemoryStore::default());
    let read = || read_copy(CopyKind::Owned);
    minted(&disk.mint(latest(), Role::Owner));
    assert_eq!(*done(&disk.run(read())), Err(Refusal::Incomplete));
    disk.run(mark_complete());
    assert!(matches!(done(&disk.run(read())), Ok(ReplicaDone::Read(_))));
}

#[test]
fn a_client_reads_what_is_durable_and_not_what_is_merely_live() {
    let mut disk = Disk::new();
    let read = || read_copy(CopyKind::Owned);
    minted(&disk.mint(latest(), Role::Owner));
    assert_eq!(*done(&disk.run(read())), Ok(ReplicaDone::Read(Container::default())));
    disk.store.sync();
    let held = disk.held();
    assert_eq!(*done(&disk.run(read())), Ok(ReplicaDone::Read(held)));
}

#[test]
fn a_node_does_not_start_on_the_data_of_another() {
    let disk = Disk::new();
    let opened = open(NodeId(2), &Config::default(), 1, &disk.store, LogPosition(0));
    assert_eq!(opened.expect_err("it is another's"), ForeignData { owner: ME });
}

#[test]
fn a_full_disk_refuses_a_write_and_leaves_the_tree_as_it_was() {
    let mut disk = Disk::new();
    disk.mint(latest(), Role::Owner);
    let root = disk.partitions.root(PARTITION);
    disk.store.fault = Some(StoreFault::Full);
    assert_eq!(disk.mint(latest(), Role::Owner).answer.refusal(), Some(Refusal::DiskFull));
    assert_eq!(disk.partitions.root(PARTITION), root);
}

/// A step of a random history of one disk and a peer's containers.
#[derive(Clone, Debug)]
enum StorageStep {
    Put { key: u8, covers: bool },
    Merge { key: u8, from: u64, n: u64 },
    Sync,
    Restart,
}

fn step() -> impl Strategy<Value = StorageStep> {
    prop_oneof![
        (0_u8..6, any::<bool>()).prop_map(|(key, covers)| StorageStep::Put { key, covers }),
        (0_u8..6, 2_u64..4, 1_u64..5).prop_map(|(key, from, n)| StorageStep::Merge {
            key,
            from,
            n
        }),
        Just(StorageStep::Sync),
        Just(StorageStep::Restart),
    ]
}

proptest! {
    #[test]
    fn the_tree_is_what_the_containers_say_after_every_history(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let mut disk = Disk::new();
        let mut times = BTreeMap::<(u8, u64, u64), HybridTime>::new();
        for step in steps {
            match step {
                StorageStep::Put { key, covers } => {
                    disk.requests += 1;
                    let mint = Mint {
                        key: Key::from(vec![key]),
                        write: Write {
                            content: Content::Tombstone,
                            expiry: None,
                            basis: if covers { latest() } else { nothing() },
                            time: HybridTime(1),
                        },
                        role: Role::Owner,
                        request: RequestId(disk.requests),
                        spare: Epoch(u64::try_from(disk.requests).expect("few")),
                        siblings_max: 100,
                    };
                    minted(&disk.run(for_coordinator(ReplicaAction::Mint(mint.into()))));
                }
                StorageStep::Merge { key, from, n } => {
                    let actor = Actor { node: NodeId(from), epoch: Epoch(0) };
                    let next = HybridTime(times.len() as u64);
                    let version = crate::version::Version {
                        content: Content::Tombstone,
                        time: *times.entry((key, from, n)).or_insert(next),
                        expiry: None,
                        request: RequestId(0),
                        tag: None,
                    };
                    let mut container = Container::default();
                    container.add(Dot { actor, n }, version);
                    disk.run(join(vec![(Key::from(vec![key]), container)]));
                }
                StorageStep::Sync => disk.store.sync(),
                StorageStep::Restart => {
                    disk.restart();
                }
            }
            prop_assert_eq!(disk.partitions.root(PARTITION), disk.root_recomputed());
        }
    }
}
