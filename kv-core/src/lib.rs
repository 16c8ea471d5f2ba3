//! Every protocol decision of the store, and nothing else.
//!
//! ```text
//!                 Input                                     Effect
//!   client, peer, operator,   ┌────────────────────────┐   Reply, Send,
//!   StoreDone, Durable,  ───► │ Node::handle           │ ───►  Store, Observe
//!   Link, Deadline, Stop      │   node.rs only routes  │
//!                             └────────────────────────┘
//!   StoreCommand         ───►   storage::execute          ───►  Outcome
//!                               (where the disk is)
//! ```
//!
//! The crate is *Sans-IO*: it has no clock, thread, socket, file, environment, global state, source
//! of chance, order of hashing or floating point, but for the sums of scores ([`value::Score`]), which
//! are the same everywhere. Time and chance are inputs ([`time::Now`], [`cx::Draw`]); storage is a
//! trait ([`store::Store`]); deadlines are pulled ([`node::Node::next_deadline`]). The same inputs
//! give the same effects, in any driver and on any machine. That is enforced by the build: the crate
//! is `no_std`, and `clippy.toml` beside it refuses what would leak.
//!
//! # A put, from the request to the reply
//! A driver hands a node inputs and does what the effects say. This one drives a cluster of one node
//! over a map in memory, `Disk`, whose code is hidden here: it is a [`store::Store`] that is durable as
//! soon as it has committed.
//!
//! ```
//! use kv_core::client::{ClientOperation, Options, PutContext, Reply, Verb};
//! use kv_core::cx::{Cx, Effect, Identity, Input};
//! use kv_core::store::Store as _;
//! # use kv_core::cx::{Draw, Purpose};
//! # use kv_core::store::{Batch, Corrupt, StoreFault, Store, View, Visitor};
//! # use kv_core::types::{ClientRequest, ClusterId, FoundingId, Generation, LogPosition, NodeId, Seq};
//! # use kv_core::{config::Config, layout::Layout, ring::Ring, time::Now, version::Content};
//! # use kv_core::{node::Node, storage};
//! # use std::collections::{BTreeMap, VecDeque};
//! # use std::sync::Arc;
//! # use kv_core::topology::Topology;
//! # #[derive(Default)]
//! # struct Disk {
//! #     records: BTreeMap<Vec<u8>, bytes::Bytes>,
//! #     newest: Seq,
//! # }
//! # impl Store for Disk {
//! #     fn get(&self, _: View, key: &[u8]) -> Result<Option<bytes::Bytes>, Corrupt> {
//! #         Ok(self.records.get(key).cloned())
//! #     }
//! #     fn scan(&self, _: View, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
//! #         let is_wanted = |key: &[u8]| key.starts_with(prefix) && key > after;
//! #         let mut wanted = self.records.iter().filter(|(key, _)| is_wanted(key));
//! #         let _ = wanted.try_for_each(|(key, record)| visit(key, Ok(record)));
//! #     }
//! #     fn commit(&mut self, batch: Batch) -> Result<Seq, StoreFault> {
//! #         for (key, record) in batch.into_writes(<[u8]>::to_vec) {
//! #             match record {
//! #                 Some(record) => self.records.insert(key, record),
//! #                 None => self.records.remove(&key),
//! #             };
//! #         }
//! #         self.newest = self.newest.next();
//! #         Ok(self.newest)
//! #     }
//! #     fn newest(&self) -> Seq {
//! #         self.newest
//! #     }
//! # }
//! # struct Seeded(u64);
//! # impl Draw for Seeded {
//! #     fn u64(&mut self, purpose: Purpose, subject: u64) -> u64 {
//! #         self.0 += 1;
//! #         kv_core::sampling::mix(&[purpose as u64, subject, self.0])
//! #     }
//! # }
//! let me = NodeId(1);
//! let ring = Ring::new(Layout::single_datacenter(8, 1, [(me, "n1".into())]))?;
//! let config = Config { read_quorum: 1, write_quorum: 1, ..Config::default() };
//! let mut disk = Disk::default();
//! storage::format(&mut disk, me, FoundingId(1), ring.owned_by(me))?;
//! let (mut partitions, recovered) = storage::open(me, &config, 8, &disk, LogPosition(0))?;
//! let (generation, cluster) = (Generation(1), ClusterId(1));
//! let topology = Arc::new(Topology::new(Arc::new(ring)));
//! let identity = Identity { node: me, generation, cluster, topology };
//! let mut node = Node::new(config, identity, recovered);
//!
//! let (content, context) = (Content::Value("hello".into()), PutContext::Nothing);
//! let verb = Verb::Put { content, expiry: None, context };
//! let put = ClientOperation { key: "greeting".into(), verb, options: Options::default() };
//! let put = Input::Client { request: ClientRequest(1), operation: put.into() };
//!
//! let (mut inputs, mut replies, mut draw) = (VecDeque::from([put]), Vec::new(), Seeded(7));
//! while let Some(input) = inputs.pop_front() {
//!     let mut out = Vec::new();
//!     node.handle(&mut Cx { now: Now::default(), draw: &mut draw, out: &mut out }, input);
//!     for effect in out {
//!         match effect {
//!             Effect::Store { ticket, command } => {
//!                 let state = partitions.get_mut(command.partition);
//!                 let outcome = storage::execute(state, &mut disk, &command);
//!                 let seq = disk.newest();
//!                 let log = LogPosition(seq.0);
//!                 inputs.extend([Input::StoreDone { ticket, seq, outcome }, Input::Durable { seq, log }]);
//!             }
//!             Effect::Reply { request: _, reply } => replies.push(reply),
//!             Effect::Send(_) => unreachable!("this node has no peer"),
//!             Effect::Observe(_) | Effect::AdminReply { .. } => {}
//!         }
//!     }
//! }
//! assert!(matches!(&replies[..], [Reply::Stored { achieved, .. }] if achieved.machines == 1));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Errors and panics
//! Bad input from a client or a peer is an error value or an [`event::Event::Rejected`], and changes
//! nothing. A panic is a broken invariant of this crate, or of the driver's contract in [`cx`].
//!
//! # Where to start
//! [`version`] (what a key holds) and [`value`] (the types that this can be), then [`store`] (what is
//! asked of storage) and [`storage`] (how it is done), then [`replica`] and [`coordinator`] (how a key is
//! served and asked for). [`node`] shows how the machines fit together.
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
mod fingerprint;
pub mod founding;
pub mod handoff;
pub mod hybrid;
pub mod in_flight;
mod key;
pub mod layout;
pub mod log;
pub mod log_runs;
pub mod membership;
pub mod merkle;
pub mod message;
pub mod node;
pub mod probe;
pub mod quorum;
pub mod recall;
pub mod repair;
pub mod replica;
pub mod ring;
pub mod sampling;
mod sha;
pub mod storage;
pub mod store;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod time;
pub mod topology;
pub mod types;
pub mod value;
pub mod version;
pub mod wire;
pub mod write;
