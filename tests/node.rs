//! The node from the outside: its command line, and whole clusters of processes on loopback.

#[path = "node/command_line.rs"]
mod command_line;
#[path = "node/processes.rs"]
mod processes;
#[path = "node/support.rs"]
mod support;
