//! `kv-node start`: one node in this process, from its directory to its end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use kv_core::cx::Identity;
use kv_core::store::FoundingRecord;
use kv_core::topology::Topology;
use kv_core::types::ClusterId;
use thiserror::Error;

use crate::clock::Clock;
use crate::config::{Limits, Listen, Settings};
use crate::descriptors::{self, TooFew};
use crate::draws::Draws;
use crate::http::About;
use crate::log::Sink;
use crate::node::{BindError, Listeners, NodeParts, Running, Startup, Stopped};
use crate::signals::Signals;
use crate::storage::{
    Directory, DirectoryError, OpenError, Opening, Pinned, Storage, StorageOptions,
};
use crate::tasks::aside;

/// The reason why a node does not start, or did not end as it should. Acknowledged writes are kept.
#[derive(Debug, Error)]
pub enum StartError {
    /// The directory is not to be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The data is not to be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The node cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The system refused something else.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
    /// A folder cannot be used for a cluster of this size.
    #[error(
        "{path} holds the data of {held} nodes, and not of {wanted}: give --nodes {held}, or another folder"
    )]
    OtherSize {
        /// The folder of the cluster.
        path: PathBuf,
        /// The number of nodes that have data there.
        held: usize,
        /// The number of nodes that were asked for.
        wanted: usize,
    },
    /// The process may not open as many files as the node needs.
    #[error(transparent)]
    Descriptors(#[from] TooFew),
    /// The node ran, and could not go on.
    #[error(
        "node {0} cannot go on: see the log; what it acknowledged stands on its disk and on those of others"
    )]
    Failed(String),
    /// The node was to stop, and was not done in time.
    #[error(
        "node {name} was to stop within {stop_ms} ms (limits.stop_ms), and left {}; what it acknowledged is kept",
        left(*stopped)
    )]
    KeptWaiting {
        /// The name of the node.
        name: String,
        /// The longest time for which the node waits, in milliseconds.
        stop_ms: usize,
        /// The outcome, with what was left.
        stopped: Stopped,
    },
    /// A second signal came while the node stopped.
    #[error("ended at once, as a second signal came; what was acknowledged is kept")]
    SecondSignal,
}

const fn left(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::Clean => "nothing undone",
        Stopped::ClientsLeft => "clients that did not read, or still waited for replies",
        Stopped::Unfinished => "its disk at work",
    }
}

/// Starts a node whose sockets are bound.
///
/// # Errors
/// [`StartError`]: nothing runs.
pub fn start(settings: Settings, listeners: Listeners) -> Result<Running, StartError> {
    let Settings {
        cluster,
        ring,
        addresses,
        node,
        name,
        data_dir,
        listen: _,
        durability,
        core,
        limits,
        warnings: _,
    } = settings;
    let Listeners { redis, peer, http } = listeners;
    let about =
        About { name: name.clone(), node, cluster: cluster.clone(), ring: Arc::clone(&ring) };
    let startup = Startup::new(&limits);
    let http = startup.serve_http(http, &limits, about);
    let mut directory = Directory::open(&data_dir)?;
    let pinned = Pinned::of(&cluster, ring.layout());
    let generation = directory.claim(node, &pinned, Clock::start().now().wall)?;
    let options = StorageOptions {
        durability,
        queue_commands_max: limits.storage_queue,
        unsynced_bytes_max: limits.unsynced_bytes,
        memory_bytes_max: limits.memory_bytes,
        disk_reserve_bytes: limits.disk_reserve_bytes as u64,
    };
    let opening = Opening { node, core: &core, ring: &ring, options };
    let (log_limiter, report) = (startup.log_limiter(), startup.report());
    let (storage, recovered) =
        Storage::open(directory, limits.cache_bytes as u64, &opening, log_limiter, report)?;
    tracing::info!(
        node = name,
        id = %node,
        generation = generation.0,
        data = %data_dir.display(),
        complete = recovered.complete.len(),
        owned = ring.owned_by(node).len(),
        "the data is open"
    );
    if !matches!(recovered.founding, FoundingRecord::Founded(_)) {
        tracing::warn!(
            "nothing here says that the cluster exists: this node asks its peers, and serves nobody \
             until one of them knows. If the cluster is new, say `kv-node init` to one member, once"
        );
    }
    let topology = Arc::new(Topology::new(ring));
    let identity = Identity { node, generation, cluster: ClusterId::of(&cluster), topology };
    let draws = Draws::from_os()?;
    let parts = NodeParts {
        name,
        cluster,
        identity,
        addresses,
        core,
        limits,
        durability,
        storage,
        recovered,
        redis,
        peer,
        http,
        draws,
    };
    Ok(Running::start(startup, parts))
}

/// Returns the limits of one of so many nodes in this process, lowered to the files that it may
/// open.
///
/// # Errors
/// [`TooFew`], if it may open too few.
pub fn within_descriptors(settings: &Settings, nodes: usize) -> Result<Limits, TooFew> {
    let (asked, peers) = (&settings.limits, settings.ring.members().len() - 1);
    let may = descriptors::raise();
    let given = descriptors::share(asked, peers, nodes, may)?;
    let lowered = descriptors::lowered(asked, &given);
    if !lowered.is_empty() {
        tracing::warn!(
            node = settings.name,
            "this process may open {may} files, so some limits are lowered: {}; raise the hard limit \
             (`LimitNOFILE`, `ulimit -Hn`) to have them as they are configured",
            lowered.join(", ")
        );
    }
    Ok(given)
}

/// Starts a node on a thread that may block: opening the data replays its log, which takes as
/// long as there is data.
///
/// # Errors
/// [`StartError`]: nothing runs.
///
/// # Panics
/// If the start panics.
pub async fn start_aside(settings: Settings, listeners: Listeners) -> Result<Running, StartError> {
    aside(move || start(settings, listeners)).await
}

/// Executes `kv-node start`: runs until a signal comes or the node fails. The addresses are written
/// to `out`.
///
/// A signal ends it at any time. Before the node serves it is simply abandoned: unfinished work on
/// the disk would survive a crash.
///
/// # Errors
/// [`StartError`].
pub async fn run(mut settings: Settings, out: &Sink) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    for warning in settings.warnings.lines() {
        tracing::warn!("the configuration: {warning}");
    }
    settings.limits = within_descriptors(&settings, 1)?;
    let (name, stop_ms) = (settings.name.clone(), settings.limits.stop_ms);
    let starting = async {
        let listeners = Listeners::bind(settings.listen).await?;
        let addresses = listeners.addresses()?;
        Ok::<_, StartError>((start_aside(settings, listeners).await?, addresses))
    };
    let (mut running, Listen { redis, peer, http }) = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!("{signal}: ended before the node served; it has acknowledged nothing");
            return Ok(());
        }
        started = starting => started?,
    };
    out.line(format!("redis {redis}\npeer {peer}\nhttp http://{http}\n"));
    let failed = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!("{signal}: stopping; a second signal ends at once");
            false
        }
        () = running.failed() => true,
    };
    let stopped = tokio::select! {
        biased;
        _ = signals.next() => return Err(StartError::SecondSignal),
        stopped = running.stop() => stopped,
    };
    if failed {
        return Err(StartError::Failed(name));
    }
    match stopped {
        Stopped::Clean => Ok(()),
        Stopped::ClientsLeft | Stopped::Unfinished => {
            Err(StartError::KeptWaiting { name, stop_ms, stopped })
        }
    }
}
