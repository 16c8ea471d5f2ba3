//! The facts about the node that a connection tells its client, and cannot know by itself.

use super::profile::ConnectionActivity;

/// The node, as seen by one of its connections.
pub trait NodeInfo {
    /// The sections of `INFO`, in the order in which they are shown. The section `server` is
    /// completed by the connection with what clients look for there.
    fn info(&self) -> Vec<Section>;

    /// The settings that `CONFIG GET` shows, under the names that Redis gives them.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// The activity of this connection up to the command that asks.
    fn activity(&self) -> ConnectionActivity;

    /// The other connections: their numbers, and their lines in `CLIENT LIST`.
    fn others(&self) -> Vec<(u64, String)>;
}

/// One section of `INFO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The section's name as clients ask for it, in lower case.
    pub name: &'static str,
    /// Names and values, one line each.
    pub fields: Vec<(&'static str, String)>,
}
