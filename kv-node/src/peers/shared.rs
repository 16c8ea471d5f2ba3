//! The state that all connections with peers share.

use std::sync::Arc;
use std::time::Duration;

use kv_core::cx::Identity;
use kv_core::time::WallTime;
use kv_core::types::NodeId;

use super::error::LinkError;
use super::hello::{Hello, ProcessRun, REPLACED};
use super::limits::PeerLimits;
use super::presence::Presence;
use super::room::Room;
use crate::clock::Clock;
use crate::core_loop::CoreHandle;
use crate::log::{LogLimiter, Named};
use crate::metrics::Metrics;
use crate::stop::Stopping;

/// The time within which a connected peer must say hello.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(3);

/// The state that all connections with peers share.
#[derive(Clone, Debug)]
pub(super) struct PeersShared {
    pub(super) identity: Identity,
    /// A random number that tells this run from one of another process that began in the same
    /// second.
    pub(super) nonce: u64,
    pub(super) limits: PeerLimits,
    pub(super) clock: Clock,
    pub(super) core: CoreHandle,
    pub(super) metrics: Arc<Metrics>,
    pub(super) log_limiter: Arc<LogLimiter>,
    pub(super) presence: Presence,
    pub(super) room: Room,
    pub(super) stopping: Stopping,
}

impl PeersShared {
    pub(super) fn wall(&self) -> WallTime {
        self.clock.now().wall
    }

    /// The hello with which this node opens a connection to a peer.
    pub(super) fn hello(&self, to: NodeId) -> Hello {
        let run = ProcessRun { generation: self.identity.generation, nonce: self.nonce };
        Hello::new(&self.identity, run.told_at(self.wall()), to)
    }

    /// Names a node as people know it.
    pub(super) fn name_of(&self, node: NodeId) -> String {
        Named::new(self.identity.topology.newest(), node).to_string()
    }

    /// Logs a fault of a peer: one line per kind, then a count.
    pub(super) fn complain(&self, peer: &str, kind: &str, what: String) {
        let subject = peer.to_owned();
        self.log_limiter.tell(peer, kind, move |repeated| {
            tracing::warn!(repeated, "peer {subject}: {what}");
        });
    }

    /// Logs the error that ended a connection.
    pub(super) fn complain_of(&self, peer: &str, error: &LinkError) {
        match error {
            LinkError::Refused(refusal) if refusal.reason == REPLACED => {
                let (subject, text) = (peer.to_owned(), refusal.text.clone());
                self.log_limiter.tell(peer, "refused as replaced", move |repeated| {
                    tracing::error!(
                        repeated,
                        "peer {subject} does not speak to this node any more: {text}"
                    );
                });
            }
            LinkError::Refused(refusal) => {
                self.complain(peer, &format!("refused: {}", refusal.reason), error.to_string());
            }
            error => {
                let text = error.to_string();
                // A stranger chooses the numbers in the text, but not the word.
                self.complain(peer, error.word().unwrap_or(&text), text.clone());
            }
        }
    }
}
