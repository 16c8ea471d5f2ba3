//! The table of commands: their names, arguments and functions. One file per family.

mod absent;
mod client;
mod handshake;
mod keys;
mod server;
mod strings;
mod transactions;
pub(super) mod versions;

use bytes::{Bytes, BytesMut};

use super::connection::{CommandStep, Connection};
use super::error::{CommandError, Nearest, quote};
use super::node_info::NodeInfo;
use crate::nearest::nearest;
use crate::resp::{Command, Encoder};

/// The description of a command, all of which `COMMAND` shows.
#[derive(Debug)]
pub(super) struct Spec {
    /// The name in lower case, as `COMMAND` shows it.
    pub(super) name: &'static str,
    /// The number of words, the name included; if negative, the least number.
    pub(super) arity: i64,
    /// The subcommands, in upper case.
    pub(super) subcommands: &'static [&'static str],
    /// The flags, as Redis names them.
    pub(super) flags: &'static [&'static str],
    /// The positions of the keys: the first, the last (from the end, if negative) and the step.
    pub(super) keys: (i64, i64, i64),
    /// The group, as Redis names it.
    pub(super) group: &'static str,
    /// The summary, one line for people.
    pub(super) summary: &'static str,
    /// The function that executes the command.
    pub(super) run: ExecuteFn,
}

/// A function that executes a command. It returns the next step, having appended the reply if there
/// is one already. With an error it has appended nothing, and done nothing.
pub(super) type ExecuteFn =
    fn(&mut Connection, &Call<'_>, &mut BytesMut) -> Result<CommandStep, CommandError>;

/// A call of a command that exists, with a sensible number of arguments.
pub(super) struct Call<'a> {
    /// The command.
    pub(super) spec: &'static Spec,
    /// The words behind the command's name.
    pub(super) arguments: &'a [Bytes],
    /// The node's facts for replies.
    pub(super) info: &'a dyn NodeInfo,
}

/// The commands by family, those first that are asked for most.
const FAMILIES: [&[Spec]; 7] = [
    strings::COMMANDS,
    keys::COMMANDS,
    versions::COMMANDS,
    handshake::COMMANDS,
    client::COMMANDS,
    server::COMMANDS,
    transactions::COMMANDS,
];

/// The number of arguments of an unknown command that are quoted back, at most.
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

/// Finds the command of this name, in any case.
pub(super) fn named(name: &[u8]) -> Option<&'static Spec> {
    all().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Finds the command that a client means.
///
/// # Errors
/// If there is none of the name, or it does not take so many arguments.
pub(super) fn find(command: &Command) -> Result<&'static Spec, CommandError> {
    let Some(spec) = named(command.name()) else { return Err(unknown(command)) };
    let words = i64::try_from(command.arguments().len()).unwrap_or(i64::MAX - 1) + 1;
    let fits = if spec.arity < 0 { words >= -spec.arity } else { words == spec.arity };
    if fits { Ok(spec) } else { Err(wrong_number(spec.name)) }
}

/// Returns the error for a command that is unknown.
fn unknown(command: &Command) -> CommandError {
    if let Some(absent) = absent::command(command.name()) {
        let name = quote(command.name()).to_ascii_uppercase();
        return CommandError::AbsentCommand { name, instead: absent.instead };
    }
    let name = quote(command.name());
    let here = all().map(|spec| spec.name);
    let nearest = match nearest(&name, here.chain(absent::names())) {
        Some(name) if absent::command(name.as_bytes()).is_some() => Nearest::Absent(name),
        Some(name) => Nearest::Here(name),
        None => Nearest::None,
    };
    let quoted = command.arguments().iter().take(QUOTED_ARGUMENTS_MAX);
    let arguments: Vec<_> = quoted.map(|argument| format!("'{}'", quote(argument))).collect();
    CommandError::UnknownCommand { name, arguments: arguments.join(" "), nearest }
}

/// Tells whether this begins a line of HTTP: a browser can be made to send one to any port, with
/// commands in the lines that follow, so nothing behind it is read.
pub(super) fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"HOST:")
}

fn wrong_number(command: &str) -> CommandError {
    CommandError::WrongNumberOfArguments { command: command.to_owned() }
}

impl Spec {
    /// Finds the subcommand that the first argument names, in any case.
    pub(super) fn subcommand(&self, arguments: &[Bytes]) -> Option<&'static str> {
        let word = arguments.first()?;
        self.subcommands.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(word)).copied()
    }
}

/// Takes the subcommand from the front of the arguments, in upper case.
///
/// # Errors
/// If there is none of the name.
fn subcommand<'a>(call: &Call<'a>) -> Result<(&'static str, &'a [Bytes]), CommandError> {
    let Call { spec, arguments, info: _ } = call;
    let [first, rest @ ..] = arguments else { return Err(wrong_number(spec.name)) };
    let command = spec.name.to_ascii_uppercase();
    match spec.subcommand(arguments) {
        Some(subcommand) => Ok((subcommand, rest)),
        None => Err(match absent::subcommand(&command, first) {
            Some(absent::Absent { name: subcommand, instead }) => {
                CommandError::AbsentSubcommand { command, subcommand, instead }
            }
            None => {
                let known = spec.subcommands.join(", ");
                CommandError::UnknownSubcommand { command, subcommand: quote(first), known }
            }
        }),
    }
}

/// Returns the error for a subcommand with too few arguments or too many.
fn wrong_number_of(call: &Call<'_>, subcommand: &str) -> CommandError {
    wrong_number(&format!("{}|{}", call.spec.name, subcommand.to_ascii_lowercase()))
}

/// Writes the reply of `HELP`: the subcommands, one a line.
fn write_help(encoder: &mut Encoder<'_>, spec: &Spec) {
    let name = spec.name.to_ascii_uppercase();
    encoder.array(1 + spec.subcommands.len());
    encoder.bulk(format!("{name} <subcommand> [<argument> ...]. Subcommands are:").as_bytes());
    for subcommand in spec.subcommands {
        encoder.bulk(subcommand.as_bytes());
    }
}

#[cfg(test)]
mod tests;
