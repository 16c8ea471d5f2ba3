//! Rounds of `kill -9` under writes, and after each the search for every write that was acknowledged.
//!
//! Writers, each with keys of its own, write over all nodes. In the middle a node drawn by chance, or
//! all of them at once, is killed and started again. Then every key is read through every node
//! by a strict quorum: it must show the last value that was acknowledged, or one that its writer
//! wrote later and of which it never heard.
//!
//! Half of the keys are written once, so that no later write can hide the loss of an earlier one;
//! half again and again.
//!
//! What this does not try is the loss of power: what the system has taken survives the end of a
//! process. The simulator takes that from disks (`scenarios/lost-sync.toml`).

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::support::{Answer, Client, Cluster, Process, command, wait_for};

/// How many nodes there are; as many copies of each key.
pub(crate) const NODES: usize = 3;

/// The default W.
const WRITE_QUORUM: usize = 2;

/// How long a writer waits that finds nobody.
const PAUSE: Duration = Duration::from_millis(5);

/// Writes that a writer sends to one node before it turns to another.
const WRITES_PER_CONNECTION: u64 = 40;

/// Keys that a writer writes again and again.
const KEYS_AGAIN: u64 = 16;

/// Keys that are asked for before the first answer is read.
const READS_PER_PIPELINE: usize = 256;

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

/// What was counted.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    /// Writes that were acknowledged.
    pub(crate) acked: u64,
    /// Writes of which the writer does not know whether they happened.
    pub(crate) in_doubt: u64,
    /// Keys with an acknowledged write that were read, through each node.
    pub(crate) verified: u64,
    /// Which were not found.
    pub(crate) lost: Vec<String>,
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        self.acked += other.acked;
        self.in_doubt += other.in_doubt;
        self.verified += other.verified;
        self.lost.extend_from_slice(&other.lost);
    }
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
    let addresses = processes.iter().map(|node| node.redis.clone()).collect();
    let addresses = Addresses(Mutex::new(addresses));
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

impl Counts {
    fn columns(&self) -> [String; 4] {
        let Self { acked, in_doubt, verified, lost } = self;
        [acked, in_doubt, verified, &(lost.len() as u64)].map(u64::to_string)
    }
}

fn print_row(round: &str, killed: &str, [acked, in_doubt, verified, lost]: &[String; 4]) {
    println!("{round:>5}  {killed:<6} {acked:>9} {in_doubt:>9} {verified:>9} {lost:>6}");
}

fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

/// Where each node listens, or listened before it was killed.
struct Addresses(Mutex<Vec<String>>);

impl Addresses {
    fn of(&self, node: usize) -> String {
        self.all()[node].clone()
    }

    fn all(&self) -> MutexGuard<'_, Vec<String>> {
        // Whole texts: nothing about them can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
            self.addresses.all()[*victim].clone_from(&node.redis);
            self.processes[*victim] = Some(node);
        }
    }
}

/// Tells the writers to stop, also when something goes wrong meanwhile.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
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
    let (stops, acked, addresses) = (AtomicBool::new(false), AtomicU64::new(0), nodes.addresses);
    let wait_for_acks = |count: u64| {
        let enough = acked.load(Ordering::Relaxed) + count;
        wait_for("writes to be taken", || (acked.load(Ordering::Relaxed) >= enough).then_some(()));
    };
    let in_doubt = std::thread::scope(|scope| {
        let stop = Stop(&stops);
        let begin = |writer| scope.spawn(|| Writer::write(writer, addresses, &stops, &acked));
        let writing: Vec<_> = writers.iter_mut().map(begin).collect();
        wait_for_acks(before);
        nodes.kill(victims);
        // Without a quorum there is nothing to wait for.
        if NODES - victims.len() >= WRITE_QUORUM {
            wait_for_acks(without);
        }
        nodes.restart(victims);
        wait_for_acks(after);
        drop(stop);
        writing.into_iter().map(|writer| writer.join().expect("no writer panics")).sum()
    });
    Counts { acked: acked.into_inner(), in_doubt, ..Counts::default() }
}

/// Who writes to keys of its own, numbered values one after the other.
struct Writer {
    name: u16,
    random: ChaCha8Rng,
    /// The number of the last write.
    written: u64,
    ledger: BTreeMap<String, Entry>,
}

/// What a writer knows of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// The last write that was acknowledged.
    acked: Option<u64>,
    /// Later ones of which nobody knows whether they happened.
    in_doubt: Vec<u64>,
}

