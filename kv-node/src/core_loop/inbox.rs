//! What the core is given: work, which waits when the core has enough, and urgent inputs, which
//! never wait. Other tasks hold the [`CoreHandle`], the loop the [`Inboxes`] behind it.

use kv_core::admin::{AdminCommand, AdminReply};
use kv_core::client::ClientOperation;
use kv_core::cx::LinkState;
use kv_core::message::Message;
use kv_core::types::NodeId;
use tokio::sync::{mpsc, oneshot};

use super::{ConnectionId, OperationTag, Replies};
use crate::inspection::Inspection;
use crate::peers::room::RoomShare;
use crate::storage::StorageEvent;

/// An input that makes work for the core. It waits when the core has enough.
#[derive(Debug)]
pub enum Work {
    /// A client sends operations.
    Client {
        /// The client's connection.
        connection: ConnectionId,
        /// The operations in order. Tags are unique among those that are not answered.
        operations: Vec<(OperationTag, ClientOperation)>,
    },
    /// A peer has sent messages.
    Peer {
        /// The messages in the order in which they arrived.
        messages: Vec<Message>,
        /// The room that large messages take until the core has them.
        share: RoomShare,
    },
}

/// An input that the core must learn at once.
#[derive(Debug)]
pub enum Urgent {
    /// A connection will send operations.
    Opened {
        /// The id of the connection.
        connection: ConnectionId,
        /// The channel for the connection's replies.
        replies: Replies,
    },
    /// A connection sends no more operations, and is owed nothing.
    Closed(ConnectionId),
    /// News from the disk.
    Storage(StorageEvent),
    /// The connection to a peer changed.
    Link {
        /// The peer at the other end.
        peer: NodeId,
        /// The new state of the connection.
        state: LinkState,
    },
    /// An operator gives an order.
    Admin {
        /// The operator's order.
        command: AdminCommand,
        /// The channel for the answer.
        answer: oneshot::Sender<AdminReply>,
    },
    /// The node refuses to speak with a peer.
    Refused {
        /// The peer that is refused.
        peer: NodeId,
        /// The reason in one word.
        reason: &'static str,
    },
    /// A request for the state of the core, with the channel for the answer.
    Inspect(oneshot::Sender<Inspection>),
    /// The node stops: the core takes nothing new.
    Stop,
    /// The node is done, and owes nothing: the loop ends.
    End,
}

/// The handle by which other tasks speak to the core.
#[derive(Clone, Debug)]
pub struct CoreHandle {
    work: mpsc::Sender<Work>,
    urgent: mpsc::UnboundedSender<Urgent>,
}

/// The inputs that the core has not handled yet.
#[derive(Debug)]
pub struct Inboxes {
    pub(super) work: mpsc::Receiver<Work>,
    pub(super) urgent: mpsc::UnboundedReceiver<Urgent>,
}

/// The error that the core has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct Ended;

/// Creates the handle for other tasks, and the inboxes behind it, in which `work_max` batches of
/// work may wait.
pub fn inboxes(work_max: usize) -> (CoreHandle, Inboxes) {
    let (work, work_inbox) = mpsc::channel(work_max);
    let (urgent, urgent_inbox) = mpsc::unbounded_channel();
    (CoreHandle { work, urgent }, Inboxes { work: work_inbox, urgent: urgent_inbox })
}

impl CoreHandle {
    /// Gives the core work; waits while it has enough.
    ///
    /// # Errors
    /// [`Ended`]: nothing was done.
    pub async fn work(&self, work: Work) -> Result<(), Ended> {
        self.work.send(work).await.map_err(|_| Ended)
    }

    /// Gives the core an urgent input. Ignored once the core has ended.
    pub fn tell(&self, urgent: Urgent) {
        let _ended = self.urgent.send(urgent);
    }

    /// Gives the core an operator's order, and waits for the answer.
    ///
    /// # Errors
    /// [`Ended`]: it is not known whether the order was carried out.
    pub async fn admin(&self, command: AdminCommand) -> Result<AdminReply, Ended> {
        let (answer, answered) = oneshot::channel();
        self.tell(Urgent::Admin { command, answer });
        answered.await.map_err(|_| Ended)
    }

    /// Asks the core for its state. Answered between two turns: no answer means that it hangs.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn inspect(&self) -> Result<Inspection, Ended> {
        let (answer, answered) = oneshot::channel();
        self.tell(Urgent::Inspect(answer));
        answered.await.map_err(|_| Ended)
    }
}
