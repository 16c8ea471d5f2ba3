//! The HTTP interface: health for whoever restarts nodes, metrics for whoever watches them.
//!
//! | path | answer |
//! |---|---|
//! | `/health/live` | 200: the process serves |
//! | `/health/ready` | 200 if the core answers and its storage has not failed, else 503; JSON says how it is |
//! | `/metrics` | everything that is counted, as OpenMetrics |

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::core_loop::{CoreHandle, Inspection};
use crate::log::LogLimiter;
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::stop::Stopping;
use crate::storage::Storage;
use crate::tasks::Tasks;

/// A core that has not answered for so long hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection is closed after this long, whatever it does: whoever watches comes again.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);

/// The pause after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is shown of a node.
#[derive(Clone, Debug)]
pub struct View {
    /// The node's name.
    pub name: String,
    /// Its core.
    pub core: CoreHandle,
    /// Its storage, as long as it is open.
    pub storage: Weak<Storage>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// What keeps the log short.
    pub log_limiter: Arc<LogLimiter>,
    /// Whether it stops taking clients.
    pub leaving: Stopping,
}

/// Serves until the node stops.
pub async fn listen(
    listener: TcpListener,
    connections_max: usize,
    view: View,
    mut stopping: Stopping,
) {
    let log_limiter = Arc::clone(&view.log_limiter);
    let router = router(view);
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
                let kind = error.to_string();
                log_limiter.tell("http", &kind, move |repeated| {
                    tracing::warn!(
                        repeated,
                        "a connection to the HTTP interface cannot be accepted: {error}"
                    );
                });
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

fn router(view: View) -> Router {
    Router::new()
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(view)
}

async fn ready(State(view): State<View>) -> Response {
    let inspection = timeout(PATIENCE, view.core.inspect()).await.ok().and_then(Result::ok);
    let problem = match &inspection {
        _ if view.leaving.has_stopped() => Some("the node is stopping"),
        None => Some("the core does not answer"),
        Some(inspection) if inspection.storage_failed => Some("the storage failed"),
        Some(_) => None,
    };
    let status = if problem.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let state = inspection.as_ref().map(shown);
    let body = json!({
        "node": view.name,
        "ready": problem.is_none(),
        "problem": problem,
        "state": state,
    });
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (status, content_type, format!("{body}\n")).into_response()
}

fn shown(inspection: &Inspection) -> serde_json::Value {
    let Inspection {
        partitions_owned,
        partitions_synced,
        hints_pending,
        operations,
        peers_down,
        peers,
        storage_failed,
    } = inspection;
    json!({
        "partitions_owned": partitions_owned,
        "partitions_synced": partitions_synced,
        "hints_pending": hints_pending,
        "operations_in_flight": operations,
        "peers": peers,
        "peers_down": peers_down,
        "storage_failed": storage_failed,
    })
}

async fn metrics(State(view): State<View>) -> Result<Response, Infallible> {
    if let Some(storage) = view.storage.upgrade() {
        view.metrics.on_storage(&storage.counts());
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], view.metrics.encode()).into_response())
}
