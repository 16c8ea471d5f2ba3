//! Rounds of corruption: one node of three is stopped or killed, one of its files is changed, cut, zeroed,
//! removed or swapped with another, and it is started again. After each round every key is read from
//! that node alone: none may be missing, and none may have a value that it does not have.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::support::{Answer, Client, Cluster, Process, wait_for};

/// Settings of nodes that write tables soon: a table in memory takes a third of a MiB.
pub(crate) const SETTINGS: &str = "partitions = 64\n\
    [node]\ngossip_interval_ms = 200\nrepair_interval_ms = 200\n\
    [limits]\nmemory_bytes = 1048576\n";

const NODES: usize = 3;

/// The node whose files are corrupted. The other two hold everything.
const VICTIM: usize = 0;

/// The number of keys.
const KEYS: usize = 150;

/// The number of keys that are written anew in each round.
const WRITES: usize = 30;

/// What is to be done.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often to corrupt a file
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Decides which file is corrupted, and how; drawn and printed if it is not given
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

/// What came of the rounds.
#[derive(Debug, Default)]
pub(crate) struct CorruptionCounts {
    /// Keys that were read with another value, or none.
    pub(crate) wrong: Vec<String>,
    /// Rounds in which the node said that something was corrupt.
    pub(crate) told: usize,
    /// The longest time from a start until the node was complete.
    pub(crate) slowest: Duration,
}

/// The chance of a trial.
struct Draws(ChaCha8Rng);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end.max(1) as u64) as usize
    }
}

/// Corrupts files of a node of a cluster that is new, as often as is wanted, and says what came of it.
///
/// # Errors
/// The system has no randomness for a seed.
///
/// # Panics
/// If a node does not start, or does not become complete.
pub(crate) fn run(
    cluster: &Cluster,
    arguments: &Arguments,
) -> Result<CorruptionCounts, getrandom::Error> {
    let seed = arguments.seed.map_or_else(getrandom::u64, Ok)?;
    println!("{} rounds, {NODES} nodes, {KEYS} keys, seed {seed}", arguments.rounds);
    let mut draws = Draws(ChaCha8Rng::seed_from_u64(seed));
    let mut nodes: Vec<_> = cluster.start_all().into_iter().map(Some).collect();
    let mut values = vec![String::new(); KEYS];
    let mut total = CorruptionCounts::default();
    let mut writes = KEYS;
    for round in 1..=arguments.rounds {
        write(&nodes, &mut values, &mut draws, writes);
        writes = WRITES;
        let node = nodes[VICTIM].take().expect("it runs");
        // Two acknowledged each write; the third has it soon.
        wait_for("the node to hold all values", || {
            check(&mut node.client(), &values).is_empty().then_some(())
        });
        let is_killed = draws.below(2) == 0;
        if is_killed {
            node.kill();
        } else {
            assert_eq!(node.signal("TERM").code(), Some(0), "it stops cleanly");
        }
        let done = corrupt(&cluster.data_dir(VICTIM).join("data"), &mut draws);
        let said_before = said(cluster).len();
        let begun = Instant::now();
        let node = cluster.start(VICTIM);
        wait_for("the node to be complete", || (node.http("/health/ready").0 == 200).then_some(()));
        let took = begun.elapsed();
        let is_told = said(cluster)[said_before..].contains("ERROR");
        let wrong = check(&mut node.client(), &values);
        let end = if is_killed { "killed" } else { "stopped" };
        let words = if is_told { "told" } else { "" };
        println!("{round:>5}  {end:<8} {:>6} ms  {words:<5} {done}", took.as_millis());
        let wrong = wrong.into_iter().map(|key| format!("round {round}, {done}: {key}"));
        total.wrong.extend(wrong);
        total.told += usize::from(is_told);
        total.slowest = total.slowest.max(took);
        nodes[VICTIM] = Some(node);
    }
    Ok(total)
}

/// What the node has written to its log.
fn said(cluster: &Cluster) -> String {
    fs::read_to_string(cluster.log(VICTIM)).expect("it logs")
}

fn name(key: usize) -> String {
    format!("key-{key}")
}

/// Writes some keys anew, through any node.
fn write(nodes: &[Option<Process>], values: &mut [String], draws: &mut Draws, count: usize) {
    let running: Vec<_> = nodes.iter().flatten().collect();
    let mut client = running[draws.below(running.len())].client();
    for at in 0..count {
        let key = if count == KEYS { at } else { draws.below(KEYS) };
        let bytes = 200 + draws.below(20_000);
        let letters = (0..bytes).map(|_| char::from(b'a' + draws.below(26) as u8));
        values[key] = letters.collect();
        assert_eq!(client.ask(&["SET", &name(key), &values[key]]), Answer::ok());
    }
}

/// Reads every key of one node alone. Returns those that are not as they were written.
fn check(client: &mut Client, values: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, value) in values.iter().enumerate() {
        let read = client.ask(&["KV.GET", &name(key), "R", "1"]);
        if !holds(&read, value) {
            let mut words = format!("{read:?}");
            words.truncate(200);
            wrong.push(format!("{} is {words}", name(key)));
        }
    }
    wrong
}

/// Tells whether this is the one value of an answer.
fn holds(answer: &Answer, value: &str) -> bool {
    match answer {
        Answer::Bulk(Some(found)) => found == value.as_bytes(),
        Answer::Array(parts) => parts.iter().any(|part| holds(part, value)),
        Answer::Bulk(None) | Answer::Simple(_) | Answer::Error(_) | Answer::Integer(_) => false,
    }
}

/// All files in a folder and below, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Corrupts a file of a node. Returns in words what was done.
fn corrupt(data: &Path, draws: &mut Draws) -> String {
    let is_kept = |path: &PathBuf| path.to_string_lossy().contains("corrupt-");
    let all: Vec<_> = files(data).into_iter().filter(|path| !is_kept(path)).collect();
    let path = &all[draws.below(all.len())];
    let name = path.strip_prefix(data).expect("it lies there").display().to_string();
    let mut bytes = fs::read(path).expect("it can be read");
    // The end of a segment of the log is most often not written yet.
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let at = draws.below(used);
    let done = match draws.below(6) {
        0 => {
            fs::remove_file(path).expect("it is there");
            return format!("{name} removed");
        }
        1 => {
            let other = &all[draws.below(all.len())];
            let swapped = fs::read(other).expect("it can be read");
            fs::write(other, &bytes).expect("there is room");
            fs::write(path, swapped).expect("there is room");
            let other = other.strip_prefix(data).expect("it lies there");
            return format!("{name} swapped with {}", other.display());
        }
        2 => {
            bytes.truncate(at);
            "cut"
        }
        3 => {
            let end = (at + 1 + draws.below(20_000)).min(bytes.len());
            bytes[at..end].fill(0);
            "with a hole"
        }
        4 => {
            let end = (at + 1 + draws.below(2_000)).min(bytes.len());
            bytes[at..end].fill_with(|| draws.below(256) as u8);
            "with garbage"
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << draws.below(8);
            }
            "with a flipped bit"
        }
    };
    fs::write(path, bytes).expect("there is room");
    format!("{name} {done}, at {at}")
}
