//! The state that one client has set up.
//!
//! A command comes in by `dispatch.rs`; out comes a [`CommandStep`], with its reply appended to a buffer if
//! there is one already. All that a command changes about the connection, it changes at once, and all
//! that it takes from the connection (protocol, levels, time-out) it takes at once: so commands that
//! wait are not touched by later ones. Only the session is consulted when an operation is built, since
//! it learns from the replies to earlier ones.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kv_core::client::{ClientOperation, Options, Reply, Session};

use super::assumption::Assumption;
use super::profile::{ConnectionIdentity, LastCommand, Profile};
use super::refused_assumptions::RefusedAssumptions;
use super::reply_flags::ReplyFlags;
use super::request::{ReplyKind, Request, Target};
use super::settings::RedisSettings;
use crate::resp::{Encoder, Protocol};

/// The state of one connection.
#[derive(Debug)]
pub struct Connection {
    settings: Arc<RedisSettings>,
    pub(super) profile: Profile,
    /// The number of changes to the profile.
    profile_changes: u64,
    options: Options,
    session: Session,
    pub(super) refused: RefusedAssumptions,
    pub(super) replies: ReplyFlags,
    pub(super) last: LastCommand,
}

/// The next step for a command.
#[derive(Debug)]
pub enum CommandStep {
    /// The reply was written.
    Reply,
    /// The reply was written, and no other command is to be read.
    Close,
    /// The core must be asked; the request makes one reply of its replies.
    Ask(Box<Request>),
}

impl Connection {
    /// The state of a connection that was just made.
    pub fn new(identity: ConnectionIdentity, settings: Arc<RedisSettings>) -> Self {
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
    pub fn settings(&self) -> &RedisSettings {
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

    pub(crate) const fn identity(&self) -> &ConnectionIdentity {
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
    pub(crate) fn ask(&self, targets: Vec<Target>, kind: ReplyKind) -> CommandStep {
        self.ask_with(targets, kind, self.options.clone())
    }

    /// Creates a request with options of its own.
    pub(crate) fn ask_with(
        &self,
        targets: Vec<Target>,
        kind: ReplyKind,
        options: Options,
    ) -> CommandStep {
        CommandStep::Ask(Box::new(Request::new(targets, kind, options, self.profile.protocol)))
    }
}
