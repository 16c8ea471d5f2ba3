//! Nodes as processes on loopback, and the least of a Redis client. The tests share it with the trials.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take that is waited for.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The program, deaf to the environment of whoever runs the tests.
pub(crate) fn kv_node() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kv-node"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KV_NODE_")) {
        command.env_remove(name);
    }
    command.env("RUST_LOG", "warn");
    command
}

/// Puts a program and its arguments before a command.
pub(crate) fn before(words: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(words[0]);
    wrapped.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// Looks again and again until something is there.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < TIMEOUT, "waited for too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Settings of nodes that are to find each other and their differences quickly.
pub(crate) const QUICK: &str = "partitions = 64\n\
    [node]\ngossip_interval_ms = 200\nrepair_interval_ms = 200\nhedge_ms = 20\n";

/// An empty folder, for each test of this name.
pub(crate) fn new_folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("an earlier run's folder goes");
    }
    std::fs::create_dir_all(&folder).expect("a new folder");
    folder
}

/// A host that a node runs on.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Its address.
    pub(crate) ip: IpAddr,
    /// The network namespace that it is, if it is one of its own.
    pub(crate) namespace: Option<String>,
}

/// Where a node listens for its peers that has a host of its own.
const OWN_PORT: u16 = 7_101;

impl Host {
    /// The host of whoever asks.
    const LOOPBACK: Self = Self { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), namespace: None };
}

/// The configuration of a cluster in a folder of its own.
pub(crate) struct Cluster {
    folder: PathBuf,
    settings: &'static str,
    hosts: Vec<Host>,
    peers: Vec<u16>,
}

impl Cluster {
    /// A cluster of so many quick nodes. The folder is new for each test of this name.
    pub(crate) fn new(test: &str, nodes: usize) -> Self {
        Self::with(test, nodes, QUICK)
    }

    /// Such a cluster with other settings, which go on from the table `[cluster]`.
    pub(crate) fn with(test: &str, nodes: usize, settings: &'static str) -> Self {
        Self::within(new_folder(test), nodes, settings)
    }

    /// A cluster of so many nodes in an empty folder. The settings go on from the table `[cluster]`.
    pub(crate) fn within(folder: PathBuf, nodes: usize, settings: &'static str) -> Self {
        Self::on(vec![Host::LOOPBACK; nodes], folder, settings)
    }

    /// As [`Cluster::within`], with one node on each of these hosts.
    pub(crate) fn on(hosts: Vec<Host>, folder: PathBuf, settings: &'static str) -> Self {
        // Peers must know each other's ports, and find them again after a restart. On a host of its own a
        // node has all ports to itself; this one is none that the system would choose for its clients.
        let peers = match hosts.iter().any(|host| host.namespace.is_some()) {
            true => vec![OWN_PORT; hosts.len()],
            false => free_ports(hosts.len()),
        };
        let cluster = Self { folder, settings, hosts, peers };
        std::fs::write(cluster.config(), cluster.text()).expect("a new file");
        cluster
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("kv.toml")
    }

    /// Makes this cluster look for the peers of a member where a node of another one listens.
    pub(crate) fn mistake(&mut self, index: usize, other: &Self, other_index: usize) {
        self.peers[index] = other.peers[other_index];
        std::fs::write(self.config(), self.text()).expect("the file is ours");
    }

    /// Gives every member another port for its peers.
    pub(crate) fn move_away(&mut self) {
        self.peers = free_ports(self.peers.len());
        std::fs::write(self.config(), self.text()).expect("the file is ours");
    }

    /// Where a node listens for its peers.
    pub(crate) fn peer(&self, index: usize) -> String {
        format!("{}:{}", self.hosts[index].ip, self.peers[index])
    }

    fn text(&self) -> String {
        let Self { folder, settings, hosts, peers } = self;
        let (folder, copies) = (folder.display(), peers.len().min(3));
        let mut text = format!(
            "[self]\nredis = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n\
             [cluster]\nname = \"{folder}\"\nn = {copies}\n{settings}"
        );
        for (index, (Host { ip, .. }, port)) in hosts.iter().zip(peers).enumerate() {
            let name = index + 1;
            text += &format!("[[member]]\nname = \"n{name}\"\naddress = \"{ip}:{port}\"\n");
        }
        text
    }

    /// Where a node listens for its peers.
    pub(crate) fn peer_port(&self, index: usize) -> u16 {
        self.peers[index]
    }

    pub(crate) fn data_dir(&self, index: usize) -> PathBuf {
        self.folder.join(format!("n{}", index + 1))
    }

