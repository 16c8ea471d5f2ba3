//! Every protocol decision of the store, and nothing else.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod config;
pub mod coordinator;
pub mod cx;
pub mod durable;
pub mod event;
pub mod hybrid;
pub mod in_flight;
pub mod layout;
pub mod merkle;
pub mod message;
pub mod node;
pub mod quorum;
pub mod replica;
pub mod ring;
pub mod sampling;
pub mod store;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod time;
pub mod types;
pub mod version;
pub mod wire;
