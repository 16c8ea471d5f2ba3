//! A seeded deterministic simulator for whole clusters of `kv-core`.
//!
//! A [`scenario::Scenario`] describes a cluster, its faults and what must hold. [`runs::run::run`]
//! plays it with a seed, in simulated time, and judges it. All chance comes from the seed, so the
//! same code, scenario and seed give the same run, event by event:
//! [`story::result::RunResult::digest`] is its identity.
//!
//! ```
//! use kv_sim::runs::options::RunOptions;
//! use kv_sim::runs::run::run;
//! use kv_sim::scenario::Scenario;
//! use kv_sim::story::result::Verdict;
//!
//! let text = r#"
//! title = "what was acknowledged survives the death of a node"
//! nodes = 3
//! quorum = { n = 3, r = 2, w = 2 }
//!
//! [[workload]]
//! kind = "put-get"
//! clients = 2
//! operations = 100
//!
//! [[fault]]
//! kind = "kill"
//! nodes = ["n1"]
//! from_ms = 100
//! until_ms = 2000
//!
//! [expect]
//! checks = ["durability"]
//! "#;
//! let scenario = Scenario::parse("killed.toml", text)?;
//!
//! let result = run(&scenario, &RunOptions::seeded(7));
//! assert_eq!(result.verdict, Verdict::Pass);
//! assert!(result.checks["durability"].examined > 0, "a check that saw nothing proves nothing");
//! assert_eq!(result.faults["kill"], 1);
//!
//! let (again, other) = (RunOptions::seeded(7), RunOptions::seeded(8));
//! assert_eq!(run(&scenario, &again).digest, result.digest);
//! assert_ne!(run(&scenario, &other).digest, result.digest);
//! # Ok::<(), kv_sim::scenario::ScenarioError>(())
//! ```
//!
//! The program `kv-sim` (`main.rs`) does this from the command line, for one seed or for many
//! ([`runs::sweep`]).
//!
//! The crate is laid out as halls, in the order in which a run passes through them:
//!
//! | hall | what it holds |
//! |---|---|
//! | [`scenario`] | the file: what is simulated, what breaks, and what must hold |
//! | [`faults`] | the kinds of faults, a file each: the keys, the effect, the words for it |
//! | [`random`] | chance: every choice has an address, and comes from the seed or from an override |
//! | [`cluster`] | the simulated cluster: nodes, disks, links, clocks, clients, and the loop that moves them |
//! | [`checks`] | what must hold, judged while the run happens |
//! | [`story`] | what is told of a run: digest, record, state, result, report |
//! | [`runs`] | one run, many runs, saved failures and how they are shrunk |
//!
//! Beside them, [`log_torture`] plays histories of the commit log alone, byte by byte.

pub mod checks;
pub mod cluster;
pub mod faults;
mod hashing;
mod ledger;
pub mod log_torture;
pub mod random;
pub mod runs;
pub mod scenario;
pub mod story;
#[cfg(test)]
mod testing;
