//! The table of commands: what each is called, takes and does. One file per family.

mod client;
mod handshake;
mod keys;
mod server;
mod strings;
pub(super) mod versions;

use bytes::{Bytes, BytesMut};

use super::connection::{Connection, Step};
use super::error::{CommandError, quote};
use super::facts::Facts;
use crate::nearest::nearest;
use crate::resp::Command;

/// What there is to know of a command: `COMMAND` shows all of it.
#[derive(Debug)]
pub(super) struct Spec {
    /// In lower case, as `COMMAND` shows it.
    pub(super) name: &'static str,
    /// How many words it has, its name included; if negative, at least so many.
    pub(super) arity: i64,
    /// As Redis names them.
    pub(super) flags: &'static [&'static str],
    /// Where its keys stand: the first, the last (from the end, if negative) and the step.
    pub(super) keys: (i64, i64, i64),
    /// As Redis groups them.
    pub(super) group: &'static str,
    /// One line for people.
    pub(super) summary: &'static str,
    /// What it does.
    pub(super) run: Run,
}

/// Does a command: says what is to become of it, having appended its reply if there is one already.
/// In an error case it has appended nothing, and done nothing.
pub(super) type Run = fn(&mut Connection, &Call<'_>, &mut BytesMut) -> Result<Step, CommandError>;

/// One command, of which it is known that it exists and has a sensible number of arguments.
pub(super) struct Call<'a> {
    /// Which.
    pub(super) spec: &'static Spec,
    /// The words behind its name.
    pub(super) arguments: &'a [Bytes],
    /// The node.
    pub(super) facts: &'a dyn Facts,
}

/// All families, those first that are asked for most.
const FAMILIES: [&[Spec]; 6] = [
    strings::COMMANDS,
    keys::COMMANDS,
    versions::COMMANDS,
    handshake::COMMANDS,
    client::COMMANDS,
    server::COMMANDS,
];

/// The most arguments of an unknown command that are quoted back.
const QUOTED_ARGUMENTS_MAX: usize = 4;

const NO_KEYS: (i64, i64, i64) = (0, 0, 0);

/// All commands.
pub(super) fn all() -> impl Iterator<Item = &'static Spec> {
    FAMILIES.into_iter().flatten()
}

/// The names of all commands.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|spec| spec.name)
}

/// The command of this name, in any case.
pub(super) fn named(name: &[u8]) -> Option<&'static Spec> {
    all().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The command that is meant.
///
/// # Errors
/// If there is none of the name, or it does not take so many arguments.
pub(super) fn find(command: &Command) -> Result<&'static Spec, CommandError> {
    let Some(spec) = named(command.name()) else {
        let name = quote(command.name());
        let nearest = nearest(&name, all().map(|spec| spec.name));
        let quoted = command.arguments().iter().take(QUOTED_ARGUMENTS_MAX);
        let arguments: Vec<_> = quoted.map(|argument| format!("'{}'", quote(argument))).collect();
        let arguments = arguments.join(" ");
        return Err(CommandError::UnknownCommand { name, arguments, nearest });
    };
    let words = i64::try_from(command.arguments().len()).unwrap_or(i64::MAX - 1) + 1;
    let fits = if spec.arity < 0 { words >= -spec.arity } else { words == spec.arity };
    if fits { Ok(spec) } else { Err(wrong_number(spec.name)) }
}

/// Whether this is the beginning of a line of HTTP: a browser can be made to send one to any port,
/// with commands in the lines that follow, so nothing behind it is looked at.
pub(super) fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"HOST:")
}

fn wrong_number(command: &str) -> CommandError {
    CommandError::WrongNumberOfArguments { command: command.to_owned() }
}

/// Takes the subcommand from the front of the arguments, in upper case.
fn subcommand<'a>(call: &Call<'a>) -> (String, &'a [Bytes]) {
    match call.arguments {
        [] => (String::new(), &[]),
        [first, rest @ ..] => (quote(first).to_ascii_uppercase(), rest),
    }
}

#[cfg(test)]
mod tests;
