//! Tests of what `cargo trial` is made of, which is a benchmark and runs no tests itself: how it parses, draws, schedules
//! and counts. The modules are those of `trial/main.rs`.

#[path = "trial/beside/mod.rs"]
mod beside;
#[path = "trial/cli.rs"]
mod cli;
#[path = "trial/corruption_rounds.rs"]
mod corruption_rounds;
#[path = "trial/disk.rs"]
mod disk;
#[path = "trial/filling.rs"]
mod filling;
#[path = "trial/hosts.rs"]
mod hosts;
#[path = "trial/http.rs"]
mod http;
#[path = "trial/idle.rs"]
mod idle;
#[path = "trial/key_arguments.rs"]
mod key_arguments;
#[path = "trial/kill_rounds.rs"]
mod kill_rounds;
#[path = "trial/load/mod.rs"]
mod load;
#[path = "trial/median.rs"]
mod median;
#[path = "trial/network_rounds.rs"]
mod network_rounds;
#[path = "trial/overload/mod.rs"]
mod overload;
#[path = "trial/peers/mod.rs"]
mod peers;
#[path = "trial/process_stat.rs"]
mod process_stat;
#[path = "trial/recovery/mod.rs"]
mod recovery;
#[path = "trial/sandbox.rs"]
mod sandbox;
#[path = "node/support.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use the rest of it")]
mod support;
#[path = "trial/table.rs"]
mod table;
#[path = "trial/tied.rs"]
mod tied;
#[path = "trial/usage.rs"]
mod usage;
#[path = "trial/writers.rs"]
mod writers;

use crate::cli::folder;
