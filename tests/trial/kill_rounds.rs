//! Rounds of `kill -9` under writes, and after each the search for every write that was acknowledged.
//!
//! Writers write over all nodes. In the middle a node drawn by chance, or all of them at once, is killed
//! and started again. Then every key is looked for that holds an acknowledged write.
//!
//! What this does not try is the loss of power: what the system has taken survives the end of a
//! process. The simulator takes that from disks (`scenarios/lost-sync.toml`).

use std::sync::atomic::Ordering;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::support::{Cluster, Process, wait_for};
use crate::writers::{Addresses, Counts, Manner, NODES, Writer, name, verify, write_while};

/// Settings of nodes that are killed while they write tables: a table in memory takes a third of a MiB.
pub(crate) const SETTINGS: &str = "partitions = 64\n\
    [node]\ngossip_interval_ms = 200\nrepair_interval_ms = 200\nhedge_ms = 20\n\
    [limits]\nmemory_bytes = 1048576\n";

/// The default W.
const WRITE_QUORUM: usize = 2;

/// What is to be done.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often to kill
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Every so many rounds all nodes are killed at once; in the others one of them
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) all_every: u32,
    /// Writers at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) writers: u16,
    /// Acknowledged writes of a round before the kill, while nodes are down, and after their return
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) writes: u64,
    /// Decides who is killed when; drawn and printed if it is not given
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

/// Starts the cluster, kills it as often as is wanted, and says what came of it.
///
/// # Errors
/// The system has no randomness for a seed.
///
/// # Panics
/// If a node does not start, or the cluster stops taking writes or answering reads.
pub(crate) fn run(cluster: &Cluster, arguments: &Arguments) -> Result<Counts, getrandom::Error> {
    let Arguments { rounds, all_every, writers, writes, seed } = *arguments;
    let seed = seed.map_or_else(getrandom::u64, Ok)?;
    println!("{rounds} rounds, {writers} writers, {NODES} nodes, seed {seed}");
    print_row("round", "killed", &["acked", "in doubt", "verified", "lost"].map(str::to_owned));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut writers: Vec<_> = (0..writers).map(|name| Writer::new(name, seed)).collect();
    let processes = cluster.start_all();
    let addresses = Addresses::of_all(&processes);
    let processes = processes.into_iter().map(Some).collect();
    let mut nodes = Nodes { cluster, processes, addresses: &addresses };
    let mut total = Counts::default();
    for round in 1..=rounds {
        let victims: Vec<_> = match round % all_every {
            0 => (0..NODES).collect(),
            _ => vec![(random.next_u64() % NODES as u64) as usize],
        };
        // The kill does not always meet the same number of writes.
        let phases = [(); 3].map(|()| 1 + random.next_u64() % (2 * writes));
        let mut counts = write_and_kill(&mut nodes, &mut writers, &victims, phases);
        for node in 0..NODES {
            verify(node, &addresses.of(node), &writers, &mut counts);
        }
        let killed = if victims.len() == NODES { "all".to_owned() } else { name(victims[0]) };
        print_row(&round.to_string(), &killed, &counts.columns());
        total += &counts;
    }
    print_row("all", "", &total.columns());
    Ok(total)
}

fn print_row(round: &str, killed: &str, [acked, in_doubt, verified, lost]: &[String; 4]) {
    println!("{round:>5}  {killed:<6} {acked:>9} {in_doubt:>9} {verified:>9} {lost:>6}");
}

/// The nodes that run.
struct Nodes<'a> {
    cluster: &'a Cluster,
    processes: Vec<Option<Process>>,
    addresses: &'a Addresses,
}

impl Nodes<'_> {
    fn kill(&mut self, victims: &[usize]) {
        let died = victims.iter().filter_map(|victim| self.processes[*victim].take());
        died.for_each(Process::kill);
    }

    fn restart(&mut self, victims: &[usize]) {
        for victim in victims {
            let node = self.cluster.start(*victim);
            self.addresses.has_moved(*victim, &node);
            self.processes[*victim] = Some(node);
        }
    }
}

/// Lets the writers write, kills, and starts again. A phase is how many writes are acknowledged
/// before the kill, until the restart, and after it.
fn write_and_kill(
    nodes: &mut Nodes<'_>,
    writers: &mut [Writer],
    victims: &[usize],
    [before, without, after]: [u64; 3],
) -> Counts {
    write_while(writers, nodes.addresses, Manner::HASTY, |acked| {
        let wait_for_acks = |count: u64| {
            let enough = acked.load(Ordering::Relaxed) + count;
            wait_for("writes to be taken", || {
                (acked.load(Ordering::Relaxed) >= enough).then_some(())
            });
        };
        wait_for_acks(before);
        nodes.kill(victims);
        // Without a quorum there is nothing to wait for.
        if NODES - victims.len() >= WRITE_QUORUM {
            wait_for_acks(without);
        }
        nodes.restart(victims);
        wait_for_acks(after);
    })
}
