//! What the shell promises, as sums.
//!
//! A core cannot tell a message that its own shell lost from one that the network lost: it asks
//! again, and nobody notices. So the messages are counted at every station of their way,
//!
//! ```text
//!   core ─queued─► queue ─sent─► socket ─entered─► wire ─left─► socket ─received─► core
//!                    └─► dropped
//! ```
//! and between two stations only what is named here may be missing:
//!
//! - `conservation`: of what was queued, everything is sent, dropped by rule (a full queue, a peer
//!   that cannot be reached) and counted so, or still waiting; when nothing waits, the sum is exact.
//!   A batch whose connection broke belongs to the next connection.
//! - `delivery`: what was sent enters the wire, unless the wire tore that connection; what left the
//!   wire as a whole is received, unless that node ended.
//! - `reconnect`: while every peer can be reached and no queue is full, nothing is dropped, however
//!   often connections break.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kv_node::metrics::{Exposition, Metrics};

use crate::log::Log;

/// One life of one node: its index, and which life.
pub(crate) type Life = (usize, u64);

/// What a node says that it has done in this life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) queued: u64,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
    pub(crate) received: u64,
    pub(crate) rejected: u64,
    pub(crate) links_up: i64,
}

impl Counts {
    /// Reads them as an operator's tools do.
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let text = metrics.encode(Exposition::OpenMetrics);
        let sum = |prefix: &str| -> u64 {
            text.lines()
                .filter(|line| line.starts_with(prefix))
                .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
                .sum()
        };
        Self {
            queued: sum("kv_peer_messages_queued_total"),
            sent: sum("kv_peer_messages_total{direction=\"out\""),
            dropped: sum("kv_peer_messages_dropped_total"),
            received: sum("kv_peer_messages_total{direction=\"in\""),
            // A hello that was under way for so long that the next run of its node was there first.
            rejected: sum("kv_peer_rejected_total")
                - sum("kv_peer_rejected_total{reason=\"replaced\"}"),
            links_up: metrics.links_up.get(),
        }
    }

    /// What was handed over, and neither left nor was dropped.
    pub(crate) const fn waiting(&self) -> i64 {
        self.queued as i64 - (self.sent + self.dropped) as i64
    }
}

/// What the wires have seen of one life.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Messages of it that entered a wire as a whole.
    pub(crate) entered: u64,
    /// Messages for it that left a wire as a whole.
    pub(crate) left: u64,
    /// Connections from it that ended before the wire had taken all that was sent.
    pub(crate) torn: u64,
    /// Connections from it on which the peer has answered its hello, and which have not ended.
    pub(crate) standing: i64,
}

/// The books of all wires.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    lives: BTreeMap<usize, u64>,
    seen: BTreeMap<Life, Seen>,
}

impl Ledger {
    /// A new life of a node begins.
    pub(crate) fn begin(&self, node: usize) -> Life {
        self.with(|books| {
            let life = books.lives.entry(node).or_default();
            *life += 1;
            (node, *life)
        })
    }

    /// The life in which a node is.
    pub(crate) fn current(&self, node: usize) -> Life {
        self.with(|books| (node, books.lives.get(&node).copied().unwrap_or_default()))
    }

    pub(crate) fn seen(&self, life: Life) -> Seen {
        self.with(|books| books.seen.get(&life).copied().unwrap_or_default())
    }

    pub(crate) fn change(&self, life: Life, change: impl FnOnce(&mut Seen)) {
        self.with(|books| change(books.seen.entry(life).or_default()));
    }

    fn with<T>(&self, f: impl FnOnce(&mut Books) -> T) -> T {
        f(&mut self.0.lock().expect("nothing panics while it writes the books"))
    }

    /// Judges a life of which the last counts are known, once everything that it sent has arrived.
    pub(crate) fn judge_ended(&self, life: Life, counts: &Counts, log: &Log) {
        let seen = self.seen(life);
        let (node, number) = (life.0 + 1, life.1);
        if counts.waiting() < 0 {
            log.violated(
                "conservation",
                format_args!("n{node} in life {number} sent more than it had: {counts:?}"),
            );
        }
        if seen.entered > counts.sent || (seen.torn == 0 && seen.entered < counts.sent) {
            log.violated(
                "delivery",
                format_args!("n{node} in life {number} sent {counts:?}, and wires took {seen:?}"),
            );
        }
        if counts.received > seen.left {
            log.violated(
                "delivery",
                format_args!(
                    "n{node} in life {number} received {counts:?}, and wires gave {seen:?}"
                ),
            );
        }
        if counts.rejected > 0 {
            log.violated(
                "framing",
                format_args!("n{node} in life {number} refused peers: {counts:?}"),
            );
        }
    }
}
