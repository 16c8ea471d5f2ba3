//! Clients, and what they wait for.

use serde::Serialize;

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientState {
    /// Its number.
    pub client: u32,
    /// The node that it talks to.
    pub node: String,
    /// How many operations it has begun.
    pub begun: u32,
    /// What it waits for; nothing, while it thinks, has not begun, or is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<RequestState>,
}

/// An operation that a client waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestState {
    /// Its number, from 1 for each client.
    pub operation: u32,
    /// What the cluster knows it by.
    pub request: String,
    /// `get`, `put` or `delete`.
    pub verb: &'static str,
    /// The key.
    pub key: String,
    /// When the client gives up.
    pub until_us: u64,
    /// Whether a reply is on its way to the client.
    pub is_answered: bool,
}
