//! Nodes that learn how far their logs had come: what the checks are told of it.
//!
//! A fault may take from a disk what was synced, so that nothing in it says so. As long as a running node
//! was told of it, the one that lost it is held to know, and counted as one that does. When it trusts its
//! data all the same, either nobody could tell it, and what it lost is judged then; or it is at fault.

use kv_core::event::Event;

use super::World;
use super::messages::time;
use crate::scenario::NodeIndex;

impl World {
    /// Takes note if a node has just learned how far its log had come, or has just taken back what it
    /// was not to trust.
    pub(super) fn look_at_recall(&mut self, node: NodeIndex, was_recalled: bool) {
        let machine = self.scene.node(node);
        let is_recalled = machine.process().is_some_and(|process| process.core.is_recalled());
        if is_recalled == was_recalled {
            return;
        }
        if is_recalled && machine.knows_of_loss {
            self.scene.node_mut(node).admit_loss();
        }
        if is_recalled && self.scene.node(node).is_unjudged {
            self.judge(node);
            self.scene.node_mut(node).is_unjudged = false;
        }
        self.scene.note_change(node);
    }

    /// A node says that it has lost some of what it held.
    pub(super) fn note_known_loss(&mut self, node: NodeIndex, event: &Event) {
        if let Event::LogFellBehind { .. } = event {
            self.scene.node_mut(node).knows_of_loss = true;
        }
    }

    /// Judges a node whose disk has lost what it had synced, and which knows by now all that others could
    /// tell it.
    fn judge(&mut self, node: NodeIndex) {
        let machine = self.scene.node(node);
        let Some(checks) = &mut self.checks else { return };
        if machine.knows_of_loss {
            return checks.on_loss_learned();
        }
        let image = machine.disk.image();
        let lacks = |life, log| image.lacks(life, log);
        let remembering = self.scene.remembering(node, machine.changed_at, lacks);
        let id = machine.id;
        checks.on_trusted(time(self.scene.now), id, &remembering, &self.scene);
        let left = self.scene.node(node).disk.image().clone();
        let scene = &self.scene;
        checks.on_believed(time(scene.now), id, scene, &|key| scene.left_in(id, &left, key));
    }
}
