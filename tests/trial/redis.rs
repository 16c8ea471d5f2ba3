//! A Redis primary with two replicas, as durable as Redis goes.

use std::fs::{File, create_dir};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Answer, Client, free_ports, wait_for};

/// Where the commands come from that are no part of this project.
pub(crate) const SETUP: &str = "run tests/setup.sh, which installs it";

/// How a client of Redis waits until a write stands on a second machine.
pub(crate) struct Wait {
    /// The command.
    pub(crate) words: &'static [&'static str],
    /// What a reply to it promises.
    pub(crate) promise: &'static str,
}

const WAITAOF: Wait = Wait {
    words: &["WAITAOF", "1", "1", "0"],
    promise: "synced to the disks of the primary and of one replica",
};

/// For servers before 7.2.
const WAIT: Wait = Wait {
    words: &["WAIT", "1", "0"],
    promise: "synced to the primary's disk and received by one replica, of whose disk nothing is promised",
};

/// The server that is installed.
pub(crate) struct Installed {
    pub(crate) version: String,
    pub(crate) wait: &'static Wait,
}

/// Looks for the server.
///
/// # Errors
/// Why there is none, and what to do.
pub(crate) fn installed() -> Result<Installed, String> {
    let output = Command::new("redis-server").arg("--version").output();
    let output = output.map_err(|error| format!("redis-server: {error}: {SETUP}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.split(' ').find_map(|word| word.strip_prefix("v=")).unwrap_or_default();
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => {
            let wait = if (major, minor) >= (7, 2) { &WAITAOF } else { &WAIT };
            Ok(Installed { version: version.to_owned(), wait })
        }
        _ => Err(format!(
            "redis-server --version says {said:?}, and no version is to be found there"
        )),
    }
}

/// Running servers. Killed when they are dropped.
pub(crate) struct Servers {
    children: Vec<Child>,
    pub(crate) primary: String,
}

impl Servers {
    /// Starts a primary and two replicas in a folder, and waits until they replicate.
    pub(crate) fn start(folder: &Path) -> Self {
        let ports = free_ports(3);
        let start = |port: &u16| {
            let directory = folder.join(format!("redis-{port}"));
            create_dir(&directory).expect("the folder is ours");
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
            command.args(["--repl-diskless-sync-delay", "0"]).arg("--dir").arg(&directory);
            if *port != ports[0] {
                command.args(["--replicaof", "127.0.0.1", &ports[0].to_string()]);
            }
            let log = File::create(directory.join("log")).expect("the folder is ours");
            command.stdout(log).stderr(Stdio::null()).spawn().expect("it is installed")
        };
        let servers = Self {
            children: ports.iter().map(start).collect(),
            primary: format!("127.0.0.1:{}", ports[0]),
        };
        wait_for("Redis with two replicas", || {
            let mut client = Client::try_connect(&servers.primary).ok()?;
            let Ok(Answer::Bulk(Some(info))) = client.try_ask(&["INFO", "replication"]) else {
                return None;
            };
            (String::from_utf8_lossy(&info).matches("state=online").count() == 2).then_some(())
        });
        servers
    }

    /// The numbers of the processes.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended already.
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }
}
