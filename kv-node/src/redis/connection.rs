//! The state that one client has set up, and the meaning of its commands.
//!
//! In goes a command; out comes a [`Step`], with its reply appended to a buffer if there is one
//! already. All that a command changes about the connection, it changes at once, and all that it
//! takes from the connection (protocol, levels, time-out) it takes at once: so commands that wait
//! are not touched by later ones. Only the session is consulted when an operation is built, since
//! it learns from the replies to earlier ones.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kv_core::client::{ClientOperation, Options, Reply, Session};
use kv_core::config::Config;
use kv_core::types::KEY_BYTES_MAX;

use super::assumption::{Assumption, RefusedAssumptions};
use super::client_line::{Activity, LastCommand, Profile, client_line};
use super::commands::{self, Call};
use super::error::CommandError;
use super::node_info::NodeInfo;
use super::reply_flags::ReplyFlags;
use super::request::{ReplyKind, Request, Target};
use crate::resp::{Command, Encoder, Limits, ParseError, Protocol};

/// The settings that all connections of a node share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The core's configuration: its levels stand where a client gives none, its limits are checked
    /// before anything is done, and it says how siblings are shown.
    pub config: Config,
    /// The number of keys for which one connection remembers the order of its writes. Each takes
    /// about a hundred bytes and its key.
    pub session_keys_max: usize,
    /// The number of unanswered commands of one connection at which no more are read.
    pub commands_max: usize,
    /// The number of operations of one connection that the core works on at once.
    pub operations_max: usize,
    /// The bytes that one connection may hold, in commands that wait and in replies that were not
    /// written yet, before no more commands are read.
    pub held_bytes_max: usize,
    /// The bytes of all values in one reply, at most.
    pub reply_bytes_max: usize,
}

/// The number and the addresses of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The node's number for the connection, never used twice while it runs.
    pub id: u64,
    /// The client's address.
    pub peer: String,
    /// The node's address to which the client connected.
    pub local: String,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Connection {
    settings: Arc<Settings>,
    profile: Profile,
    /// The number of changes to the profile.
    profile_changes: u64,
    options: Options,
    session: Session,
    refused: RefusedAssumptions,
    replies: ReplyFlags,
    last: LastCommand,
}

/// The next step for a command.
#[derive(Debug)]
pub enum Step {
    /// The reply was written.
    Reply,
    /// The reply was written, and no other command is to be read.
    Close,
    /// The core must be asked; the request makes one reply of its replies.
    Ask(Box<Request>),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config::default(),
            session_keys_max: 1_024,
            commands_max: 1_024,
            operations_max: 1_024,
            held_bytes_max: 128 * 1024 * 1024,
            reply_bytes_max: 128 * 1024 * 1024,
        }
    }
}

impl Settings {
    /// The limits of each connection's parser. An argument that no key or value can be is skipped
    /// as it comes; one that is a little too long is refused in the words of the store.
    pub fn limits(&self) -> Limits {
        let value_bytes_max = usize::try_from(self.config.value_bytes_max).unwrap_or(usize::MAX);
        let argument_bytes_max = value_bytes_max.max(KEY_BYTES_MAX).saturating_add(64 * 1024);
        let command_bytes_max = argument_bytes_max.saturating_mul(4).max(64 * 1024 * 1024);
        Limits { argument_bytes_max, command_bytes_max, ..Limits::default() }
    }
}

impl Connection {
    /// The state of a connection that was just made.
    pub fn new(identity: Identity, settings: Arc<Settings>) -> Self {
        let profile = Profile {
            identity,
            name: Bytes::new(),
            library_name: Bytes::new(),
            library_version: Bytes::new(),
            protocol: Protocol::default(),
        };
        Self {
            profile,
            profile_changes: 0,
            options: Options::default(),
            session: Session::new(settings.session_keys_max),
            refused: RefusedAssumptions::default(),
            replies: ReplyFlags::default(),
            last: LastCommand::default(),
            settings,
        }
    }

    /// The settings that all connections share.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The protocol of the replies from now on.
    pub const fn protocol(&self) -> Protocol {
        self.profile.protocol
    }

    /// The client's own description of itself.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The number of changes to [`Connection::profile`].
    pub const fn profile_changes(&self) -> u64 {
        self.profile_changes
    }

    /// The last command, as `CLIENT LIST` shows it.
    pub const fn last_command(&self) -> LastCommand {
        self.last
    }

