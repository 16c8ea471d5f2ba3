//! Messages of hinted handoff ([`crate::handoff`]).

use alloc::vec::Vec;

use super::family::{Family, family, weight_of};
use crate::codec::codec;
use crate::types::{Key, PartitionId};
use crate::version::Container;

family! {
    /// A message between the keeper of hints and their target.
    HandoffMessage,
    /// The kind of a [`HandoffMessage`].
    HandoffKind {
        /// Delivers hints that were kept for the receiver.
        Deliver(HintDelivery) = 30 "hint-delivery",
        /// The delivered hints are durable at the sender.
        Delivered(HintDelivered) = 31 "hint-delivered",
    }
}

impl Family for HandoffMessage {
    fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Deliver(delivery) => delivery.items.iter().map(|(key, _)| key).collect(),
            Self::Delivered(_) => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Deliver(delivery) => weight_of(&delivery.items),
            Self::Delivered(_) => 0,
        }
    }

    fn is_urgent(&self) -> bool {
        match self {
            Self::Deliver(_) => false,
            Self::Delivered(_) => true,
        }
    }
}

/// The payload of [`HandoffMessage::Deliver`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintDelivery {
    /// The keeper's number for the delivery; it comes back with the answer.
    pub delivery: u64,
    /// The partition that the keys belong to.
    pub partition: PartitionId,
    /// The containers.
    pub items: Vec<(Key, Container)>,
}

codec!(struct HintDelivery { delivery, partition, items });

/// The payload of [`HandoffMessage::Delivered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintDelivered {
    /// The number of the delivery that this answers.
    pub delivery: u64,
}

codec!(struct HintDelivered { delivery });

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::message::samples::{PARTITION, items};

    impl HandoffMessage {
        /// One message of each kind.
        pub(in crate::message) fn samples() -> Vec<Self> {
            vec![
                Self::Deliver(HintDelivery { delivery: 1, partition: PARTITION, items: items() }),
                Self::Delivered(HintDelivered { delivery: 1 }),
            ]
        }
    }
}
