//! `CLIENT`: the names, libraries and modes of connections.

use bytes::{Bytes, BytesMut};

use super::{Call, NO_KEYS, Spec, subcommand, write_help, wrong_number_of};
use crate::redis::client_line::client_line;
use crate::redis::connection::{CommandStep, Connection};
use crate::redis::error::CommandError;
use crate::redis::options::number;
use crate::redis::profile::ConnectionActivity;

pub(super) const COMMANDS: &[Spec] = &[Spec {
    name: "client",
    arity: -2,
    subcommands: &[
        "SETNAME", "GETNAME", "ID", "INFO", "LIST", "SETINFO", "REPLY", "TRACKING", "NO-EVICT",
        "NO-TOUCH", "HELP",
    ],
    flags: &["noscript", "loading", "stale"],
    keys: NO_KEYS,
    group: "connection",
    summary: "Names this connection, or says who is connected.",
    run: client,
}];

fn client(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let (subcommand, arguments) = subcommand(call)?;
    match (subcommand, arguments) {
        ("SETNAME", [name]) => {
            connection.set_name(checked_name(name)?);
            connection.encoder(out).simple("OK");
        }
        ("GETNAME", []) => {
            let name = Some(connection.name()).filter(|name| !name.is_empty());
            connection.encoder(out).bulk_or_null(name.map(|name| &name[..]));
        }
        ("ID", []) => {
            let id = i64::try_from(connection.identity().id).unwrap_or(i64::MAX);
            connection.encoder(out).integer(id);
        }
        ("INFO", []) => {
            let line = own_line(connection, call) + "\n";
            connection.encoder(out).text(&line);
        }
        ("LIST", which) => list(connection, call, which, out)?,
        ("SETINFO", [attribute, value]) => {
            set_info(connection, attribute, checked_name(value)?)?;
            connection.encoder(out).simple("OK");
        }
        ("REPLY", [mode]) => set_replies(connection, mode, out)?,
        // Whoever turns replies off reads none: an error would be taken for another one's reply.
        ("REPLY", _) => return Err(CommandError::ReplyMode),
        ("TRACKING", [switch]) if switch.eq_ignore_ascii_case(b"OFF") => {
            connection.encoder(out).simple("OK");
        }
        ("TRACKING", _) => {
            let instead = "Nobody is told of changes to what it has read: cache nothing, and send \
                           CLIENT TRACKING OFF to go on";
            return Err(CommandError::NotSupported { what: "CLIENT TRACKING", instead });
        }
        // Nothing is evicted, and a read changes no key's age: both hold already.
        ("NO-EVICT" | "NO-TOUCH", [switch]) if is_switch(switch) => {
            connection.encoder(out).simple("OK");
        }
        ("NO-EVICT" | "NO-TOUCH", [_]) => {
            return Err(CommandError::Conflict("this is switched ON or OFF"));
        }
        ("HELP", []) => write_help(&mut connection.encoder(out), call.spec),
        _ => return Err(wrong_number_of(call, subcommand)),
    }
    Ok(CommandStep::Reply)
}

/// Executes `CLIENT LIST`, of all connections, of one type, or of those with some ids.
fn list(
    connection: &Connection,
    call: &Call<'_>,
    which: &[Bytes],
    out: &mut BytesMut,
) -> Result<(), CommandError> {
    let word = |at: usize| which.get(at).map(|word| word.to_ascii_uppercase());
    let ids = match (word(0).as_deref(), word(1).as_deref()) {
        (None, _) => None,
        (Some(b"TYPE"), Some(b"NORMAL")) if which.len() == 2 => None,
        // Every connection is one of a client that asks.
        (Some(b"TYPE"), Some(b"MASTER" | b"REPLICA" | b"SLAVE" | b"PUBSUB"))
            if which.len() == 2 =>
        {
            Some(Vec::new())
        }
        (Some(b"ID"), Some(_)) => {
            let ids = which[1..].iter().map(|id| number(id));
            let ids: Option<Vec<u64>> = ids.collect();
            Some(ids.ok_or(CommandError::Conflict("CLIENT LIST ID takes numbers"))?)
        }
        _ => {
            let usage = "CLIENT LIST takes nothing, or TYPE normal|master|replica|pubsub, or ID \
                         and numbers";
            return Err(CommandError::Conflict(usage));
        }
    };
    let own = (connection.identity().id, own_line(connection, call));
    let mut lines = String::new();
    for (id, line) in std::iter::once(own).chain(call.info.others()) {
        if ids.as_ref().is_none_or(|ids| ids.contains(&id)) {
            lines += &line;
            lines.push('\n');
        }
    }
    connection.encoder(out).text(&lines);
    Ok(())
}

/// Describes this connection as `CLIENT LIST` shows it.
fn own_line(connection: &Connection, call: &Call<'_>) -> String {
    let activity = ConnectionActivity { last: connection.last_command(), ..call.info.activity() };
    client_line(connection.profile(), &activity)
}

/// Executes `CLIENT REPLY`. Its reply is dropped unless replies are on.
fn set_replies(
    connection: &mut Connection,
    mode: &[u8],
    out: &mut BytesMut,
) -> Result<(), CommandError> {
    let replies = connection.replies_mut();
    match &mode.to_ascii_uppercase()[..] {
        b"ON" => replies.turn_on(),
        b"OFF" => replies.turn_off(),
        b"SKIP" => replies.skip(),
        _ => return Err(CommandError::ReplyMode),
    }
    connection.encoder(out).simple("OK");
    Ok(())
}

/// Checks that a name keeps the lines of `CLIENT LIST` whole.
///
/// # Errors
/// If it holds a space or anything that is not printable.
pub(super) fn checked_name(name: &Bytes) -> Result<&[u8], CommandError> {
    let printable = name.iter().all(u8::is_ascii_graphic);
    if printable { Ok(name) } else { Err(CommandError::ClientName) }
}

fn set_info(
    connection: &mut Connection,
    attribute: &Bytes,
    value: &[u8],
) -> Result<(), CommandError> {
    match &attribute.to_ascii_uppercase()[..] {
        b"LIB-NAME" => connection.set_library_name(value),
        b"LIB-VER" => connection.set_library_version(value),
        _ => return Err(CommandError::Conflict("CLIENT SETINFO takes LIB-NAME or LIB-VER")),
    }
    Ok(())
}

fn is_switch(word: &Bytes) -> bool {
    word.eq_ignore_ascii_case(b"ON") || word.eq_ignore_ascii_case(b"OFF")
}
