//! What a report looks at closely: the keys, writes and moments of what was violated.

use std::collections::BTreeMap;

use kv_core::storage::{self, StoredCopy};
use kv_core::store::View;
use kv_core::time::Span;
use kv_core::types::Key;
use kv_core::version::{Container, Dot};

use super::BrokenPromise;
use crate::checks::Disks as _;
use crate::cluster::scene::Scene;
use crate::cluster::world::World;
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;
use crate::story::record::Record;
use crate::story::record::focus::{DOTS_MAX, Focus, KEYS_MAX};

/// The time between two moments at which an idle cluster is looked at: what happens near one of them
/// is kept, and so all that happens between them.
const IDLE_STEP: Span = Span::from_ms(1_500);

/// The focus for these violations, and for keys that somebody wants to see.
pub(super) fn of(
    violations: &[BrokenPromise],
    wanted: &[Key],
    world: Option<&World>,
    record: Option<&Record>,
) -> Focus {
    let mut focus = Focus::default();
    let mut follow = |keys: &mut dyn Iterator<Item = Key>| {
        for key in keys {
            if focus.keys.len() < KEYS_MAX && !focus.keys.contains(&key) {
                focus.keys.push(key);
            }
        }
        focus.keys.len()
    };
    follow(&mut violations.iter().flat_map(BrokenPromise::keys).cloned());
    let foremost = follow(&mut wanted.iter().cloned());
    let checks = world.and_then(World::checks);
    follow(&mut checks.into_iter().flat_map(|checks| checks.busiest_keys()));
    focus.foremost = foremost;

    let subjects = || violations.iter().filter_map(|violation| violation.subject.as_ref());
    let mut dots: Vec<Dot> = Vec::new();
    for &dot in subjects().flat_map(|subject| &subject.dots) {
        if dots.len() < DOTS_MAX && !dots.contains(&dot) {
            dots.push(dot);
        }
    }
    focus.dots = dots;
    let began = subjects().filter_map(|subject| subject.since).map(|at| WorldTime(at.0));
    focus.moments = violations.iter().map(|violation| violation.at).chain(began).collect();
    let ended = world.map(|world| world.scene.now);
    let is_idle = |violation: &BrokenPromise| violation.check == "quiescence";
    if let (Some(record), Some(ended), true) = (record, ended, violations.iter().any(is_idle)) {
        focus.moments.extend(idle_moments(record, ended));
    }
    focus.moments.sort_unstable();
    focus.moments.dedup();
    focus
}

/// Moments over the time for which the idle cluster was watched.
fn idle_moments(record: &Record, ended: WorldTime) -> Vec<WorldTime> {
    let since = record.idle_since().unwrap_or(ended);
    let next = |at: &WorldTime| Some(*at + IDLE_STEP).filter(|next| *next < ended);
    std::iter::successors(Some(since), next).collect()
}

/// What keeps a cluster from having converged: keys of which owners hold different things, and hints.
#[derive(Clone, Debug, Default)]
pub(super) struct Leftovers {
    /// The keys that owners hold differently, with what each holds.
    pub(super) different: Vec<(Key, Vec<(NodeIndex, Container)>)>,
    /// The hints: their keepers, their targets, and what they hold.
    pub(super) hints: Vec<(NodeIndex, NodeIndex, Key, Container)>,
}

impl Leftovers {
    /// Looks at all disks.
    pub(super) fn of(scene: &Scene) -> Self {
        let mut leftovers = Self::default();
        let mut owned: BTreeMap<Key, BTreeMap<NodeIndex, Container>> = BTreeMap::new();
        for node in scene.cluster.indices() {
            let image = scene.node(node).disk.image();
            storage::for_each_copy(image, View::Live, |copy| {
                let StoredCopy { key, kept_for, container } = copy;
                let container = container.unwrap_or_default();
                match kept_for {
                    Some(target) => {
                        let target = scene.index_of(target);
                        leftovers.hints.push((node, target, key, container));
                    }
                    None => {
                        owned.entry(key).or_default().insert(node, container);
                    }
                }
            });
        }
        for (key, copies) in owned {
            let owners = scene.owners(&key).iter().map(|&owner| scene.index_of(owner));
            let held = |owner| (owner, copies.get(&owner).cloned().unwrap_or_default());
            let held: Vec<_> = owners.map(held).collect();
            if held.windows(2).any(|pair| pair[0].1 != pair[1].1) {
                leftovers.different.push((key, held));
            }
        }
        leftovers
    }

    /// The keys that they are about, those that differ first.
    pub(super) fn keys(&self) -> Vec<Key> {
        let different = self.different.iter().map(|(key, _)| key);
        let hinted = self.hints.iter().map(|(_, _, key, _)| key);
        let mut keys: Vec<Key> = Vec::new();
        for key in different.chain(hinted) {
            if keys.len() < KEYS_MAX && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys
    }
}
