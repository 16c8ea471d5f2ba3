//! An operation that a node coordinates: its stage, the answers that it needs and those that it
//! has.

use kv_core::coordinator::{OperationSnapshot, Stage, Task};
use kv_core::quorum::Mode;
use kv_core::types::NodeId;
use serde::Serialize;

use super::Teller;
use crate::cluster::client_ids::client_operation_of;
use crate::story::state::keys::names_of;

/// An operation that a node coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationState {
    /// The id of the request, as the cluster knows it.
    pub request: String,
    /// The client that waits for the operation; none, once it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<u32>,
    /// The client's number for the operation, if a client asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<u32>,
    /// `get`, `put` or `gather`.
    pub task: &'static str,
    /// The key of the operation.
    pub key: String,
    /// `reading`, `minting` or `spreading`.
    pub stage: &'static str,
    /// `sloppy` or `strict`.
    pub mode: &'static str,
    /// The answers that the present stage needs.
    pub needs: Vec<QuorumState>,
    /// The answers that count so far.
    pub answers: Vec<AnswerState>,
    /// The owners that answered and may be behind.
    pub in_doubt: Vec<String>,
    /// The nodes that refused.
    pub refused: Vec<String>,
    /// The nodes that were asked and are silent.
    pub awaited: Vec<String>,
    /// The fallbacks that were asked in place of owners.
    pub fallbacks: Vec<FallbackState>,
    /// The time until the operation asks again, by the node's own clock.
    pub wakes_in_us: i64,
    /// The time until the operation is given up, by the node's own clock.
    pub expires_in_us: i64,
}

/// A number of answers that is needed of some owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuorumState {
    /// The number of answers that are needed.
    pub needed: usize,
    /// The owners whose answers count.
    pub of: Vec<String>,
}

/// An answer to an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerState {
    /// The node that answered.
    pub by: String,
    /// The owner in whose place the answer was given; none, if it was an owner's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_owner: Option<String>,
}

/// A fallback that was asked in the place of an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FallbackState {
    /// The fallback that was asked.
    pub node: String,
    /// The owner in whose place it was asked.
    pub for_owner: String,
}

impl Teller<'_> {
    pub(super) fn operation(&self, operation: &OperationSnapshot) -> OperationState {
        let names = |nodes: &[NodeId]| names_of(self.names, nodes);
        let asked_by = client_operation_of(operation.request);
        let needs = operation.needs.iter();
        let answers = operation.answers.iter();
        let fallbacks = operation.fallbacks.iter();
        OperationState {
            request: operation.request.to_string(),
            client: asked_by.map(|(client, _)| client).filter(|_| operation.client.is_some()),
            operation: asked_by.map(|(_, operation)| operation),
            task: match operation.task {
                Task::Get => "get",
                Task::Put => "put",
                Task::Gather => "gather",
            },
            key: operation.key.to_string(),
            stage: match operation.stage {
                Stage::Read => "reading",
                Stage::Mint => "minting",
                Stage::Spread => "spreading",
            },
            mode: match operation.mode {
                Mode::Sloppy => "sloppy",
                Mode::Strict => "strict",
            },
            needs: needs
                .map(|set| QuorumState { needed: set.needed, of: names(&set.owners) })
                .collect(),
            answers: answers
                .map(|answer| AnswerState {
                    by: self.names.node(answer.by),
                    for_owner: answer.is_fallback().then(|| self.names.node(answer.for_owner)),
                })
                .collect(),
            in_doubt: names(&operation.in_doubt),
            refused: names(&operation.refused),
            awaited: names(&operation.awaited),
            fallbacks: fallbacks
                .map(|one| FallbackState {
                    node: self.names.node(one.node),
                    for_owner: self.names.node(one.owner),
                })
                .collect(),
            wakes_in_us: self.ahead(operation.wakes_at),
            expires_in_us: self.ahead(operation.expires_at),
        }
    }
}

pub(super) fn operation_words(request: kv_core::types::RequestId) -> String {
    match client_operation_of(request) {
        Some((client, operation)) => format!("operation #{operation} of client {client}"),
        None => format!("the gathering {request}"),
    }
}
