//! The part of the world that can be looked at: the ring, the nodes, their disks, the links, the
//! time. Checks read it; only the world changes it.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::ops::ControlFlow;
use std::sync::Arc;

use kv_core::config::Config;
use kv_core::layout::{Layout, LayoutError, Member, Replication};
use kv_core::ring::{MachineIndex, Ring};
use kv_core::storage;
use kv_core::store::{Batch, Corrupt, Store, StoreFault, StoredHint, View, Visitor};
use kv_core::time::{Now, Span, Time};
use kv_core::topology::Topology;
use kv_core::types::{ClusterId, ContentHash, FoundingId, Key, NodeId, PartitionId, Seq};
use kv_core::version::{Container, VersionVector};

use crate::checks::{self, Datacenters, HintLoad, Left, Load, Names};
use crate::cluster::clock::EPOCH;
use crate::cluster::disk;
use crate::cluster::heard::HeardLogs;
use crate::cluster::network::Network;
use crate::cluster::node::SimNode;
use crate::cluster::world_time::WorldTime;
use crate::hashing::Hashed;
use crate::random::address::{Address, Aspect};
use crate::random::draws::Draws;
use crate::scenario::{Cluster, NodeIndex, Scenario};

/// The part of a world that can be looked at.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The names and places of the nodes.
    pub cluster: Arc<Cluster>,
    /// The configuration of every node.
    pub config: Arc<Config>,
    /// The ring, which says who owns what.
    pub ring: Arc<Ring>,
    /// The live layouts, of which the newest is `ring`. The others have the same content.
    pub topology: Arc<Topology>,
    /// The data centers, and the copies that each of them keeps.
    pub datacenters: Arc<Datacenters>,
    /// The nodes, by their index.
    pub nodes: Vec<SimNode>,
    /// The links between the nodes.
    pub network: Network,
    /// The present time of the world.
    pub now: WorldTime,
    /// The time at which a node or a link was last broken or repaired.
    pub changed_at: WorldTime,
    /// What each running process was told of the logs of others.
    pub heard: HeardLogs,
    by_id: HashMap<u64, NodeIndex, BuildHasherDefault<Hashed>>,
}

/// The founding of a cluster that exists when its world begins.
const FOUNDING: FoundingId = FoundingId(0);

/// The cluster that all simulated nodes belong to.
pub fn cluster_id() -> ClusterId {
    ClusterId::of("simulated")
}

impl Scene {
    /// Creates the machines of a scenario, on which nothing runs yet; owners hold their data
    /// markers, unless the scenario tells nodes to found the cluster.
    ///
    /// # Errors
    /// [`LayoutError`], if no ring can be made of the scenario.
    pub fn new(scenario: &Scenario, draws: &mut Draws) -> Result<Self, LayoutError> {
        let nodes: Vec<_> =
            scenario.cluster.indices().map(|node| machine(scenario, node, draws)).collect();
        let rings: Result<Vec<_>, _> = (1..=u64::from(scenario.cluster.layouts))
            .map(|version| Ring::new(Layout { version, ..layout(scenario, &nodes) }).map(Arc::new))
            .collect();
        let topology = Topology::of(rings?).expect("they have one content, and rising versions");
        let ring = Arc::clone(topology.newest());
        let by_id = nodes.iter().enumerate().map(|(at, node)| (node.id.0, NodeIndex(at))).collect();
        let mut scene = Self {
            datacenters: Arc::new(datacenters(scenario, &nodes)),
            cluster: Arc::new(scenario.cluster.clone()),
            config: Arc::new(scenario.node.clone()),
            ring,
            topology: Arc::new(topology),
            network: Network::new(nodes.len(), scenario.network.clone()),
            heard: HeardLogs::new(nodes.len()),
            nodes,
            now: WorldTime(0),
            changed_at: WorldTime(0),
            by_id,
        };
        for node in &mut scene.nodes {
            let id = node.id;
            let image = node.disk.image_mut();
            if scenario.inits.is_empty() {
                let owned = scene.ring.owned_by(id);
                storage::format(image, id, FOUNDING, owned).expect("an empty disk has room");
            }
            image.sync(image.newest());
            if scenario.rolls_disks_back() {
                image.keep_past();
            }
        }
        Ok(scene)
    }

