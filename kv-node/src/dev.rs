//! `kv-node dev`: a whole cluster in this process, for trying it and for development. All nodes share
//! one thread, so it shows what a cluster does, and not how fast one is.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kv_core::admin::{AdminCommand, AdminRefusal, AdminReply};
use tokio::time::{sleep, timeout};

use crate::config::{Limits, Listen, Overrides, Settings};
use crate::log::Sink;
use crate::node::{Listeners, Running, Stopped};
use crate::signals::Signals;
use crate::start::{StartError, start_aside, within_descriptors};

/// The time for which nodes may look for each other before the cluster is shown as it is.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What cluster is wanted.
#[derive(Clone, Debug, clap::Args)]
pub struct DevArguments {
    /// Nodes, each with a machine label of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub nodes: u16,
    /// The Redis port of the first node; the others take the ports after it. 0: the system chooses
    #[arg(long, default_value_t = 7001)]
    pub port: u16,
    /// Where the data stays; without it, it goes when the cluster ends
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Runs a cluster until a signal comes. Its usage is written to `out`.
///
/// # Errors
/// [`StartError`].
pub async fn run(arguments: DevArguments, out: &Sink) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    let temporary = match &arguments.dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("kv-node-dev-").tempdir()?),
    };
    let dir = match (&arguments.dir, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => unreachable!("one of the two is there"),
    };
    check_size(&dir, usize::from(arguments.nodes))?;

    let mut cluster = Vec::new();
    let starting = async {
        let addresses = begin(&arguments, &dir, &mut cluster).await?;
        let met = timeout(TIMEOUT, all_met(&cluster)).await;
        found(&cluster).await;
        let know = timeout(TIMEOUT, all_know(&cluster)).await;
        if met.is_err() || know.is_err() {
            tracing::warn!("the nodes have not found each other yet");
        }
        Ok(addresses)
    };
    let mut ended = tokio::select! {
        biased;
        _ = signals.next() => Some(Ok(())),
        started = starting => match started {
            Ok(addresses) => {
                out.line(greeting(&addresses, &dir, temporary.is_some()));
                None
            }
            Err(error) => Some(Err(error)),
        }
    };
    if ended.is_none() {
        ended = tokio::select! {
            biased;
            _ = signals.next() => Some(Ok(())),
            index = any_failed(&mut cluster) => Some(Err(StartError::Failed(name(index)))),
        };
    }
    let stopped = tokio::select! {
        biased;
        _ = signals.next() => return Err(StartError::SecondSignal),
        stopped = stop(cluster) => stopped,
    };
    ended.unwrap_or(Ok(())).and(stopped)
}

/// Starts all nodes, as long as each of them starts. Returns their addresses.
async fn begin(
    arguments: &DevArguments,
    dir: &Path,
    cluster: &mut Vec<Running>,
) -> Result<Vec<Listen>, StartError> {
    let mut bound = Vec::new();
    for index in 0..arguments.nodes {
        let listeners = Listeners::bind(listen(arguments, index)).await?;
        let addresses = listeners.addresses()?;
        bound.push((listeners, addresses));
    }
    let addresses: Vec<Listen> = bound.iter().map(|(_, addresses)| *addresses).collect();
    let limits = within_descriptors(&settings(dir, &addresses, 0), bound.len())?;
    for (index, (listeners, _)) in bound.into_iter().enumerate() {
        let settings = Settings { limits: limits.clone(), ..settings(dir, &addresses, index) };
        cluster.push(start_aside(settings, listeners).await?);
    }
    Ok(addresses)
}

fn name(index: usize) -> String {
    format!("n{}", index + 1)
}

/// Checks that the folder is not of a cluster of another size, which has another layout, in which
/// its data would not be found.
fn check_size(dir: &Path, wanted: usize) -> Result<(), StartError> {
    let held = (0..).take_while(|index| dir.join(name(*index)).exists()).count();
    if held == 0 || held == wanted {
        return Ok(());
    }
    Err(StartError::OtherSize { path: dir.to_owned(), held, wanted })
}

