//! One running node: the core, its storage and its listeners, put together and taken apart in the
//! right order. Knows no signals, files or threads of others: `kv-node start`, `kv-node dev` and
//! the tests under the deterministic runtime all run nodes with it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kv_core::config::Config;
use kv_core::cx::Identity;
use kv_core::message::Message;
use kv_core::node::Node;
use kv_core::store::Recovered;
use kv_core::types::NodeId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::clock::Clock;
use crate::config::{Limits, Listen};
use crate::core_loop::{Core, CoreHandle, CoreLoop, Inboxes, Outlets, Urgent};
use crate::draws::Draws;
use crate::http::{About, HttpServer};
use crate::log::{EventLog, LogLimiter};
use crate::metrics::Metrics;
use crate::peers::{PeerLimits, PeerQueues, PeerSetup};
use crate::redis_server::{self, RedisSetup};
use crate::stop::{self, Stopper};
use crate::storage::{Durability, Engine, Report, Storage};
use crate::tasks::Tasks;

/// The time within which tasks must end that have nothing to wait for.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The time for which a stop may take longer than `limits.stop_ms`, whatever the disk does.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The time for which an address in use is tried again: the process that had it may be dying.
const BIND_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before an address in use is tried again.
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// The sockets of a node, bound before anything else is begun, so that a port in use is found
/// early.
#[derive(Debug)]
pub struct Listeners {
    /// The socket for Redis clients.
    pub redis: TcpListener,
    /// The socket for peers.
    pub peer: TcpListener,
    /// The socket for health checks and metrics.
    pub http: TcpListener,
}

/// The error that an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {what}: {source}{}", hint(source))]
pub struct BindError {
    what: &'static str,
    address: SocketAddr,
    source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => ": stop the program that listens there, or choose another port",
        io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
        io::ErrorKind::PermissionDenied => ": choose a port above 1023",
        _ => "",
    }
}

impl Listeners {
    /// Binds all three sockets. An address in use is tried again, for a few seconds: after a `kill
    /// -9` the system may not have taken it back yet.
    ///
    /// # Errors
    /// [`BindError`], of the first that cannot be bound; none stays bound then.
    pub async fn bind(listen: Listen) -> Result<Self, BindError> {
        let Listen { redis, peer, http } = listen;
        let until = Instant::now() + BIND_TIMEOUT;
        Ok(Self {
            redis: bind("Redis clients", redis, until).await?,
            peer: bind("peers", peer, until).await?,
            http: bind("health checks and metrics", http, until).await?,
        })
    }

    /// Returns the addresses, with the ports that the system has chosen.
    ///
    /// # Errors
    /// The system does not say.
    pub fn addresses(&self) -> io::Result<Listen> {
        Ok(Listen {
            redis: self.redis.local_addr()?,
            peer: self.peer.local_addr()?,
            http: self.http.local_addr()?,
        })
    }
}

async fn bind(
    what: &'static str,
    address: SocketAddr,
    until: Instant,
) -> Result<TcpListener, BindError> {
    let mut is_told = false;
    loop {
        let source = match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(source) => source,
        };
        if source.kind() != io::ErrorKind::AddrInUse || Instant::now() >= until {
            return Err(BindError { what, address, source });
        }
        if !is_told {
            let seconds = BIND_TIMEOUT.as_secs();
            tracing::warn!("{address}, for {what}, is in use: trying for up to {seconds} s");
            is_told = true;
        }
        sleep(BIND_PAUSE).await;
    }
}

/// The parts of a node before its data is open: the inboxes of the core, to which the storage
/// reports, and the metrics that the HTTP interface shows meanwhile.
#[derive(Debug)]
pub struct Startup {
    core: CoreHandle,
    inboxes: Inboxes,
    metrics: Arc<Metrics>,
    log_limiter: Arc<LogLimiter>,
}

impl Startup {
    /// Creates the inboxes, the metrics and the limiter of a node.
    pub fn new(limits: &Limits) -> Self {
        let (core, inboxes) = crate::core_loop::inboxes(limits.core_queue);
        Self { core, inboxes, metrics: Arc::default(), log_limiter: Arc::default() }
    }

    /// Begins to answer health checks for a node that is starting.
    pub fn serve_http(&self, listener: TcpListener, limits: &Limits, about: About) -> HttpServer {
        let (metrics, log_limiter) = (Arc::clone(&self.metrics), Arc::clone(&self.log_limiter));
        HttpServer::start(listener, limits.http_connections, about, metrics, log_limiter)
    }

    /// The limiter that keeps the node's log short.
    pub fn log_limiter(&self) -> Arc<LogLimiter> {
        Arc::clone(&self.log_limiter)
    }

    /// The callback by which the storage reports to the core.
    pub fn report(&self) -> Report {
        let core = self.core.clone();
        Arc::new(move |event| core.tell(Urgent::Storage(event)))
    }
}

/// The parts of a node that is to be started.
#[derive(Debug)]
pub struct NodeParts<E> {
    /// The node's name.
    pub name: String,
    /// The name of the node's cluster.
    pub cluster: String,
    /// The node's identity, with its ring.
    pub identity: Identity,
    /// The address at which each other member listens.
    pub addresses: std::collections::BTreeMap<NodeId, String>,
    /// The settings of the core.
    pub core: Config,
    /// The limits on the loads that the node takes.
    pub limits: Limits,
    /// The durability of an acknowledged write.
    pub durability: Durability,
    /// The node's storage, open.
    pub storage: Storage<E>,
    /// The state that was recovered from the storage.
    pub recovered: Recovered,
    /// The node's socket for Redis clients.
    pub redis: TcpListener,
    /// The node's socket for peers.
    pub peer: TcpListener,
    /// The node's HTTP interface, which reports the start already.
    pub http: HttpServer,
    /// The node's source of random numbers.
    pub draws: Draws,
}

