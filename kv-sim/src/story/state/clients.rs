//! Clients, and the operations that they wait for.

use serde::Serialize;

/// The state of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientState {
    /// The number of the client.
    pub client: u32,
    /// The node that the client talks to.
    pub node: String,
    /// The number of operations that the client has begun.
    pub begun: u32,
    /// The operation that the client waits for; none, while it thinks, has not begun, or is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<RequestState>,
}

/// An operation that a client waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestState {
    /// The number of the operation, from 1 for each client.
    pub operation: u32,
    /// The id of the request, as the cluster knows it.
    pub request: String,
    /// `get`, `put` or `delete`.
    pub verb: &'static str,
    /// The key of the request.
    pub key: String,
    /// The time at which the client gives up, in microseconds.
    pub until_us: u64,
    /// True if a reply is on its way to the client.
    pub is_answered: bool,
}
