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

use super::commands::{self, Call};
use super::error::CommandError;
use super::facts::Facts;
use super::request::{Request, Shape, Target};
use crate::resp::{Command, Encoder, Limits, Protocol};

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
    identity: Identity,
    settings: Arc<Settings>,
    protocol: Protocol,
    name: Bytes,
    library: Library,
    options: Options,
    session: Session,
}

/// What a client library says of itself.
#[derive(Debug, Default)]
struct Library {
    name: Bytes,
    version: Bytes,
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
            held_bytes_max: 16 * 1024 * 1024,
            reply_bytes_max: 512 * 1024 * 1024,
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
        Self {
            identity,
            protocol: Protocol::default(),
            name: Bytes::new(),
            library: Library::default(),
            options: Options::default(),
            session: Session::new(settings.session_keys_max),
            settings,
        }
    }

    /// What all connections share.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The form that replies take from now on.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// One line about the connection, as `CLIENT LIST` shows it.
    pub fn describe(&self) -> String {
        let Self { identity, protocol, name, library, settings: _, options: _, session: _ } = self;
        let Identity { id, peer, local } = identity;
        format!(
            "id={id} addr={peer} laddr={local} name={} db=0 user=default resp={} lib-name={} \
             lib-ver={}",
            name.escape_ascii(),
            protocol.number(),
            library.name.escape_ascii(),
            library.version.escape_ascii(),
        )
    }

    /// The next command of the client. What can be said at once is appended to `out`.
    pub fn on_command(&mut self, command: &Command, facts: &dyn Facts, out: &mut BytesMut) -> Step {
        if commands::is_http(command.name()) {
            self.encoder(out).error(&CommandError::Http.to_string());
            return Step::Close;
        }
        let spec = commands::find(command);
        let result = spec.and_then(|spec| {
            let call = Call { spec, arguments: command.arguments(), facts };
            (spec.run)(self, &call, out)
        });
        result.unwrap_or_else(|error| {
            self.encoder(out).error(&error.to_string());
            Step::Reply
        })
    }

    /// One operation of a request. Every earlier command that touches its key must have ended.
    pub fn operation(&self, request: &Request, index: usize) -> ClientOperation {
        request.operation(index, &self.session)
    }

    /// The core's reply to one operation of a request.
    pub fn on_reply(&mut self, request: &mut Request, index: usize, reply: Reply) {
        self.session.on_reply(request.key(index), &reply);
        request.on_reply(index, reply, &self.settings);
    }

    /// An encoder of replies in the form that the client wants.
    pub(crate) const fn encoder<'a>(&self, out: &'a mut BytesMut) -> Encoder<'a> {
        Encoder::new(self.protocol, out)
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) const fn name(&self) -> &Bytes {
        &self.name
    }

    /// What this connection's commands use when they do not say.
    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) const fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Names are copied, since they stay: a slice of a read would keep all of it.
    pub(crate) fn set_name(&mut self, name: &[u8]) {
        self.name = Bytes::copy_from_slice(name);
    }

    pub(crate) fn set_library_name(&mut self, name: &[u8]) {
        self.library.name = Bytes::copy_from_slice(name);
    }

    pub(crate) fn set_library_version(&mut self, version: &[u8]) {
        self.library.version = Bytes::copy_from_slice(version);
    }

    /// Forgets what the client has set. The session stays: it keeps the order of writes, some of
    /// which may still be in flight.
    pub(crate) fn reset(&mut self) {
        self.protocol = Protocol::default();
        self.name = Bytes::new();
        self.options = Options::default();
    }

    /// A request with this connection's options and protocol.
    pub(crate) fn ask(&self, targets: Vec<Target>, shape: Shape) -> Step {
        self.ask_with(targets, shape, self.options.clone())
    }

    /// A request with options of its own.
    pub(crate) fn ask_with(&self, targets: Vec<Target>, shape: Shape, options: Options) -> Step {
        Step::Ask(Box::new(Request::new(targets, shape, options, self.protocol)))
    }
}
