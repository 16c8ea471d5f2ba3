//! Commands of our own, for clients that know of siblings: they show all of them, return and take
//! contexts, and say what stands behind a reply. The table is in [`crate::redis`].

use bytes::BytesMut;
use kv_core::client::Options;
use kv_core::config::Config;
use kv_core::quorum::Level;

use super::{Call, Spec};
use crate::redis::connection::{CommandStep, Connection};
use crate::redis::error::CommandError;
use crate::redis::options::{self, GivenOptions, Word};
use crate::redis::request::{ReplyKind, Target};

pub(super) const COMMANDS: &[Spec] = &[
    Spec {
        name: "kv.get",
        arity: -2,
        subcommands: &[],
        flags: &["readonly", "fast"],
        keys: (1, 1, 1),
        group: "generic",
        summary: "Returns all siblings of a key, their context, and who answered.",
        run: get,
    },
    Spec {
        name: "kv.put",
        arity: -3,
        subcommands: &[],
        flags: &["write", "denyoom"],
        keys: (1, 1, 1),
        group: "generic",
        summary: "Writes a value over what a context covers, and says where it is durable.",
        run: put,
    },
    Spec {
        name: "kv.del",
        arity: -2,
        subcommands: &[],
        flags: &["write"],
        keys: (1, 1, 1),
        group: "generic",
        summary: "Deletes what a context covers, and says where that is durable.",
        run: del,
    },
    Spec {
        name: "kv.options",
        arity: -1,
        subcommands: &[],
        flags: &["loading", "stale", "fast"],
        keys: super::NO_KEYS,
        group: "connection",
        summary: "Sets and shows what this connection's commands use when they do not say.",
        run: options,
    },
];

const OF_READS: [Word; 4] = [Word::Read, Word::Mode, Word::Timeout, Word::Monotonic];
const OF_WRITES: [Word; 6] =
    [Word::Write, Word::Mode, Word::Timeout, Word::Context, Word::NoContext, Word::Request];
const OF_CONNECTIONS: [Word; 4] = [Word::Read, Word::Write, Word::Mode, Word::Timeout];

fn get(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let [key, words @ ..] = call.arguments else { unreachable!("the arity was checked") };
    let GivenOptions { options, basis: _ } =
        options::said(call.spec.name, words, &OF_READS, connection.options())?;
    Ok(connection.ask_with(vec![Target::read(key)?], ReplyKind::Siblings, options))
}

fn put(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let [key, value, words @ ..] = call.arguments else { unreachable!("the arity was checked") };
    let GivenOptions { options, basis } =
        options::said(call.spec.name, words, &OF_WRITES, connection.options())?;
    let target = Target::put(&connection.settings().config, key, value, basis)?;
    Ok(connection.ask_with(vec![target], ReplyKind::Receipt, options))
}

fn del(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let [key, words @ ..] = call.arguments else { unreachable!("the arity was checked") };
    let GivenOptions { options, basis } =
        options::said(call.spec.name, words, &OF_WRITES, connection.options())?;
    let target = Target::delete(key, basis)?;
    Ok(connection.ask_with(vec![target], ReplyKind::Receipt, options))
}

fn options(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let mut changed = connection.options().clone();
    for (word, value) in options::pairs(call.spec.name, call.arguments, &OF_CONNECTIONS)? {
        let is_default = value.eq_ignore_ascii_case(b"DEFAULT");
        let level = || (!is_default).then(|| options::level(word, value)).transpose();
        match word {
            Word::Read => changed.read = level()?,
            Word::Write => changed.write = level()?,
            Word::Mode => {
                changed.mode = (!is_default).then(|| options::mode(value)).transpose()?;
            }
            Word::Timeout => {
                changed.timeout_ms =
                    (!is_default).then(|| options::timeout_ms(value)).transpose()?;
            }
            Word::Monotonic | Word::Context | Word::NoContext | Word::Request => {
                unreachable!("only those of connections are taken")
            }
        }
    }
    *connection.options_mut() = changed;
    write_options(connection, out);
    Ok(CommandStep::Reply)
}

/// Writes the options that the connection's commands use, set by it or by the node's configuration.
fn write_options(connection: &Connection, out: &mut BytesMut) {
    let Options { read, write, mode, timeout_ms, monotonic: _, request: _ } = connection.options();
    let config: &Config = &connection.settings().config;
    let level = |level: &Option<Level>, count: u64| match level {
        Some(level) => options::level_name(*level),
        None => count.to_string(),
    };
    let mut encoder = connection.encoder(out);
    encoder.map(4);
    encoder.bulk(b"r");
    encoder.bulk(level(read, config.read_quorum).as_bytes());
    encoder.bulk(b"w");
    encoder.bulk(level(write, config.write_quorum).as_bytes());
    encoder.bulk(b"mode");
    encoder.bulk(options::mode_name(mode.unwrap_or(config.mode)).as_bytes());
    encoder.bulk(b"timeout");
    let timeout_ms = timeout_ms.unwrap_or(config.timeout_ms);
    encoder.integer(i64::try_from(timeout_ms).unwrap_or(i64::MAX));
}
