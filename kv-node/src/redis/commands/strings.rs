//! Values, one per key, as plain Redis clients know them: no siblings, no contexts.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kv_core::types::Key;

use super::{Call, Spec, wrong_number};
use crate::nearest::nearest;
use crate::redis::connection::{CommandStep, Connection};
use crate::redis::error::{CommandError, quote};
use crate::redis::options::GivenContext;
use crate::redis::request::{ReplyKind, Target};

pub(super) const COMMANDS: &[Spec] = &[
    Spec {
        name: "get",
        arity: 2,
        subcommands: &[],
        flags: &["readonly", "fast"],
        keys: (1, 1, 1),
        group: "string",
        summary: "Returns the value of a key; of siblings, the latest.",
        run: get,
    },
    Spec {
        name: "set",
        arity: -3,
        subcommands: &[],
        flags: &["write", "denyoom"],
        keys: (1, 1, 1),
        group: "string",
        summary: "Sets the value of a key, over what its replica holds and this connection has seen.",
        run: set,
    },
    Spec {
        name: "mget",
        arity: -2,
        subcommands: &[],
        flags: &["readonly", "fast"],
        keys: (1, -1, 1),
        group: "string",
        summary: "Returns the values of several keys.",
        run: mget,
    },
    Spec {
        name: "mset",
        arity: -3,
        subcommands: &[],
        flags: &["write", "denyoom"],
        keys: (1, -1, 2),
        group: "string",
        summary: "Sets the values of several keys, each on its own.",
        run: mset,
    },
    Spec {
        name: "strlen",
        arity: 2,
        subcommands: &[],
        flags: &["readonly", "fast"],
        keys: (1, 1, 1),
        group: "string",
        summary: "Returns the length of a value; 0, if there is none.",
        run: strlen,
    },
];

/// The options of Redis's `SET`. Each changes what is stored or whether it is, so none is ignored.
const SET_OPTIONS: [(&str, &str); 9] = [
    ("NX", CONDITION),
    ("XX", CONDITION),
    ("GET", "Send GET before SET"),
    ("EX", EXPIRY),
    ("PX", EXPIRY),
    ("EXAT", EXPIRY),
    ("PXAT", EXPIRY),
    ("KEEPTTL", EXPIRY),
    ("IFEQ", CONDITION),
];

const CONDITION: &str = "KV.PUT with CONTEXT or NONE overwrites exactly what you have seen, and keeps the rest as siblings";
const EXPIRY: &str = "Values are kept until they are deleted: send DEL";

fn get(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    Ok(connection.ask(vec![Target::read(&call.arguments[0])?], ReplyKind::Value))
}

fn strlen(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    Ok(connection.ask(vec![Target::read(&call.arguments[0])?], ReplyKind::Length))
}

fn set(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    if let [_, _, option, ..] = call.arguments {
        return Err(set_option(call.spec.name, option));
    }
    let config = &connection.settings().config;
    let target = Target::put(config, &call.arguments[0], &call.arguments[1], GivenContext::Latest)?;
    Ok(connection.ask(vec![target], ReplyKind::Stored))
}

/// Returns the error for an option of `SET`.
fn set_option(command: &'static str, option: &[u8]) -> CommandError {
    let mut options = SET_OPTIONS.iter();
    match options.find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(option)) {
        Some(&(name, instead)) => CommandError::NotSupported { what: name, instead },
        None => {
            let option = quote(option);
            let nearest = nearest(&option, SET_OPTIONS.iter().map(|&(name, _)| name));
            CommandError::UnknownOption { command, option, nearest }
        }
    }
}

fn mget(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let targets: Result<_, _> = call.arguments.iter().map(Target::read).collect();
    Ok(connection.ask(targets?, ReplyKind::Values))
}

/// Executes `MSET`. All keys and values are checked before the first is written. Of a key that
/// stands twice, the last value is written.
fn mset(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let (pairs, rest) = call.arguments.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong_number(call.spec.name));
    }
    let config = &connection.settings().config;
    let put = |[key, value]: &[Bytes; 2]| Target::put(config, key, value, GivenContext::Latest);
    let targets: Result<Vec<_>, _> = pairs.iter().map(put).collect();
    Ok(connection.ask(last_of_each_key(targets?), ReplyKind::Stored))
}

/// Keeps each key once, with its last target, in the order in which the keys came first.
pub(super) fn last_of_each_key(targets: Vec<Target>) -> Vec<Target> {
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    let mut last: Vec<Target> = Vec::with_capacity(targets.len());
    for target in targets {
        match places.get(target.key()) {
            Some(&place) => last[place] = target,
            None => {
                places.insert(target.key().clone(), last.len());
                last.push(target);
            }
        }
    }
    last
}
