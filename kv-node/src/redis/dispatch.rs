//! From a command to its meaning: may it be executed on this connection, which one is it, and what
//! comes of it.
//!
//! Nothing is executed under an assumption that was refused (`assumption.rs`), and a client that
//! wants no replies gets none (`reply_flags.rs`).

use bytes::BytesMut;

use super::commands::{self, Call};
use super::connection::{CommandStep, Connection};
use super::error::CommandError;
use super::node_info::NodeInfo;
use super::profile::LastCommand;
use crate::resp::{Command, ParseError};

impl Connection {
    /// Takes the next command of the client. A reply that needs no core is appended to `out`.
    pub fn on_command(
        &mut self,
        command: &Command,
        info: &dyn NodeInfo,
        out: &mut BytesMut,
    ) -> CommandStep {
        let begun = out.len();
        self.replies.begin();
        let mut step = self.take(command, info, out);
        if self.replies.is_muted() {
            out.truncate(begun);
            if let CommandStep::Ask(request) = &mut step {
                request.mute();
            }
        }
        step
    }

    /// Takes an error of the parser. `begun` holds the first words of a command that was skipped.
    /// The reply is appended to `out`.
    pub fn on_parse_error(
        &mut self,
        error: ParseError,
        begun: Option<&Command>,
        out: &mut BytesMut,
    ) {
        self.replies.begin();
        let within = begun.map_or(Ok(()), |begun| self.refused.admit_within_transaction(begun));
        if let (Some(begun), Ok(())) = (begun, within) {
            self.refused.on_refused(begun, self.profile.protocol);
        }
        if !self.replies.is_muted() {
            self.encoder(out).error(&CommandError::Parse(error).to_string());
        }
    }

    /// Executes a command and writes its reply, whether or not that will be sent.
    fn take(&mut self, command: &Command, info: &dyn NodeInfo, out: &mut BytesMut) -> CommandStep {
        if commands::is_http(command.name()) {
            self.encoder(out).error(&CommandError::Http.to_string());
            return CommandStep::Close;
        }
        let protocol = self.profile.protocol;
        let result = match self.refused.admit_within_transaction(command) {
            Err(refused) => Err(refused),
            Ok(()) => {
                let result = self.execute(command, info, out);
                match &result {
                    Ok(_) => self.refused.on_taken(command, protocol),
                    Err(_) => self.refused.on_refused(command, protocol),
                }
                result
            }
        };
        result.unwrap_or_else(|error| {
            self.encoder(out).error(&error.to_string());
            if error == CommandError::ReplyMode { CommandStep::Close } else { CommandStep::Reply }
        })
    }

    fn execute(
        &mut self,
        command: &Command,
        info: &dyn NodeInfo,
        out: &mut BytesMut,
    ) -> Result<CommandStep, CommandError> {
        self.last = LastCommand::default();
        let (spec, arguments) = (commands::find(command)?, command.arguments());
        self.last = LastCommand { name: Some(spec.name), subcommand: spec.subcommand(arguments) };
        self.refused.admit(spec.name)?;
        (spec.run)(self, &Call { spec, arguments, info }, out)
    }
}
