//! etcd: three members, whose leader orders all writes. A majority has synced a write before it is answered.
//!
//! It is asked through its JSON gateway, for which a load needs no gRPC: HTTP/1.1 on connections that stay. The
//! gateway is a client of the member within the member, so what it takes counts as the store's.

use std::fs::create_dir;
use std::path::Path;
use std::process::Command;

use super::{Peer, RunningServer, Variant};
use crate::http;
use crate::load::{EtcdReads, Protocol, Request};
use crate::support::{free_ports, wait_for};

/// What the largest request may have; its default is too little for a value of 1 MiB in base64.
const REQUEST_BYTES_MAX: &str = "8388608";

/// What the data may have before writes are refused: the most that etcd's makers advise.
const DATA_BYTES_MAX: &str = "8589934592";

/// A running cluster of three members.
pub(crate) struct Etcd {
    version: String,
    members: Vec<RunningServer>,
    addresses: Vec<String>,
}

impl Etcd {
    /// Starts three members in a folder, and waits until they have a leader.
    pub(super) fn start(folder: &Path) -> Result<Self, String> {
        let version = find()?;
        let ports = free_ports(6);
        let (clients, peers) = ports.split_at(3);
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
        let cluster: Vec<_> =
            (1..).zip(peers).map(|(member, port)| format!("m{member}={}", url(port))).collect();
        let start = |(member, (client, peer)): (usize, (&u16, &u16))| {
            let directory = folder.join(format!("etcd-{member}"));
            create_dir(&directory).expect("the folder is ours");
            let mut command = server();
            command.args(["--name", &format!("m{member}")]);
            command.arg("--data-dir").arg(directory.join("data"));
            for option in ["--listen-client-urls", "--advertise-client-urls"] {
                command.args([option, &url(client)]);
            }
            for option in ["--listen-peer-urls", "--initial-advertise-peer-urls"] {
                command.args([option, &url(peer)]);
            }
            command.args(["--initial-cluster", &cluster.join(",")]);
            command.args(["--initial-cluster-token", &url(&peers[0])]);
            RunningServer::start(command, &directory.join("log"))
        };
        let members = (1..).zip(clients.iter().zip(peers)).map(start).collect();
        let addresses = clients.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let etcd = Self { version, members, addresses };
        for address in &etcd.addresses {
            wait_for("etcd with three members", || is_healthy(address).then_some(()));
        }
        Ok(etcd)
    }
}

/// Looks for the server, and says its version.
fn find() -> Result<String, String> {
    let output = Command::new("etcd").arg("--version").output();
    let output = output
        .map_err(|error| format!("etcd: {error}: run tests/setup.sh --peers, which installs it"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("etcd --version says {said:?}, without a version"))
}

/// A member, deaf to the environment of whoever runs the trial.
fn server() -> Command {
    let mut command = Command::new("etcd");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ETCD_")) {
        command.env_remove(name);
    }
    command.args(["--logger", "zap", "--log-outputs", "stderr", "--log-level", "warn"]);
    command.args(["--initial-cluster-state", "new"]);
    command.args(["--max-request-bytes", REQUEST_BYTES_MAX]);
    command.args(["--quota-backend-bytes", DATA_BYTES_MAX]);
    command
}

fn is_healthy(address: &str) -> bool {
    http::ask(address, "GET", "/health").is_ok_and(|answer| answer.contains("\"health\":\"true\""))
}

impl Peer for Etcd {
    fn title(&self) -> String {
        format!(
            "etcd {}: three members; connections to all of them, through the JSON gateway (HTTP/1.1), which \
             takes more than gRPC would",
            self.version
        )
    }

    fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    fn process_ids(&self) -> Vec<u32> {
        self.members.iter().map(RunningServer::id).collect()
    }

    fn variants(&self, request: Request, depth: usize) -> Vec<Variant> {
        // One request at a time is all that HTTP/1.1 gives.
        if depth > 1 {
            return Vec::new();
        }
        let one = |name: &str, reads, promise| Variant {
            name: name.to_owned(),
            protocol: Protocol::EtcdJson { reads },
            promise,
        };
        match request {
            Request::Set => vec![one(
                "etcd, put",
                EtcdReads::Linearizable,
                "synced to the disks of two members of three, in one order",
            )],
            Request::Get => vec![
                one(
                    "etcd, linearizable",
                    EtcdReads::Linearizable,
                    "the latest write, as a majority confirms",
                ),
                one("etcd, serializable", EtcdReads::Serializable, "what one member holds"),
            ],
        }
    }
}
