//! The stores that are measured: a cluster of three nodes, and what it is held against. Each runs on loopback, with
//! data in a folder of the trial, and ends when it is dropped.

mod etcd;
mod kv_node;
mod primary_with_replicas;
mod redis;
mod running;
mod valkey;

use std::path::Path;

use clap::ValueEnum;

use crate::load::{Protocol, Request};

pub(crate) use self::kv_node::KvNode;
pub(crate) use self::primary_with_replicas::RedisProgram;
pub(crate) use self::redis::find as find_redis;
pub(crate) use self::running::RunningServer;
pub(crate) use self::valkey::find as find_valkey;

/// A store that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerName {
    KvNode,
    Redis,
    Valkey,
    Etcd,
}

/// The stores that ours is held against.
pub(crate) const OTHERS: [PeerName; 3] = [PeerName::Redis, PeerName::Valkey, PeerName::Etcd];

impl PeerName {
    /// Starts it in a folder, and waits until it serves.
    ///
    /// # Errors
    /// It is not installed: what is missing, and what to do.
    pub(crate) fn start(self, folder: &Path) -> Result<Box<dyn Peer>, String> {
        Ok(match self {
            Self::KvNode => Box::new(KvNode::start(folder)),
            Self::Redis => Box::new(redis::start(folder)?),
            Self::Valkey => Box::new(valkey::start(folder)?),
            Self::Etcd => Box::new(etcd::Etcd::start(folder)?),
        })
    }
}

/// A running store.
pub(crate) trait Peer {
    /// Its name, version and arrangement, in a line.
    fn title(&self) -> String;

    /// Where clients connect to, each in turn.
    fn addresses(&self) -> Vec<String>;

    /// The numbers of all its processes.
    fn process_ids(&self) -> Vec<u32>;

    /// The ways to ask it for such operations, its usual one first; none where it cannot take so many at
    /// once on one connection.
    fn variants(&self, request: Request, depth: usize) -> Vec<Variant>;

    /// What its storage has done so far, if it tells.
    fn storage_work(&self) -> Option<StorageWork> {
        None
    }
}

/// One way to ask a store, with its own promise.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// The store and the way, in few words.
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    /// What an acknowledged write is, or what a read shows.
    pub(crate) promise: &'static str,
}

/// What the storage of a cluster has done, all nodes together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StorageWork {
    /// Storage commands that were executed.
    pub(crate) commands: f64,
    /// Groups of them that were written and synced.
    pub(crate) groups: f64,
    /// How long writing the groups took.
    pub(crate) writing_seconds: f64,
}

impl StorageWork {
    /// Adds what was done between two looks.
    pub(crate) fn add(&mut self, before: &Self, after: &Self) {
        self.commands += after.commands - before.commands;
        self.groups += after.groups - before.groups;
        self.writing_seconds += after.writing_seconds - before.writing_seconds;
    }
}
