//! A primary with two replicas of a server that speaks Redis's own replication, as durable as it goes.

use std::fs::create_dir;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Peer, RunningServer, Variant};
use crate::load::{Often, Protocol, Request, Words};
use crate::support::{Answer, Client, free_ports, wait_for};

const WAITAOF: Words = &["WAITAOF", "1", "1", "0"];

/// For servers before 7.2.
const WAIT: Words = &["WAIT", "1", "0"];

/// How long both replicas may take to sync one write, in milliseconds.
const BOTH_SYNCED_MS: &str = "1000";

/// A program that is installed.
#[derive(Clone, Debug)]
pub(crate) struct RedisProgram {
    pub(crate) name: &'static str,
    /// What the project is called.
    pub(crate) title: &'static str,
    pub(crate) version: String,
}

impl RedisProgram {
    /// Looks for a program.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(super) fn find(
        name: &'static str,
        title: &'static str,
        setup: &str,
    ) -> Result<Self, String> {
        let output = Command::new(name).arg("--version").output();
        let output = output.map_err(|error| format!("{name}: {error}: {setup}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let version = said.split(' ').find_map(|word| word.strip_prefix("v="));
        let version = version.filter(|version| numbers(version).is_some());
        let version =
            version.ok_or_else(|| format!("{name} --version says {said:?}, without a version"))?;
        Ok(Self { name, title, version: version.to_owned() })
    }

    /// A server that serves one address from a folder, and syncs each write before it answers.
    pub(crate) fn server(&self, port: u16, folder: &Path) -> Command {
        let mut command = Command::new(self.name);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
        command.args(["--repl-diskless-sync-delay", "0"]).arg("--dir").arg(folder);
        command
    }

    /// Whether it can wait for the disks of replicas.
    fn has_waitaof(&self) -> bool {
        numbers(&self.version).is_some_and(|version| version >= (7, 2))
    }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// A running primary with its replicas.
pub(crate) struct PrimaryWithReplicas {
    program: RedisProgram,
    servers: Vec<RunningServer>,
    primary: String,
}

impl PrimaryWithReplicas {
    /// Starts them in a folder, and waits until they replicate.
    pub(super) fn start(program: RedisProgram, folder: &Path) -> Self {
        let ports = free_ports(3);
        let start = |port: &u16| {
            let directory: PathBuf = folder.join(format!("{}-{port}", program.name));
            create_dir(&directory).expect("the folder is ours");
            let mut command = program.server(*port, &directory);
            if *port != ports[0] {
                command.args(["--replicaof", "127.0.0.1", &ports[0].to_string()]);
            }
            RunningServer::start(command, &directory.join("log"))
        };
        let servers = ports.iter().map(start).collect();
        let peer = Self { program, servers, primary: format!("127.0.0.1:{}", ports[0]) };
        peer.wait_until_replicated();
        peer
    }

    fn wait_until_replicated(&self) {
        wait_for("a primary with two replicas", || {
            let mut client = Client::try_connect(&self.primary).ok()?;
            let Ok(Answer::Bulk(Some(info))) = client.try_ask(&["INFO", "replication"]) else {
                return None;
            };
            let online = String::from_utf8_lossy(&info).matches("state=online").count();
            if online != 2 || !self.program.has_waitaof() {
                return (online == 2).then_some(());
            }
            // A replica that still rewrites its file after the first copy syncs nothing yet.
            client.try_ask(&["SET", "key-of-the-trial", "replicated"]).ok()?;
            let synced = client.try_ask(&["WAITAOF", "1", "2", BOTH_SYNCED_MS]).ok()?;
            let both = Answer::Array(vec![Answer::Integer(1), Answer::Integer(2)]);
            (synced == both).then_some(())
        });
    }
}

impl Peer for PrimaryWithReplicas {
    fn title(&self) -> String {
        let RedisProgram { title, version, .. } = &self.program;
        format!("{title} {version}: a primary and two replicas (appendfsync always)")
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.primary.clone()]
    }

    fn process_ids(&self) -> Vec<u32> {
        self.servers.iter().map(RunningServer::id).collect()
    }

    fn variants(&self, request: Request, depth: usize) -> Vec<Variant> {
        let (wait, waited, waited_for_answers) = match self.program.has_waitaof() {
            true => (
                WAITAOF,
                "synced to the disks of the primary and of one replica (WAITAOF 1 1 0, in one go with the write)",
                Some(
                    "synced to the disks of the primary and of one replica (WAITAOF 1 1 0, when the write is answered)",
                ),
            ),
            false => (
                WAIT,
                "synced to the primary's disk and received by one replica, of whose disk nothing is \
                 promised (WAIT 1 0)",
                None,
            ),
        };
        let one = |how: &str, wait, promise| Variant {
            name: format!("{}, {how}", self.program.title),
            protocol: Protocol::Resp { greeting: None, wait },
            promise,
        };
        if request == Request::Get {
            return vec![one("primary", None, "what the primary holds")];
        }
        let mut variants = Vec::new();
        if let Some(waited) = waited_for_answers {
            variants.push(one("waits after the answer", Some((wait, Often::Answers)), waited));
        }
        variants.push(one("waits after each", Some((wait, Often::Request)), waited));
        if depth > 1 {
            variants.push(one("waits once a pipeline", Some((wait, Often::Pipeline)), waited));
        }
        variants.push(one("does not wait", None, "synced to the primary's disk"));
        variants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_decides_how_replicas_are_waited_for() {
        for (version, has_waitaof) in
            [("7.0.15", false), ("7.2.0", true), ("8.0", true), ("9.1.2", true), ("6.9.9", false)]
        {
            let version = version.to_owned();
            let program = RedisProgram { name: "redis-server", title: "Redis", version };
            assert_eq!(program.has_waitaof(), has_waitaof, "{}", program.version);
        }
        assert_eq!(numbers("seven"), None);
    }
}
