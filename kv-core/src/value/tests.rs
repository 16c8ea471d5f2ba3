//! The laws of the types, in histories of three replicas that are drawn from seeds.
//!
//! In each history replicas change what they hold and join what others held at some time, in any
//! order, late and repeatedly. What stands is compared with what a dumb twin says, which knows of
//! each event by name whether it is known, and which others it took away.

mod bytes;
mod commands;
mod containers;
mod dice;
mod history;
mod hyper_log_logs;
mod laws;
mod lists;
mod rules;
mod twin;
