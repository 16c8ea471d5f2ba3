//! The operations that a command asks of the core, and the one reply that their replies become.
//!
//! In goes a [`Reply`] for each operation, in any order; out comes, when there are no more, one
//! reply to the client, or a second request (`DEL` reads before it writes).

use std::mem;

use bytes::{Bytes, BytesMut};
use kv_core::client::{ClientOperation, Options, PutContext, Reply, RequestRefusal, Session, Verb};
use kv_core::config::Config;
use kv_core::types::{KEY_BYTES_MAX, Key};
use kv_core::version::Content;

use super::details::Details;
use super::error::CommandError;
use super::key_locks::Access;
use super::options::GivenContext;
use super::settings::RedisSettings;
use crate::resp::{Encoder, Protocol};

/// The size up to which values are copied when they are written: a slice keeps all of the read that
/// brought it, which may be much more (see [`crate::resp::parser`]).
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// The bytes that a value in a reply takes beside itself, at most.
const BULK_OVERHEAD_BYTES: usize = 24;

/// The estimated bytes that a key of a command takes beside itself, for its place among the
/// commands that wait for it.
const KEY_OVERHEAD_BYTES: usize = 96;

/// One command's operations, and the replies to them so far.
#[derive(Debug)]
pub struct Request {
    targets: Vec<Target>,
    access: Access,
    options: Options,
    protocol: Protocol,
    kind: ReplyKind,
    gathered: Gathered,
    muted: bool,
}

/// One key, and the operation on it.
#[derive(Debug)]
pub(crate) struct Target {
    key: Key,
    op: KeyOp,
}

/// An operation on a key.
#[derive(Debug)]
pub(crate) enum KeyOp {
    /// Reads the key.
    Read,
    /// Writes the key.
    Write {
        /// The new content of the key.
        content: Content,
        /// The versions that the write overwrites.
        basis: GivenContext,
    },
}

/// The form of the one reply that a command's replies become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyKind {
    /// The value of one key (`GET`).
    Value,
    /// The values of all keys (`MGET`).
    Values,
    /// The length of the value (`STRLEN`).
    Length,
    /// The number of keys that have a value (`EXISTS`).
    Count,
    /// `OK`, once all keys are written (`SET`, `MSET`).
    Stored,
    /// The number of keys that have a value, which are then deleted (`DEL`).
    ExistedBefore,
    /// The number of keys that had a value before they were deleted (`DEL`).
    Deleted(usize),
    /// All parts of a read (`KV.GET`).
    Siblings,
    /// All parts of a write (`KV.PUT`, `KV.DEL`).
    Receipt,
}

/// The parts of the replies so far that the kind needs.
#[derive(Debug, Default)]
struct Gathered {
    /// The value of each key.
    values: Vec<Option<Bytes>>,
    /// The bytes of all values.
    value_bytes: usize,
    /// The memory of all that is kept, in bytes.
    bytes: usize,
    /// The number of keys that have a value.
    present: usize,
    /// The number of keys that are known to be written.
    written: usize,
    /// The parts of the one reply that is shown as a whole.
    details: Option<Details>,
    /// The first error.
    failure: Option<CommandError>,
}

/// The result of a request whose operations have all been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The client's reply was written.
    Replied,
    /// The request has become another one about the same keys, which is to be done before anything
    /// else that touches them.
    Again,
}

impl Target {
    /// Creates a read of a key.
    ///
    /// # Errors
    /// If this cannot be a key.
    pub(crate) fn read(key: &Bytes) -> Result<Self, CommandError> {
        Ok(Self { key: checked_key(key)?, op: KeyOp::Read })
    }

    /// Creates a write of a value to a key.
    ///
    /// # Errors
    /// If this cannot be a key, or the value is too long.
    pub(crate) fn put(
        config: &Config,
        key: &Bytes,
        value: &Bytes,
        basis: GivenContext,
    ) -> Result<Self, CommandError> {
        let (bytes, max) = (value.len(), config.value_bytes_max);
        if bytes as u64 > max {
            return Err(RequestRefusal::Value { bytes, max }.into());
        }
        let value =
            if bytes <= COPIED_BYTES_MAX { Bytes::copy_from_slice(value) } else { value.clone() };
        let content = Content::Value(value);
        Ok(Self { key: checked_key(key)?, op: KeyOp::Write { content, basis } })
    }

    /// Creates the deletion of a key.
    ///
    /// # Errors
    /// If this cannot be a key.
    pub(crate) fn delete(key: &Bytes, basis: GivenContext) -> Result<Self, CommandError> {
        let content = Content::Tombstone;
        Ok(Self { key: checked_key(key)?, op: KeyOp::Write { content, basis } })
    }

    /// The key that is read or written.
    pub(crate) const fn key(&self) -> &Key {
        &self.key
    }

