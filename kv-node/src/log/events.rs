//! The events of the core as lines of the log, with the level that they have for an operator.
//!
//! | level | events |
//! |---|---|
//! | error | the node serves no more |
//! | warn | somebody should look: corruption, clocks, refused messages, dropped hints |
//! | info | a change that an operator waits for: peers down and up, hints delivered, partitions complete |
//! | debug, trace | the protocol at work |

use std::sync::Arc;

use kv_core::event::{Event, RejectReason};
use kv_core::probe::Probe;
use kv_core::ring::Ring;
use kv_core::types::NodeId;

use super::limiter::LogLimiter;
use super::named::Named;

/// The log of one core's events: each fact is logged once, then counted.
#[derive(Clone, Debug)]
pub struct EventLog {
    ring: Arc<Ring>,
    limiter: Arc<LogLimiter>,
}

impl EventLog {
    /// Creates a log that names nodes as this ring does.
    pub const fn new(ring: Arc<Ring>, limiter: Arc<LogLimiter>) -> Self {
        Self { ring, limiter }
    }

    /// Logs an event, or counts it.
    pub fn log(&self, event: &Event) {
        match event {
            Event::StoreFailed => tracing::error!("the storage failed: this node serves no more"),
            Event::Corrupt { partition } => {
                let partition = partition.0;
                self.tell("records", "corrupt", move |repeated| {
                    tracing::warn!(
                        repeated,
                        partition,
                        "a record is corrupt: it will be repaired from peers"
                    );
                });
            }
            Event::KeyRepaired { key } => {
                tracing::debug!(?key, "a corrupt record was repaired from peers");
                self.gather("records", "repaired", 1, |records| {
                    tracing::info!(records, "corrupt records were repaired from peers");
                });
            }
            Event::Probe(Probe::UnsaidNews) => self.tell("node", "unsaid news", |repeated| {
                tracing::warn!(
                    repeated,
                    "others have heard something of this node that it never said: another process runs \
                     as this node, or this one runs on an old copy of its data; stop one of the two, or \
                     restart this one"
                );
            }),
            Event::Stalled { ms } => {
                let ms = *ms;
                self.tell("node", "stalled", move |repeated| {
                    tracing::warn!(
                        repeated,
                        ms,
                        "this node stood still: too little processor time, or a machine that slept"
                    );
                });
            }
            Event::ClockAhead { stamped_by, by_ms } => {
                let (by_ms, node) = (*by_ms, self.named(*stamped_by));
                self.tell_about(&node, "clock ahead", move |node, repeated| {
                    tracing::warn!(
                        repeated,
                        %node,
                        by_ms,
                        "a version is stamped far ahead of this node's clock: one of the two clocks is \
                         wrong; the version was kept"
                    );
                });
            }
            Event::HintDropped { target, partition } => {
                let (partition, target) = (partition.0, self.named(*target));
                self.tell_about(&target, "hint dropped", move |node, repeated| {
                    tracing::warn!(
                        repeated,
                        %node,
                        partition,
                        "a hint was dropped: its target is stale until it is repaired"
                    );
                });
            }
            Event::Rejected { from, reason } => self.rejected(*from, *reason),
            Event::Founded => {
                tracing::info!("the cluster is founded; this node is new in it and serves");
            }
            Event::DataMissing => tracing::warn!(
                "the cluster was founded before, and the data of this node is missing: it copies from \
                 its peers, and answers reads of each partition when that is complete"
            ),
            Event::LogFellBehind { peer, remembered, found } => {
                let node = self.named(*peer);
                tracing::error!(
                    %node,
                    remembered = remembered.log.0,
                    found = found.0,
                    "a peer remembers more of this node's log than was found at its start: its data was \
                     cut, or is an old image, or the disk said that it had synced and had not. It \
                     answers no reads until it has copied its partitions from its peers"
                );
            }
            Event::LossUndecided { partitions } => {
                let partitions = *partitions;
                self.tell("partitions", "loss undecided", move |repeated| {
                    tracing::error!(
                        repeated,
                        partitions,
                        "so many owners of these partitions have lost their data that this node can \
                         never copy enough: acknowledged writes may be lost for good. Bring the other \
                         nodes back with their data, or accept the loss with `kv-node accept-loss`"
                    );
                });
            }
            Event::Suspected { peer } => {
                self.tell_about(&self.named(*peer), "down", |node, repeated| {
                    tracing::info!(repeated, %node, "a peer seems to be down");
                });
            }
            Event::Trusted { peer } => {
                self.tell_about(&self.named(*peer), "up", |node, repeated| {
                    tracing::info!(repeated, %node, "a peer seems to be up");
                });
            }
            Event::HintsDelivered { target, count } => {
                let node = self.named(*target).to_string();
                self.gather(&node.clone(), "hints delivered", *count, move |hints| {
                    tracing::info!(node, hints, "hints were delivered");
                });
            }
            Event::Completed { partition } => {
                tracing::debug!(partition = partition.0, "a partition is complete again");
                self.gather("partitions", "complete", 1, |partitions| {
                    tracing::info!(partitions, "partitions are complete again");
                });
            }
            Event::EpochDrawn { partition, reason, epoch: _ } => {
                tracing::debug!(partition = partition.0, ?reason, "an epoch was drawn");
            }
            Event::RepairDiffered { peer, partition, keys } => {
                let partition = partition.0;
                tracing::debug!(node = %self.named(*peer), partition, keys, "a repair found differences");
            }
            Event::RepairClean { .. }
            | Event::ReadRepair { .. }
            | Event::HintStored { .. }
            | Event::Minted { .. }
            | Event::Probe(_)
            | Event::ReadBeforeWrite { .. } => tracing::trace!(?event),
        }
    }

