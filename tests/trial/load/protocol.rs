//! What is asked, and how a store is asked it: bytes out, bytes in, and what these say. No sockets here.

use std::fmt::Write as _;
use std::io;

use super::values::Values;
use super::{etcd_json, resp};

/// A command of some words.
pub(crate) type Words = &'static [&'static str];

/// What every connection asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Get,
    Set,
}

impl Request {
    /// Its name in tables.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Set => "SET",
        }
    }
}

/// How a store is spoken to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    /// As a Redis server.
    Resp {
        /// What each connection says first.
        greeting: Option<Words>,
        /// A command after writes that waits for replicas, and how often it is sent.
        wait: Option<(Words, Often)>,
    },
    /// As the JSON gateway of etcd, over HTTP/1.1.
    EtcdJson {
        /// Whether the member that is asked answers reads by itself.
        reads: EtcdReads,
    },
}

/// After which writes replicas are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Often {
    /// After each.
    Request,
    /// After the last of each pipeline.
    Pipeline,
    /// On its own, when all writes of a pipeline are answered; in an open loop, when each is. A replica that gets
    /// a write and is asked how far its disk is in one go has not synced it yet, and says so only a second later.
    Answers,
}

/// How etcd answers a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EtcdReads {
    /// After a majority has confirmed who leads.
    Linearizable,
    /// From what the member has that is asked.
    Serializable,
}

/// One operation on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadOperation {
    pub(crate) request: Request,
    pub(crate) key: u64,
    /// Whether it is the last of its pipeline.
    pub(crate) is_last: bool,
    pub(crate) step: LoadStep,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadStep {
    /// The store is asked for it.
    Asking,
    /// It is done, and replicas are waited for.
    Waiting,
}

impl LoadOperation {
    /// An operation at its beginning.
    pub(super) const fn new(request: Request, key: u64, is_last: bool) -> Self {
        Self { request, key, is_last, step: LoadStep::Asking }
    }

    /// The same when it is done and replicas are to be waited for.
    pub(super) const fn waiting(self) -> Self {
        Self { step: LoadStep::Waiting, ..self }
    }

    /// The name of its key.
    pub(super) fn key_name(&self) -> String {
        let mut name = String::with_capacity(16);
        write!(name, "key-{:08}", self.key).expect("a string takes all");
        name
    }
}

/// What a store has made of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What was asked for.
    Right,
    /// An error that the store names: nothing was done, or nobody knows. Its first word.
    Refused(String),
    /// Anything else: it should not be.
    Wrong(String),
}

impl Protocol {
    /// The bytes with which a connection begins; it is answered once.
    pub(super) fn greeting(&self) -> Option<Vec<u8>> {
        match self {
            Self::Resp { greeting, .. } => greeting.map(crate::support::command),
            Self::EtcdJson { .. } => None,
        }
    }

    /// Whether replicas are waited for when an operation is answered that was asked for so.
    pub(super) fn waits_for_answers(&self, operation: &LoadOperation) -> bool {
        let Self::Resp { wait: Some((_, Often::Answers)), .. } = self else { return false };
        operation.request == Request::Set && operation.step == LoadStep::Asking
    }

    /// Appends the bytes that ask for an operation.
    pub(super) fn encode(&self, operation: &LoadOperation, values: &Values, output: &mut Vec<u8>) {
        match self {
            Self::Resp { wait, .. } => resp::encode(operation, *wait, values, output),
            Self::EtcdJson { reads } => etcd_json::encode(operation, *reads, values, output),
        }
    }

    /// The answer to an operation, if all of it is there, and how many bytes it takes.
    ///
    /// # Errors
    /// These are no bytes of this protocol.
    pub(super) fn decode(
        &self,
        operation: &LoadOperation,
        values: &Values,
        bytes: &[u8],
    ) -> io::Result<Option<(Verdict, usize)>> {
        match self {
            Self::Resp { wait, .. } => resp::decode(operation, *wait, values, bytes),
            Self::EtcdJson { .. } => etcd_json::decode(operation, values, bytes),
        }
    }
}