    /// The index of the node with this id.
    ///
    /// # Panics
    /// If there is none: nodes name only members of the layout.
    pub fn index_of(&self, id: NodeId) -> NodeIndex {
        self.by_id[&id.0]
    }

    /// The node at this index.
    pub fn node(&self, node: NodeIndex) -> &SimNode {
        &self.nodes[node.0]
    }

    /// The node at this index, to be changed.
    pub fn node_mut(&mut self, node: NodeIndex) -> &mut SimNode {
        &mut self.nodes[node.0]
    }

    /// Notes that a node, its disk or its clock has just broken or was repaired.
    pub fn note_change(&mut self, node: NodeIndex) {
        self.changed_at = self.now;
        self.nodes[node.0].changed_at = self.now;
    }

    /// The names of all nodes, by id.
    pub fn names(&self) -> Names {
        let name = |(at, node): (usize, &SimNode)| (node.id, self.name(NodeIndex(at)).to_owned());
        self.nodes.iter().enumerate().map(name).collect()
    }

    /// The name of a node.
    pub fn name(&self, node: NodeIndex) -> &str {
        self.cluster.name(node)
    }

    /// The part of a key that is left to a node whose disk holds this image.
    pub fn left_in(&self, node: NodeId, image: &disk::Image, key: &Key) -> Left {
        Left {
            container: self.held(node, image, View::Durable, key),
            is_believed: storage::is_repaired(image, View::Durable, &self.ring, key),
        }
    }

    /// The container of a key on a node that has this store. An owner's record on the disk of a
    /// node that owns no copy is nobody's: it came with another node's disk, and is neither read
    /// nor brought to anybody.
    fn held(&self, node: NodeId, store: &impl Store, view: View, key: &Key) -> Container {
        if self.ring.owns(node, self.ring.partition_of(key.token())) {
            storage::held(store, view, &self.ring, key).container
        } else {
            storage::hinted(store, view, &self.ring, key)
        }
    }
}

/// Makes a node's machine: its id and the errors of its clocks are drawn.
fn machine(scenario: &Scenario, node: NodeIndex, draws: &mut Draws) -> SimNode {
    /// The longest time in microseconds that a machine has run before the world begins.
    const UPTIME_MAX_US: u64 = 1_000_000_000;
    let turn = draws.next(&Address::Setup { node });
    let id = NodeId(draws.choose(turn, Aspect::Id, |draw| draw));
    let within = |aspect, max: u64| {
        let max = max as i64;
        let drawn = draws.up_to(turn, aspect, Span(2 * max as u64)).0;
        (drawn as i64).clamp(0, 2 * max) - max
    };
    let offset_us = within(Aspect::ClockOffset, scenario.clocks.offset_max.0);
    let drift_ppm = within(Aspect::ClockDrift, scenario.clocks.drift_ppm_max.into());
    let uptime = draws.up_to(turn, Aspect::ClockStart, Span(UPTIME_MAX_US));
    let wall = kv_core::time::WallTime(EPOCH.0.saturating_add_signed(offset_us));
    SimNode::new(id, Now { monotonic: Time(uptime.0), wall }, drift_ppm as i32)
}

fn datacenters(scenario: &Scenario, nodes: &[SimNode]) -> Datacenters {
    let places = scenario.cluster.nodes.iter().zip(nodes);
    let copies = |name: &str| scenario.quorum.replicas.get(name).map_or(0, |&n| n.into());
    Datacenters::new(places.map(|(place, node)| (node.id, place.datacenter.as_str())), copies)
}

fn layout(scenario: &Scenario, nodes: &[SimNode]) -> Layout {
    let replication = scenario
        .quorum
        .replicas
        .iter()
        .map(|(datacenter, &n)| Replication { datacenter: datacenter.clone(), n })
        .collect();
    let members = scenario
        .cluster
        .nodes
        .iter()
        .zip(nodes)
        .map(|(place, node)| Member {
            id: node.id,
            name: place.name.clone(),
            weight: place.weight,
            machine: place.machine.clone(),
            rack: place.rack.clone(),
            datacenter: place.datacenter.clone(),
        })
        .collect();
    Layout { version: 1, partitions: scenario.cluster.partitions, replication, members }
}

