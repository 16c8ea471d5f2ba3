//! The invariants of recall between two inputs.

use super::memory::LogMemory;
use super::{Recall, RecallState};
use crate::cx::NodeContext;

impl Recall {
    /// Checks that a node trusts nothing that came with its store before it has asked, and that memory is
    /// bounded.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self, local: &NodeContext) {
        let Self {
            runs,
            began: _,
            durable: _,
            vouched,
            stage,
            record: _,
            life,
            asked,
            commands,
            memory,
            said,
        } = self;
        assert!(life.is_some() || *asked == 0, "others were asked without request ids");
        match stage {
            RecallState::New => assert!(*asked == 0, "others were asked before the run began"),
            RecallState::Asking { awaited, .. } => {
                assert!(!awaited.contains(&local.me()), "a node asks itself about its log");
                assert!(!awaited.is_empty(), "a node waits for nobody before it trusts its data");
            }
            RecallState::Forgetting { marked, retry_at } => {
                assert!(vouched.is_empty(), "a node believes markers that it takes away");
                assert!(!marked.is_empty(), "a node takes markers away, and none is left");
                assert!(
                    commands.in_flight() > 0 || retry_at.is_some(),
                    "recall waits for the storage, which was asked for nothing"
                );
            }
            RecallState::Settled => {}
        }
        if self.is_asking() {
            let trusted = vouched.iter().find(|partition| local.complete.contains(partition));
            assert!(
                trusted.is_none(),
                "a node trusts the marker of {trusted:?} before it has asked"
            );
        } else {
            let own = local.identity.generation;
            assert!(
                runs.newest() == Some(own),
                "the run that writes the log is not among its runs"
            );
        }
        assert!(!said.contains_key(&local.me()), "a node holds its own log against itself");
        for (node, remembered) in memory.runs() {
            assert!(node != local.me(), "a node remembers its own log as another's");
            assert!(remembered <= LogMemory::RUNS_MAX, "too much is remembered of {node}");
        }
    }
}
