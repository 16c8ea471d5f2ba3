//! `/health/live` and `/health/ready`: how the node is.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::time::timeout;

use super::View;
use crate::core_loop::Inspection;

/// A core that has not answered for so long hangs.
const CORE_TIMEOUT: Duration = Duration::from_secs(2);

/// The routes of this file.
pub(super) fn routes() -> Router<View> {
    Router::new().route("/health/live", get(async || "live\n")).route("/health/ready", get(ready))
}

async fn ready(State(view): State<View>) -> Response {
    let inspection = timeout(CORE_TIMEOUT, view.core.inspect()).await.ok().and_then(Result::ok);
    let problem = match &inspection {
        _ if view.leaving.has_stopped() => Some("the node is stopping"),
        None => Some("the core does not answer"),
        Some(inspection) if inspection.storage_failed => Some("the storage failed"),
        Some(_) => None,
    };
    let status = if problem.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let state = inspection.as_ref().map(shown);
    let storage = view.storage.upgrade().map(|storage| storage.counts());
    let body = json!({
        "node": view.name,
        "ready": problem.is_none(),
        "problem": problem,
        "storage": storage.map(|counts| counts.state.word()),
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
