//! Helpers that the tests of this module share: a core of one replica in memory, and a client of
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use kv_core::client::{
    Achieved, ClientOperation, Options, PutContext, Reply, RequestRefusal, Verb,
};
use kv_core::time::HybridTime;
use kv_core::types::{ClusterId, Epoch, Key, NodeId, RequestId};
use kv_core::version::{Actor, Container, Content, Context, Dot, Version};

use super::connection::Connection;
use super::node_info::{NodeInfo, Section};
use super::pipeline::{Ask, Pipeline};
use super::profile::{ConnectionActivity, ConnectionIdentity};
use super::settings::RedisSettings;
use crate::resp::Parser;

const CLUSTER: ClusterId = ClusterId(7);

/// A node with short, fixed answers about itself.
pub(crate) struct Node;

impl NodeInfo for Node {
    fn info(&self) -> Vec<Section> {
        let info = |name: &'static str| vec![(name, "1".to_owned())];
        vec![
            Section { name: "server", fields: info("tcp_port") },
            Section { name: "clients", fields: info("connected_clients") },
        ]
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        [("appendfsync", "everysec"), ("appendonly", "yes"), ("maxclients", "10")]
            .map(|(name, value)| (name, value.to_owned()))
            .into()
    }

    fn activity(&self) -> ConnectionActivity {
        ConnectionActivity { age_s: 7, commands: 3, ..ConnectionActivity::default() }
    }

    fn others(&self) -> Vec<(u64, String)> {
        vec![(2, "id=2 addr=other".to_owned())]
    }
}

/// One replica that executes each operation at once.
#[derive(Default)]
pub(crate) struct OneReplica {
    containers: BTreeMap<Key, Container>,
    minted: u64,
    /// The options of the last operation.
    pub(crate) options: Options,
}

impl OneReplica {
    /// Executes one operation.
    pub(crate) fn answer(&mut self, operation: ClientOperation) -> Reply {
        let ClientOperation { key, verb, options } = operation;
        self.options = options;
        let container = self.containers.entry(key.clone()).or_default();
        let achieved = Achieved {
            owners: [NodeId(1), NodeId(2)][..].into(),
            fallbacks: [NodeId(9)][..].into(),
            machines: 3,
        };
        let Verb::Put { content, expiry: None, context } = verb else {
            let context = container.context().to_token(CLUSTER, &key);
            return Reply::Value { container: container.clone(), context, achieved };
        };
        let seen = match context {
            PutContext::Latest(context) => {
                assert!(
                    container.seen().includes(&context.seen),
                    "a session runs ahead of its core"
                );
                container.seen().clone()
            }
            PutContext::Nothing => Context::default().seen,
            PutContext::Token(token) => match Context::from_token(&token, CLUSTER, &key) {
                Ok(context) => context.seen,
                Err(error) => return Reply::Refused(RequestRefusal::Context(error)),
            },
        };
        self.minted += 1;
        container.discard(&seen);
        let dot = Dot { actor: Actor { node: NodeId(1), epoch: Epoch(1) }, n: self.minted };
        let (time, request) = (HybridTime(self.minted), RequestId(self.minted.into()));
        container.add(dot, Version { content, time, expiry: None, request, tag: None });
        let context = container.context().to_token(CLUSTER, &key);
        Reply::Stored { container: container.clone(), context, achieved }
    }

    /// Returns the value of a key that has one.
    pub(crate) fn value(&self, key: &str) -> Option<Bytes> {
        let container = self.containers.get(&Key::from(key))?;
        let [(_, Version { content: Content::Value(value), .. })] = container.siblings() else {
            return None;
        };
        Some(value.clone())
    }
}

/// A connection, as its socket would drive it.
pub(crate) struct TestClient {
    parser: Parser,
    input: BytesMut,
    pub(crate) pipeline: Pipeline,
    /// The operations that the core has not answered.
    pub(crate) asks: Vec<Ask>,
    /// The bytes of an answer of the core for which the node has room.
    pub(crate) room: usize,
}

impl TestClient {
    pub(crate) fn new(settings: RedisSettings) -> Self {
        let identity = ConnectionIdentity {
            id: 1,
            peer: "10.0.0.1:5000".to_owned(),
            local: "10.0.0.2:7001".to_owned(),
        };
        Self {
            parser: Parser::new(settings.limits()),
            input: BytesMut::new(),
            pipeline: Pipeline::new(Connection::new(identity, Arc::new(settings))),
            asks: Vec::new(),
            room: usize::MAX,
        }
    }

    /// Sends bytes, of which the node takes as many as it has room for.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.extend_from_slice(bytes.as_ref());
        self.take();
    }

    /// Lets the node take commands while it has room.
    pub(crate) fn take(&mut self) {
        while self.pipeline.has_room() {
            match self.parser.next(&mut self.input) {
                Ok(Some(command)) => self.pipeline.on_command(&command, &Node, &mut self.asks),
                Ok(None) => return,
                Err(error) => {
                    let begun = self.parser.take_skipped();
                    self.pipeline.on_parse_error(error, begun.as_ref());
                }
            }
        }
    }

    /// Tells whether bytes were sent that the node has not taken.
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Answers one of the open operations.
    pub(crate) fn answer(&mut self, at: usize, answer: impl FnOnce(ClientOperation) -> Reply) {
        let Ask { ticket, operation } = self.asks.remove(at);
        self.pipeline.on_reply(ticket, answer(operation), self.room, &mut self.asks);
    }

    /// Answers all open operations in order.
    pub(crate) fn answer_all(&mut self, core: &mut OneReplica) {
        while !self.asks.is_empty() {
            self.answer(0, |operation| core.answer(operation));
        }
    }

    /// Returns the output since the last call, with visible line breaks.
    pub(crate) fn received(&mut self) -> String {
        let ready = self.pipeline.ready();
        let written = ready.copy_to_bytes(ready.remaining());
        self.pipeline.on_written(&mut self.asks);
        let escaped = written.escape_ascii().to_string();
        escaped.replace(r"\'", "'").replace(r#"\""#, "\"")
    }

    /// Sends a line and returns all that comes back.
    pub(crate) fn ask(&mut self, core: &mut OneReplica, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.answer_all(core);
        self.received()
    }
}
