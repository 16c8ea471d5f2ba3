//! The state-based types that the value of a key can be, and the changes that commands make of them.
//!
//! ```text
//!   siblings of a key ──► TypedState::resolved ──► TypedState::apply(change, dot, time) ──► answer
//!                            join                     at the minter, under a new dot
//! ```
//!
//! A [`TypedState`] is what one version of a key holds: the value, and a clock of everything that it
//! has seen of the key, standing or removed. Siblings of one type join, without a client that would
//! resolve them. A change is executed by the minter, on all that it holds, under the dot of the
//! version that it makes. A deletion is a change like any other: the version that it makes holds no
//! value, and the clock of what it has taken away.
//!
//! One rule holds for all types: a write takes the place of what it has seen, and a removal takes away
//! what it has seen; what either has not seen stands beside it (`dot_store.rs`). Upon this rule the
//! types are maps and values:
//!
//! - [`Scalar`], a text or a number: the latest text, and increments that add up.
//! - [`Set`], of members; [`Hash`](struct@Hash), from fields to scalars; [`SortedSet`], from members
//!   to scores that are set and added to.
//! - [`List`], from positions to texts.
//! - [`HyperLogLog`], the [`Registers`] of its writer.
//!
//! Values that are plain bytes have no such state. What commands do with them is in [`text`] and
//! [`bits`].
//!
//! Invariants: equal states have equal bytes; no bytes make a state that breaks an invariant, or make
//! anything here panic; a change that is refused, or changes nothing, leaves the state and its clock
//! as they were.
//!
//! Nothing here knows of nodes, clocks, disks or the Redis protocol.

mod accumulator;
mod answer;
pub mod bits;
mod change;
mod data;
mod dot_codec;
mod dot_map;
mod dot_store;
mod hash;
mod hyper_log_log;
pub mod index;
mod integer;
mod list;
mod murmur;
mod position;
mod registers;
mod scalar;
mod score;
mod set;
mod sorted_set;
mod state;
pub mod text;
mod type_name;
mod write_stamp;

pub use answer::{Applied, ChangeError, ScoredMembers, ValueAnswer};
pub use change::ValueChange;
pub use data::Data;
pub use hash::{Hash, HashChange};
pub use hyper_log_log::{HyperLogLog, HyperLogLogChange};
pub use integer::parse_integer;
pub use list::{IfAbsent, List, ListChange, ListEnd, ListInsert, ListPop, ListPush, PivotSide};
pub use registers::{REGISTERS, RUN_MAX, Registers};
pub use scalar::{Scalar, ScalarChange, ScalarValue};
pub use score::Score;
pub use set::{Set, SetChange};
pub use sorted_set::{
    AddScores, Comparison, IncrementScore, Presence, ScoreCondition, SortedSet, SortedSetChange,
};
pub use state::{TypedState, TypesDiffer};
pub use type_name::TypeName;
pub use write_stamp::WriteStamp;

#[cfg(test)]
mod tests;
