//! The table of commands: what each is called, takes and does. One file per family.

mod absent;
mod client;
mod handshake;
mod keys;
mod server;
mod strings;
mod transactions;
pub(super) mod versions;

use bytes::{Bytes, BytesMut};

use super::connection::{Connection, Step};
use super::error::{CommandError, Nearest, quote};
use super::node_info::NodeInfo;
use crate::nearest::nearest;
use crate::resp::{Command, Encoder};

/// What there is to know of a command: `COMMAND` shows all of it.
#[derive(Debug)]
pub(super) struct Spec {
    /// In lower case, as `COMMAND` shows it.
    pub(super) name: &'static str,
    /// How many words it has, its name included; if negative, at least so many.
    pub(super) arity: i64,
    /// Its subcommands, in upper case.
    pub(super) subcommands: &'static [&'static str],
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
    pub(super) info: &'a dyn NodeInfo,
}

/// All families, those first that are asked for most.
const FAMILIES: [&[Spec]; 7] = [
    strings::COMMANDS,
    keys::COMMANDS,
    versions::COMMANDS,
    handshake::COMMANDS,
    client::COMMANDS,
    server::COMMANDS,
    transactions::COMMANDS,
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
    let Some(spec) = named(command.name()) else { return Err(unknown(command)) };
    let words = i64::try_from(command.arguments().len()).unwrap_or(i64::MAX - 1) + 1;
    let fits = if spec.arity < 0 { words >= -spec.arity } else { words == spec.arity };
    if fits { Ok(spec) } else { Err(wrong_number(spec.name)) }
}

/// Why there is no command of this name.
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

/// Whether this is the beginning of a line of HTTP: a browser can be made to send one to any port,
/// with commands in the lines that follow, so nothing behind it is looked at.
pub(super) fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"HOST:")
}

fn wrong_number(command: &str) -> CommandError {
    CommandError::WrongNumberOfArguments { command: command.to_owned() }
}

impl Spec {
    /// The subcommand that the first argument names, in any case.
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

/// A subcommand with too few arguments or too many.
fn wrong_number_of(call: &Call<'_>, subcommand: &str) -> CommandError {
    wrong_number(&format!("{}|{}", call.spec.name, subcommand.to_ascii_lowercase()))
}

/// The reply of `HELP`: the subcommands that there are, one a line.
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
