//! The sockets of the HTTP interface.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::stop::Stopping;
use crate::tasks::Tasks;

/// A connection is closed after this long, whatever it does: whoever watches comes again.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);

/// The pause after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the node stops.
pub(super) async fn listen(
    listener: TcpListener,
    connections_max: usize,
    router: Router,
    mut stopping: Stopping,
) {
    let room = Arc::new(Semaphore::new(connections_max));
    let mut tasks = Tasks::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // Too many are closed at once: they are no clients, and come again.
            Ok((stream, _)) => {
                if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
                    tasks.spawn(serve(stream, router.clone(), permit));
                }
            }
            Err(error) => {
                tracing::warn!("a connection to the HTTP interface cannot be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router, _permit: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Ok(Err(error)) = timeout(CONNECTION_LIFE, connection).await {
        tracing::debug!("the HTTP interface: {error}");
    }
}
