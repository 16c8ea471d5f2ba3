//! The simulated cluster.
//!
//! [`world`] is the loop: it takes what is due from the queue ([`event_queue`]) and lets it happen.
//! [`scene`] is what the world is made of and what checks may look at: nodes ([`node`]) with their
//! disks ([`disk`]) and clocks ([`clock`]), and the links between them ([`network`]). Which nodes can
//! do what for each other, with all that is broken, is said by [`bonds`]; what they were told of each
//! other's logs by [`heard`]. Clients ([`client`]) ask,
//! and believe what they are told.

pub mod bonds;
pub mod client;
pub mod client_ids;
pub mod clock;
pub mod disk;
pub mod event_queue;
mod health;
pub mod heard;
mod hearing;
pub mod network;
pub mod node;
pub mod probes;
pub mod scene;
pub mod world;
pub mod world_time;
