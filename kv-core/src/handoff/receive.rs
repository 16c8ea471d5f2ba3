//! The target's side: what others kept for this node becomes part of its own copy, and they are
//! told when it is durable and not before.

use super::Handoff;
use crate::cx::{Cx, Issuer, NodeContext};
use crate::message::{Body, HandoffMessage, HintDelivered, HintDelivery};
use crate::store::{HandoffCommand, Receipt, Refusal};
use crate::types::{Key, NodeId, PartitionId, RequestId, Seq};
use crate::version::Container;

impl Handoff {
    /// A peer hands over what it kept. A delivery of what this node does not own is not answered:
    /// its sender keeps it.
    pub(super) fn on_delivery(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: HintDelivery,
    ) {
        let HintDelivery { delivery, partition, items } = message;
        let belong = items.iter().all(|(key, _)| local.belongs(key, partition));
        if local.owns(partition) && belong && !items.is_empty() {
            self.receive(cx, Receipt { to: from, request, delivery }, partition, &items);
        }
    }

    /// The store is durable up to a position.
    pub fn on_durable(&mut self, cx: &mut Cx<'_>, local: &NodeContext, seq: Seq) {
        self.receipts.on_durable(seq);
        self.acknowledge(cx, local);
    }

    pub(super) fn receive(
        &mut self,
        cx: &mut Cx<'_>,
        receipt: Receipt,
        partition: PartitionId,
        items: &[(Key, Container)],
    ) {
        let command = HandoffCommand::Receive { receipt, items: items.to_vec() };
        cx.store(self.commands.begin(Issuer::Handoff), partition, command);
    }

    /// Hints were joined, or not: then nothing is said, and their sender tries again.
    pub(super) fn on_received(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        receipt: Receipt,
        seq: Seq,
        result: Result<(), Refusal>,
    ) {
        if result.is_ok() {
            self.receipts.push(seq, receipt);
        }
        self.acknowledge(cx, local);
    }

    fn acknowledge(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        while let Some(Receipt { to, request, delivery }) = self.receipts.pop() {
            let delivered = HintDelivered { delivery };
            if to == local.me() {
                self.on_delivered(cx, (to, request), delivered);
            } else {
                cx.send(local.message(
                    to,
                    request,
                    Body::Handoff(HandoffMessage::Delivered(delivered)),
                ));
            }
        }
    }
}
