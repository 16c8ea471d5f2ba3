//! Rounds of a network that fails under writes, and after each the search for every write that was
//! acknowledged.
//!
//! Three nodes run on hosts of their own, which are network namespaces. In each round something is wrong with
//! the links for a while: a black hole, a one-way cut, or loss. A seed decides what, whom it meets and for how
//! long; which packets are lost is for the system to say. Packets are dropped in silence, as when somebody
//! pulls a cable: nobody is told, and connections go on as if all were well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::hosts::{Hosts, Trouble};
use crate::support::{Answer, Client, Cluster, Process, wait_for};
use crate::writers::{Addresses, Counts, Manner, NODES, Writer, verify, write_while};

/// Writers wait as long for a node as it may take to say that it does not know, and some more.
const MANNER: Manner =
    Manner { timeout: Duration::from_millis(2_500), pause: Duration::from_millis(10) };

/// Acknowledged writes before each trouble and after it.
const WRITES_AROUND: u64 = 100;

/// A cluster that is not repaired yet so long after its links are is not coming back.
const BACK_MAX: Duration = Duration::from_secs(180);

/// In loss so many packets in a hundred are lost.
const LOSS_PERCENT: u8 = 30;

/// What is to be done.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often something is wrong with the network: in turns a black hole, a one-way cut, and loss
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// For how long at most, in seconds
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Writers at once
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) writers: u16,
    /// Decides what happens to whom and when; drawn and printed if it is not given
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

/// What came of the rounds.
#[derive(Default)]
pub(crate) struct Outcome {
    /// What the writers and the search for their writes have counted.
    pub(crate) counts: Counts,
    /// How long after the end of each black hole all nodes served each other again.
    pub(crate) back: Vec<Duration>,
}

/// Starts the cluster on hosts of its own, troubles them as often as is wanted, and says what came of it.
///
/// # Errors
/// The system has no randomness for a seed.
///
/// # Panics
/// If a node does not start, or the cluster does not come back, or stops taking writes or answering reads.
pub(crate) fn run(
    hosts: &Hosts,
    cluster: &Cluster,
    arguments: &Arguments,
) -> Result<Outcome, getrandom::Error> {
    let Arguments { rounds, seconds, writers, seed } = *arguments;
    let seed = seed.map_or_else(getrandom::u64, Ok)?;
    println!("{rounds} rounds, {writers} writers, {NODES} nodes, seed {seed}");
    let heads = ["for", "acked", "in doubt", "verified", "lost", "back after"];
    print_row("round", "trouble", heads.map(str::to_owned));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut writers: Vec<_> = (0..writers).map(|name| Writer::new(name, seed)).collect();
    let nodes = cluster.start_all();
    let addresses = Addresses::of_all(&nodes);
    let mut outcome = Outcome::default();
    for round in 0..rounds {
        let trouble = draw(round, &mut random);
        let lasts = Duration::from_millis(500 + random.next_u64() % (1_000 * seconds - 499));
        let mut back = Duration::ZERO;
        let mut counts = write_while(&mut writers, &addresses, MANNER, |acked| {
            wait_for_acks(acked, WRITES_AROUND);
            hosts.suffer(trouble);
            std::thread::sleep(lasts);
            hosts.suffer(Trouble::Nothing);
            back = wait_until_back(&nodes);
            wait_for_acks(acked, WRITES_AROUND);
        });
        for (index, node) in nodes.iter().enumerate() {
            verify(index, &node.redis, &writers, &mut counts);
        }
        let [acked, in_doubt, verified, lost] = counts.columns();
        let columns = [in_seconds(lasts), acked, in_doubt, verified, lost, in_seconds(back)];
        print_row(&(round + 1).to_string(), &trouble.to_string(), columns);
        outcome.counts += &counts;
        if let Trouble::BlackHole(_) | Trouble::Parted(_) = trouble {
            outcome.back.push(back);
        }
    }
    let [acked, in_doubt, verified, lost] = outcome.counts.columns();
    print_row("all", "", [String::new(), acked, in_doubt, verified, lost, String::new()]);
    outcome.back.sort_unstable();
    if let Some(longest) = outcome.back.last() {
        let half = outcome.back[outcome.back.len().div_ceil(2) - 1];
        println!(
            "back after {} black holes: half of them within {}, all within {}",
            outcome.back.len(),
            in_seconds(half),
            in_seconds(*longest),
        );
    }
    Ok(outcome)
}

/// What is wrong in a round.
fn draw(round: u32, random: &mut ChaCha8Rng) -> Trouble {
    let mut below = |n: u64| (random.next_u64() % n) as usize;
    let node = below(NODES as u64);
    let variant = below(3);
    let other = (node + 1 + below(NODES as u64 - 1)) % NODES;
    match (round % 3, variant) {
        (0, 0 | 1) => Trouble::BlackHole(node),
        (0, _) => Trouble::Parted(node),
        (1, 0) => Trouble::OneWay { from: node, to: other },
        (1, 1) => Trouble::Mute(node),
        (1, _) => Trouble::Deaf(node),
        (_, _) => Trouble::Loss(LOSS_PERCENT),
    }
}

fn wait_for_acks(acked: &AtomicU64, count: u64) {
    let enough = acked.load(Ordering::Relaxed) + count;
    wait_for("writes to be taken", || (acked.load(Ordering::Relaxed) >= enough).then_some(()));
}

/// Waits until every node reaches all others, and they it. Returns how long that took.
fn wait_until_back(nodes: &[Process]) -> Duration {
    let begun = Instant::now();
    while !nodes.iter().all(reaches_all) {
        assert!(begun.elapsed() < BACK_MAX, "the cluster does not come back after {BACK_MAX:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

/// Whether a write through a node is made durable by all nodes, and it sees its peers up.
fn reaches_all(node: &Process) -> bool {
    let write = ["KV.PUT", "probe", "x", "W", "all", "MODE", "strict", "TIMEOUT", "500"];
    let answer = Client::connect_within(&node.redis, MANNER.timeout)
        .and_then(|mut client| client.try_ask(&write));
    let is_stored = match answer {
        Ok(Answer::Array(_)) => true,
        Ok(Answer::Simple(_) | Answer::Error(_) | Answer::Integer(_) | Answer::Bulk(_))
        | Err(_) => false,
    };
    is_stored && node.metric("kv_peer_links_up") == (NODES - 1) as f64
}

fn in_seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn print_row(round: &str, trouble: &str, columns: [String; 6]) {
    let [lasts, acked, in_doubt, verified, lost, back] = columns;
    println!(
        "{round:>5}  {trouble:<16} {lasts:>7} {acked:>9} {in_doubt:>9} {verified:>9} {lost:>6} {back:>11}"
    );
}

#[test]
fn every_third_round_is_of_the_same_kind_and_seeds_decide_the_rest() {
    let draw = |round, seed| draw(round, &mut ChaCha8Rng::seed_from_u64(seed));
    for seed in 0..50 {
        assert!(matches!(draw(0, seed), Trouble::BlackHole(_) | Trouble::Parted(_)));
        match draw(1, seed) {
            Trouble::OneWay { from, to } => assert!(from != to && from < NODES && to < NODES),
            other => assert!(matches!(other, Trouble::Mute(_) | Trouble::Deaf(_)), "{other}"),
        }
        assert_eq!(draw(2, seed), Trouble::Loss(LOSS_PERCENT));
        assert_eq!(draw(4, seed), draw(1, seed));
    }
    assert!((1..50).any(|seed| draw(0, seed) != draw(0, 0)));
}
