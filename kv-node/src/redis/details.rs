//! A reply that is shown as a whole: all siblings, their context, and who stands behind it.

use bytes::Bytes;
use kv_core::client::Achieved;
use kv_core::types::NodeId;

use super::options;
use crate::resp::Encoder;

/// The parts of a reply that is shown as a whole.
#[derive(Debug)]
pub(crate) struct Details {
    /// The values that a read found.
    pub(crate) values: Vec<Bytes>,
    /// The number of siblings that are deletions.
    pub(crate) tombstones: usize,
    /// The context token for the client to pass back.
    pub(crate) context: Bytes,
    /// The nodes and machines that stand behind the reply.
    pub(crate) achieved: Achieved,
}

impl Details {
    /// Writes the reply of `KV.GET`.
    pub(crate) fn write_siblings(&self, encoder: &mut Encoder<'_>) {
        let Self { values, tombstones, context, achieved } = self;
        encoder.map(4);
        encoder.bulk(b"values");
        encoder.array(values.len());
        for value in values {
            encoder.bulk(value);
        }
        encoder.bulk(b"tombstones");
        encoder.count(*tombstones);
        write_context(encoder, context);
        write_achieved(encoder, achieved);
    }

    /// Writes the reply of `KV.PUT` and `KV.DEL`.
    pub(crate) fn write_receipt(&self, encoder: &mut Encoder<'_>) {
        let Self { values, tombstones, context, achieved } = self;
        encoder.map(3);
        write_context(encoder, context);
        encoder.bulk(b"siblings");
        encoder.count(values.len() + tombstones);
        write_achieved(encoder, achieved);
    }
}

fn write_context(encoder: &mut Encoder<'_>, context: &Bytes) {
    encoder.bulk(b"context");
    encoder.bulk(&options::to_hex(context));
}

fn write_achieved(encoder: &mut Encoder<'_>, achieved: &Achieved) {
    let Achieved { owners, fallbacks, machines } = achieved;
    encoder.bulk(b"achieved");
    encoder.map(3);
    encoder.bulk(b"owners");
    write_nodes(encoder, owners);
    encoder.bulk(b"fallbacks");
    write_nodes(encoder, fallbacks);
    encoder.bulk(b"machines");
    encoder.count(*machines);
}

fn write_nodes(encoder: &mut Encoder<'_>, nodes: &[NodeId]) {
    encoder.array(nodes.len());
    for node in nodes {
        encoder.bulk(node.to_string().as_bytes());
    }
}
