//! The real node: a thin shell of sockets, disks and clocks around `kv-core`.
//!
//! ```text
//!   Redis clients ─► resp, redis, redis_server ─┐           ┌─► storage ─► disk
//!                                               ├► core_loop┤
//!   peers ─────────► peers ─────────────────────┘    │      └─► peers ─► other nodes
//!                                                    └─► metrics, log ─► http, people
//! ```
//! This crate decides nothing about data: code that does belongs into `kv-core`.
//!
//! # What a program can do with it
//! Check a configuration before it is rolled out, as `kv-node config check` does. A missing key has
//! its default, and an unknown one is refused, with its line and the nearest known name:
//!
//! ```
//! use kv_node::config::{DEFAULT, Overrides, Settings};
//!
//! let text = r#"
//! [cluster]
//! name = "shop"
//!
//! [[member]]
//! name = "n1"
//! address = "127.0.0.1:7101"
//! [[member]]
//! name = "n2"
//! address = "127.0.0.1:7102"
//! [[member]]
//! name = "n3"
//! address = "127.0.0.1:7103"
//!
//! [self]
//! name = "n1"
//! data_dir = "data/n1"
//! redis = "127.0.0.1:7001"
//! peer = "127.0.0.1:7101"
//! http = "127.0.0.1:7201"
//! "#;
//! let settings = Settings::parse("shop.toml", text, &Overrides::default())?;
//! assert_eq!(settings.ring.members().len(), 3);
//! assert_eq!(settings.core.write_quorum, 2);
//!
//! let slip = DEFAULT.replace("timeout_ms = 1000", "timeuot_ms = 1000");
//! let error = Settings::parse("slip.toml", &slip, &Overrides::default()).unwrap_err();
//! assert!(error.render(false).contains("timeout_ms"));
//! # Ok::<(), kv_node::config::ConfigError>(())
//! ```
//!
//! Read what Redis clients send. The [`resp::Parser`] is fed bytes as they come, and keeps what is
//! not whole yet:
//!
//! ```
//! use bytes::BytesMut;
//! use kv_node::resp::{Parser, ParserLimits};
//!
//! let limits = ParserLimits {
//!     arguments_max: 16,
//!     argument_bytes_max: 1024,
//!     command_bytes_max: 4096,
//!     inline_bytes_max: 64,
//! };
//! let mut parser = Parser::new(limits);
//! let mut input = BytesMut::from(&b"*2\r\n$3\r\nGET\r\n$8\r\ngree"[..]);
//! assert_eq!(parser.next(&mut input)?, None);
//! input.extend_from_slice(b"ting\r\n");
//! let command = parser.next(&mut input)?.expect("it is whole now");
//! assert_eq!(command.name(), "GET");
//! assert_eq!(command.arguments(), ["greeting"]);
//! # Ok::<(), kv_node::resp::ParseError>(())
//! ```

#[cfg(not(madsim))]
pub mod admin_client;
#[cfg(not(madsim))]
pub mod admin_targets;
#[cfg(not(madsim))]
pub mod cli;
pub mod clock;
pub mod config;
pub mod core_loop;
#[cfg(not(madsim))]
pub mod descriptors;
#[cfg(not(madsim))]
pub mod dev;
pub mod draws;
pub mod health;
pub mod http;
pub mod inspection;
pub mod log;
#[cfg(not(madsim))]
pub mod memory;
pub mod metrics;
mod nearest;
pub mod node;
#[cfg(not(madsim))]
pub mod orders;
pub mod peers;
pub mod redis;
pub mod redis_server;
pub mod resp;
#[cfg(not(madsim))]
pub mod signals;
pub mod socket;
#[cfg(not(madsim))]
pub mod start;
#[cfg(not(madsim))]
pub mod status;
pub mod stop;
pub mod storage;
pub mod tasks;
