//! What a connection tells its client about the node, and cannot know by itself.

/// The node, as seen by its connections.
pub trait Facts {
    /// The sections of `INFO`, in the order in which they are shown. The section `server` is
    /// completed by the connection with what clients look for there.
    fn info(&self) -> Vec<Section>;

    /// The other connections, one line each, as [`crate::redis::Connection::describe`] writes them
    /// (`CLIENT LIST`).
    fn others(&self) -> Vec<String>;
}

/// One section of `INFO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// As clients ask for it, in lower case.
    pub name: &'static str,
    /// Names and values, one line each.
    pub facts: Vec<(&'static str, String)>,
}
