//! Writers who remember what was acknowledged to them, and the search for it afterwards.
//!
//! Each writer has keys of its own and writes over all nodes, while somebody does something to these. Then
//! every key is read through every node by a strict quorum: it must show the last value that was
//! acknowledged, or one of which its writer never heard. Such a write may be earlier than the
//! acknowledged one and yet happen after it: the system holds a command that is on its way through a
//! network that is cut, and brings it when that heals.
//!
//! Half of the keys are written once, so that no later write can hide the loss of an earlier one;
//! half again and again.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::support::{Answer, Client, Process, TIMEOUT, command, wait_for};

/// How many nodes there are; as many copies of each key.
pub(crate) const NODES: usize = 3;

/// How long a writer waits that finds nobody.
const PAUSE: Duration = Duration::from_millis(5);

/// Writes that a writer sends to one node before it turns to another.
const WRITES_PER_CONNECTION: u64 = 40;

/// Keys that a writer writes again and again.
const KEYS_AGAIN: u64 = 16;

/// Keys that are asked for before the first answer is read.
const READS_PER_PIPELINE: usize = 256;

/// How writers go about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How long they wait for a node before they turn to another one.
    pub(crate) timeout: Duration,
    /// How long they pause after each write.
    pub(crate) pause: Duration,
}

impl Manner {
    /// As fast as they can, and sure that every node answers or breaks the connection.
    pub(crate) const HASTY: Self = Self { timeout: TIMEOUT, pause: Duration::ZERO };
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

impl Counts {
    /// As a row of a table.
    pub(crate) fn columns(&self) -> [String; 4] {
        let Self { acked, in_doubt, verified, lost } = self;
        [acked, in_doubt, verified, &(lost.len() as u64)].map(u64::to_string)
    }
}

/// What a node is called.
pub(crate) fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

/// Where each node listens, or listened before it was killed.
pub(crate) struct Addresses(Mutex<Vec<String>>);

impl Addresses {
    /// Where these nodes listen for clients.
    pub(crate) fn of_all(nodes: &[Process]) -> Self {
        Self(Mutex::new(nodes.iter().map(|node| node.redis.clone()).collect()))
    }

    /// Notes where a node listens that was started anew.
    pub(crate) fn has_moved(&self, index: usize, node: &Process) {
        self.all()[index].clone_from(&node.redis);
    }

    /// Where a node listens.
    pub(crate) fn of(&self, node: usize) -> String {
        self.all()[node].clone()
    }

    fn all(&self) -> MutexGuard<'_, Vec<String>> {
        // Whole texts: nothing about them can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the writers to stop, also when something goes wrong meanwhile.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets the writers write until something has been done to the nodes. It is told how many writes have been
/// acknowledged so far.
pub(crate) fn write_while(
    writers: &mut [Writer],
    addresses: &Addresses,
    manner: Manner,
    does: impl FnOnce(&AtomicU64),
) -> Counts {
    let (stops, acked) = (AtomicBool::new(false), AtomicU64::new(0));
    let in_doubt = std::thread::scope(|scope| {
        let stop = Stop(&stops);
        let write = |writer| Writer::write(writer, addresses, manner, (&stops, &acked));
        let begin = |writer| scope.spawn(move || write(writer));
        let writing: Vec<_> = writers.iter_mut().map(begin).collect();
        does(&acked);
        drop(stop);
        writing.into_iter().map(|writer| writer.join().expect("no writer panics")).sum()
    });
    Counts { acked: acked.into_inner(), in_doubt, ..Counts::default() }
}

/// Who writes to keys of its own, numbered values one after the other.
pub(crate) struct Writer {
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
    /// Others of which nobody knows whether they happen, and when.
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
    pub(crate) fn new(name: u16, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(1 + u64::from(name));
        Self { name, random, written: 0, ledger: BTreeMap::new() }
    }

    /// Writes until it is told to stop. Returns how many writes are in doubt.
    fn write(
        &mut self,
        addresses: &Addresses,
        manner: Manner,
        (stops, acked): (&AtomicBool, &AtomicU64),
    ) -> u64 {
        let mut in_doubt = 0;
        while !stops.load(Ordering::Relaxed) {
            let node = (self.random.next_u64() % NODES as u64) as usize;
            let Ok(mut client) = Client::connect_within(&addresses.of(node), manner.timeout) else {
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
                        entry.in_doubt.pop();
                        entry.acked = Some(number);
                        acked.fetch_add(1, Ordering::Relaxed);
                    }
                    // "Unknown", or refused; or the node is gone. In doubt is what may be, and another
                    // node may know better.
                    Ok(_) | Err(_) => {
                        in_doubt += 1;
                        break;
                    }
                }
                std::thread::sleep(manner.pause);
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
pub(crate) fn verify(node: usize, address: &str, writers: &[Writer], counts: &mut Counts) {
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
fn only_what_was_acknowledged_last_or_is_in_doubt_counts_as_held() {
    let entry = Entry { acked: Some(5), in_doubt: vec![7] };
    for shown in [&[5][..], &[7], &[3, 5], &[5, 7]] {
        assert!(entry.is_held_by(shown), "{shown:?}");
    }
    for shown in [&[][..], &[3], &[6]] {
        assert!(!entry.is_held_by(shown), "{shown:?}");
    }
}
