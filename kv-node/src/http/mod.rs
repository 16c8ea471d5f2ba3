//! The HTTP interface: health for whoever restarts nodes, metrics for whoever watches them.
//!
//! | path | answer |
//! |---|---|
//! | `/health/live` | 200: the process serves |
//! | `/health/ready` | 200 if the core answers and its storage has not failed, else 503; JSON says how it is |
//! | `/metrics` | everything that is counted, as OpenMetrics |
//!
//! Each concept has a file with its routes: `health.rs`, `metrics.rs`. `server.rs` accepts the
//! connections and knows no routes.

mod admin;
mod health;
mod metrics;
mod server;

use std::sync::{Arc, Weak};

use axum::Router;
use kv_core::ring::Ring;
use tokio::net::TcpListener;

use crate::core_loop::CoreHandle;
use crate::metrics::Metrics;
use crate::stop::Stopping;
use crate::storage::Storage;

/// The parts of a node that the HTTP interface shows.
#[derive(Clone, Debug)]
pub struct View {
    /// The node's name.
    pub name: String,
    /// Its core.
    pub core: CoreHandle,
    /// The members of its cluster.
    pub ring: Arc<Ring>,
    /// Its storage, as long as it is open.
    pub storage: Weak<Storage>,
    /// Its counters.
    pub metrics: Arc<Metrics>,
    /// Closed once it takes no more clients.
    pub leaving: Stopping,
}

/// Serves until the node stops.
pub async fn listen(listener: TcpListener, connections_max: usize, view: View, stopping: Stopping) {
    server::listen(listener, connections_max, router(view), stopping).await;
}

/// All routes. A new kind of request gets a file of its own and a line here.
fn router(view: View) -> Router {
    Router::new()
        .merge(admin::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .with_state(view)
}
