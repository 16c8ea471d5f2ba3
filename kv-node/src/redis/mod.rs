//! The requests of Redis clients, and the replies to them. Pure: no sockets, no clocks.
//!
//! ```text
//!   bytes ──► Parser ──► Command ─► ┌──────────────────────┐ ─► Ask { ticket, operation } ──► the core
//!                                   │ Pipeline             │
//!   bytes ◄── replies, in order ◄── │   Connection, KeyLocks │ ◄─ (ticket, Reply)         ◄── the core
//!                                   └──────────────────────┘
//! ```
//!
//! - [`Connection`] knows what one client has set up, and turns a command into a [`CommandStep`]: a reply,
//!   a [`Request`] of the core, or a reply after which the connection ends. Nothing is executed
//!   under an assumption that was refused (`assumption.rs`).
//! - [`Pipeline`] keeps the order: replies leave in the order of their commands, although the
//!   requests behind them run side by side. Commands that touch one key run one after the other,
//!   if any of them writes it.
//! - `commands/` has one file per family; their table is what a client sees with `COMMAND`.
//!
//! # How a socket drives it
//! ```text
//! let mut parser = Parser::new(settings.limits());
//! let mut pipeline = Pipeline::new(Connection::new(identity, settings));
//! loop {
//!     while pipeline.has_room() {
//!         match parser.next(&mut input) {
//!             Ok(Some(command)) => pipeline.on_command(&command, &info, &mut asks),
//!             Ok(None) => break,
//!             // and go on: it ends if it must
//!             Err(error) => pipeline.on_parse_error(error, parser.take_skipped().as_ref()),
//!         }
//!     }
//!     // hand all of `asks` to the core in one go, then write `pipeline.ready()`: pipeline.on_written(…)
//!     if pipeline.is_over() { close }
//!     // wait for bytes (only if pipeline.has_room()), or for replies: pipeline.on_reply(…)
//! }
//! ```
//! At the end of the client's stream, call [`Pipeline::on_end`]: what it asked for is still
//! answered. Every [`Ask`] must be answered once, with [`Reply::Unknown`](kv_core::client::Reply)
//! if nobody else can say.
//!
//! # Commands
//! | command | reply |
//! |---|---|
//! | `PING [message]` `ECHO message` | the message |
//! | `HELLO [2\|3 [AUTH default password] [SETNAME name]]` | a map |
//! | `AUTH default password` | `OK`, whatever the password: there are none |
//! | `SELECT 0` | `OK`; there is one database |
//! | `RESET` `QUIT` `READONLY` `READWRITE` `ASKING` | `RESET`, `OK`; the last three change nothing |
//! | `EXEC` `DISCARD` `UNWATCH` | `MULTI` and `WATCH` are refused: `EXECABORT`, `OK`, `OK` |
//! | `CLIENT SETNAME\|GETNAME\|ID\|INFO\|LIST\|SETINFO\|REPLY\|NO-EVICT\|NO-TOUCH` | as Redis |
//! | `CLIENT TRACKING OFF` | `OK`; `ON` is refused |
//! | `COMMAND [COUNT\|DOCS\|INFO\|LIST]` `INFO [section …]` `CONFIG GET pattern …` | as Redis |
//! | `GET key` `MGET key …` | the value, or of siblings the latest |
//! | `STRLEN key` `EXISTS key …` | an integer, by reading |
//! | `SET key value` `MSET key value …` | `OK`; overwrites all that this connection has seen, and what the replica that takes the write holds (in `strict`: what a read before it met). `MSET` is not atomic: if it fails, the error says how many keys were stored |
//! | `DEL key …` | how many of the keys had a value. First all keys are read; if a read fails, nothing is deleted. Then every key gets a tombstone, also one that showed no value, since a copy that was not reached may hold one |
//!
//! # Commands of our own
//! | command | reply |
//! |---|---|
//! | `KV.GET key [R level] [MODE mode] [TIMEOUT ms] [MONOTONIC]` | a map: `values` (an array: all siblings), `tombstones` (how many siblings are deletions), `context`, `achieved` |
//! | `KV.PUT key value [CONTEXT token \| NONE] [W level] [MODE mode] [TIMEOUT ms] [REQUEST hex]` | a map: `context`, `siblings` (how many stand now), `achieved` |
//! | `KV.DEL key [CONTEXT token \| NONE] [W level] [MODE mode] [TIMEOUT ms] [REQUEST hex]` | as `KV.PUT`: a tombstone is a version |
//! | `KV.OPTIONS [R level] [W level] [MODE mode] [TIMEOUT ms]` | sets what this connection's commands use when they do not say (`DEFAULT` for each: the node's configuration), and replies with a map of `r`, `w`, `mode`, `timeout`, as they are now |
//!
//! - `level`: a number of copies, or `one`, `quorum`, `all`, `local_quorum`, `each_quorum`.
//! - `mode`: `sloppy` (fallbacks count) or `strict` (only owners do).
//! - `TIMEOUT`: milliseconds, in the range of the configuration's `timeout_ms`.
//! - `CONTEXT token`: overwrites exactly what the reply with this token showed; `NONE`: overwrites
//!   nothing; neither: as `SET`. Tokens are hexadecimal, so that they pass through any client and
//!   any shell.
//! - `REQUEST hex`: the client's own id of the request, up to 32 digits; a retry with the same id
//!   is the same write.
//! - `achieved`: a map of `owners` and `fallbacks` (the node ids of those that answered a read, or
//!   hold a write durably) and `machines` (how many distinct ones they stand on).
//!
//! # Errors
//! | code | meaning | what to do |
//! |---|---|---|
//! | `ERR` | the command cannot be done as it stands; nothing was done | change it |
//! | `EXECABORT` | the end of a transaction whose `MULTI` was refused; nothing was done | send its commands without `MULTI` |
//! | `NOAUTH` | an earlier `AUTH` was refused; nothing was done | `AUTH default`, or `RESET` |
//! | `WRONGPASS` | `AUTH` of another user than `default` | connect without a user |
//! | `NOPROTO` | `HELLO` with a protocol that is not spoken here | use 2 or 3 |
//! | `CONTEXT` | the context token is corrupt or not of this key; nothing was stored | read the key again |
//! | `NOQUORUM` | no such quorum exists in this layout; nothing was done | ask for fewer copies |
//! | `SIBLINGS` | the key has as many siblings as are allowed; nothing was stored | read it, write with the context |
//! | `BUSY` | this node works on as many requests as it may, or holds as many bytes for its clients; nothing was done | try again later |
//! | `UNAVAILABLE` | this node or the replica cannot do it now; nothing was done | try again, or another node |
//! | `TIMEOUT` | a read: too few answers in time. A write: it may stand or not, now or later | try again (a write with its `REQUEST`) |

mod assumption;
mod client_line;
mod commands;
pub mod connection;
mod details;
mod dispatch;
pub mod error;
pub mod key_locks;
pub mod node_info;
mod options;
pub mod output;
pub mod pipeline;
mod profile;
mod refused_assumptions;
mod reply_flags;
pub mod request;
mod settings;
#[cfg(test)]
mod testing;

pub use client_line::client_line;
pub use connection::{CommandStep, Connection};
pub use error::CommandError;
pub use node_info::{NodeInfo, Section};
pub use output::Output;
pub use pipeline::{Ask, Pipeline, PipelineTicket};
pub use profile::{ConnectionActivity, ConnectionIdentity, LastCommand, Profile};
pub use request::Request;
pub use settings::RedisSettings;
