//! The node from the outside: its command line, and whole clusters of processes on loopback.

#[path = "node/command_line.rs"]
mod command_line;
#[path = "node/configuration.rs"]
mod configuration;
#[path = "trial/corruption_rounds.rs"]
mod corruption_rounds;
#[path = "node/descriptors.rs"]
mod descriptors;
#[path = "node/diagnostics.rs"]
mod diagnostics;
#[path = "node/directory.rs"]
mod directory;
#[path = "node/disks.rs"]
mod disks;
#[path = "node/founding.rs"]
mod founding;
#[path = "node/full_disks.rs"]
mod full_disks;
#[path = "node/health.rs"]
mod health;
#[path = "trial/hosts.rs"]
mod hosts;
#[path = "trial/kill_rounds.rs"]
mod kill_rounds;
#[path = "node/links.rs"]
mod links;
#[path = "node/network.rs"]
mod network;
#[path = "trial/network_rounds.rs"]
mod network_rounds;
#[path = "node/peers.rs"]
mod peers;
#[path = "node/processes.rs"]
mod processes;
#[path = "node/proxy.rs"]
mod proxy;
#[path = "node/redis_tools.rs"]
mod redis_tools;
#[path = "node/refusals.rs"]
mod refusals;
#[path = "trial/sandbox.rs"]
mod sandbox;
#[path = "node/signals.rs"]
mod signals;
#[path = "node/slow_clients.rs"]
mod slow_clients;
#[path = "node/small_disk.rs"]
mod small_disk;
#[path = "node/support.rs"]
mod support;
#[path = "trial/writers.rs"]
mod writers;