    fn rejected(&self, from: NodeId, reason: RejectReason) {
        let why = match reason {
            RejectReason::Cluster => "it belongs to another cluster",
            RejectReason::Addressee => "it is addressed to another node",
            RejectReason::Stranger => "it comes from, or speaks of, a node that is no member here",
            RejectReason::Layout => "its sender has another layout: compare the configurations",
            RejectReason::Future => {
                "it claims a time that cannot be true: look at the clocks of its sender and of this node"
            }
        };
        self.tell_about(&self.named(from), why, move |node, repeated| {
            tracing::warn!(repeated, %node, "a message was refused: {why}");
        });
    }

    fn named(&self, node: NodeId) -> Named {
        Named::new(&self.ring, node)
    }

    fn tell(&self, subject: &str, kind: &str, line: impl Fn(Option<u64>) + Send + 'static) {
        self.limiter.tell(subject, kind, line);
    }

    /// Logs a fact about a node, whose name the line is given.
    fn tell_about(
        &self,
        node: &Named,
        kind: &str,
        line: impl Fn(&Named, Option<u64>) + Send + 'static,
    ) {
        let named = node.clone();
        self.limiter.tell(&node.to_string(), kind, move |repeated| line(&named, repeated));
    }

    fn gather(&self, subject: &str, kind: &str, count: u64, line: impl Fn(u64) + Send + 'static) {
        self.limiter.gather(subject, kind, count, line);
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use std::io;
    use std::sync::{Mutex, PoisonError};

    use kv_core::layout::Layout;
    use kv_core::types::PartitionId;

    use super::*;

    /// The bytes that were written to a log.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines of some events in five seconds, without their times.
    fn lines(events: &[Event]) -> Vec<String> {
        let nodes = (1..=2).map(|id| (NodeId(id), format!("n{id}")));
        let ring = Ring::new(Layout::single_datacenter(16, 2, nodes)).expect("a sound layout");
        let limiter = Arc::new(LogLimiter::default());
        let log = EventLog::new(Arc::new(ring), Arc::clone(&limiter));
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer({
                let written = written.clone();
                move || written.clone()
            })
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            events.iter().for_each(|event| log.log(event));
            (0..5).for_each(|_| limiter.tick());
        });
        let written = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(written).expect("lines of text");
        text.lines().map(str::trim).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_thousand_events_of_one_kind_are_one_line_that_names_the_node() {
        let ahead = Event::ClockAhead { stamped_by: NodeId(2), by_ms: 60_000 };
        let lines = lines(&vec![ahead; 1_000]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("WARN a version is stamped far ahead"), "{lines:?}");
        assert!(lines[0].contains("node=n2 (0000000000000002) by_ms=60000"), "{lines:?}");
    }

    #[test]
    fn many_partitions_are_complete_again_in_one_line() {
        let completed = |partition| Event::Completed { partition: PartitionId(partition) };
        let lines = lines(&Vec::from_iter((0..4_096).map(completed)));
        assert_eq!(lines, ["INFO partitions are complete again partitions=4096"]);
    }

    #[test]
    fn a_refused_message_is_told_once_for_each_sender_and_reason() {
        let rejected = |from, reason| Event::Rejected { from: NodeId(from), reason };
        let all = [
            rejected(2, RejectReason::Layout),
            rejected(2, RejectReason::Layout),
            rejected(2, RejectReason::Future),
            rejected(3, RejectReason::Stranger),
        ];
        let lines = lines(&all);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].ends_with("compare the configurations node=n2 (0000000000000002)"));
    }
}
