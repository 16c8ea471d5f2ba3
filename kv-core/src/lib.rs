//! Every protocol decision of the store, and nothing else.
//!
//! ```text
//!                 Input                                     Effect
//!   client, peer, operator,   ┌────────────────────────┐   Reply, Send,
//!   StoreDone, Durable,  ───► │ Node::handle           │ ───►  Store, Observe
//!   Link, Deadline, Stop      │   node.rs only routes  │
//!                             └────────────────────────┘
//!   StoreCommand         ───►   replica::execute          ───►  Outcome
//!                               (where the disk is)
//! ```
//!
//! The crate is *Sans-IO*: it has no clock, thread, socket, file, environment, global state, source
//! of chance, order of hashing or floating point. Time and chance are inputs ([`time::Now`],
//! [`cx::Draw`]); storage is a trait ([`store::Store`]); deadlines are pulled
//! ([`node::Node::next_deadline`]). The same inputs give the same effects, in any driver and on any
//! machine. That is enforced by the build: the crate is `no_std`, and `clippy.toml` beside it
//! refuses what would leak.
//!
//! # Errors and panics
//! Bad input from a client or a peer is an error value or an [`event::Event::Rejected`], and changes
//! nothing. A panic is a broken invariant of this crate, or of the driver's contract in [`cx`].
//!
//! # Where to start
//! [`version`] (what a key holds), then [`store`] and [`replica`] (how it is kept), then
//! [`coordinator`] (how it is asked for). [`node`] shows how the machines fit together.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::float_arithmetic))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod admin;
pub mod client;
pub mod codec;
pub mod config;
pub mod coordinator;
pub mod cx;
pub mod deadline;
pub mod durable;
pub mod event;
mod fifo;
pub mod founding;
pub mod handoff;
pub mod hybrid;
pub mod in_flight;
mod key;
pub mod layout;
pub mod membership;
pub mod merkle;
pub mod message;
pub mod node;
pub mod probe;
pub mod quorum;
pub mod repair;
pub mod replica;
pub mod ring;
pub mod sampling;
mod sha;
pub mod store;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod time;
pub mod types;
pub mod version;
pub mod wire;
