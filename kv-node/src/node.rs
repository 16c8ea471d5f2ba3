//! One running node: the core, its storage and its listeners, put together and taken apart in the
//! right order. Knows no signals, files or threads of others: `kv-node start`, `kv-node dev` and the
//! tests under the deterministic runtime all run nodes with it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kv_core::config::Config;
use kv_core::cx::Identity;
use kv_core::message::Message;
use kv_core::node::Node;
use kv_core::store::{Recovered, StoreCommand};
use kv_core::types::{NodeId, Ticket};
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
use crate::peers::{PeerLimits, PeerSetup, Peers};
use crate::redis_server::{self, RedisSetup};
use crate::stop::{self, Stopper};
use crate::storage::{Durability, Report, Storage};
use crate::tasks::Tasks;

/// How long tasks may take that have nothing to wait for.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How much longer than `limits.stop_ms` a stop may take, whatever its disk does.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long an address that is in use is asked for again: the process that had it may be dying.
const BIND_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before it is asked for again.
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// The sockets of a node, bound before anything else is begun: a port in use is found out early.
#[derive(Debug)]
pub struct Listeners {
    /// For Redis clients.
    pub redis: TcpListener,
    /// For peers.
    pub peer: TcpListener,
    /// For health checks and metrics.
    pub http: TcpListener,
}

/// An address that cannot be listened on.
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
    /// Binds all three. An address that is in use is asked for again, for a few seconds: after a
    /// `kill -9` the system may not have taken it back yet.
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

    /// Where they listen, now that the system has chosen ports.
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

/// What is there before the data of a node is open: the core's inboxes, where the storage reports to,
/// and what the HTTP interface shows meanwhile.
#[derive(Debug)]
pub struct Startup {
    core: CoreHandle,
    inboxes: Inboxes,
    metrics: Arc<Metrics>,
    log_limiter: Arc<LogLimiter>,
}

impl Startup {
    /// Inboxes for a core.
    pub fn new(limits: &Limits) -> Self {
        let (core, inboxes) = crate::core_loop::inboxes(limits.core_queue);
        Self { core, inboxes, metrics: Arc::default(), log_limiter: Arc::default() }
    }

    /// Begins to answer health checks: the node is starting.
    pub fn serve_http(&self, listener: TcpListener, limits: &Limits, about: About) -> HttpServer {
        let (metrics, log_limiter) = (Arc::clone(&self.metrics), Arc::clone(&self.log_limiter));
        HttpServer::start(listener, limits.http_connections, about, metrics, log_limiter)
    }

    /// What keeps the node's log short.
    pub fn log_limiter(&self) -> Arc<LogLimiter> {
        Arc::clone(&self.log_limiter)
    }

    /// Where the storage reports to.
    pub fn report(&self) -> Report {
        let core = self.core.clone();
        Arc::new(move |events| core.tell(Urgent::Storage(events)))
    }
}

/// What a node is made of.
#[derive(Debug)]
pub struct Assembly {
    /// Its name.
    pub name: String,
    /// The name of its cluster.
    pub cluster: String,
    /// Who it is.
    pub identity: Identity,
    /// Where each other member listens.
    pub addresses: std::collections::BTreeMap<NodeId, String>,
    /// What its core is told.
    pub core: Config,
    /// What it will bear.
    pub limits: Limits,
    /// What its storage promises of an acknowledged write.
    pub durability: Durability,
    /// Its storage, open.
    pub storage: Storage,
    /// What its storage holds.
    pub recovered: Recovered,
    /// Its socket for Redis clients.
    pub redis: TcpListener,
    /// Its socket for peers.
    pub peer: TcpListener,
    /// Its HTTP interface, which tells of the start already.
    pub http: HttpServer,
    /// Its chance.
    pub draws: Draws,
}

/// A node that runs, until [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    core: CoreHandle,
    core_task: CoreTask,
    storage: Arc<Storage>,
    metrics: Arc<Metrics>,
    log_limiter: Arc<LogLimiter>,
    http: HttpServer,
    clients: JoinHandle<usize>,
    others: Tasks,
    /// Ends the clients.
    leaving: Stopper,
    /// Ends everything else.
    ending: Stopper,
    failed: watch::Receiver<bool>,
    stop_ms: u64,
}

