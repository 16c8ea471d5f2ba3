//! The copies of each key, and their places: the siblings of every copy, live and as a crash would
//! leave it.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::storage::{self, StoredCopy};
use kv_core::store::{Corrupt, View};
use kv_core::types::{Key, NodeId};
use kv_core::version::Container;
use serde::Serialize;

use super::StateFocus;
use crate::checks::Names;
use crate::cluster::scene::{SafeStore, Scene};
use crate::scenario::NodeIndex;

/// The state of a key, with every copy of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyState {
    /// The key itself.
    pub key: String,
    /// The partition that the key lies in.
    pub partition: u32,
    /// The owners of the key, in the order of preference.
    pub owners: Vec<String>,
    /// The copies, by node. An owner without any is among them, with nothing.
    pub copies: Vec<CopyState>,
}

/// A copy of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyState {
    /// The node that holds the copy.
    pub node: String,
    /// The owner for whom the copy is kept as a hint; none, for the copy of an owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_for: Option<String>,
    /// True if the owner has lost something of the copy, and refuses it to readers.
    pub is_lost: bool,
    /// The container that was committed.
    pub live: ContainerState,
    /// The container that the disk reports would survive a crash; none if it is the live one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<ContainerState>,
    /// The container that would survive a crash; none if it is the reported one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durable: Option<ContainerState>,
}

/// The state of one copy's container. With an empty context it is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContainerState {
    /// True if the record is there and cannot be read.
    pub is_corrupt: bool,
    /// The standing writes, in the order of their dots.
    pub siblings: Vec<SiblingState>,
    /// The number of the latest event of each actor that the copy accounts for.
    pub context: BTreeMap<String, u64>,
}

/// A write that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiblingState {
    /// The dot of the write, as `node.epoch:number`.
    pub dot: String,
    /// The value of the write; none, if it is a delete.
    pub value: Option<String>,
    /// The time of the write by the clock of its minter, in milliseconds since 1970.
    pub time_ms: u64,
    /// The request that made the write.
    pub request: String,
}

/// The images of one copy, each empty where nothing is held.
#[derive(Default)]
struct Images {
    live: ContainerState,
    reported: ContainerState,
    durable: ContainerState,
}

/// The copies of a key, by node and by the owner for whom each is kept as a hint.
type Copies = BTreeMap<(NodeIndex, Option<NodeIndex>), Images>;

/// The states of every key of which something is held, and of those that were asked for.
pub(crate) fn states(scene: &Scene, names: &Names, focus: &StateFocus) -> Vec<KeyState> {
    let mut keys: BTreeMap<Key, Copies> =
        focus.keys.iter().map(|key| (key.clone(), Copies::new())).collect();
    for node in scene.cluster.indices().filter(|&node| focus.shows(node)) {
        let image = scene.node(node).disk.image();
        let mut collect = |of: ImageOf, copy: StoredCopy| {
            let StoredCopy { key, kept_for, container } = copy;
            if focus.shows_key(&key) {
                let kept_for = kept_for.map(|target| scene.index_of(target));
                let images = keys.entry(key).or_default().entry((node, kept_for)).or_default();
                *of(images) = ContainerState::of(container, names);
            }
        };
        storage::for_each_copy(image, View::Live, |copy| collect(|at| &mut at.live, copy));
        storage::for_each_copy(image, View::Durable, |copy| collect(|at| &mut at.reported, copy));
        let safe = SafeStore(image);
        storage::for_each_copy(&safe, View::Durable, |copy| collect(|at| &mut at.durable, copy));
    }
    keys.into_iter().map(|(key, copies)| state(scene, focus, &key, copies)).collect()
}

type ImageOf = fn(&mut Images) -> &mut ContainerState;

fn state(scene: &Scene, focus: &StateFocus, key: &Key, mut copies: Copies) -> KeyState {
    let partition = scene.ring.partition_of(key.token());
    let owners: Vec<_> =
        scene.ring.owners(partition).iter().map(|&owner| scene.index_of(owner)).collect();
    for &owner in owners.iter().filter(|&&owner| focus.shows(owner)) {
        copies.entry((owner, None)).or_default();
    }
    let name = |node: NodeIndex| scene.name(node).to_owned();
    let copies = copies.into_iter().map(|((node, kept_for), images)| {
        let Images { live, reported, durable } = images;
        let process = scene.node(node).process();
        let lost: BTreeSet<&Key> =
            process.into_iter().flat_map(|process| process.partitions.corrupt()).collect();
        CopyState {
            node: name(node),
            kept_for: kept_for.map(name),
            is_lost: kept_for.is_none() && lost.contains(key),
            durable: (durable != reported).then_some(durable),
            reported: (reported != live).then_some(reported),
            live,
        }
    });
    KeyState {
        key: key.to_string(),
        partition: partition.0,
        copies: copies.collect(),
        owners: owners.into_iter().map(name).collect(),
    }
}

impl ContainerState {
    fn of(container: Result<Container, Corrupt>, names: &Names) -> Self {
        let Ok(container) = container else {
            return Self { is_corrupt: true, ..Self::default() };
        };
        let siblings = container.siblings().iter().map(|(dot, version)| SiblingState {
            dot: names.dot(*dot),
            value: version.content.value().map(|value| value.escape_ascii().to_string()),
            time_ms: version.time.ms(),
            request: version.request.to_string(),
        });
        let context = container.seen().iter().map(|(actor, n)| (names.actor(actor), n));
        Self { is_corrupt: false, siblings: siblings.collect(), context: context.collect() }
    }

    /// True if nothing is held.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The names of nodes, in their order.
pub(super) fn names_of(names: &Names, nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(|&node| names.node(node)).collect()
}