impl Entry {
    /// Whether what a read shows loses nothing that was acknowledged.
    fn is_held_by(&self, shown: &[u64]) -> bool {
        self.acked.is_none_or(|acked| {
            shown.iter().any(|number| *number == acked || self.in_doubt.contains(number))
        })
    }
}

impl Writer {
    fn new(name: u16, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(1 + u64::from(name));
        Self { name, random, written: 0, ledger: BTreeMap::new() }
    }

    /// Writes until it is told to stop. Returns how many writes are in doubt.
    fn write(&mut self, addresses: &Addresses, stops: &AtomicBool, acked: &AtomicU64) -> u64 {
        let mut in_doubt = 0;
        while !stops.load(Ordering::Relaxed) {
            let node = (self.random.next_u64() % NODES as u64) as usize;
            let Ok(mut client) = Client::try_connect(&addresses.of(node)) else {
                std::thread::sleep(PAUSE);
                continue;
            };
            for _ in 0..WRITES_PER_CONNECTION {
                if stops.load(Ordering::Relaxed) {
                    break;
                }
                let (key, number) = self.next();
                let entry = self.ledger.entry(key.clone()).or_default();
                entry.in_doubt.push(number);
                let value = number.to_string();
                match client.try_ask(&["SET", &key, &value]) {
                    Ok(answer) if answer == Answer::ok() => {
                        *entry = Entry { acked: Some(number), in_doubt: Vec::new() };
                        acked.fetch_add(1, Ordering::Relaxed);
                    }
                    // "Unknown", or refused; or the node is gone. In doubt is what may be.
                    Ok(_) => in_doubt += 1,
                    Err(_) => {
                        in_doubt += 1;
                        break;
                    }
                }
            }
        }
        in_doubt
    }

    /// The next write.
    fn next(&mut self) -> (String, u64) {
        let (name, number) = (self.name, self.written + 1);
        self.written = number;
        let key = match number % 2 {
            0 => format!("{name}-once-{number}"),
            _ => format!("{name}-again-{}", self.random.next_u64() % KEYS_AGAIN),
        };
        (key, number)
    }
}

/// Reads every key with an acknowledged write through a node.
fn verify(node: usize, address: &str, writers: &[Writer], counts: &mut Counts) {
    let mut client = Client::connect(address);
    let acked: Vec<_> = writers
        .iter()
        .flat_map(|writer| &writer.ledger)
        .filter(|(_, entry)| entry.acked.is_some())
        .collect();
    for keys in acked.chunks(READS_PER_PIPELINE) {
        // A read that a busy machine cuts short is asked again: it has shown nothing.
        let shown = wait_for("reads to be answered", || read(&mut client, keys));
        for ((key, entry), shown) in keys.iter().zip(shown) {
            counts.verified += 1;
            if !entry.is_held_by(&shown) {
                let node = name(node);
                counts
                    .lost
                    .push(format!("{key} through {node}: {entry:?}, and it shows {shown:?}"));
            }
        }
    }
}

/// The values of some keys, siblings included, as a strict quorum has them; none at all if one of
/// them was not answered.
fn read(client: &mut Client, keys: &[(&String, &Entry)]) -> Option<Vec<Vec<u64>>> {
    let ask =
        |(key, _): &(&String, &Entry)| command(&["KV.GET", key, "R", "quorum", "MODE", "strict"]);
    client.send(&keys.iter().flat_map(ask).collect::<Vec<_>>());
    let answers: Vec<_> = keys.iter().map(|_| client.answer()).collect();
    answers.into_iter().map(numbers_of).collect()
}

fn numbers_of(answer: Answer) -> Option<Vec<u64>> {
    let Answer::Array(fields) = answer else { return None };
    let Answer::Array(values) = &fields[1] else { panic!("the first field is `values`") };
    let number = |value: &Answer| match value {
        Answer::Bulk(Some(text)) => str::from_utf8(text).ok()?.parse().ok(),
        Answer::Bulk(None)
        | Answer::Simple(_)
        | Answer::Error(_)
        | Answer::Integer(_)
        | Answer::Array(_) => None,
    };
    Some(values.iter().map(|value| number(value).expect("a writer wrote it")).collect())
}

#[test]
fn only_what_was_acknowledged_or_written_later_counts_as_held() {
    let entry = Entry { acked: Some(5), in_doubt: vec![7] };
    for shown in [&[5][..], &[7], &[3, 5], &[5, 7]] {
        assert!(entry.is_held_by(shown), "{shown:?}");
    }
    for shown in [&[][..], &[3], &[6]] {
        assert!(!entry.is_held_by(shown), "{shown:?}");
    }
}
