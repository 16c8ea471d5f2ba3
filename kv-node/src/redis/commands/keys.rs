//! Commands that count keys with values, and delete keys.

use bytes::BytesMut;

use super::strings::last_of_each_key;
use super::{Call, Spec};
use crate::redis::connection::{CommandStep, Connection};
use crate::redis::error::CommandError;
use crate::redis::request::{ReplyKind, Target};

pub(super) const COMMANDS: &[Spec] = &[
    Spec {
        name: "del",
        arity: -2,
        subcommands: &[],
        flags: &["write"],
        keys: (1, -1, 1),
        group: "generic",
        summary: "Reads keys, deletes them, and returns how many had a value.",
        run: del,
    },
    Spec {
        name: "exists",
        arity: -2,
        subcommands: &[],
        flags: &["readonly", "fast"],
        keys: (1, -1, 1),
        group: "generic",
        summary: "Returns how many of the keys have a value.",
        run: exists,
    },
];

/// Executes `DEL`. Reads first, since a tombstone does not say what it overwrote. Each key gets its
/// tombstone even if no value was seen: a copy that did not answer may hold one, and a deletion
/// that is not written could not reach it.
fn del(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let targets: Result<_, _> = call.arguments.iter().map(Target::read).collect();
    Ok(connection.ask(last_of_each_key(targets?), ReplyKind::ExistedBefore))
}

/// Executes `EXISTS`. A key that is named twice counts twice, as in Redis.
fn exists(
    connection: &mut Connection,
    call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let targets: Result<_, _> = call.arguments.iter().map(Target::read).collect();
    Ok(connection.ask(targets?, ReplyKind::Count))
}
