//! The HTTP interface: health for supervisors, metrics for monitoring, orders of operators.
//!
//! | path | answer |
//! |---|---|
//! | `/health/live` | 200, unless the core has been silent for a minute: then 503, and a restart is the only way out. A core that never ends its turn keeps this answer from coming, too |
//! | `/health/ready` | 200 if the node can serve what it promises, else 503; JSON names every problem |
//! | `/metrics` | everything that is counted, as OpenMetrics or as Prometheus text |
//! | `/admin/…` | the outcome of an operator's order |
//!
//! The interface is there before the data is open, and until the storage is closed: starting and
//! stopping are answers too. Each concept has a file with its routes: `admin.rs`, `health.rs`,
//! `metrics.rs`. `server.rs` accepts connections and knows no routes, `pool.rs` decides which of
//! them may stay, `probe.rs` asks the core.

mod admin;
mod health;
mod metrics;
mod pool;
mod probe;
mod server;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kv_core::admin::{AdminCommand, AdminReply};
use kv_core::ring::Ring;
use kv_core::types::NodeId;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::core_loop::{CoreHandle, Ended};
use crate::health::ServingStage;
use crate::log::LogLimiter;
use crate::metrics::Metrics;
use crate::storage::{StorageCounts, StorageWatch};
use crate::tasks::{Tasks, aside};
use probe::{CoreProbe, HANGS_AFTER};

/// The facts about a node that never change.
#[derive(Clone, Debug)]
pub struct About {
    /// The node's name.
    pub name: String,
    /// The node's id.
    pub node: NodeId,
    /// The name of the node's cluster.
    pub cluster: String,
    /// The ring, with the members of the cluster.
    pub ring: Arc<Ring>,
}

/// The HTTP interface of one node. Dropping it ends it.
#[derive(Debug)]
pub struct HttpServer {
    view: HttpView,
    _serving: Tasks,
}

/// The parts of a node that the HTTP interface shows. Every handler is given one.
#[derive(Clone, Debug)]
struct HttpView(Arc<HttpShared>);

#[derive(Debug)]
struct HttpShared {
    about: About,
    metrics: Arc<Metrics>,
    log_limiter: Arc<LogLimiter>,
    stage: Mutex<(ServingStage, Option<Parts>)>,
}

/// The parts of a running node.
#[derive(Clone, Debug)]
struct Parts {
    core: CoreHandle,
    probe: CoreProbe,
    storage: StorageWatch,
}

/// The reason why the core is given no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum OrderError {
    #[error("the node is starting: say it again when it has opened its data")]
    Starting,
    #[error(transparent)]
    Ended(#[from] Ended),
}

impl HttpServer {
    /// Begins to serve, for a node that is starting.
    pub fn start(
        listener: TcpListener,
        connections_max: usize,
        about: About,
        metrics: Arc<Metrics>,
        log_limiter: Arc<LogLimiter>,
    ) -> Self {
        let stage = Mutex::new((ServingStage::Starting, None));
        let view = HttpView(Arc::new(HttpShared { about, metrics, log_limiter, stage }));
        let mut serving = Tasks::default();
        let router = router(view.clone());
        serving.spawn(server::listen(listener, connections_max, view.clone(), router));
        Self { view, _serving: serving }
    }

    /// Notes that the node runs, and shows its parts.
    pub fn on_running(&self, core: CoreHandle, storage: StorageWatch) {
        let probe = CoreProbe::new(core.clone(), HANGS_AFTER);
        *self.view.stage() = (ServingStage::Running, Some(Parts { core, probe, storage }));
    }

    /// Notes that the node ends.
    pub fn on_stopping(&self) {
        self.view.stage().0 = ServingStage::Stopping;
    }
}

impl HttpView {
    fn stage(&self) -> MutexGuard<'_, (ServingStage, Option<Parts>)> {
        self.0.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node's stage of life, and its parts once it runs.
    fn parts(&self) -> (ServingStage, Option<Parts>) {
        self.stage().clone()
    }