    pub(crate) fn command(&self, index: usize) -> Command {
        let Host { ip, namespace } = &self.hosts[index];
        let mut command = kv_node();
        command.args(["start", "--config"]).arg(self.config());
        command.args(["--name", &format!("n{}", index + 1)]);
        command.arg("--data-dir").arg(self.data_dir(index));
        command.args(["--peer", &format!("{ip}:{}", self.peers[index])]);
        let Some(namespace) = namespace else { return command };
        for port in ["--redis", "--http"] {
            command.args([port, &format!("{ip}:0")]);
        }
        before(&["ip", "netns", "exec", namespace], &command)
    }

    /// What a node has said, in all its lives.
    pub(crate) fn log(&self, index: usize) -> PathBuf {
        self.data_dir(index).with_extension("log")
    }

    /// Starts a node and waits until it listens. A cluster of one node is founded when it starts for the
    /// first time.
    pub(crate) fn start(&self, index: usize) -> Process {
        let is_first = !self.data_dir(index).exists();
        let node = self.start_as(index, self.command(index));
        if self.peers.len() == 1 && is_first {
            node.found();
        }
        node
    }

    /// Starts a node as it is, founded or not, and waits until it listens.
    pub(crate) fn start_unfounded(&self, index: usize) -> Process {
        self.start_as(index, self.command(index))
    }

    /// Starts a node by a command of one's own, and waits until it listens.
    pub(crate) fn start_as(&self, index: usize, mut command: Command) -> Process {
        let log = OpenOptions::new().create(true).append(true).open(self.log(index));
        command.stderr(log.expect("the folder is ours"));
        Process::start(command)
    }

    /// Starts all nodes and waits until they have found each other, and until all of them serve. When
    /// they start for the first time, the cluster is founded.
    pub(crate) fn start_all(&self) -> Vec<Process> {
        self.start_all_by(std::convert::identity)
    }

    /// As [`Cluster::start_all`], by commands that are first made into others.
    pub(crate) fn start_all_by(&self, make: impl Fn(Command) -> Command) -> Vec<Process> {
        let is_first = (0..self.peers.len()).all(|index| !self.data_dir(index).exists());
        let start = |index| self.start_as(index, make(self.command(index)));
        let nodes = Self::linked((0..self.peers.len()).map(start).collect());
        if is_first {
            nodes[0].found();
        }
        nodes.iter().for_each(Process::wait_until_it_serves);
        nodes
    }

    /// Starts all nodes as they are, founded or not, and waits until they have found each other.
    pub(crate) fn start_all_unfounded(&self) -> Vec<Process> {
        Self::linked((0..self.peers.len()).map(|index| self.start_unfounded(index)).collect())
    }

    /// Waits until nodes have found each other.
    fn linked(nodes: Vec<Process>) -> Vec<Process> {
        let links = format!("kv_peer_links_up {}", nodes.len() - 1);
        for node in &nodes {
            wait_for("links", || node.http("/metrics").1.contains(&links).then_some(()));
        }
        nodes
    }
}

/// The port below which no test looks for free ones.
const FREE_PORTS_MIN: u16 = 10_000;

/// Ports that nobody listens on, all different from those of other tests. They lie below those that the
/// system chooses for itself: one of these could be given to any connection before a node binds it.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let ports = u32::from(system_ports_min().saturating_sub(FREE_PORTS_MIN));
    assert!(ports > 1_000, "the system leaves no ports that it does not choose itself");
    // Tests that run at the same time in other processes begin elsewhere.
    let first = std::process::id().wrapping_mul(611);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let candidates = (0..ports).map(|_| {
        let at = first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % ports;
        FREE_PORTS_MIN + u16::try_from(at).expect("there are fewer ports than that")
    });
    let free: Vec<_> = candidates.filter(is_free).take(count).collect();
    assert!(free.len() == count, "no {count} ports are free");
    free
}

/// The first port that the system chooses for whoever asks for any.
fn system_ports_min() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|range| range.split_whitespace().next()?.parse().ok());
    first.unwrap_or(32_768)
}

/// A running node. Killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) redis: String,
    pub(crate) peer: String,
    http: String,
}

