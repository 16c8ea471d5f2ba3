//! What the samples of messages are made of, each of which stands in the tests of its family. Their
//! bytes are frozen in a snapshot beside [`crate::wire`]: nothing here changes.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::OperationId;
use crate::time::{HybridTime, WallTime};
use crate::types::{ContentHash, Epoch, Key, NodeId, PartitionId, RequestId, Step};
use crate::version::{Actor, Container, Content, Dot, Tag, Version};

pub(super) const OPERATION: OperationId = OperationId(300);
pub(super) const STEP: Step = Step(2);
pub(super) const PARTITION: PartitionId = PartitionId(5);
pub(super) const HASH: ContentHash = ContentHash(u128::MAX / 3);

pub(super) fn key() -> Key {
    Key::from("key")
}

/// A value with all that can be said of one, and a tombstone beside it.
pub(super) fn container() -> Container {
    let dot = |n| Dot { actor: Actor { node: NodeId(3), epoch: Epoch(4) }, n };
    let mut container = Container::default();
    container.add(
        dot(1),
        Version {
            content: Content::Value(Bytes::from_static(b"value")),
            time: HybridTime(5),
            expiry: Some(WallTime(6)),
            request: RequestId(7),
            tag: Some(Box::new(Tag { round: 1, coordinator: NodeId(8), request: RequestId(9) })),
        },
    );
    container.add(
        dot(2),
        Version {
            content: Content::Tombstone,
            time: HybridTime(5),
            expiry: None,
            request: RequestId(8),
            tag: None,
        },
    );
    container
}

/// The container under the key.
pub(super) fn items() -> Vec<(Key, Container)> {
    vec![(key(), container())]
}