    /// Gives the core an order, and waits for the reply.
    async fn order(&self, command: AdminCommand) -> Result<AdminReply, OrderError> {
        match self.parts() {
            (_, Some(parts)) => Ok(parts.core.admin(command).await?),
            (_, None) => Err(OrderError::Starting),
        }
    }

    /// The counters and the state of the storage, if it is open.
    async fn storage_counts(&self) -> Option<StorageCounts> {
        let storage = self.parts().1?.storage;
        Some(aside(move || storage.counts()).await)
    }

    fn about(&self) -> &About {
        &self.0.about
    }

    fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    fn log_limiter(&self) -> &LogLimiter {
        &self.0.log_limiter
    }
}

/// Collects all routes. A new kind of request gets a file of its own and a line here.
fn router(view: HttpView) -> Router {
    Router::new()
        .merge(admin::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .fallback(no_such_page)
        .with_state(view)
}

async fn no_such_page() -> Response {
    let pages =
        "there is no such page; there are /health/live, /health/ready, /metrics and /admin\n";
    (StatusCode::NOT_FOUND, pages).into_response()
}

/// Creates an answer in JSON, on a line of its own.
fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use kv_core::layout::Layout;

    use super::*;
    use crate::admin_client::{self, HttpAddress};

    /// Starts the interface of a node that is starting, and returns its address.
    async fn starting() -> (HttpServer, HttpAddress) {
        let layout = Layout::single_datacenter(16, 1, [(NodeId(1), "n1".to_owned())]);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a port");
        let address = HttpAddress::of_listener(listener.local_addr().expect("it is bound"));
        let about = About {
            name: "n1".to_owned(),
            node: NodeId(1),
            cluster: "kv".to_owned(),
            ring: Arc::new(Ring::new(layout).expect("a sound layout")),
        };
        (HttpServer::start(listener, 4, about, Arc::default(), Arc::default()), address)
    }

    #[tokio::test]
    async fn a_node_that_is_starting_or_stopping_lives_and_is_not_ready() {
        let (server, address) = starting().await;
        for (code, body) in [("starting", "\"id\":\"0000000000000001\""), ("stopping", "kv")] {
            let ready = admin_client::get(&address, "/health/ready").await.expect("an answer");
            assert_eq!(ready.status, 503);
            assert!(ready.body.contains(&format!("\"code\":\"{code}\"")), "{}", ready.body);
            assert!(ready.body.contains(body), "{}", ready.body);
            let live = admin_client::get(&address, "/health/live").await.expect("an answer");
            assert_eq!((live.status.as_u16(), &*live.body), (200, "live\n"));
            let metrics = admin_client::get(&address, "/metrics").await.expect("an answer").body;
            assert!(metrics.contains("\nkv_ready 0\n"), "{metrics}");
            let problem = format!("\nkv_health_problem{{code=\"{code}\"}} 1\n");
            assert!(metrics.contains(&problem), "{metrics}");
            server.on_stopping();
        }
    }

    #[tokio::test]
    async fn a_core_that_does_not_answer_makes_a_node_not_ready() {
        let (server, address) = starting().await;
        let (core, _nobody_listens) = crate::core_loop::inboxes(1);
        server.on_running(core, StorageWatch::default());
        let ready = admin_client::get(&address, "/health/ready").await.expect("an answer");
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("\"code\":\"core-silent\""), "{}", ready.body);
        let live = admin_client::get(&address, "/health/live").await.expect("an answer");
        assert_eq!(live.status, 200, "it may only be busy");
    }

    #[tokio::test]
    async fn a_page_that_is_not_there_names_those_that_are() {
        let (_server, address) = starting().await;
        let missing = admin_client::get(&address, "/helth").await.expect("an answer");
        assert_eq!(missing.status, 404);
        assert!(missing.body.contains("/health/ready"), "{}", missing.body);
        let posted = admin_client::post(&address, "/health/ready", String::new()).await;
        assert_eq!(posted.expect("an answer").status, 405);
    }
}
