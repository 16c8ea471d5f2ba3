//! The names by which a report calls nodes and writes. A write is called by its value, which names its
//! writer: `"c1#2"` is what client 1 wrote with its operation 2.

use std::collections::BTreeMap;

use kv_core::types::RequestId;
use kv_core::version::Dot;

use super::Report;
use crate::cluster::client_ids::requester_of;
use crate::scenario::NodeIndex;
use crate::story::record::Record;
use crate::story::record::fact::{ClientVerb, Copy, RecordedOperation, RecordedWrite};

/// The names of the writes that were recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteNames {
    /// The names of the writes that were minted.
    minted: BTreeMap<Dot, String>,
    /// The names of the writes that clients asked for, by client and number of the operation.
    asked: BTreeMap<(u32, u32), String>,
}

impl WriteNames {
    /// The names of the writes of a record. Where several replicas minted for one request, all but the first are
    /// its twins.
    pub(super) fn of(record: &Record) -> Self {
        let mut minted: BTreeMap<RequestId, u32> = BTreeMap::new();
        let name = |write: &RecordedWrite| {
            let name = match (&write.value, requester_of(write.request)) {
                (Some(value), _) => format!("\"{value}\""),
                (None, Some(asked)) => delete(asked),
                (None, None) => "a delete".to_owned(),
            };
            let before = minted.entry(write.request).or_default();
            *before += 1;
            let name = match *before {
                1 => name,
                2 => format!("the twin of {name}"),
                number => format!("twin {} of {name}", number - 1),
            };
            (write.dot, name)
        };
        let asked = |operation: &RecordedOperation| {
            let place = (operation.client, operation.number);
            match &operation.asked {
                ClientVerb::Get => None,
                ClientVerb::Put(value) => Some((place, format!("\"{value}\""))),
                ClientVerb::Delete => Some((place, delete(place))),
            }
        };
        Self {
            minted: record.writes.iter().map(name).collect(),
            asked: record.operations.iter().filter_map(asked).collect(),
        }
    }
}

fn delete((client, number): (u32, u32)) -> String {
    format!("the delete c{client}#{number}")
}

impl Report<'_> {
    /// The name of a node.
    pub(super) fn node(&self, node: NodeIndex) -> &str {
        self.plan.scenario.cluster.name(node)
    }

    /// The names of nodes, or "nobody".
    pub(super) fn nodes(&self, nodes: &[NodeIndex]) -> String {
        if nodes.is_empty() { "nobody".to_owned() } else { self.plan.scenario.cluster.names(nodes) }
    }

    /// The name of a write: its value, or its dot if nothing more is known of it.
    pub(super) fn write(&self, dot: Dot) -> String {
        self.write_names.minted.get(&dot).cloned().unwrap_or_else(|| self.names.dot(dot))
    }

    /// The writes in question that a copy accounts for, and does not hold.
    pub(super) fn known_only(&self, copy: &Copy) -> Vec<Dot> {
        let dots = self.record.focus.dots.iter().enumerate();
        let is_it =
            |&(bit, dot): &(usize, &Dot)| copy.knows >> bit & 1 == 1 && !copy.live.contains(dot);
        dots.filter(is_it).map(|(_, &dot)| dot).collect()
    }

    /// The name of the write that a request asks for, whether or not it was minted.
    pub(super) fn requested(&self, request: RequestId) -> String {
        let asked = requester_of(request).and_then(|place| self.write_names.asked.get(&place));
        asked.cloned().unwrap_or_else(|| "the write".to_owned())
    }

    /// The names of writes, or "nothing".
    pub(super) fn writes(&self, dots: &[Dot]) -> String {
        let names: Vec<_> = dots.iter().map(|&dot| self.write(dot)).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
    }
}
