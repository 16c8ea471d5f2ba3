//! The chance of a run, all of which comes from its seed.
//!
//! A choice has an address ([`address`]); what is chosen there ([`draws`]) is a function of the seed,
//! the address, and the number of times that something was asked there before.

pub mod address;
mod draw_counter;
pub mod draws;
pub(crate) mod zipf;
