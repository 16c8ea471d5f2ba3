//! `CLIENT`: what connections say of themselves.

use bytes::{Bytes, BytesMut};

use super::{Call, NO_KEYS, Spec, subcommand, wrong_number};
use crate::redis::connection::{Connection, Step};
use crate::redis::error::CommandError;

pub(super) const COMMANDS: &[Spec] = &[Spec {
    name: "client",
    arity: -2,
    flags: &["noscript", "loading", "stale"],
    keys: NO_KEYS,
    group: "connection",
    summary: "Names this connection, or says who is connected.",
    run: client,
}];

const SUBCOMMANDS: &str = "SETNAME, GETNAME, ID, INFO, LIST, SETINFO, NO-EVICT, NO-TOUCH";

fn client(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<Step, CommandError> {
    let (subcommand, arguments) = subcommand(call);
    match (&*subcommand, arguments) {
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
            let line = connection.describe() + "\n";
            connection.encoder(out).text(&line);
        }
        ("LIST", []) => {
            let mut lines = vec![connection.describe()];
            lines.extend(call.facts.others());
            connection.encoder(out).text(&(lines.join("\n") + "\n"));
        }
        ("SETINFO", [attribute, value]) => {
            set_info(connection, attribute, checked_name(value)?)?;
            connection.encoder(out).simple("OK");
        }
        // Nothing is evicted, and a read changes no key's age: both hold already.
        ("NO-EVICT" | "NO-TOUCH", [switch]) if is_switch(switch) => {
            connection.encoder(out).simple("OK");
        }
        ("NO-EVICT" | "NO-TOUCH", [_]) => {
            return Err(CommandError::Conflict("this is switched ON or OFF"));
        }
        (
            "SETNAME" | "GETNAME" | "ID" | "INFO" | "LIST" | "SETINFO" | "NO-EVICT" | "NO-TOUCH",
            _,
        ) => return Err(wrong_number(&format!("client|{}", subcommand.to_ascii_lowercase()))),
        _ => {
            let (command, known) = ("CLIENT", SUBCOMMANDS);
            return Err(CommandError::UnknownSubcommand { command, subcommand, known });
        }
    }
    Ok(Step::Reply)
}

/// A name that keeps the lines of `CLIENT LIST` whole.
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
