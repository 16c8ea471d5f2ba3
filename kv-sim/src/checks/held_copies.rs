//! The copies that a node holds of a key, as far as they are there to stay.

use kv_core::types::NodeId;
use kv_core::version::Container;

use super::history::{History, WriteIndex};
use super::{Disks, WhichImage};

/// A node's copies of a key.
pub(super) struct HeldCopies {
    durable: Container,
    live: Container,
}

impl HeldCopies {
    /// Looks at what a node holds of the key of this history.
    pub(super) fn of(node: NodeId, history: &History, disks: &impl Disks) -> Self {
        let copy = |image| disks.copy(node, &history.key, image);
        Self { durable: copy(WhichImage::Durable), live: copy(WhichImage::Live) }
    }

    /// Tells whether a write is there, and is there to stay.
    pub(super) fn keeps(&self, write: WriteIndex, history: &History) -> bool {
        history.is_claimed(write, &self.durable) && history.is_claimed(write, &self.live)
    }
}