    const fn access(&self) -> Access {
        match self.op {
            KeyOp::Read => Access::Read,
            KeyOp::Write { .. } => Access::Write,
        }
    }

    fn weight(&self) -> usize {
        let value = match &self.op {
            KeyOp::Write { content, .. } => content.value().map_or(0, Bytes::len),
            KeyOp::Read => 0,
        };
        size_of::<Self>() + KEY_OVERHEAD_BYTES + self.key.bytes().len() + value
    }
}

/// Copies a key into memory of its own: sessions keep keys for long, and a slice of a read would
/// keep all of it.
fn checked_key(bytes: &Bytes) -> Result<Key, CommandError> {
    if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX {
        return Err(RequestRefusal::Key { bytes: bytes.len(), max: KEY_BYTES_MAX }.into());
    }
    Ok(Key::from(&bytes[..]))
}

impl Request {
    /// Creates a request of one key or more. Where it writes, each key must stand in it once.
    pub(crate) fn new(
        targets: Vec<Target>,
        kind: ReplyKind,
        options: Options,
        protocol: Protocol,
    ) -> Self {
        let writes = targets.iter().any(|target| target.access() == Access::Write);
        let access =
            if writes || kind == ReplyKind::ExistedBefore { Access::Write } else { Access::Read };
        let gathered = Gathered::default();
        Self { targets, access, options, protocol, kind, gathered, muted: false }
    }

    /// Keeps the reply from the client, who does not expect one.
    pub const fn mute(&mut self) {
        self.muted = true;
    }

