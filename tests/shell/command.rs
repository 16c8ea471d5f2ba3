//! The command line: many seeds, each in a process of its own, so that none can influence another.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::run::run;

/// How long one seed may take in real time before it counts as hanging.
const WALL_MAX: Duration = Duration::from_secs(300);

/// Every so many seeds one is run in a second process.
const AGAIN_EVERY: u64 = 10;

/// Three real nodes in one deterministic process, through partitions, kills and broken connections
#[derive(Debug, Parser)]
#[command(name = "tests/shell.sh")]
struct Arguments {
    /// Seeds, each in a process of its own: from the first to before the last
    #[arg(long, value_name = "A..B", default_value = "0..10", value_parser = seeds)]
    seeds: Range<u64>,
    /// Processes at a time [default: the number of cores]
    #[arg(long)]
    jobs: Option<usize>,
    /// Stop after so many seeds that failed
    #[arg(long, value_name = "K")]
    until_failures: Option<usize>,
    /// One seed, in this process; twice, if it passes
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "jobs", "until_failures"])]
    seed: Option<u64>,
    /// Print every event of the seed
    #[arg(long, requires = "seed")]
    trace: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text
        .split_once("..")
        .and_then(|(first, last)| Some(first.parse().ok()?..last.parse().ok()?));
    match parsed {
        Some(range) if !Range::is_empty(&range) => Ok(range),
        _ => Err("expected two numbers, the first less than the second, such as 0..300".to_owned()),
    }
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, arguments.trace),
        None => many(&arguments),
    }
}

/// Runs a seed, twice if it passes, and prints what came of it: last the digest and the counts, for
/// [`many`].
fn one(seed: u64, is_shown: bool) -> ExitCode {
    let verdict = run(seed, is_shown);
    for (check, what) in &verdict.violations {
        println!("seed {seed} violated {check}: {what}");
    }
    if !verdict.violations.is_empty() {
        return ExitCode::from(1);
    }
    let again = run(seed, false);
    if again != verdict {
        let (first, second) = (verdict.digest.0, again.digest.0);
        println!(
            "seed {seed} violated determinism: digests {first:032x} and {second:032x} in one process"
        );
        return ExitCode::from(3);
    }
    let counts: String =
        verdict.counts.iter().map(|(name, count)| format!(" {name}={count}")).collect();
    println!("digest={:032x}{counts}", { verdict.digest.0 });
    ExitCode::SUCCESS
}

/// What came of many seeds.
#[derive(Debug, Default)]
struct Sums {
    passed: u64,
    failed: Vec<u64>,
    counts: BTreeMap<String, u64>,
}

fn many(arguments: &Arguments) -> ExitCode {
    let begun = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let waiting: Mutex<VecDeque<u64>> = Mutex::new(arguments.seeds.clone().collect());
    let sums = Mutex::new(Sums::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.unwrap_or(cores).max(1) {
            scope.spawn(|| {
                while let Some(seed) = next(&waiting, &sums, arguments.until_failures) {
                    let result = judge(seed);
                    let mut sums = sums.lock().expect("no thread panics");
                    match result {
                        Ok(counts) => {
                            sums.passed += 1;
                            for (name, count) in counts {
                                *sums.counts.entry(name).or_default() += count;
                            }
                        }
                        Err(report) => {
                            sums.failed.push(seed);
                            println!(
                                "{report}To see it again:\n  tests/shell.sh --seed {seed} --trace\n"
                            );
                        }
                    }
                }
            });
        }
    });
    let mut sums = sums.into_inner().expect("no thread panics");
    for (name, count) in &sums.counts {
        println!("{count:>12} {}", name.replace('_', " "));
    }
    let Sums { passed, failed, .. } = &mut sums;
    failed.sort_unstable();
    println!(
        "{passed} seeds passed, {} failed, in {:.0} s",
        failed.len(),
        begun.elapsed().as_secs_f64()
    );
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::from(1)
}

fn next(
    waiting: &Mutex<VecDeque<u64>>,
    sums: &Mutex<Sums>,
    failures_max: Option<usize>,
) -> Option<u64> {
    let failed = sums.lock().expect("no thread panics").failed.len();
    if failures_max.is_some_and(|max| failed >= max) {
        return None;
    }
    waiting.lock().expect("no thread panics").pop_front()
}

/// Runs a seed in a process of its own, some of them in two. Returns its counts, or a report.
fn judge(seed: u64) -> Result<Vec<(String, u64)>, String> {
    let line = process(seed)?;
    if seed.is_multiple_of(AGAIN_EVERY) {
        let again = process(seed)?;
        if again != line {
            return Err(format!(
                "seed {seed} violated determinism: two processes say\n  {line}\n  {again}\n"
            ));
        }
    }
    let counts = line.split(' ').skip(1).filter_map(|part| {
        let (name, count) = part.split_once('=')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    Ok(counts.collect())
}

/// The last line of a process that runs a seed and finds nothing wrong.
fn process(seed: u64) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| format!("seed {seed}: {error}\n"))?;
    let mut command = Command::new(program);
    command.args(["--seed", &seed.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("seed {seed}: {error}\n"))?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let heard = scope.spawn(move || read(stdout.as_mut()));
        let complained = scope.spawn(move || read(stderr.as_mut()));
        let begun = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if begun.elapsed() < WALL_MAX => {
                    std::thread::sleep(Duration::from_millis(5))
                }
                // It is ours, and it ends: there is nobody else to end it.
                Ok(None) | Err(_) => {
                    let _ended = child.kill();
                    let _ended = child.wait();
                    break None;
                }
            }
        };
        let heard = heard.join().unwrap_or_default();
        let complained = complained.join().unwrap_or_default();
        match status {
            Some(status) if status.success() => heard
                .lines()
                .last()
                .map(ToOwned::to_owned)
                .ok_or_else(|| format!("seed {seed} says nothing\n")),
            Some(status) if status.code() == Some(101) => {
                Err(format!("seed {seed} violated crash: {complained}{heard}"))
            }
            Some(_) => Err(format!("{heard}{complained}")),
            None => Err(format!("seed {seed} violated liveness: it hangs\n{heard}{complained}")),
        }
    })
}

fn read(pipe: Option<&mut impl std::io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read until an error is all there is to show.
        let _read = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
