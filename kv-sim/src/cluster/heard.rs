//! What each running process was told of how far the logs of other nodes are durable. A process that
//! ends takes that with it.
//!
//! It is told from the messages that arrived, and not from what nodes say that they remember. Gossip
//! counts for nothing behind later news of the same node, and if it leaves out what the listener does not know:
//! nobody reads that.

use kv_core::types::LogPosition;
use smallvec::SmallVec;

use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;

/// The positions that processes were told of, by listener and then by the node whose log it is.
#[derive(Clone, Debug)]
pub struct HeardLogs(Vec<Vec<HeardLog>>);

/// The positions that one process was told of another node's log.
#[derive(Clone, Debug, Default)]
struct HeardLog {
    reaches: SmallVec<[HeardReach; 2]>,
    /// The last life of the node of which there was gossip, and its last heartbeat.
    newest: (u32, u64),
}

/// The greatest position of one life that was heard of.
#[derive(Clone, Copy, Debug)]
struct HeardReach {
    life: u32,
    log: LogPosition,
    at: WorldTime,
}

impl HeardLogs {
    /// Nothing was heard yet, by so many nodes.
    pub fn new(nodes: usize) -> Self {
        Self(vec![vec![HeardLog::default(); nodes]; nodes])
    }

    /// The process of a node is gone.
    pub fn forget(&mut self, listener: NodeIndex) {
        self.0[listener.0].fill(HeardLog::default());
    }

    /// A process hears how far another node's log had come in one of its lives.
    pub fn hear(
        &mut self,
        (listener, of): (NodeIndex, NodeIndex),
        (life, log): (u32, LogPosition),
        at: WorldTime,
    ) {
        let heard = &mut self.0[listener.0][of.0].reaches;
        let new = HeardReach { life, log, at };
        match heard.iter_mut().find(|heard| heard.life == life) {
            Some(heard) if heard.log >= log => {}
            Some(heard) => *heard = new,
            None => heard.push(new),
        }
    }

    /// A process reads gossip about a node: its heartbeat in one of its lives, with all that was said since
    /// an earlier one. Returns whether that is news.
    pub fn is_news(
        &mut self,
        (listener, of): (NodeIndex, NodeIndex),
        (life, heartbeat): (u32, u64),
        since: u64,
    ) -> bool {
        let newest = &mut self.0[listener.0][of.0].newest;
        let known = if life == newest.0 { newest.1 } else { 0 };
        let is_news = (life, heartbeat) > *newest && since <= known;
        if is_news {
            *newest = (life, heartbeat);
        }
        is_news
    }

    /// Tells whether a process was told, before a moment, of something of a node's log.
    pub fn any(
        &self,
        (listener, of): (NodeIndex, NodeIndex),
        before: WorldTime,
        is_it: &impl Fn(u32, LogPosition) -> bool,
    ) -> bool {
        let heard = &self.0[listener.0][of.0].reaches;
        heard.iter().any(|heard| heard.at <= before && is_it(heard.life, heard.log))
    }
}