impl Scene {
    /// The load that a node carries. One that does not run works on nothing.
    pub fn load(&self, node: &SimNode) -> Load {
        let mut hints = BTreeMap::new();
        storage::for_each_hint(node.disk.image(), |partition, target, bytes| {
            let none =
                HintLoad { target, partition, count: 0, unreadable: 0, bytes: 0, largest: 0 };
            let kept = hints.entry((target, partition)).or_insert(none);
            kept.count += 1;
            match bytes {
                Ok(bytes) => {
                    kept.bytes += bytes;
                    kept.largest = kept.largest.max(bytes);
                }
                Err(Corrupt) => kept.unreadable += 1,
            }
        });
        let requests = node.process().map_or(0, |process| process.core.requests() as u64);
        let settled = node.process().filter(|_| node.disk.answers() == 0);
        let counted = settled.map(|process| process.core.hints_counted().collect());
        Load { requests, hints: hints.into_values().collect(), counted }
    }
}

impl checks::Disks for Scene {
    fn nodes(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    fn owners(&self, key: &Key) -> &[NodeId] {
        self.ring.owners(self.ring.partition_of(key.token()))
    }

    fn datacenters(&self) -> &Datacenters {
        &self.datacenters
    }

    fn partition_of(&self, key: &Key) -> PartitionId {
        self.ring.partition_of(key.token())
    }

    fn machine(&self, node: NodeId) -> MachineIndex {
        self.ring.machine(node).expect("every node is a member")
    }

    fn copy(&self, node: NodeId, key: &Key, image: checks::WhichImage) -> Container {
        let disk = self.node(self.index_of(node)).disk.image();
        if disk.is_foreign() {
            return Container::default();
        }
        match image {
            checks::WhichImage::Live => self.held(node, disk, View::Live, key),
            checks::WhichImage::Reported => self.held(node, disk, View::Durable, key),
            checks::WhichImage::Durable => self.held(node, &SafeStore(disk), View::Durable, key),
        }
    }

    fn owned(&self, node: NodeId, key: &Key) -> Container {
        let disk = self.node(self.index_of(node)).disk.image();
        let owned = storage::owned_copy(disk, View::Live, &self.ring, key);
        owned.ok().flatten().unwrap_or_default()
    }

    fn has_seen(
        &self,
        node: NodeId,
        key: &Key,
        image: checks::WhichImage,
        has_seen: impl Fn(&VersionVector) -> bool,
    ) -> bool {
        let disk = self.node(self.index_of(node)).disk.image();
        let is_owner = self.ring.owns(node, self.partition_of(key)) && !disk.is_foreign();
        match image {
            checks::WhichImage::Live if is_owner => {
                storage::any_has_seen(disk, View::Live, &self.ring, key, has_seen)
            }
            checks::WhichImage::Reported if is_owner => {
                storage::any_has_seen(disk, View::Durable, &self.ring, key, has_seen)
            }
            _ => has_seen(self.copy(node, key, image).seen()),
        }
    }

    fn hint(&self, keeper: NodeId, key: &Key, target: NodeId) -> Option<StoredHint> {
        let disk = self.node(self.index_of(keeper)).disk.image();
        storage::hint(disk, self.partition_of(key), key, target)
    }

    fn root(&self, node: NodeId, partition: PartitionId) -> Option<ContentHash> {
        let process = self.node(self.index_of(node)).process();
        process.map(|process| process.partitions.root(partition))
    }

    fn owned_records(&self, node: NodeId, partition: PartitionId) -> checks::OwnedRecords {
        let disk = self.node(self.index_of(node)).disk.image();
        storage::owned_records(disk, View::Live, partition)
    }

    fn can_make_equal(&self, a: NodeId, b: NodeId) -> bool {
        Self::can_make_equal(self, a, b)
    }
}

/// A disk as a kill would leave it, to be read only.
pub(crate) struct SafeStore<'a>(pub(crate) &'a disk::Image);

impl Store for SafeStore<'_> {
    fn get(&self, _view: View, key: &[u8]) -> Result<Option<bytes::Bytes>, Corrupt> {
        Ok(self.0.safe(key)?.cloned())
    }

    fn scan(&self, _view: View, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        self.0.scan_safe(prefix, &mut |key, record| {
            if key > after { visit(key, record) } else { ControlFlow::Continue(()) }
        });
    }

    fn commit(&mut self, _batch: Batch) -> Result<Seq, StoreFault> {
        Err(StoreFault::Failed)
    }

    fn newest(&self) -> Seq {
        Seq(0)
    }
}
