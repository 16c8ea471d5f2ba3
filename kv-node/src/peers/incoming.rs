//! Listens for peers, and bounds the number of connections that have not said hello.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::refusal::PeerRefusal;
use super::shared::PeersShared;
use super::stream::write;
use super::visit::visit;
use crate::tasks::Tasks;

/// The pause after the system refused a connection (no more file descriptors, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The time within which a surplus connection must be refused. The socket is new and has room.
const REFUSE_TIMEOUT: Duration = Duration::from_millis(10);

/// Accepts peers until the node stops.
pub(super) async fn listen(listener: TcpListener, shared: PeersShared) {
    let mut stopping = shared.stopping.clone();
    let strangers = Arc::new(Semaphore::new(shared.limits.connections));
    let mut tasks = Tasks::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => match Arc::clone(&strangers).try_acquire_owned() {
                Ok(permit) => tasks.spawn(visit(stream, from, shared.clone(), permit)),
                Err(_) => refuse_one_more(stream, from, &shared).await,
            },
            Err(error) => {
                let kind = error.to_string();
                shared.log_limiter.tell("peers", &kind, move |repeated| {
                    tracing::warn!(repeated, "a peer cannot be accepted: {error}");
                });
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn refuse_one_more(mut stream: TcpStream, from: SocketAddr, shared: &PeersShared) {
    let max = shared.limits.connections;
    let text = format!(
        "there are {max} connections already that have not said who they are \
         (limits.peer_connections)"
    );
    shared.metrics.on_rejected("too-many");
    let refusal = PeerRefusal::new("too-many", &text).frame();
    let _tried = timeout(REFUSE_TIMEOUT, write(&mut stream, &refusal)).await;
    shared.complain(&from.ip().to_string(), "too-many", text);
}