    /// The keys that the request touches.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.targets.iter().map(Target::key)
    }

    /// The access to the keys: reading or writing.
    pub const fn access(&self) -> Access {
        self.access
    }

    /// The number of operations; they are numbered from 0.
    pub const fn operations(&self) -> usize {
        self.targets.len()
    }

    /// The estimated bytes that the request holds, without those of [`Request::gathered_bytes`].
    pub fn weight(&self) -> usize {
        self.targets.iter().map(Target::weight).sum()
    }

    /// The bytes that the request holds for its reply.
    pub const fn gathered_bytes(&self) -> usize {
        self.gathered.bytes
    }

    /// Builds the operation of this number. To be asked for only when every earlier command that
    /// touches the key has ended: then the session has learned from them.
    pub fn operation(&self, index: usize, session: &Session) -> ClientOperation {
        let Target { key, op } = &self.targets[index];
        let verb = match op {
            KeyOp::Read => Verb::Get,
            KeyOp::Write { content, basis } => {
                let context = match basis {
                    GivenContext::Latest => session.latest(key),
                    GivenContext::Token(token) => PutContext::Token(token.clone()),
                    GivenContext::Nothing => PutContext::Nothing,
                };
                Verb::Put { content: content.clone(), expiry: None, context }
            }
        };
        ClientOperation { key: key.clone(), verb, options: self.options.clone() }
    }

    /// The key of an operation.
    pub fn key(&self, index: usize) -> &Key {
        &self.targets[index].key
    }

    /// Tells whether the reply is an error already, so that the remaining operations need not be
    /// asked for.
    pub const fn has_failed(&self) -> bool {
        self.gathered.failure.is_some()
    }

    /// Takes the reply to one operation. If the part of it that the client's reply needs takes more
    /// than `room` bytes, the request has failed.
    pub fn on_reply(&mut self, index: usize, reply: Reply, room: usize, settings: &RedisSettings) {
        let access = self.targets[index].access();
        let failure = match (reply, access) {
            (Reply::Refused(refusal), _) => Some(refusal.into()),
            (Reply::Unknown { achieved }, Access::Read) => {
                Some(CommandError::ReadTimeout(achieved))
            }
            (Reply::Unknown { achieved }, Access::Write) => {
                Some(CommandError::WriteTimeout(achieved))
            }
            (Reply::Value { container, context, achieved }, _) => {
                let resolve = settings.config.resolve(self.targets[index].key.bytes());
                match self.kind {
                    ReplyKind::Siblings => {
                        let shown = resolve.shown(&container);
                        let values: Vec<_> = shown
                            .iter()
                            .filter_map(|(_, version)| version.content.value().cloned())
                            .collect();
                        let tombstones = shown.len() - values.len();
                        let bytes: usize = values.iter().map(Bytes::len).sum();
                        if bytes > room {
                            Some(CommandError::NoRoom)
                        } else {
                            self.gathered.bytes = bytes;
                            let details = Details { values, tombstones, context, achieved };
                            self.gathered.details = Some(details);
                            None
                        }
                    }
                    ReplyKind::Count | ReplyKind::ExistedBefore => {
                        self.gathered.present += usize::from(resolve.single(&container).is_some());
                        None
                    }
                    ReplyKind::Length => {
                        let value = resolve.single(&container);
                        self.gathered.value_bytes = value.map_or(0, Bytes::len);
                        None
                    }
                    ReplyKind::Value | ReplyKind::Values => {
                        let value = resolve.single(&container).cloned();
                        self.keep(index, value, room, settings.reply_bytes_max)
                    }
                    ReplyKind::Stored | ReplyKind::Deleted(_) | ReplyKind::Receipt => {
                        unreachable!("a write is not answered with a value")
                    }
                }
            }
            (Reply::Stored { container, context, achieved }, _) => {
                self.gathered.written += 1;
                if self.kind == ReplyKind::Receipt {
                    let shown = container.distinct();
                    let values = shown.iter().filter_map(|(_, version)| version.content.value());
                    let values: Vec<_> = values.cloned().collect();
                    let tombstones = shown.len() - values.len();
                    self.gathered.details = Some(Details { values, tombstones, context, achieved });
                }
                None
            }
        };
        let gathered = &mut self.gathered;
        if gathered.failure.is_none() && failure.is_some() {
            // An error is all that the client will get.
            let (present, written) = (gathered.present, gathered.written);
            *gathered = Gathered { present, written, failure, ..Gathered::default() };
        }
    }

    /// Keeps a value for the reply, unless the reply becomes too long.
    fn keep(
        &mut self,
        index: usize,
        value: Option<Bytes>,
        room: usize,
        max: usize,
    ) -> Option<CommandError> {
        let (targets, gathered) = (self.targets.len(), &mut self.gathered);
        if gathered.failure.is_some() {
            return None;
        }
        let mut more = value.as_ref().map_or(0, Bytes::len);
        if gathered.value_bytes + more > max {
            return Some(CommandError::ReplyTooLong { max });
        }
        gathered.value_bytes += more;
        if gathered.values.is_empty() {
            more += targets * size_of::<Option<Bytes>>();
        }
        if more > room {
            return Some(CommandError::NoRoom);
        }
        gathered.bytes += more;
        gathered.values.resize(targets, None);
        // A value that waits for others is copied: it may be a small part of what a peer sent.
        gathered.values[index] =
            if targets > 1 { value.as_deref().map(Bytes::copy_from_slice) } else { value };
        None
    }

    /// Writes the client's reply, once every operation that was asked for has been answered; or
    /// becomes the next request.
    pub fn finish(&mut self, out: &mut BytesMut) -> Finished {
        let begun = out.len();
        let finished = self.conclude(out);
        if self.muted {
            out.truncate(begun);
        }
        finished
    }

    fn conclude(&mut self, out: &mut BytesMut) -> Finished {
        let Self { targets, access: _, options: _, protocol, kind, gathered, muted: _ } = self;
        let Gathered { values, value_bytes, bytes: _, present, written, details, failure } =
            mem::take(gathered);
        // Once for all, since a reply that grows step by step is held twice at each step.
        if !values.is_empty() {
            out.reserve(value_bytes + values.len() * BULK_OVERHEAD_BYTES);
        }
        let mut encoder = Encoder::new(*protocol, out);
        if let Some(error) = failure {
            let (keys, several) = (targets.len(), targets.len() > 1);
            let error = match kind {
                ReplyKind::Stored | ReplyKind::Deleted(_) if several => {
                    CommandError::Partly { error: Box::new(error), written, keys }
                }
                ReplyKind::Stored
                | ReplyKind::Deleted(_)
                | ReplyKind::Value
                | ReplyKind::Values
                | ReplyKind::Length
                | ReplyKind::Count
                | ReplyKind::ExistedBefore
                | ReplyKind::Siblings
                | ReplyKind::Receipt => error,
            };
            encoder.error(&error.to_string());
            return Finished::Replied;
        }
        match kind {
            ReplyKind::Value => encoder.bulk_or_null(values.first().and_then(Option::as_deref)),
            ReplyKind::Values => {
                encoder.array(values.len());
                // One by one, so that no more than one is held twice.
                for value in values {
                    encoder.bulk_or_null(value.as_deref());
                }
            }
            ReplyKind::Length => encoder.count(value_bytes),
            ReplyKind::Count => encoder.count(present),
            ReplyKind::Stored => encoder.simple("OK"),
            ReplyKind::Deleted(count) => encoder.count(*count),
            ReplyKind::ExistedBefore => {
                for target in targets {
                    let (content, basis) = (Content::Tombstone, GivenContext::Latest);
                    target.op = KeyOp::Write { content, basis };
                }
                *kind = ReplyKind::Deleted(present);
                return Finished::Again;
            }
            ReplyKind::Siblings => {
                details.expect("a read was answered").write_siblings(&mut encoder);
            }
            ReplyKind::Receipt => {
                details.expect("a write was answered").write_receipt(&mut encoder);
            }
        }
        Finished::Replied
    }
}
