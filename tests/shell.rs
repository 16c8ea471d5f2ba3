//! The network shell under the deterministic runtime: three whole nodes, with their connections and
//! listeners, in one process in which a seed draws everything else. Build it with `--cfg madsim`, or
//! just run `tests/shell.sh`.
//!
//! ```text
//!   clients ──Redis protocol──► n1, n2, n3 ──peer connections──► wires ──► n1, n2, n3
//!                                  │                          (cut, tear, delay, count)
//!                                  └─► disks, which outlive kills
//! ```
//! What the nodes promise of data is the simulator's to judge. What the shell around them promises
//! would not be missed there, for the protocol repairs what a shell loses. So every wire counts what
//! it carries, and the counts of the nodes must agree with those of the wires (`accounts.rs`).
//!
//! - `command.rs`: the command line; each seed in a process of its own.
//! - `run.rs`: one seed, from its first start to its verdict.
//! - `cluster.rs`, `wire.rs`: the machines, and what lies between them.
//! - `client.rs`, `workload.rs`: those who ask.
//! - `history.rs`, `accounts.rs`: what must hold.
//! - `log.rs`, `chance.rs`: the trace with its digest; draws.

#[cfg(madsim)]
#[path = "shell/accounts.rs"]
mod accounts;
#[cfg(madsim)]
#[path = "shell/chance.rs"]
mod chance;
#[cfg(madsim)]
#[path = "shell/client.rs"]
mod client;
#[cfg(madsim)]
#[path = "shell/cluster.rs"]
mod cluster;
#[cfg(madsim)]
#[path = "shell/command.rs"]
mod command;
#[cfg(madsim)]
#[path = "shell/history.rs"]
mod history;
#[cfg(madsim)]
#[path = "shell/log.rs"]
mod log;
#[cfg(madsim)]
#[path = "shell/run.rs"]
mod run;
#[cfg(madsim)]
#[path = "shell/wire.rs"]
mod wire;
#[cfg(madsim)]
#[path = "shell/workload.rs"]
mod workload;

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    command::main()
}

#[cfg(not(madsim))]
fn main() {
    eprintln!("shell: nothing runs without --cfg madsim; tests/shell.sh builds and runs it");
}
