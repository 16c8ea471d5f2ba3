//! A seeded deterministic simulator for whole clusters of `kv-core`.
//!
//! A [`scenario::Scenario`] describes a cluster, its faults and what must hold. [`run::run`] plays
//! it with a seed, in simulated time, and judges it. All chance comes from the seed, so the same
//! code, scenario and seed give the same run, event by event: [`result::RunResult::digest`] is its
//! identity.
//!
//! ```
//! use kv_sim::result::Verdict;
//! use kv_sim::run::{RunOptions, run};
//! use kv_sim::scenario::Scenario;
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
//! ([`sweep`]).

pub mod address;
pub mod artefact;
pub mod bench;
pub mod checks;
pub mod client;
pub mod clock;
pub mod digest;
pub mod disk;
mod draw_counter;
pub mod draws;
pub mod event_queue;
pub mod former_names;
mod hashing;
mod ledger;
pub mod network;
pub mod node;
pub mod panics;
pub mod probes;
pub mod record;
pub mod report;
pub mod result;
pub mod run;
pub mod scenario;
pub mod scene;
pub mod shrink;
pub mod state;
pub mod summary;
pub mod sweep;
#[cfg(test)]
mod testing;
pub mod timeline;
pub mod words;
pub mod world;
pub mod world_time;
