//! `/health/live` and `/health/ready`: the health of the node.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::HttpView;
use super::probe::ANSWER_TIMEOUT;
use crate::health::{Facts, ServingStage, Status, Verdict};
use crate::inspection::{Inspection, PeerState};
use crate::log;
use crate::storage::{DiskRoom, StorageCounts};

/// The time within which liveness is answered: most callers wait for a second at most.
const LIVE_TIMEOUT: Duration = Duration::from_millis(500);

/// Creates the routes of `/health/…`.
pub(super) fn routes() -> Router<HttpView> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready))
}

async fn live(State(view): State<HttpView>) -> Response {
    if let (_, Some(parts)) = view.parts() {
        let _answer = parts.probe.inspect(LIVE_TIMEOUT).await;
        if parts.probe.hangs() {
            let message = "the core of the node has not answered for a minute: restart the node\n";
            return (StatusCode::SERVICE_UNAVAILABLE, message).into_response();
        }
    }
    "live\n".into_response()
}

async fn ready(State(view): State<HttpView>) -> Response {
    let facts = facts(&view).await;
    let verdict = Verdict::of(&facts);
    let status = match verdict.status() {
        Status::Ready | Status::Degraded => StatusCode::OK,
        Status::NotReady => StatusCode::SERVICE_UNAVAILABLE,
    };
    let storage = view.storage_counts().await;
    super::json(status, &body(&view, &facts, &verdict, storage))
}

/// Collects all facts about the node now.
pub(super) async fn facts(view: &HttpView) -> Facts {
    let (stage, parts) = view.parts();
    let core = match &parts {
        Some(parts) => parts.probe.inspect(ANSWER_TIMEOUT).await,
        None => None,
    };
    // It may have begun to stop while the core was asked, which then answers no more.
    let stage = match (stage, view.parts().0) {
        (ServingStage::Running, now) => now,
        (then, _) => then,
    };
    Facts { stage, core, log_lines_lost: log::lines_lost() }
}

fn body(
    view: &HttpView,
    facts: &Facts,
    verdict: &Verdict,
    storage: Option<StorageCounts>,
) -> Value {
    let about = view.about();
    let problem = |problem: &crate::health::HealthProblem| {
        json!({
            "code": problem.code.word(),
            "severity": problem.severity.word(),
            "message": problem.message,
        })
    };
    let room = storage.and_then(|counts| counts.disk);
    json!({
        "node": about.name,
        "id": about.node.to_string(),
        "cluster": about.cluster,
        "version": env!("CARGO_PKG_VERSION"),
        "status": verdict.status().word(),
        "ready": verdict.status() != Status::NotReady,
        "problems": verdict.problems().iter().map(problem).collect::<Vec<_>>(),
        "state": facts.core.as_ref().map(state),
        "disk": room.map(|DiskRoom { free_bytes, total_bytes }| {
            json!({ "free_bytes": free_bytes, "total_bytes": total_bytes })
        }),
        "log_lines_lost": facts.log_lines_lost,
    })
}

fn state(inspection: &Inspection) -> Value {
    let Inspection {
        counts,
        is_founded,
        partitions,
        quorums,
        out_of_reach,
        partitions_loss_undecided,
        corrupt_keys,
        storage,
        heard_within_ms: _,
        peers,
    } = inspection;
    json!({
        "founded": is_founded,
        "partitions": partitions,
        "partitions_owned": counts.partitions_owned,
        "partitions_complete": counts.partitions_complete,
        "partitions_loss_undecided": partitions_loss_undecided,
        "corrupt_keys": corrupt_keys,
        "partitions_unreadable": out_of_reach.reads,
        "partitions_unwritable": out_of_reach.writes,
        "read_quorum": quorums.read,
        "write_quorum": quorums.write,
        "mode": quorums.mode,
        "hints_pending": counts.hints_pending,
        "operations_in_flight": counts.operations,
        "storage": storage.word(),
        "peers": counts.peers,
        "peers_down": counts.peers_down,
        "members": peers.iter().map(member).collect::<Vec<_>>(),
    })
}

fn member(peer: &PeerState) -> Value {
    let PeerState { node, name, seems_up, is_connected, silent_ms, refused } = peer;
    json!({
        "name": name,
        "id": node.to_string(),
        "seems_up": seems_up,
        "connected": is_connected,
        "silent_ms": silent_ms,
        "refused": refused,
    })
}
