//! What one client has set up, and what its commands mean.
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

/// What all connections of a node share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's own: its levels stand where a client says nothing, its limits are checked before
    /// anything is done, and it says how siblings are shown.
    pub config: Config,
    /// Keys whose order of writes one connection remembers. Each takes about a hundred bytes and
    /// its key.
    pub session_keys_max: usize,
    /// Commands of one connection that may be unanswered before no more are read.
    pub commands_max: usize,
    /// Operations of one connection that the core works on at once.
    pub operations_max: usize,
    /// Bytes that one connection may hold, in commands that wait and in replies that were not
    /// written yet, before no more commands are read.
    pub held_bytes_max: usize,
    /// Bytes of all values in one reply.
    pub reply_bytes_max: usize,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A number of this node's own, never used twice while it runs.
    pub id: u64,
    /// The client's address.
    pub peer: String,
    /// The address that it connected to.
    pub local: String,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Connection {
    settings: Arc<Settings>,
    profile: Profile,
    /// How often the profile has changed.
    profile_changes: u64,
    options: Options,
    session: Session,
    refused: RefusedAssumptions,
    replies: ReplyFlags,
    last: LastCommand,
}

/// What is to become of a command.
#[derive(Debug)]
pub enum Step {
    /// Its reply was written.
    Reply,
    /// Its reply was written, and no other command is to be read.
    Close,
    /// The core must be asked; the replies become one in the request.
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
    /// What the parser of each connection may hold. An argument that no key or value can be is
    /// skipped as it comes; one that is a little too long is refused in the words of the store.
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

    /// What all connections share.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The form that replies take from now on.
    pub const fn protocol(&self) -> Protocol {
        self.profile.protocol
    }

    /// What the client has said of itself.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// How often [`Connection::profile`] has changed.
    pub const fn profile_changes(&self) -> u64 {
        self.profile_changes
    }

    /// The last command, as `CLIENT LIST` shows it.
    pub const fn last_command(&self) -> LastCommand {
        self.last
    }

    /// This connection as `CLIENT LIST` shows it.
    pub(crate) fn describe(&self, activity: Activity) -> String {
        client_line(&self.profile, &Activity { last: self.last, ..activity })
    }

    /// The next command of the client. What can be said at once is appended to `out`.
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

    /// The client's stream holds no command here. `begun` is what is known of the one that was
    /// skipped. The reply is appended to `out`.
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

    /// Does what a command says, and writes its reply, whether or not that will be sent.
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

    /// One operation of a request. Every earlier command that touches its key must have ended.
    pub fn operation(&self, request: &Request, index: usize) -> ClientOperation {
        request.operation(index, &self.session)
    }

    /// The core's reply to one operation of a request, of which so many bytes may be kept.
    pub fn on_reply(&mut self, request: &mut Request, index: usize, reply: Reply, room: usize) {
        self.session.on_reply(request.key(index), &reply);
        request.on_reply(index, reply, room, &self.settings);
    }

    /// An encoder of replies in the form that the client wants.
    pub(crate) const fn encoder<'a>(&self, out: &'a mut BytesMut) -> Encoder<'a> {
        Encoder::new(self.profile.protocol, out)
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.profile.identity
    }

    pub(crate) const fn name(&self) -> &Bytes {
        &self.profile.name
    }

    /// What this connection's commands use when they do not say.
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

    /// Names are copied, since they stay: a slice of a read would keep all of it.
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

    /// Leaves a transaction that was refused; says whether there was one.
    pub(crate) fn leave_transaction(&mut self) -> bool {
        self.refused.lift(Assumption::Transaction)
    }

    /// Forgets what the client has set, and what it was refused. The session stays: it keeps the
    /// order of writes, some of which may still be in flight.
    pub(crate) fn reset(&mut self) {
        let profile = self.profile_mut();
        profile.protocol = Protocol::default();
        profile.name = Bytes::new();
        self.options = Options::default();
        self.refused.clear();
        self.replies.reset();
    }

    /// A request with this connection's options and protocol.
    pub(crate) fn ask(&self, targets: Vec<Target>, kind: ReplyKind) -> Step {
        self.ask_with(targets, kind, self.options.clone())
    }

    /// A request with options of its own.
    pub(crate) fn ask_with(&self, targets: Vec<Target>, kind: ReplyKind, options: Options) -> Step {
        Step::Ask(Box::new(Request::new(targets, kind, options, self.profile.protocol)))
    }
}