/// How a node stopped. What it acknowledged is durable in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nobody was kept waiting.
    Clean,
    /// Clients that did not read, or whose requests took too long, were left.
    ClientsLeft,
    /// Something, such as the disk, is still at work: the process must end without it.
    Unfinished,
}

/// Where the core's effects go.
struct Ways {
    peers: Peers,
    storage: Arc<Storage>,
    failed: watch::Sender<bool>,
}

impl Outlets for Ways {
    fn send(&mut self, peer: NodeId, messages: Vec<Message>) {
        self.peers.send(peer, messages);
    }

    fn store(&mut self, commands: Vec<(Ticket, StoreCommand)>) {
        self.storage.submit(commands);
    }

    fn storage_is_full(&self) -> bool {
        self.storage.is_full()
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
    pub fn start(startup: Startup, assembly: Assembly) -> Self {
        let Startup { core, inboxes, metrics, log_limiter } = startup;
        let Assembly {
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
        } = assembly;
        addresses.remove(&identity.node);
        let storage = Arc::new(storage);
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
        let peers = Peers::new(&setup);
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

        let log = EventLog::new(Arc::clone(&identity.ring), Arc::clone(&log_limiter));
        let node = Node::new(config, identity, recovered);
        let turning = Core::new(node, Clock::start(), draws, Arc::clone(&metrics), log);
        let ways = Ways { peers, storage: Arc::clone(&storage), failed: failing };
        let core_task = CoreTask::spawn(CoreLoop::new(turning, ways, inboxes));
        http.on_running(core.clone(), Arc::downgrade(&storage));
        let stop_ms = limits.stop_ms as u64;
        Self {
            core,
            core_task,
            storage,
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

    /// What it counts. Shared, so that its last counts can be read after its end.
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Its core.
    pub const fn core(&self) -> &CoreHandle {
        &self.core
    }

    /// Returns when the node cannot go on: its storage failed, or its core broke.
    pub async fn failed(&mut self) {
        // An error means that the core is gone, which it never is of its own will.
        let _failed = self.failed.wait_for(|failed| *failed).await;
    }

    /// Stops: takes no more clients, answers those that it has, leaves the peers, and makes
    /// everything durable that was executed. Takes no longer than `limits.stop_ms` and a few seconds.
    ///
    /// It goes on if nobody waits for it: a node that is dropped half way would wait for its disk.
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
            storage,
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
        core_task.end().await;
        close(storage).await;
        log_limiter.flush();
        if drained && left { Stopped::Clean } else { Stopped::ClientsLeft }
    }
}

/// Closes the storage, which may take as long as its disk.
#[cfg(not(madsim))]
async fn close(mut storage: Arc<Storage>) {
    // Somebody may be reading its counts at this moment.
    let storage = loop {
        match Arc::try_unwrap(storage) {
            Ok(storage) => break storage,
            Err(shared) => storage = shared,
        }
        sleep(Duration::from_millis(1)).await;
    };
    let closed = tokio::task::spawn_blocking(move || storage.close()).await;
    closed.expect("the threads of the storage end without a panic");
}

/// Asks the storage to end; its task belongs to the test.
#[cfg(madsim)]
async fn close(storage: Arc<Storage>) {
    storage.stop();
}

/// The thread of the core.
#[cfg(not(madsim))]
#[derive(Debug)]
struct CoreTask(std::thread::JoinHandle<()>);

#[cfg(not(madsim))]
impl CoreTask {
    fn spawn<O: Outlets + 'static>(core: CoreLoop<O>) -> Self {
        let turn = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime for one thread needs nothing").block_on(core.run());
        };
        let thread = std::thread::Builder::new().name("kv-core".to_owned()).spawn(turn);
        Self(thread.expect("a node that is starting can have a thread"))
    }

    async fn end(self) {
        let joined = tokio::task::spawn_blocking(move || self.0.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the core ended with a panic");
        }
    }
}

/// The core as one task of many.
#[cfg(madsim)]
#[derive(Debug)]
struct CoreTask(Tasks);

#[cfg(madsim)]
impl CoreTask {
    fn spawn<O: Outlets + 'static>(core: CoreLoop<O>) -> Self {
        let mut tasks = Tasks::default();
        tasks.spawn(core.run());
        Self(tasks)
    }

    async fn end(self) {
        let _aborted = self.0.end(TIMEOUT).await;
    }
}