impl Process {
    /// Starts a node and waits until it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut address = |name: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("it is text");
            let address =
                line.trim_end().strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
            address.unwrap_or_else(|| panic!("expected `{name} …`, got {line:?}")).to_owned()
        };
        let (redis, peer, http) = (address("redis"), address("peer"), address("http"));
        let http = http.strip_prefix("http://").expect("an URL").to_owned();
        Self { child, redis, peer, http }
    }

    /// Starts a node that cannot say where it listens, and waits until it answers.
    pub(crate) fn start_silent(mut command: Command) -> Self {
        let addresses = free_ports(2).into_iter().map(|port| format!("127.0.0.1:{port}"));
        let [redis, http] = Vec::from_iter(addresses).try_into().expect("two were asked for");
        command.args(["--redis", &redis, "--http", &http]);
        let child = command.spawn().expect("the program starts");
        let mut process = Self { child, redis, peer: String::new(), http };
        wait_for("the node to answer", || {
            assert!(process.is_running(), "it ended");
            let mut client = Client::try_connect(&process.redis).ok()?;
            client.try_ask(&["PING"]).ok()
        });
        process
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits until it answers clients.
    pub(crate) fn wait_until_it_serves(&self) {
        wait_for("a node that serves", || {
            // Owners that still ask how far their logs had come refuse: it is asked again soon.
            let asked = self.client().ask(&["KV.GET", "a", "TIMEOUT", "1000"]);
            (!matches!(asked, Answer::Error(_))).then_some(())
        });
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.redis)
    }

    /// The status and the body of a page.
    pub(crate) fn http(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: kv\r\nconnection: close\r\n\r\n")
            .expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// The status and the body of the answer to an order.
    pub(crate) fn order(&self, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).expect("it listens");
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: kv\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// Founds the cluster through this node.
    pub(crate) fn found(&self) {
        let (status, body) = self.order("/admin/init", "{}");
        assert_eq!(status, 200, "{body}");
    }

    /// The address of its HTTP interface.
    pub(crate) fn http_address(&self) -> &str {
        &self.http
    }

    /// The value of a line of `/metrics`, with its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, metrics) = self.http("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        wait_for("the end", || self.child.try_wait().expect("it is our child"))
    }

    /// Sends it a signal, and waits for nothing.
    pub(crate) fn send(&self, signal: &str) {
        send(&self.child, signal);
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn signal(self, signal: &str) -> ExitStatus {
        self.send(signal);
        self.ended()
    }
}

/// Sends a signal to a process of ours.
pub(crate) fn send(child: &Child, signal: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status();
    assert!(sent.expect("there is a kill").success());
}

/// A running `kv-node dev`. Killed when it is dropped.
pub(crate) struct Dev {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Dev {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = kv_node();
        command.arg("dev").args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, stdout }
    }

    /// What it says when it is ready.
    pub(crate) fn greeting(&mut self) -> String {
        let mut text = String::new();
        while !text.contains("Ctrl-C") {
            let read = self.stdout.read_line(&mut text).expect("it is text");
            assert_ne!(read, 0, "it ended: {text}");
        }
        text
    }

    /// Sends it a signal, and waits for nothing.
    pub(crate) fn send(&self, signal: &str) {
        send(&self.child, signal);
    }

    pub(crate) fn interrupt(&mut self) -> ExitStatus {
        self.send("INT");
        wait_for("the end", || self.child.try_wait().expect("it is our child"))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A reply, as far as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
    Array(Vec<Answer>),
}

impl Answer {
    pub(crate) fn ok() -> Self {
        Self::Simple("OK".to_owned())
    }

    pub(crate) fn bulk(text: &str) -> Self {
        Self::Bulk(Some(text.as_bytes().to_vec()))
    }
}

/// A connection to the Redis port.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        Self::try_connect(address).expect("it listens")
    }

    pub(crate) fn try_connect(address: &str) -> io::Result<Self> {
        Self::connect_within(address, TIMEOUT)
    }

    /// A connection to a node that may be out of reach: neither it nor an answer is waited for longer.
    pub(crate) fn connect_within(address: &str, timeout: Duration) -> io::Result<Self> {
        let address: SocketAddr = address.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.stream().write_all(bytes).expect("it listens");
    }

    pub(crate) fn ask(&mut self, words: &[&str]) -> Answer {
        self.try_ask(words).expect("a reply")
    }

    /// Asks a node that may die meanwhile.
    pub(crate) fn try_ask(&mut self, words: &[&str]) -> io::Result<Answer> {
        self.stream().write_all(&command(words))?;
        self.try_answer()
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("a reply")
    }

    fn try_answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        let (kind, rest) = line.split_at_checked(1).ok_or(ErrorKind::InvalidData)?;
        let number = || rest.parse::<i64>().map_err(io::Error::other);
        Ok(match kind {
            "+" => Answer::Simple(rest.to_owned()),
            "-" => Answer::Error(rest.to_owned()),
            ":" => Answer::Integer(number()?),
            "*" => {
                let answers = (0..number()?).map(|_| self.try_answer());
                Answer::Array(answers.collect::<io::Result<_>>()?)
            }
            "$" => Answer::Bulk(match usize::try_from(number()?) {
                Err(_) => None,
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.reader.read_exact(&mut bytes)?;
                    bytes.truncate(length);
                    Some(bytes)
                }
            }),
            other => return Err(io::Error::other(format!("no reply begins with {other:?}"))),
        })
    }

    /// Whether the other side has closed the connection; waits for it to say something.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.reader.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// A command as clients send it.
pub(crate) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}