fn listen(arguments: &DevArguments, index: u16) -> Listen {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let redis = match arguments.port {
        0 => 0,
        // Past the last port two nodes ask for the same one, and the second is refused.
        first => first.saturating_add(index),
    };
    Listen { redis: at(redis), peer: at(0), http: at(0) }
}

/// Makes the settings of one node of the cluster.
fn settings(dir: &Path, addresses: &[Listen], index: usize) -> Settings {
    let mut text = format!("[cluster]\nname = \"dev\"\nn = {}\n", addresses.len().min(3));
    for (index, listen) in addresses.iter().enumerate() {
        let (name, peer) = (name(index), listen.peer);
        writeln!(text, "[[member]]\nname = \"{name}\"\naddress = \"{peer}\"")
            .expect("a string takes every text");
    }
    let Listen { redis, peer, http } = addresses[index];
    let overrides = Overrides {
        name: Some(name(index)),
        data_dir: Some(dir.join(name(index))),
        redis: Some(redis),
        peer: Some(peer),
        http: Some(http),
        ..Overrides::default()
    };
    Settings::parse("dev", &text, &overrides).expect("a cluster of equal nodes makes sense")
}

/// Waits until every node has a link to every other.
async fn all_met(cluster: &[Running]) {
    let others = cluster.len() as i64 - 1;
    while cluster.iter().any(|node| node.metrics().links_up.get() < others) {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Gives `init` to the first node. A cluster that was founded by an earlier run refuses it, and
/// nothing is to be done.
async fn found(cluster: &[Running]) {
    let order = AdminCommand::Init { without: Vec::new() };
    match cluster[0].core().admin(order).await {
        Ok(AdminReply::Refused(AdminRefusal::AlreadyFounded)) | Ok(AdminReply::Founded { .. }) => {}
        Ok(other) => tracing::error!("the cluster is not founded: {other:?}"),
        Err(ended) => tracing::error!("the cluster is not founded: {ended}"),
    }
}

/// Waits until every node knows that the cluster is founded: until then it serves nobody.
async fn all_know(cluster: &[Running]) {
    for node in cluster {
        while node.core().inspect().await.is_ok_and(|node| !node.is_founded) {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Waits for a node that cannot go on, and returns its index.
async fn any_failed(cluster: &mut [Running]) -> usize {
    let mut failures: Vec<_> = cluster.iter_mut().map(|node| Box::pin(node.failed())).collect();
    std::future::poll_fn(|context| {
        let failed =
            failures.iter_mut().position(|failure| failure.as_mut().poll(context).is_ready());
        failed.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}

/// Stops all nodes at once, so that none sees the others go one by one.
async fn stop(cluster: Vec<Running>) -> Result<(), StartError> {
    let stopping: Vec<_> = cluster.into_iter().map(Running::stop).collect();
    let mut result = Ok(());
    for (index, stopping) in stopping.into_iter().enumerate() {
        match stopping.await {
            Stopped::Clean => {}
            stopped @ (Stopped::ClientsLeft | Stopped::Unfinished) => {
                let stop_ms = Limits::default().stop_ms;
                result = Err(StartError::KeptWaiting { name: name(index), stop_ms, stopped });
            }
        }
    }
    result
}

/// The text that says how to talk to the cluster.
fn greeting(addresses: &[Listen], dir: &Path, is_temporary: bool) -> String {
    let mut text = format!("A cluster of {} nodes runs in this process.\n\n", addresses.len());
    for (index, Listen { redis, http, .. }) in addresses.iter().enumerate() {
        let (name, port) = (name(index), redis.port());
        writeln!(text, "  {name}  redis-cli -p {port:<5}  http://{http}/health/ready")
            .expect("a string takes every text");
    }
    let (first, last) = (addresses[0].redis.port(), addresses[addresses.len() - 1].redis.port());
    let fate = if is_temporary { "goes when it ends" } else { "stays" };
    write!(
        text,
        "\nWrite through one node and read through another:\n\n  \
         redis-cli -p {first} set greeting hello\n  redis-cli -p {last} get greeting\n\n\
         The data lies in {} and {fate}. Ctrl-C ends the cluster.\n",
        dir.display()
    )
    .expect("a string takes every text");
    text
}
