//! Commands with which a client sets up, checks and ends its connection.

use bytes::{Bytes, BytesMut};

use super::{Call, NO_KEYS, Spec, client, server, wrong_number};
use crate::redis::connection::{CommandStep, Connection};
use crate::redis::error::{CommandError, quote};
use crate::redis::options::number;
use crate::resp::Protocol;

const FLAGS: &[&str] = &["noscript", "loading", "stale", "fast"];

pub(super) const COMMANDS: &[Spec] = &[
    Spec {
        name: "ping",
        arity: -1,
        subcommands: &[],
        flags: &["fast"],
        keys: NO_KEYS,
        group: "connection",
        summary: "Returns PONG, or the message.",
        run: ping,
    },
    Spec {
        name: "echo",
        arity: 2,
        subcommands: &[],
        flags: &["loading", "stale", "fast"],
        keys: NO_KEYS,
        group: "connection",
        summary: "Returns the message.",
        run: echo,
    },
    Spec {
        name: "hello",
        arity: -1,
        subcommands: &[],
        flags: FLAGS,
        keys: NO_KEYS,
        group: "connection",
        summary: "Chooses the protocol, 2 or 3, and says who is here.",
        run: hello,
    },
    Spec {
        name: "auth",
        arity: -2,
        subcommands: &[],
        flags: FLAGS,
        keys: NO_KEYS,
        group: "connection",
        summary: "Takes the one user, default, with any password: there are none.",
        run: auth,
    },
    Spec {
        name: "select",
        arity: 2,
        subcommands: &[],
        flags: &["loading", "stale", "fast"],
        keys: NO_KEYS,
        group: "connection",
        summary: "Selects the one database, 0.",
        run: select,
    },
    Spec {
        name: "readonly",
        arity: 1,
        subcommands: &[],
        flags: &["loading", "stale", "fast"],
        keys: NO_KEYS,
        group: "cluster",
        summary: "Changes nothing: every node serves reads.",
        run: ok,
    },
    Spec {
        name: "readwrite",
        arity: 1,
        subcommands: &[],
        flags: &["loading", "stale", "fast"],
        keys: NO_KEYS,
        group: "cluster",
        summary: "Changes nothing: every node serves writes.",
        run: ok,
    },
    Spec {
        name: "asking",
        arity: 1,
        subcommands: &[],
        flags: &["fast"],
        keys: NO_KEYS,
        group: "cluster",
        summary: "Changes nothing: every node serves every key.",
        run: ok,
    },
    Spec {
        name: "reset",
        arity: 1,
        subcommands: &[],
        flags: FLAGS,
        keys: NO_KEYS,
        group: "connection",
        summary: "Forgets what the connection has set.",
        run: reset,
    },
    Spec {
        name: "quit",
        arity: -1,
        subcommands: &[],
        flags: FLAGS,
        keys: NO_KEYS,
        group: "connection",
        summary: "Closes the connection.",
        run: quit,
    },
];

fn ping(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    match call.arguments {
        [] => connection.encoder(out).simple("PONG"),
        [message] => connection.encoder(out).bulk(message),
        _ => return Err(wrong_number(call.spec.name)),
    }
    Ok(CommandStep::Reply)
}

fn echo(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    connection.encoder(out).bulk(&call.arguments[0]);
    Ok(CommandStep::Reply)
}

/// Executes `HELLO`. All arguments are checked before anything is changed. The reply has the form
/// that was just chosen.
fn hello(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let (mut protocol, mut name) = (connection.protocol(), None);
    if let [version, options @ ..] = call.arguments {
        protocol = protocol_of(version)?;
        let mut options = options;
        while let [option, values @ ..] = options {
            options = match (&option.to_ascii_uppercase()[..], values) {
                (b"AUTH", [user, _password, rest @ ..]) => {
                    authenticate(user)?;
                    rest
                }
                (b"SETNAME", [given, rest @ ..]) => {
                    name = Some(client::checked_name(given)?);
                    rest
                }
                (b"AUTH" | b"SETNAME", _) => return Err(wrong_number(call.spec.name)),
                _ => {
                    let (command, option) = (call.spec.name, quote(option));
                    return Err(CommandError::UnknownOption { command, option, nearest: None });
                }
            };
        }
    }
    connection.set_protocol(protocol);
    if let Some(name) = name {
        connection.set_name(name);
    }
    let id = i64::try_from(connection.identity().id).unwrap_or(i64::MAX);
    let mut encoder = connection.encoder(out);
    encoder.map(7);
    encoder.bulk(b"server");
    encoder.bulk(server::IMITATED.as_bytes());
    encoder.bulk(b"version");
    encoder.bulk(server::IMITATED_VERSION.as_bytes());
    encoder.bulk(b"proto");
    encoder.integer(protocol.number());
    encoder.bulk(b"id");
    encoder.integer(id);
    encoder.bulk(b"mode");
    encoder.bulk(b"standalone");
    encoder.bulk(b"role");
    encoder.bulk(b"master");
    encoder.bulk(b"modules");
    encoder.array(0);
    Ok(CommandStep::Reply)
}

fn protocol_of(version: &Bytes) -> Result<Protocol, CommandError> {
    [Protocol::Resp2, Protocol::Resp3]
        .into_iter()
        .find(|protocol| number(version) == Some(protocol.number()))
        .ok_or(CommandError::NoSuchProtocol)
}

/// Executes `AUTH` as a Redis does whose user `default` has no password.
fn auth(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    match call.arguments {
        [_password] => Err(CommandError::NoPassword),
        [user, _password] => {
            authenticate(user)?;
            ok(connection, call, out)
        }
        _ => Err(CommandError::Conflict("AUTH takes a password, or a user and a password")),
    }
}

/// Checks the user: there is only `default`, and any password is right.
fn authenticate(user: &[u8]) -> Result<(), CommandError> {
    if user == b"default" { Ok(()) } else { Err(CommandError::NoSuchUser) }
}

fn select(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    if number::<u64>(&call.arguments[0]) != Some(0) {
        return Err(CommandError::NoSuchDatabase);
    }
    ok(connection, call, out)
}

fn ok(
    connection: &mut Connection,
    _call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    connection.encoder(out).simple("OK");
    Ok(CommandStep::Reply)
}

fn reset(
    connection: &mut Connection,
    _call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    connection.reset();
    connection.encoder(out).simple("RESET");
    Ok(CommandStep::Reply)
}

fn quit(
    connection: &mut Connection,
    _call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    connection.encoder(out).simple("OK");
    Ok(CommandStep::Close)
}
