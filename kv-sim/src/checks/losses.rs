//! What the checks are told of data that disks lose, and of nodes that learn of it or do not.

use kv_core::time::Time;
use kv_core::types::{Key, NodeId};

use super::occasions::{ChangeKind, KeyLoss, NodeChange, Trust};
use super::{Checks, Left, WhichImage, WorldView};

impl Checks {
    /// Takes a fault that is about to destroy data of a node that it had reported durable. `left`
    /// is what the fault leaves of each key. Returns a line for each write that is excused because
    /// of it.
    pub fn before_loss(
        &mut self,
        at: Time,
        node: NodeId,
        world: &impl WorldView,
        left: &impl Fn(&Key) -> Left,
    ) -> Vec<String> {
        self.all.on_node_change(&NodeChange { node, change: ChangeKind::LosesData(at) });
        self.judge_loss(at, node, world, left)
    }

    /// Takes a node that trusts its data from now on and was not counted as one that does, since it was
    /// held to know that it has lost some of what it had reported durable. Nobody could tell it.
    pub fn on_believed(
        &mut self,
        at: Time,
        node: NodeId,
        world: &impl WorldView,
        left: &impl Fn(&Key) -> Left,
    ) {
        let excuses = self.judge_loss(at, node, world, left);
        assert!(excuses.is_empty(), "what it lost was judged when it was lost");
    }

    fn judge_loss(
        &mut self,
        at: Time,
        node: NodeId,
        world: &impl WorldView,
        left: &impl Fn(&Key) -> Left,
    ) -> Vec<String> {
        let Self { histories, setting, all, .. } = self;
        let (names, mut excuses) = (&setting.names, Vec::new());
        for history in histories.iter_mut() {
            let before = world.copy(node, &history.key, WhichImage::Reported);
            let left = left(&history.key);
            if !before.is_empty() && before != left.container {
                history.taken_at = Some(at);
            }
            let (before, left, excuses) = (&before, &left, &mut excuses);
            all.before_loss(&mut KeyLoss {
                at,
                node,
                history,
                before,
                left,
                world,
                names,
                excuses,
            });
        }
        excuses
    }

    /// Takes a node that learned from others that its disk has lost what it had reported durable.
    pub fn on_loss_learned(&mut self) {
        self.all.on_loss_learned();
    }

    /// Takes a node that trusts what lies on its disk from now on, although that lacks some of what it had
    /// reported durable; and the nodes that were told of that before it started.
    pub fn on_trusted(
        &mut self,
        at: Time,
        node: NodeId,
        remembering: &[NodeId],
        world: &impl WorldView,
    ) {
        let names = &self.setting.names;
        self.all.on_trusted(&Trust { at, node, remembering, world, names });
    }
}