    /// Writes the line of this connection in `CLIENT LIST`.
    pub(crate) fn describe(&self, activity: Activity) -> String {
        client_line(&self.profile, &Activity { last: self.last, ..activity })
    }

    /// Takes the next command of the client. A reply that needs no core is appended to `out`.
    pub fn on_command(
        &mut self,
        command: &Command,
        info: &dyn NodeInfo,
        out: &mut BytesMut,
    ) -> Step {
        let begun = out.len();
        self.replies.begin();
        let mut step = self.take(command, info, out);
        if self.replies.is_muted() {
            out.truncate(begun);
            if let Step::Ask(request) = &mut step {
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
    fn take(&mut self, command: &Command, info: &dyn NodeInfo, out: &mut BytesMut) -> Step {
        if commands::is_http(command.name()) {
            self.encoder(out).error(&CommandError::Http.to_string());
            return Step::Close;
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
            if error == CommandError::ReplyMode { Step::Close } else { Step::Reply }
        })
    }

    fn execute(
        &mut self,
        command: &Command,
        info: &dyn NodeInfo,
        out: &mut BytesMut,
    ) -> Result<Step, CommandError> {
        self.last = LastCommand::default();
        let (spec, arguments) = (commands::find(command)?, command.arguments());
        self.last = LastCommand { name: Some(spec.name), subcommand: spec.subcommand(arguments) };
        self.refused.admit(spec.name)?;
        (spec.run)(self, &Call { spec, arguments, info }, out)
    }

    /// Builds one operation of a request. Every earlier command that touches its key must have
    /// ended.
    pub fn operation(&self, request: &Request, index: usize) -> ClientOperation {
        request.operation(index, &self.session)
    }

    /// Takes the core's reply to one operation of a request; at most `room` bytes of it may be
    /// kept.
    pub fn on_reply(&mut self, request: &mut Request, index: usize, reply: Reply, room: usize) {
        self.session.on_reply(request.key(index), &reply);
        request.on_reply(index, reply, room, &self.settings);
    }

    /// Creates an encoder of replies in the client's protocol.
    pub(crate) const fn encoder<'a>(&self, out: &'a mut BytesMut) -> Encoder<'a> {
        Encoder::new(self.profile.protocol, out)
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.profile.identity
    }

    pub(crate) const fn name(&self) -> &Bytes {
        &self.profile.name
    }

    /// The options of this connection's commands where they give none.
    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) const fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    pub(crate) const fn replies_mut(&mut self) -> &mut ReplyFlags {
        &mut self.replies
    }

    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.profile_mut().protocol = protocol;
    }

    /// Sets the client's name. It is copied, since it stays: a slice of a read would keep all of
    /// it.
    pub(crate) fn set_name(&mut self, name: &[u8]) {
        self.profile_mut().name = Bytes::copy_from_slice(name);
    }

    pub(crate) fn set_library_name(&mut self, name: &[u8]) {
        self.profile_mut().library_name = Bytes::copy_from_slice(name);
    }

    pub(crate) fn set_library_version(&mut self, version: &[u8]) {
        self.profile_mut().library_version = Bytes::copy_from_slice(version);
    }

    const fn profile_mut(&mut self) -> &mut Profile {
        self.profile_changes += 1;
        &mut self.profile
    }

    /// Leaves a transaction that was refused; returns whether there was one.
    pub(crate) fn leave_transaction(&mut self) -> bool {
        self.refused.lift(Assumption::Transaction)
    }

    /// Forgets the client's settings and refused assumptions. The session stays: it keeps the order
    /// of writes, some of which may still be in flight.
    pub(crate) fn reset(&mut self) {
        let profile = self.profile_mut();
        profile.protocol = Protocol::default();
        profile.name = Bytes::new();
        self.options = Options::default();
        self.refused.clear();
        self.replies.reset();
    }

    /// Creates a request with this connection's options and protocol.
    pub(crate) fn ask(&self, targets: Vec<Target>, kind: ReplyKind) -> Step {
        self.ask_with(targets, kind, self.options.clone())
    }

    /// Creates a request with options of its own.
    pub(crate) fn ask_with(&self, targets: Vec<Target>, kind: ReplyKind, options: Options) -> Step {
        Step::Ask(Box::new(Request::new(targets, kind, options, self.profile.protocol)))
    }
}
