//! Our own: three nodes, each of which takes any request.

use std::path::Path;

use super::{Peer, StorageWork, Variant};
use crate::load::{Protocol, Request};
use crate::support::{Cluster, Process};
use crate::tied::tied;

/// A cluster of three nodes with default settings: N=3, R=2, W=2, `durability = "always"`.
pub(crate) struct KvNode {
    nodes: Vec<Process>,
}

impl KvNode {
    /// Starts a cluster in a folder, and waits until it serves.
    pub(crate) fn start(folder: &Path) -> Self {
        let folder = folder.join("kv-node");
        std::fs::create_dir(&folder).expect("the folder is ours");
        Self { nodes: Cluster::within(folder, 3, "").start_all_by(tied) }
    }

    const fn variant(greeting: Option<&'static [&'static str]>) -> Protocol {
        Protocol::Resp { greeting, wait: None }
    }
}

impl Peer for KvNode {
    fn title(&self) -> String {
        "kv-node: three nodes (durability always, N=3); connections to all of them".to_owned()
    }

    fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.redis.clone()).collect()
    }

    fn process_ids(&self) -> Vec<u32> {
        self.nodes.iter().map(Process::id).collect()
    }

    fn variants(&self, request: Request, _depth: usize) -> Vec<Variant> {
        let one =
            |name: &str, protocol, promise| Variant { name: name.to_owned(), protocol, promise };
        match request {
            Request::Set => vec![one(
                "kv-node, W=2",
                Self::variant(None),
                "synced to the disks of two machines; any node takes it",
            )],
            Request::Get => vec![
                one(
                    "kv-node, R=2",
                    Self::variant(None),
                    "the join of what two machines hold durably",
                ),
                one(
                    "kv-node, R=1",
                    Self::variant(Some(&["KV.OPTIONS", "R", "one"])),
                    "what one machine holds durably",
                ),
            ],
        }
    }

    fn storage_work(&self) -> Option<StorageWork> {
        let metric = |name| self.nodes.iter().map(|node| node.metric(name)).sum();
        Some(StorageWork {
            commands: metric("kv_storage_commands_total"),
            groups: metric("kv_storage_groups_total"),
            writing_seconds: metric("kv_storage_writing_seconds_total"),
        })
    }
}
