//! The ends of transactions. There are none yet: `MULTI` and `WATCH` are refused, and these say
//! what that came to.

use bytes::BytesMut;

use super::{Call, NO_KEYS, Spec};
use crate::redis::connection::{CommandStep, Connection};
use crate::redis::error::CommandError;

const FLAGS: &[&str] = &["noscript", "loading", "stale", "fast"];

pub(super) const COMMANDS: &[Spec] = &[
    Spec {
        name: "exec",
        arity: 1,
        subcommands: &[],
        flags: FLAGS,
        keys: NO_KEYS,
        group: "transactions",
        summary: "Leaves a transaction that was refused, of which nothing was executed.",
        run: exec,
    },
    Spec {
        name: "discard",
        arity: 1,
        subcommands: &[],
        flags: FLAGS,
        keys: NO_KEYS,
        group: "transactions",
        summary: "Leaves a transaction that was refused, of which nothing was executed.",
        run: discard,
    },
    Spec {
        name: "unwatch",
        arity: 1,
        subcommands: &[],
        flags: FLAGS,
        keys: NO_KEYS,
        group: "transactions",
        summary: "Changes nothing: no key is watched.",
        run: unwatch,
    },
];

fn exec(
    connection: &mut Connection,
    _call: &Call<'_>,
    _out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    Err(if connection.leave_transaction() {
        CommandError::TransactionRefused
    } else {
        CommandError::NoTransaction("EXEC")
    })
}

/// Executes `DISCARD`, which always succeeds: nothing of a refused transaction was queued.
fn discard(
    connection: &mut Connection,
    _call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    if !connection.leave_transaction() {
        return Err(CommandError::NoTransaction("DISCARD"));
    }
    connection.encoder(out).simple("OK");
    Ok(CommandStep::Reply)
}

fn unwatch(
    connection: &mut Connection,
    _call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    connection.encoder(out).simple("OK");
    Ok(CommandStep::Reply)
}