/// A running node, until [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    core: CoreHandle,
    /// The task of the core, which closes the storage at its end.
    core_task: JoinHandle<()>,
    metrics: Arc<Metrics>,
    log_limiter: Arc<LogLimiter>,
    http: HttpServer,
    clients: JoinHandle<usize>,
    others: Tasks,
    /// The signal that ends the clients.
    leaving: Stopper,
    /// The signal that ends all other tasks.
    ending: Stopper,
    failed: watch::Receiver<bool>,
    stop_ms: u64,
}

/// The way in which a node stopped. The writes that it acknowledged are durable in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The node stopped, and no client was kept waiting.
    Clean,
    /// Clients that did not read, or whose requests took too long, were left.
    ClientsLeft,
    /// A part such as the disk is still at work: the process must end without it.
    Unfinished,
}

/// The destinations of the core's effects.
struct Ways {
    peers: PeerQueues,
    failed: watch::Sender<bool>,
}

impl Outlets for Ways {
    fn send(&mut self, peer: NodeId, messages: Vec<Message>) {
        self.peers.send(peer, messages);
    }

    fn on_storage_failed(&mut self) {
        self.failed.send_replace(true);
    }

    fn on_suspected(&mut self, peer: NodeId) {
        self.peers.suspect(peer);
    }
}

impl Running {
    /// Starts a node.
    pub fn start<E: Engine>(startup: Startup, parts: NodeParts<E>) -> Self {
        let Startup { core, inboxes, metrics, log_limiter } = startup;
        let NodeParts {
            name,
            cluster,
            identity,
            mut addresses,
            core: config,
            limits,
            durability,
            storage,
            recovered,
            redis,
            peer,
            http,
            mut draws,
        } = parts;
        addresses.remove(&identity.node);
        let ((leaving, left), (ending, ended)) = (stop::channel(), stop::channel());
        let (failing, failed) = watch::channel(false);
        let mut others = Tasks::default();

        let setup = PeerSetup {
            identity: identity.clone(),
            addresses,
            limits: PeerLimits::new(&limits, &config),
            core: core.clone(),
            metrics: Arc::clone(&metrics),
            log_limiter: Arc::clone(&log_limiter),
        };
        let peers = PeerQueues::new(&setup);
        peers.connect(setup, peer, &mut draws, &ended, &mut others);
        let ticking = Arc::clone(&log_limiter);
        others.spawn(async move { ticking.run(ended).await });
        let setup = RedisSetup {
            name,
            node: identity.node,
            cluster,
            core: core.clone(),
            config: config.clone(),
            limits: limits.clone(),
            durability,
            metrics: Arc::clone(&metrics),
            log_limiter: Arc::clone(&log_limiter),
        };
        let clients = tokio::spawn(redis_server::listen(redis, setup, left));

        let log = EventLog::new(Arc::clone(identity.topology.newest()), Arc::clone(&log_limiter));
        let node = Node::new(config, identity, recovered);
        let turning = Core::new(node, Clock::start(), draws, Arc::clone(&metrics), log);
        let ways = Ways { peers, failed: failing };
        http.on_running(core.clone(), storage.watch());
        let core_task = tokio::spawn(CoreLoop::new(turning, storage, ways, inboxes).run());
        let stop_ms = limits.stop_ms as u64;
        Self {
            core,
            core_task,
            metrics,
            log_limiter,
            http,
            clients,
            others,
            leaving,
            ending,
            failed,
            stop_ms,
        }
    }

    /// The node's metrics. Shared, so that the last counts can be read after its end.
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The handle of the node's core.
    pub const fn core(&self) -> &CoreHandle {
        &self.core
    }

    /// Waits until the node cannot go on: its storage failed, or its core broke.
    pub async fn failed(&mut self) {
        // An error means that the core is gone, which it never is of its own will.
        let _failed = self.failed.wait_for(|failed| *failed).await;
    }

    /// Stops the node: takes no more clients, answers those that it has, leaves the peers, and
    /// makes all executed writes durable. Takes no longer than `limits.stop_ms` and a few seconds.
    ///
    /// The stop goes on if the future is dropped: a node that is dropped half way would wait for
    /// its disk.
    pub fn stop(self) -> impl Future<Output = Stopped> + Send {
        let longest = Duration::from_millis(self.stop_ms) + STOP_GRACE;
        let stopping = tokio::spawn(self.stop_in_order());
        async move {
            match timeout(longest, stopping).await {
                Ok(stopped) => stopped.expect("a node stops without a panic"),
                Err(_) => Stopped::Unfinished,
            }
        }
    }

    async fn stop_in_order(self) -> Stopped {
        let Self {
            core,
            core_task,
            metrics: _,
            log_limiter,
            http,
            clients,
            others,
            leaving,
            ending,
            failed: _,
            stop_ms,
        } = self;
        http.on_stopping();
        leaving.stop();
        let served = timeout(Duration::from_millis(stop_ms) + TIMEOUT, clients).await;
        let drained = matches!(served, Ok(Ok(0)));
        core.tell(Urgent::Stop);
        ending.stop();
        let left = others.end(TIMEOUT).await == 0;
        core.tell(Urgent::End);
        if core_task.await.is_err() {
            tracing::error!("the core ended with a panic");
        }
        log_limiter.flush();
        if drained && left { Stopped::Clean } else { Stopped::ClientsLeft }
    }
}
